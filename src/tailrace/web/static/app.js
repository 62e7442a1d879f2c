// The explorer's enhancements. The page works without them: each does a little more of what its
// links and forms do already.

import { listenToKeys } from "./keys.js";
import { follow } from "./live.js";
import { setUpBar } from "./panels.js";
import { buildDetails, element } from "./rows.js";

const main = document.getElementById("content");
const body = document.querySelector("#rows tbody");

export function closeRow(row) {
  row.nextElementSibling?.classList.contains("opened") && row.nextElementSibling.remove();
  row.removeAttribute("aria-current");
  row.querySelector(".timestamp a").setAttribute("aria-expanded", "false");
}

export async function openRow(row) {
  if (row.nextElementSibling?.classList.contains("opened")) {
    closeRow(row);
    return;
  }
  const cell = element("td", { colSpan: 4 });
  row.after(element("tr", { className: "opened" }, cell));
  row.querySelector(".timestamp a").setAttribute("aria-expanded", "true");
  try {
    const answer = await fetch(`/api/v1/logs/${row.id}`);
    const found = await answer.json();
    cell.append(answer.ok ? buildDetails(found) : found.detail);
  } catch {
    cell.append("cannot read this row: the server does not answer. Open it again to retry");
  }
}

body.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  const closing = event.target.closest("tr.opened a.close");
  if (closing) {
    event.preventDefault();
    closeRow(closing.closest("tr.opened").previousElementSibling);
    return;
  }
  const row = event.target.closest("tr.row");
  const link = event.target.closest("a");
  if (!row || (link && !link.closest(".timestamp"))) return;
  if (!link && String(getSelection())) return; // somebody selects text
  event.preventDefault();
  openRow(row);
});

const facets = document.getElementById("facets");
if (matchMedia("(max-width: 900px)").matches) facets.open = false;

const help = document.getElementById("help");
const helpButton = document.getElementById("help-button");
helpButton.hidden = false;
helpButton.addEventListener("click", () => help.showModal());

setUpBar();
const live = follow(main, body);
listenToKeys({ body, help, live, openRow, closeRow });
