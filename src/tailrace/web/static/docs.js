// Starts the vendored Swagger UI on our own description of the API, in the theme of the page.

import { onThemeChange } from "./chart.js";

const root = document.documentElement;

function followTheme() {
  const { theme } = root.dataset;
  const isDark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.classList.toggle("dark-mode", isDark);
}

followTheme();
onThemeChange(followTheme);
globalThis.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
