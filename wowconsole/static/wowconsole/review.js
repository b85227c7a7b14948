// Reviewing by keyboard: verdicts, issues, the rewrite, the next turn. Works on what htmx swaps in.
(() => {
  "use strict";

  const keysOn = () => localStorage.getItem("keys") !== "off";
  const writing = (element) =>
    element.isContentEditable ||
    element.matches("textarea, select, input:not([type=radio], [type=checkbox])");

  function save(event) {
    const form = document.querySelector("[data-judge]");
    if (!form) return;
    event.preventDefault();
    document.activeElement?.blur(); // else htmx puts the caret back, and "j" becomes text
    form.requestSubmit();
  }

  function press(target) {
    const text = target.querySelector("textarea");
    if (text) {
      text.focus();
      text.select();
    } else {
      target.click();
      target.scrollIntoView({ block: "nearest" });
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return save(event);
    if (event.key === "Escape" && event.target.matches("textarea")) return event.target.blur();
    if (!keysOn() || event.ctrlKey || event.metaKey || event.altKey || writing(event.target)) return;
    const target = document.querySelector(`[data-review-key="${CSS.escape(event.key)}"]`);
    if (!target || !target.checkVisibility()) return;
    event.preventDefault();
    press(target);
  });

  // The transcript shows which turn the panel is about.
  function mark() {
    const turn = document.getElementById("turn-panel")?.dataset.turn;
    document.querySelectorAll(".said[aria-current]").forEach((item) => item.removeAttribute("aria-current"));
    const item = turn && document.querySelector(`.said[data-turn="${turn}"]`);
    if (!item) return;
    item.setAttribute("aria-current", "true");
    item.scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "turn-panel") mark();
  });
})();
