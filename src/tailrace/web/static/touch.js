// Zooming with fingers, which uPlot leaves to others. One finger drags over a range as a mouse does,
// two pull at what is under them; up and down stays the page's (`touch-action` in cards.css).

// `choose` gets the ends of the range once the fingers have left, `show` while two of them move; where
// there is no `show`, the range is marked in the chart as long as they are there.
export function zoomByTouch(plot, choose, show = null) {
  const { over } = plot;
  const fingers = new Map(); // by the pointer's id: where it began and is, and the value it holds
  let ends = null;
  let before = null;

  const placeOf = (event) => {
    const { left, width } = over.getBoundingClientRect();
    return Math.min(Math.max(event.clientX - left, 0), width);
  };

  function mark(low, high) {
    const [left, right] = [low, high].map((value) => plot.valToPos(value, "x"));
    const [first, last] = [Math.max(left, 0), Math.min(right, over.clientWidth)];
    plot.setSelect({ left: first, top: 0, width: last - first, height: over.clientHeight }, false);
  }

  function forget() {
    fingers.clear();
    ends = null;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  // The ends between which each finger has under it what it began at.
  function endsOfTwo([one, other]) {
    const distance = other.place - one.place;
    const unit = (other.value - one.value) / distance;
    if (Math.abs(distance) < 8 || !(unit > 0)) return null;
    const low = one.value - one.place * unit;
    return [low, low + over.clientWidth * unit];
  }

  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" || fingers.size === 2) return;
    over.setPointerCapture(event.pointerId);
    const place = placeOf(event);
    fingers.set(event.pointerId, { began: place, place });
    for (const finger of fingers.values()) finger.value = plot.posToVal(finger.place, "x");
    if (fingers.size === 1) before = [plot.scales.x.min, plot.scales.x.max];
    ends = null;
  });
  over.addEventListener("pointermove", (event) => {
    const finger = fingers.get(event.pointerId);
    if (!finger) return;
    finger.place = placeOf(event);
    if (fingers.size === 2) {
      ends = endsOfTwo([...fingers.values()]) ?? ends;
    } else if (Math.abs(finger.place - finger.began) >= 8) {
      ends = [finger.value, plot.posToVal(finger.place, "x")].sort((one, other) => one - other);
    } else return;
    if (ends) (fingers.size === 2 && show ? show : mark)(...ends);
  });
  over.addEventListener("pointerup", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const chosen = ends;
    forget();
    if (chosen) choose(...chosen);
  });
  // The page is scrolled, or something else takes the fingers: nothing was chosen.
  over.addEventListener("pointercancel", () => {
    if (ends && show) show(...before);
    forget();
  });
}
