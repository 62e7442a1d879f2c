// Sets the chosen theme before anything is drawn; without a choice the system's holds.
const THEMES = ["system", "light", "dark"];

function readTheme() {
  try {
    return localStorage.getItem("theme") ?? "system";
  } catch {
    return "system"; // storage may be forbidden
  }
}

function applyTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

applyTheme(readTheme());

document.addEventListener("DOMContentLoaded", () => {
  const button = document.getElementById("theme-button");
  const say = (theme) => {
    button.title = `Theme: ${theme}`;
    button.setAttribute("aria-label", `Theme: ${theme}`);
  };
  button.hidden = false;
  say(readTheme());
  button.addEventListener("click", () => {
    const theme = THEMES[(THEMES.indexOf(readTheme()) + 1) % THEMES.length];
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // then it holds for this page alone
    }
    applyTheme(theme);
    say(theme);
  });
});
