// Draws the page's table of a chain, and of another beside it, as a chart to look around in. Values are
// read and shown as the table has them, as text with every digit; rounded ones only say where to draw.

import { onThemeChange, placeTip, token } from "../../chart.js";
import { element } from "../../rows.js";
import { zoomByTouch } from "../../touch.js";
import { chartOptions } from "./chain_chart.js";

const { uPlot } = globalThis;
const box = document.getElementById("chart");
const form = document.getElementById("view");
const rows = [...document.querySelectorAll("#values tbody tr")];
const keys = [...document.querySelectorAll(".chart .legend li")];
const PARAMETERS = ["from", "to", "scale"];

const number = (text) => Number(text.replaceAll(",", ""));
const texts = keys.map((_, at) => rows.map((row) => row.cells[at + 1].textContent.trim()));
const steps = rows.map((row) => Number(row.cells[0].textContent));
const data = [steps, ...texts.map((column) => column.map((text) => (text ? number(text) : null)))];
const last = Math.max(1, steps.at(-1));

let view = viewOf(new URL(location.href));
let plot = null;
let tip = null;

function viewOf(url) {
  const given = (name, other) => {
    const text = url.searchParams.get(name);
    return text ? Math.min(Math.max(Number(text) || 0, 0), last) : other;
  };
  const [low, high] = [given("from", 0), given("to", last)];
  const scale = url.searchParams.get("scale") === "linear" ? "linear" : "log";
  return low < high ? { low, high, scale } : { low: 0, high: last, scale };
}

// Where one may go from a view, as `pages.py` has it for those without scripts.
function moved(how, { low, high }) {
  const length = high - low;
  const [quarter, half] = [Math.floor(length / 4), Math.max(1, Math.floor(length / 2))];
  if (how === "earlier") return [Math.max(low - length, 0), Math.max(high - length, length)];
  if (how === "later")
    return [Math.min(low + length, last - length), Math.min(high + length, last)];
  if (how === "nearer" && length < 4) return [low, high];
  if (how === "nearer") return [low + quarter, high - quarter];
  if (how === "farther") return [Math.max(low - half, 0), Math.min(high + half, last)];
  return [0, last];
}

// The address of a page or a picture with this view.
function addressOf(href, { low, high, scale }) {
  const url = new URL(href, location.href);
  const isAll = low === 0 && high === last;
  const values = [isAll ? "" : low, isAll ? "" : high, scale === "log" ? "" : scale];
  for (const [at, name] of PARAMETERS.entries()) {
    if (values[at] === "") url.searchParams.delete(name);
    else url.searchParams.set(name, values[at]);
  }
  return url.pathname + url.search;
}

// What stands around the chart says the same as the chart.
function say() {
  form.elements.from.value = view.low;
  form.elements.to.value = view.high;
  form.elements.scale.value = view.scale;
  let shown = 0;
  for (const [at, row] of rows.entries()) {
    row.hidden = steps[at] < view.low || steps[at] > view.high;
    if (!row.hidden) shown += 1;
  }
  document.getElementById("nothing").hidden = shown > 0;
  const count = (some) => some.toLocaleString("en");
  document.getElementById("shown").textContent = `${count(shown)} of ${count(rows.length)} steps`;
  for (const link of document.querySelectorAll(".picture-link, .chart .legend a")) {
    link.href = addressOf(link.href, view);
  }
  for (const link of form.querySelectorAll("a[data-move]")) {
    const [low, high] = moved(link.dataset.move, view);
    link.href = addressOf(location.href, { ...view, low, high });
  }
}

function show() {
  plot.setScale("x", { min: view.low, max: view.high });
  say();
}

function go(change) {
  const wanted = { ...view, ...change };
  if (wanted.high - wanted.low < 1) return;
  const isOther = wanted.scale !== view.scale;
  if (!isOther && wanted.low === view.low && wanted.high === view.high) return;
  view = wanted;
  history.pushState(null, "", addressOf(location.href, view));
  if (isOther) draw();
  show();
}

function move(how) {
  const [low, high] = moved(how, view);
  go({ low, high });
}

function select() {
  const { left, width } = plot.select;
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  if (width < 4) return;
  choose(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
}

// From the step that is nearest to one place to that at another.
function choose(from, to) {
  const low = Math.min(Math.max(Math.round(from), 0), last - 1);
  go({ low, high: Math.min(Math.max(Math.round(to), low + 1), last) });
}

// The step under the pointer, or that a key went to.
function tell() {
  const at = plot.cursor.left >= 0 ? plot.cursor.idx : null;
  tip.hidden = at === null || at === undefined;
  if (tip.hidden) return;
  tip.replaceChildren(
    element("p", {}, `Step ${steps[at].toLocaleString("en")}`),
    ...keys.map((key, column) =>
      element(
        "div",
        {},
        element("i", { className: key.querySelector("i").className }),
        element("b", {}, texts[column][at] || "ended"),
      ),
    ),
  );
  placeTip(tip, box, plot);
}

function step(by) {
  const seen = steps.keys().filter((at) => steps[at] >= view.low && steps[at] <= view.high);
  const places = [...seen];
  if (places.length === 0) return;
  const isThere = plot.cursor.left >= 0 && plot.cursor.idx !== null;
  const now = isThere ? places.indexOf(plot.cursor.idx) : by > 0 ? -1 : places.length;
  const at = places[Math.min(Math.max(now + by, 0), places.length - 1)];
  const value = data.slice(1).find((column) => column[at] !== null)[at];
  plot.setCursor({ left: plot.valToPos(steps[at], "x"), top: plot.valToPos(value, "y") });
  const said = texts.map((column) => column[at] || "ended").join(" and ");
  document.getElementById("readout").textContent = `Step ${steps[at]}: ${said}`;
}

function draw() {
  plot?.destroy();
  tip = element("div", { className: "tip", hidden: true });
  box.replaceChildren(tip);
  const look = {
    muted: token(box, "color"),
    line: token(box, "border-bottom-color"),
    mark: token(box, "caret-color"),
    series: keys.map((key) => token(key.querySelector("i"), "background-color")),
  };
  const noted = { step: Number(box.dataset.noteStep), text: box.dataset.note };
  const hooks = { setSelect: [select], setCursor: [tell] };
  plot = new uPlot(
    chartOptions(box, view.scale, look, noted, hooks, () => move("all")),
    data,
    box,
  );
  const pull = (from, to) =>
    plot.setScale("x", { min: Math.max(from, 0), max: Math.min(to, last) });
  const leave = (from, to) => {
    choose(from, to);
    show();
  };
  zoomByTouch(plot, leave, pull);
  show();
}

const ACTIONS = {
  "+": () => move("nearer"),
  "-": () => move("farther"),
  0: () => move("all"),
  Escape: () => move("all"),
  s: () => go({ scale: view.scale === "log" ? "linear" : "log" }),
};
const ACTIONS_OF_CHART = {
  ArrowRight: (isFar) => step(isFar ? 10 : 1),
  ArrowLeft: (isFar) => step(isFar ? -10 : -1),
  Home: () => step(-rows.length),
  End: () => step(rows.length),
  PageDown: () => move("later"),
  PageUp: () => move("earlier"),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea")) return;
  const action = ACTIONS[event.key] ?? (event.target === box && ACTIONS_OF_CHART[event.key]);
  if (!action) return;
  event.preventDefault();
  action(event.shiftKey);
});
box.addEventListener("blur", () => plot.setCursor({ left: -10, top: -10 }));
form.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-move]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  move(link.dataset.move);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const url = new URL(location.href);
  for (const name of PARAMETERS) url.searchParams.set(name, form.elements[name].value);
  go(viewOf(url));
});
form.elements.scale.addEventListener("change", ({ target }) => go({ scale: target.value }));
addEventListener("popstate", () => {
  view = viewOf(new URL(location.href));
  draw();
});

if (rows.length > 0) {
  box.hidden = false;
  document.getElementById("chart-keys").hidden = false;
  draw();
  onThemeChange(draw);
  new ResizeObserver(() =>
    plot.setSize({ width: box.clientWidth, height: box.clientHeight }),
  ).observe(box);
}
