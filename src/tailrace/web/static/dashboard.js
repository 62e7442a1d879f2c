// Loads each panel by itself, so that a slow one holds no other, and again from time to time.

import { drawChart, onThemeChange } from "./chart.js";
import { closePanels, openRange, setUpBar } from "./panels.js";

const IDLE_SHARE = 10; // at most a tenth of the time goes to asking

function card(box) {
  const hidden = new Set();
  let chart = null;
  let asked = null;

  function say(text) {
    const problem = document.createElement("p");
    problem.className = "trouble";
    problem.setAttribute("role", "alert");
    problem.textContent = text;
    box.querySelector(".body").replaceChildren(problem);
  }

  function show(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    chart?.end();
    chart = null;
    box.replaceChildren(...[...fresh.body.childNodes].map((node) => document.adoptNode(node)));
    const plot = box.querySelector("[data-plot]");
    if (plot) chart = drawChart(plot, hidden);
  }

  async function load() {
    asked?.abort();
    asked = new AbortController();
    box.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(box.dataset.url, { signal: asked.signal });
      if (answer.ok) show(await answer.text());
      else say((await answer.json()).detail);
    } catch (error) {
      if (error.name === "AbortError") return;
      chart?.end();
      chart = null;
      say("cannot load this panel: the server does not answer");
    }
    box.setAttribute("aria-busy", "false");
  }

  // Somebody who reads a tooltip, a table or the SQL keeps what is there.
  const isInUse = () =>
    box.querySelector("details[open]") !== null ||
    box.contains(document.activeElement) ||
    box.querySelector(".plot:hover") !== null;

  return { load, redraw: () => chart?.draw(), refresh: () => (isInUse() ? null : load()) };
}

const cards = [...document.querySelectorAll(".card[data-url]")].map(card);
const choice = document.getElementById("refresh");
let timer = null;

function schedule(took = 0) {
  clearTimeout(timer);
  const wanted = Number(choice.value) * 1000;
  if (wanted) timer = setTimeout(refresh, Math.max(wanted, IDLE_SHARE * took));
}

async function refresh() {
  const began = performance.now();
  if (!document.hidden) await Promise.all(cards.map((one) => one.refresh()));
  schedule(performance.now() - began);
}

choice.closest("label").hidden = false;
choice.addEventListener("change", () => {
  const url = new URL(location.href);
  url.searchParams.set("refresh", choice.value);
  history.replaceState(null, "", url);
  for (const link of document.querySelectorAll("a[href^='/dashboards/']")) {
    const target = new URL(link.href);
    target.searchParams.set("refresh", choice.value);
    link.href = target.pathname + target.search;
  }
  document.querySelector("form.search input[name=refresh]").value = choice.value;
  schedule();
});

onThemeChange(() => {
  for (const one of cards) one.redraw();
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    const [panel] = closePanels();
    panel?.querySelector("summary").focus();
    return;
  }
  if (event.target.closest("input, select, textarea")) return;
  if (event.key === "t") {
    event.preventDefault();
    openRange();
  }
  if (event.key === "r") for (const one of cards) one.load();
});

setUpBar();
Promise.all(cards.map((one) => one.load())).then(() => schedule());
