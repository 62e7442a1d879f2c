// Builds rows out of the API's JSON, as templates/logs.html and web/render.py do on the server.
// Log text is hostile: it only ever becomes a text node.

const HIDDEN =
  /([\u0000-\u0008\u000a-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+)/;
const VALUE = /(?<=[\w\]]=)-?\d[\w.,:%-]*/g;
const LEVELS = new Set(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]);
const LONGEST_LINE = 1000;

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function sign(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

export function visible(text) {
  return text
    .split(HIDDEN)
    .map((part, index) => (index % 2 ? Array.from(part, sign).join("") : part))
    .join("");
}

function valued(text) {
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(VALUE)) {
    nodes.push(text.slice(at, found.index), element("b", {}, found[0]));
    at = found.index + found[0].length;
  }
  nodes.push(text.slice(at));
  return nodes;
}

function marked(text, marks) {
  if (marks.length === 0) return valued(text);
  const escaped = [...marks]
    .sort((one, other) => other.length - one.length)
    .map((mark) => mark.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return text
    .split(new RegExp(`(${escaped.join("|")})`, "i"))
    .flatMap((part, index) => (index % 2 ? [element("mark", {}, part)] : valued(part)));
}

export function pieces(text, marks = [], lines = false) {
  return text.split(HIDDEN).flatMap((part, index) => {
    if (index % 2 === 0) return marked(part, marks);
    if (lines && /^[\n\r]+$/.test(part)) return [part];
    return [element("span", { className: "control" }, Array.from(part, sign).join(""))];
  });
}

function timeCell(row, at, shape) {
  const time = element("time", { dateTime: at });
  if (at.slice(0, 10) !== new Date().toISOString().slice(0, 10)) {
    time.append(element("span", { className: "date" }, at.slice(0, 10)), " ");
  }
  time.append(at.slice(11, 19));
  if (shape.has_fractions) {
    time.append(element("span", { className: "fraction" }, `.${at.slice(20, 23)}`));
  }
  const address = new URLSearchParams(shape.table ? { table: shape.table } : {});
  address.set("open", row.id);
  const link = element("a", { href: `/?${address}`, title: at, "aria-expanded": "false" }, time);
  return element("td", { className: "timestamp" }, link);
}

function messageCell(text, marks) {
  const message = element("td", { className: "message" });
  message.append(...pieces(text.slice(0, LONGEST_LINE), marks));
  if (text.length > LONGEST_LINE) message.append(element("span", { className: "control" }, "…"));
  return message;
}

// `shape` says what the table's columns are, see web/pages/rows.py.
export function buildRow(row, marks, shape) {
  const said = shape.level ? row[shape.level] : "";
  const level = LEVELS.has(said) ? said.toLowerCase() : "other";
  const at = row[shape.time];
  const cells = shape.columns.map(({ column, role }) => {
    if (role === "timestamp") return timeCell(row, at, shape);
    if (role === "message") return messageCell(row[column], marks);
    return element("td", { className: role }, visible(String(row[column])));
  });
  const built = element("tr", { className: `row ${level}` }, ...cells);
  built.dataset.at = at;
  built.dataset.row = row.id;
  if (!document.getElementById(row.id)) built.id = row.id; // rows that are alike share it
  return built;
}
