// Reviewing: the transcript shows which turn the panel is about, and the panel takes the focus.
(() => {
  "use strict";

  function mark(panel) {
    document.querySelectorAll(".said[aria-current]").forEach((item) => item.removeAttribute("aria-current"));
    const item = document.querySelector(`.said[data-turn="${panel.dataset.turn}"]`);
    if (!item) return;
    item.setAttribute("aria-current", "true");
    item.scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("htmx:afterSettle", (event) => {
    const panel = event.target;
    if (panel.id !== "turn-panel") return;
    mark(panel);
    if (panel.contains(document.activeElement)) return; // at a fault of the form
    panel.focus({ preventScroll: matchMedia("(min-width: 1100px)").matches });
  });
})();
