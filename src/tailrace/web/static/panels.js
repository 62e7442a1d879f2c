// What the bars of all pages do: panels that close by Esc or a click elsewhere, addresses without
// what is empty.

const OPENED = ["range", "sql", "how", "fields"].map((name) => `details.${name}[open]`).join(", ");

// Found anew each time: live pages replace some of them.
export function closePanels(except = null) {
  const closed = [...document.querySelectorAll(OPENED)].filter((panel) => !panel.contains(except));
  for (const panel of closed) panel.open = false;
  return closed;
}

export function openRange() {
  document.querySelector("details.range").toggleAttribute("open", true);
}

export function setUpBar() {
  for (const panel of document.querySelectorAll("details.range")) {
    panel.addEventListener("toggle", () => panel.open && panel.querySelector("a, input").focus());
  }
  document.addEventListener("click", (event) => closePanels(event.target));
  document.querySelector("form.search").addEventListener("formdata", ({ formData }) => {
    for (const [name, value] of [...formData]) if (!value) formData.delete(name);
  });
}
