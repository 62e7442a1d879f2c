// Keys that every page has: `?` says which there are, `/` goes to the search, `g` and a letter to
// another page. It hears them before the page does, so that the letter after `g` is not the page's.

const PLACES = { l: "/", d: "/dashboards", s: "/streams" };
const help = document.getElementById("help");
const button = document.getElementById("help-button");
const search =
  document.querySelector("main input[type=search]") ??
  document.querySelector("main form[role=search] input");
const ACTIONS = { "?": () => help.showModal(), ...(search && { "/": () => search.select() }) };
let isGoing = false;

// Does what a key is for, and says whether there was anything.
function act(key) {
  const place = isGoing ? PLACES[key] : undefined;
  isGoing = key === "g";
  if (place) location.assign(place);
  else ACTIONS[key]?.();
  return isGoing || place !== undefined || key in ACTIONS;
}

document.addEventListener(
  "keydown",
  (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Shift") return;
    if (help.open) event.stopPropagation();
    else if (!event.target.closest("input, textarea, select") && act(event.key)) {
      event.preventDefault();
      event.stopPropagation();
    }
  },
  { capture: true },
);
button.hidden = false;
button.addEventListener("click", () => help.showModal());
