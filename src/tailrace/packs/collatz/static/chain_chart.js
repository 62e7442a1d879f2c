// What a chart of chains looks like to uPlot: its scales, what stands at its axes, the mark at the top.

const FONT = "11px system-ui, sans-serif";
const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 1e4, 1e5, 1e6, 1e7, 1e8];
const LEAST_SPACE = 34; // pixels between two labels of values
const POWER_RANGES = 1e-9; // log10 of a power of ten may be a little less than it is

const powerBelow = (value) => Math.floor(Math.log10(value) + POWER_RANGES);
const powerAbove = (value) => Math.ceil(Math.log10(value) - POWER_RANGES);

// A round number as an axis has it: 5,000, or 5×10¹²; `scene.py` writes the same.
export function powerText(value) {
  if (value < 1e6) return Math.round(value).toLocaleString("en");
  const power = powerBelow(value);
  const rest = Number((value / 10 ** power).toPrecision(3));
  const text = `10${[...String(power)].map((digit) => SUPERSCRIPTS[digit]).join("")}`;
  return rest === 1 ? text : `${rest}×${text}`;
}

function powers(plot, _axis, least, most) {
  const [low, high] = [powerBelow(least), powerAbove(most)];
  const places = Math.max(1, Math.floor(plot.bbox.height / devicePixelRatio / LEAST_SPACE));
  const every = Math.max(1, Math.ceil((high - low) / places));
  const found = [];
  for (let power = low; power <= high; power += every) found.push(10 ** power);
  return found;
}

function powerRange(_plot, least, most) {
  const [low, high] = [powerBelow(least ?? 1), powerAbove(most ?? 10)];
  return [10 ** low, 10 ** Math.max(high, low + 1)];
}

const evenRange = (_plot, _least, most) => [0, (most || 1) * 1.08];

function axes(look, isLog) {
  const shared = { stroke: look.muted, font: FONT, grid: { stroke: look.line, width: 1 } };
  const widest = (_plot, labels) => 14 + 6.5 * Math.max(2, ...(labels ?? []).map((l) => l.length));
  const across = (_plot, splits) => splits.map((step) => step.toLocaleString("en"));
  const up = (_plot, splits) => splits.map(powerText);
  const values = { ...shared, ticks: { show: false }, gap: 6, size: widest, values: up };
  if (isLog) Object.assign(values, { splits: powers, filter: (_plot, splits) => splits });
  else values.space = LEAST_SPACE;
  return [
    {
      ...shared,
      ticks: { show: false },
      size: 26,
      gap: 4,
      space: 60,
      incrs: WHOLE,
      values: across,
    },
    values,
  ];
}

// A dot and what it means, where the first chain is highest; drawn over everything else.
function drawNote(plot, look, noted) {
  const at = plot.data[0].indexOf(noted.step);
  const { min, max } = plot.scales.x;
  if (at < 0 || noted.step < min || noted.step > max) return;
  const { ctx, bbox } = plot;
  const x = plot.valToPos(noted.step, "x", true);
  const y = plot.valToPos(plot.data[1][at], "y", true);
  ctx.save();
  ctx.fillStyle = look.mark;
  ctx.beginPath();
  ctx.arc(x, y, 4 * devicePixelRatio, 0, 2 * Math.PI);
  ctx.fill();
  ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "bottom";
  const [aside, width] = [9 * devicePixelRatio, ctx.measureText(noted.text).width];
  const end = bbox.left + bbox.width;
  const left = x < bbox.left + bbox.width / 2 ? x + aside : x - aside - width;
  // On a telephone it may be wider than the chart; the page says the same above.
  if (width <= bbox.width) {
    ctx.fillText(noted.text, Math.max(bbox.left, Math.min(left, end - width)), y - aside / 2);
  }
  ctx.restore();
}

// The highest value's label needs a line of its own over it.
const PADDING = [18, 12, 0, 0];

export function chartOptions(box, scale, look, noted, hooks, reset) {
  const isLog = scale === "log";
  return {
    width: box.clientWidth,
    height: box.clientHeight,
    padding: PADDING,
    legend: { show: false },
    scales: {
      x: { time: false, range: (_plot, low, high) => [low, Math.max(high, low + 1)] },
      y: isLog ? { distr: 3, range: powerRange } : { range: evenRange },
    },
    axes: axes(look, isLog),
    series: [
      {},
      ...look.series.map((stroke) => ({ stroke, width: 1.5, points: { size: 5, fill: stroke } })),
    ],
    cursor: {
      y: false,
      drag: { x: true, y: false, setScale: false },
      points: { size: 8 },
      bind: { dblclick: () => reset },
    },
    hooks: { ...hooks, draw: [(plot) => drawNote(plot, look, noted)] },
  };
}
