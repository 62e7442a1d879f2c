// Draws a time series on a canvas, out of the numbers that the server put beside its table. The names
// and colours are those of the legend, so that a theme changes both.

import { element } from "./rows.js";
import { zoomByTouch } from "./touch.js";
import { formatNumber, formatTick } from "./units.js";

const FONT = "11px system-ui, sans-serif";
const LEAST_SHARE = 0.012; // of the height: a few errors among a million rows are seen
const { uPlot } = globalThis;

const clock = (seconds, digits) => new Date(seconds * 1000).toISOString().slice(11, 11 + digits);
const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);

function tickOfTime(seconds, incr) {
  if (incr >= 86400) return incr >= 86400 * 300 ? day(seconds) : day(seconds).slice(5);
  if (seconds % 86400 === 0) return day(seconds).slice(5);
  return clock(seconds, incr < 60 ? 8 : 5);
}

function colourOf(swatch) {
  return getComputedStyle(swatch).backgroundColor;
}

export function token(box, name) {
  return getComputedStyle(box).getPropertyValue(name).trim();
}

// Bars are drawn over one another, the highest first: each reaches to the top of its block.
function stacked(values) {
  const totals = values[0].map((_, at) => values.reduce((sum, one) => sum + (one[at] ?? 0), 0));
  const least = Math.max(...totals) * LEAST_SHARE;
  const tops = totals.map(() => 0);
  return values.map((one) =>
    one.map((value, at) => {
      if (!value) return null;
      tops[at] += Math.max(value, least);
      return tops[at];
    }),
  );
}

// A point between two gaps has no line to be on.
function lonely(plot, series) {
  const values = plot.data[series];
  const isThere = (at) => values[at] !== null && values[at] !== undefined;
  const found = [];
  for (let at = 0; at < values.length; at += 1) {
    if (isThere(at) && !isThere(at - 1) && !isThere(at + 1)) found.push(at);
  }
  return found;
}

function seriesOf(colour, isBars, isAlone, gap) {
  if (isBars) {
    const paths = uPlot.paths.bars({ align: 1, size: [1, 60], gap });
    return { stroke: colour, fill: colour, width: 0, paths, points: { show: false } };
  }
  const soft = colour.replace("rgb(", "rgba(").replace(")", ", 0.1)");
  return {
    stroke: colour,
    width: 1.75,
    fill: isAlone ? soft : undefined,
    spanGaps: false,
    points: { show: true, size: 4, fill: colour, filter: lonely },
  };
}

function axes(box, unit) {
  const [muted, line] = [token(box, "color"), token(box, "border-bottom-color")];
  const shared = { stroke: muted, font: FONT, ticks: { show: false } };
  const times = (_plot, splits, _axis, _space, incr) => splits.map((at) => tickOfTime(at, incr));
  const numbers = (_plot, splits) => splits.map((at) => formatTick(at, unit));
  const widest = (_plot, labels) => 14 + 6.5 * Math.max(2, ...(labels ?? []).map((l) => l.length));
  return [
    { ...shared, grid: { show: false }, space: 70, size: 24, gap: 4, values: times },
    {
      ...shared,
      grid: { stroke: line, width: 1 },
      space: 34,
      gap: 6,
      size: widest,
      values: numbers,
    },
  ];
}

function tooltip(box, data, keys, hidden) {
  const tip = element("div", { className: "tip", hidden: true });
  box.append(tip);
  return (plot) => {
    const { left } = plot.cursor;
    const isOver = box.matches(":hover") && left >= 0;
    const at = isOver ? indexAt(data, plot.posToVal(left, "x")) : -1;
    tip.hidden = at < 0;
    if (at < 0) return;
    const time = data.times[at];
    const rows = keys
      .map((key, number) => [key, data.values[number][at], number])
      .filter(([, value, number]) => value !== null && !hidden.has(keys[number].dataset.name));
    if (data.draw === "bars") rows.reverse();
    tip.replaceChildren(
      element("p", {}, `${day(time)} ${clock(time, 8)} – ${clock(time + data.step, 8)}`),
      ...rows.map(([key, value]) =>
        element(
          "div",
          {},
          element("i", { className: key.querySelector("i").className }),
          element("span", {}, key.dataset.name),
          element("b", {}, formatNumber(value, data.unit)),
        ),
      ),
    );
    placeTip(tip, box, plot);
  };
}

// Beside the cursor, and within the box.
export function placeTip(tip, box, plot) {
  const { left, top } = plot.cursor;
  const room = box.clientWidth - tip.offsetWidth;
  const at_x = left + plot.over.offsetLeft + 14;
  tip.style.left = `${at_x > room ? Math.max(0, at_x - tip.offsetWidth - 28) : at_x}px`;
  tip.style.top = `${Math.max(0, top - 12)}px`;
}

// Colours on a canvas do not change by themselves.
export function onThemeChange(redraw) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new MutationObserver(redraw).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-theme"],
  });
}

// The step that a place lies in: the last that began before it.
function indexAt(data, seconds) {
  let at = data.times.length - 1;
  while (at >= 0 && data.times[at] > seconds) at -= 1;
  return at;
}

function goTo(from, to) {
  const url = new URL(location.href);
  const iso = (seconds) => new Date(Math.round(seconds) * 1000).toISOString().replace(".000", "");
  url.searchParams.set("from", iso(from));
  url.searchParams.set("to", iso(Math.max(to, from + 1)));
  location.assign(url.pathname + url.search);
}

function zoom(plot) {
  const { left, width } = plot.select;
  if (width >= 4) goTo(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
}

function make(box, keys, hidden) {
  const data = JSON.parse(box.dataset.plot);
  const isBars = data.draw === "bars";
  const shown = keys.filter((key) => !hidden.has(key.dataset.name));
  const values = shown.map((key) => data.values[keys.indexOf(key)]);
  const drawn = isBars && values.length ? stacked(values) : values;
  const gap = box.clientWidth / data.times.length < 8 ? 0 : 1;
  const series = shown.map((key) =>
    seriesOf(colourOf(key.querySelector("i")), isBars, shown.length === 1, gap),
  );
  if (isBars) {
    drawn.reverse();
    series.reverse();
  }
  const say = tooltip(box, data, keys, hidden);
  const plot = new uPlot(
    {
      width: box.clientWidth,
      height: box.clientHeight,
      padding: [8, 4, 0, 0],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { show: false },
      scales: {
        x: { time: true, range: () => [data.from, data.to] },
        y: { range: (_plot, least, most) => [Math.min(0, least ?? 0), (most || 1) * 1.08] },
      },
      axes: axes(box, data.unit),
      series: [{}, ...series],
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false },
        sync: { key: "dashboard" },
        points: { show: !isBars, size: 6 },
      },
      hooks: { setSelect: [zoom], setCursor: [say] },
    },
    [data.times, ...drawn],
    box,
  );
  // Nothing has happened yet after the end of a time that reaches until now.
  zoomByTouch(plot, (from, to) => goTo(from, Math.min(to, Math.max(data.to, Date.now() / 1000))));
  return plot;
}

// A chart in its box; `hidden` are the names of series that are switched off, and stays what it is.
export function drawChart(box, hidden) {
  const keys = [...box.parentElement.querySelectorAll(".legend li")];
  let plot = null;
  const draw = () => {
    plot?.destroy();
    box.replaceChildren();
    plot = make(box, keys, hidden);
  };
  for (const key of keys) {
    const button = key.querySelector("button");
    const say = () => button.setAttribute("aria-pressed", String(!hidden.has(key.dataset.name)));
    button.disabled = false;
    button.addEventListener("click", () => {
      if (!hidden.delete(key.dataset.name)) hidden.add(key.dataset.name);
      say();
      draw();
    });
    say();
  }
  const sizes = new ResizeObserver(() =>
    plot?.setSize({ width: box.clientWidth, height: box.clientHeight }),
  );
  sizes.observe(box);
  draw();
  return {
    draw,
    end() {
      sizes.disconnect();
      plot?.destroy();
    },
  };
}
