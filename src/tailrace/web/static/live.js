// New rows without a reload. One stream of server-sent events feeds the list; while somebody reads
// (the page is scrolled, or a row is open) rows wait, and a button says how many.
import { buildRow, element } from "./rows.js";

const MOST_ROWS = 500;
const MOST_WAITING = 2000;
const RETRY_MS = 2000;
const SUMMARY_EVERY_MS = 5000;
const AIMING_MS = 1500;

// Rows that are alike in every field share an id: each is known by it and its number among them.
const known = (id, copy) => `${id} ${copy}`;

function copies(ids) {
  const counts = new Map();
  return ids.map((id) => {
    counts.set(id, (counts.get(id) ?? 0) + 1);
    return counts.get(id);
  });
}

// Whether a page can begin between two rows: not where they may share their place in the order, which
// is the beginning of the id.
const PLACE = 21;
const areApart = (row, next) =>
  row.dataset.row.slice(0, PLACE) !== next.dataset.row.slice(0, PLACE);

export function follow(main, body) {
  const button = document.getElementById("live-button");
  const news = document.getElementById("news");
  const state = document.getElementById("live-state");
  const marks = JSON.parse(main.dataset.marks);
  const shape = JSON.parse(main.dataset.shape);
  const shown = [...body.querySelectorAll("tr.row")].map((row) => row.dataset.row);
  const seen = new Set(copies(shown).map((copy, at) => known(shown[at], copy)));
  let waiting = [];
  let dropped = 0;
  let source = null;
  let retry = null;

  let pointedAt = Number.NEGATIVE_INFINITY;

  // Somebody who moves the pointer over the rows is about to click one: it stays where it is.
  const isAiming = () => performance.now() - pointedAt < AIMING_MS;
  const isReading = () =>
    scrollY > 40 || isAiming() || body.querySelector("tr.opened, tr.selected") !== null;

  function say(text) {
    state.textContent = text;
    state.hidden = !text;
  }

  // Without the Z, texts of times sort as times do, however many digits each has.
  const sortable = (time) => time.slice(0, -1);

  // Rows of one instant keep their order of arrival; a late one goes where its time puts it, which
  // may be on an older page.
  function place(row) {
    const last = [...body.querySelectorAll("tr.row")].at(-1);
    const older = document.querySelector("a[rel=next]");
    const at = row[shape.time];
    if (older && last && sortable(at) < sortable(last.dataset.at)) return;
    let before = body.querySelector("tr.row");
    while (before && sortable(before.dataset.at) > sortable(at)) {
      do before = before.nextElementSibling;
      while (before && !before.classList.contains("row"));
    }
    body.insertBefore(buildRow(row, marks, shape), before);
  }

  // What is taken away at the end is what the next older page begins with.
  function trim() {
    const rows = body.querySelectorAll("tr.row");
    if (rows.length <= MOST_ROWS) return;
    let kept = MOST_ROWS;
    while (kept > 0 && !areApart(rows[kept - 1], rows[kept])) kept -= 1;
    if (kept === 0) return;
    for (let at = kept; at < rows.length; at += 1) rows[at].remove();
    const url = new URL(location.href);
    for (const name of ["cursor", "open", "live"]) url.searchParams.delete(name);
    url.searchParams.set("after", rows[kept - 1].dataset.row);
    let older = document.querySelector("a[rel=next]");
    if (!older) {
      older = element("a", { rel: "next" }, "Older →");
      document.querySelector(".pages").append(older);
    }
    older.href = url.pathname + url.search;
  }

  function show() {
    for (const row of waiting) place(row);
    waiting = [];
    trim();
    document.getElementById("empty")?.remove();
    news.hidden = true;
    say(
      dropped
        ? `${dropped.toLocaleString("en")} rows came too fast to be shown; a search finds them`
        : "",
    );
    dropped = 0;
  }

  function take(rows, missed = 0) {
    dropped += missed;
    for (const row of rows) {
      const key = known(row.id, row.copy ?? 1);
      if (seen.has(key)) continue;
      seen.add(key);
      waiting.push(row);
    }
    if (waiting.length > MOST_WAITING) {
      const lost = waiting.splice(0, waiting.length - MOST_WAITING);
      for (const row of lost) seen.delete(known(row.id, row.copy ?? 1));
      dropped += lost.length;
    }
    if (!waiting.length) return;
    if (!isReading()) {
      show();
      return;
    }
    const count = waiting.length + dropped;
    news.textContent = `${count.toLocaleString("en")} new row${count === 1 ? "" : "s"} ↑`;
    news.hidden = false;
  }

  // What arrived between the page and the stream, or while the stream was gone.
  async function catchUp() {
    try {
      const answer = await fetch(main.dataset.api);
      if (!answer.ok) return;
      const { rows } = await answer.json();
      const numbers = copies(rows.map((row) => row.id));
      take(rows.map((row, at) => ({ ...row, copy: numbers[at] })).reverse());
    } catch {
      // the stream's own error says so, and tries again
    }
  }

  function open() {
    source = new EventSource(main.dataset.live);
    source.addEventListener("open", () => {
      say("");
      catchUp();
    });
    source.addEventListener("rows", (event) => {
      const message = JSON.parse(event.data);
      take(message.rows, message.dropped);
    });
    source.addEventListener("trouble", (event) => say(JSON.parse(event.data).detail));
    source.addEventListener("recovered", () => {
      say("");
      catchUp();
    });
    source.addEventListener("error", () => {
      say("The connection is lost; trying again");
      source?.close();
      clearTimeout(retry);
      retry = setTimeout(open, RETRY_MS);
    });
  }

  function resume() {
    if (isAiming()) setTimeout(resume, AIMING_MS);
    else if (waiting.length && !isReading()) show();
  }

  function close() {
    clearTimeout(retry);
    source?.close();
    source = null;
    say("");
  }

  function toggle() {
    if (!main.dataset.live) {
      const url = new URL(location.href); // this page is an older one: live is the newest
      for (const name of ["cursor", "open", "live", "order", "to"]) url.searchParams.delete(name);
      location.assign(url.pathname + url.search);
      return;
    }
    const wanted = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(wanted));
    if (wanted) open();
    else close();
  }

  // Somebody is at it, or what there is was counted and its successor could not be in time.
  const isKept = (old, renewed) =>
    old.contains(document.activeElement) ||
    (renewed.querySelector(".uncounted") && !old.querySelector(".uncounted"));

  // The counts around the rows come from the server as it renders them, parsed without running
  // anything and put in place of the old ones.
  async function refreshAround() {
    const began = performance.now();
    const isNeeded = source && !document.hidden && !document.querySelector("details.sql[open]");
    if (isNeeded) {
      try {
        const answer = await fetch(location.pathname + location.search);
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const id of ["chart", "result", "delivery", "facet-lists"]) {
          const [old, renewed] = [document.getElementById(id), fresh.getElementById(id)];
          if (old && renewed && !isKept(old, renewed)) old.replaceWith(document.adoptNode(renewed));
        }
      } catch {
        // next time
      }
    }
    const took = performance.now() - began;
    setTimeout(refreshAround, Math.max(SUMMARY_EVERY_MS, 20 * took));
  }

  button.hidden = false;
  button.addEventListener("click", toggle);
  news.addEventListener("click", () => {
    for (const opened of body.querySelectorAll("tr.opened")) opened.remove();
    for (const row of body.querySelectorAll("tr.selected")) row.classList.remove("selected");
    scrollTo({ top: 0 });
    show();
  });
  addEventListener("scroll", () => waiting.length && !isReading() && show(), { passive: true });
  body.addEventListener("pointermove", () => {
    if (!isAiming()) setTimeout(resume, AIMING_MS);
    pointedAt = performance.now();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && main.dataset.live && open());
  if (main.dataset.live) {
    open();
    setTimeout(refreshAround, SUMMARY_EVERY_MS);
  }
  return { toggle };
}
