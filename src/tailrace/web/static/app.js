// The explorer's enhancements. The page works without them: each does a little more of what its
// links and forms do already.

import { listenToKeys } from "./keys.js";
import { follow } from "./live.js";
import { setUpBar } from "./panels.js";
import { element } from "./rows.js";

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
  const cell = element("td", { colSpan: row.cells.length + 1 });
  row.after(element("tr", { className: "opened" }, cell));
  row.querySelector(".timestamp a").setAttribute("aria-expanded", "true");
  try {
    const address = new URLSearchParams(location.search);
    for (const name of ["cursor", "open", "after", "live"]) address.delete(name);
    const answer = await fetch(`/rows/${row.dataset.row}?${address}`);
    if (!answer.ok) throw new Error((await answer.json()).detail);
    const found = new DOMParser().parseFromString(await answer.text(), "text/html");
    cell.append(...[...found.body.childNodes].map((node) => document.adoptNode(node)));
  } catch (error) {
    cell.append(
      error instanceof TypeError
        ? "cannot read this row: the server does not answer. Open it again to retry"
        : error.message,
    );
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
if (facets && matchMedia("(max-width: 900px)").matches) facets.open = false;
facets?.classList.add("folds");

setUpBar();

// Another table has other fields: of the search, only the time goes along.
document.getElementById("table")?.addEventListener("change", ({ target }) => {
  const address = new URLSearchParams();
  if (target.value) address.set("table", target.value);
  for (const name of ["from", "to"]) {
    const value = new URLSearchParams(location.search).get(name);
    if (value) address.set(name, value);
  }
  location.assign(`/?${address}`);
});
const live = follow(main, body);
listenToKeys({ body, live, openRow, closeRow });
