// Brings what a page of streams shows up to date, every few seconds, while somebody looks at it.
const EVERY_MS = 3000;

async function refresh() {
  const shown = document.getElementById("live");
  const isSelecting = String(getSelection()) !== "";
  if (document.hidden || isSelecting || shown.contains(document.activeElement)) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return; // the next time may be better; what is shown is the last that was known
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("live");
  for (const details of shown.querySelectorAll("details[id]")) {
    const same = fresh.querySelector(`#${details.id}`);
    if (same) same.open = details.open;
  }
  shown.replaceWith(document.adoptNode(fresh));
}

setInterval(() => refresh().catch(() => undefined), EVERY_MS);
