// Light or dark: as chosen here before, else as the system has it. Set before the page is painted.
(() => {
  "use strict";

  const root = document.documentElement;
  const wish = () => localStorage.getItem("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => { root.dataset.bsTheme = wish() || (dark.matches ? "dark" : "light"); };
  paint();
  dark.addEventListener("change", paint);

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    localStorage.setItem("theme", root.dataset.bsTheme === "dark" ? "light" : "dark");
    paint();
  });
})();
