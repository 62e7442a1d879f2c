// Brings what a page of streams shows up to date, every few seconds, while somebody looks at it; and
// opens a message by a click anywhere on its row.

const EVERY_MS = 3000;
const button = document.getElementById("live-button");
const isLive = () => button?.getAttribute("aria-pressed") === "true";

// Somebody who selects text, or has the focus in it, is reading: it stays as it is.
function isRead(shown) {
  return String(getSelection()) !== "" || shown.contains(document.activeElement);
}

function replace(shown, fresh) {
  const scrolled = [...shown.querySelectorAll(".box")].map((box) => box.scrollLeft);
  shown.replaceWith(fresh);
  for (const [at, box] of [...fresh.querySelectorAll(".box")].entries()) {
    box.scrollLeft = scrolled[at] ?? 0;
  }
}

async function refresh() {
  if (!isLive() || document.hidden) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || !isLive()) return; // what is shown is the last that was known
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const shown of document.querySelectorAll(".live-part")) {
    if (!isRead(shown)) replace(shown, document.adoptNode(page.getElementById(shown.id)));
  }
}

// The switch is part of the address, so that it stays when the page is loaded again or shared.
function toggle() {
  const wanted = !isLive();
  button.setAttribute("aria-pressed", String(wanted));
  const url = new URL(location.href);
  if (wanted) url.searchParams.delete("live");
  else url.searchParams.set("live", "0");
  history.replaceState(null, "", url);
  button.blur();
  if (wanted) refresh().catch(() => undefined);
}

function openRow(event) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  const row = event.target.closest("#rows tr.row");
  if (!row || event.target.closest("a") || String(getSelection())) return;
  row.querySelector(".timestamp a").click();
}

if (button) {
  button.hidden = false;
  button.addEventListener("click", toggle);
  setInterval(() => refresh().catch(() => undefined), EVERY_MS);
}
document.addEventListener("click", openRow);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "l" && button && !event.target.closest("input, select")) toggle();
});
document.querySelector("form.search")?.addEventListener("formdata", ({ formData }) => {
  for (const [name, value] of [...formData]) if (!value) formData.delete(name);
});
