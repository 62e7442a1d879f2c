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

export function buildRow(row, marks) {
  const level = LEVELS.has(row.log_level) ? row.log_level.toLowerCase() : "other";
  const time = element("time", { dateTime: row.timestamp });
  if (row.timestamp.slice(0, 10) !== new Date().toISOString().slice(0, 10)) {
    time.append(element("span", { className: "date" }, row.timestamp.slice(0, 10)), " ");
  }
  const fraction = element("span", { className: "fraction" }, `.${row.timestamp.slice(20, 23)}`);
  time.append(row.timestamp.slice(11, 19), fraction);
  const link = element(
    "a",
    { href: `/?open=${row.id}`, title: row.timestamp, "aria-expanded": "false" },
    time,
  );
  const message = element("td", { className: "message" });
  message.append(...pieces(row.message.slice(0, LONGEST_LINE), marks));
  if (row.message.length > LONGEST_LINE) {
    message.append(element("span", { className: "control" }, "…"));
  }
  const built = element(
    "tr",
    { className: `row ${level}`, id: row.id },
    element("td", { className: "timestamp" }, link),
    element("td", { className: "level" }, visible(row.log_level)),
    element("td", { className: "source" }, visible(row.source)),
    message,
  );
  built.dataset.at = row.timestamp;
  return built;
}

function quoted(text) {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function term(name, value) {
  const plain = /^[A-Za-z_][\w.-]*$/.test(name) ? name : quoted(name);
  return `${plain}:${quoted(value)}`;
}

function withTerm(added) {
  const url = new URL(location.href);
  const typed = (url.searchParams.get("q") ?? "").trim();
  const before = typed.includes(" OR ") ? `(${typed})` : typed;
  url.searchParams.set("q", `${before} ${added}`.trim());
  for (const name of ["cursor", "open", "live"]) url.searchParams.delete(name);
  return url.pathname + url.search;
}

function contextOf(row) {
  const around = new URLSearchParams();
  if (row.source) around.set("source", row.source);
  if (row.host) around.set("host", row.host);
  around.set("open", row.id);
  return `/?${around}#${row.id}`;
}

function fieldOf(name, value, searchName) {
  const text = element("span", { className: "value" });
  text.append(...pieces(value, [], true));
  const described = element("dd", {}, text);
  if (searchName && value.length <= 300) {
    const wanted = term(searchName, value);
    described.append(
      " ",
      element(
        "span",
        { className: "actions" },
        element("a", { href: withTerm(wanted) }, "keep"),
        " ",
        element("a", { href: withTerm(`-${wanted}`) }, "exclude"),
      ),
    );
  }
  return element("div", { className: "field" }, element("dt", {}, visible(name)), described);
}

export function buildDetails(row) {
  const list = element("dl");
  list.append(
    fieldOf("message", row.message),
    fieldOf("timestamp", row.timestamp),
    fieldOf("level", row.log_level, "level"),
  );
  for (const name of ["source", "host", "trace_id", "span_id"]) {
    if (row[name]) list.append(fieldOf(name, row[name], name));
  }
  for (const name of Object.keys(row.attributes).sort()) {
    list.append(fieldOf(`attributes.${name}`, row.attributes[name], name));
  }
  list.append(fieldOf("received_at", row.received_at));
  const links = element("p", { className: "links" });
  links.append(element("a", { href: contextOf(row) }, "In context"));
  if (row.trace_id) {
    links.append(element("a", { href: withTerm(term("trace_id", row.trace_id)) }, "Same trace"));
  }
  links.append(
    element("a", { href: `/?open=${row.id}#${row.id}` }, "Permalink"),
    element("a", { href: `/api/v1/logs/${row.id}` }, "JSON"),
    element("a", { href: location.href, className: "close" }, "Close"),
  );
  return element("div", { className: "details" }, list, links);
}
