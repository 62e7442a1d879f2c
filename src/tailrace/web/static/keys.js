// Keys for those whose hands are on the keyboard. None acts while something is being typed.

import { closePanels, openRange } from "./panels.js";

function rowsOf(body) {
  return [...body.querySelectorAll("tr.row")];
}

function select(body, row) {
  for (const other of body.querySelectorAll("tr.selected")) other.classList.remove("selected");
  row.classList.add("selected");
  row.querySelector(".timestamp a").focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function step(body, by, wanted = () => true) {
  const rows = rowsOf(body);
  let at = rows.findIndex((row) => row.classList.contains("selected"));
  if (at < 0 && by < 0) at = rows.length;
  for (at += by; at >= 0 && at < rows.length; at += by) {
    if (wanted(rows[at])) {
      select(body, rows[at]);
      return;
    }
  }
}

const isError = (row) => row.classList.contains("error") || row.classList.contains("critical");

export function listenToKeys({ body, live, openRow, closeRow }) {
  const actions = {
    j: () => step(body, 1),
    k: () => step(body, -1),
    e: () => step(body, 1, isError),
    E: () => step(body, -1, isError),
    l: () => live.toggle(),
    t: openRange,
    Escape: () => {
      const row = body.querySelector("tr.opened")?.previousElementSibling;
      if (row) closeRow(row);
      else body.querySelector("tr.selected")?.classList.remove("selected");
    },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      const [panel] = closePanels();
      if (panel) {
        panel.querySelector("summary").focus();
        return;
      }
    }
    if (event.target.closest("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "Enter" && !event.target.closest("a, button, summary")) {
      const row = body.querySelector("tr.selected");
      if (row) openRow(row);
      return;
    }
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  });
}
