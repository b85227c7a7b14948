// The desk: drafts and canned replies go into the answer without a new page, and the log keeps
// to its end. All of it works without this script too, by links and forms.
(() => {
  "use strict";

  const field = (name) => document.getElementById(`${name}-text`);

  function fill(name, text, draft = "") {
    const target = field(name);
    if (!target) return false;
    target.value = text;
    target.focus();
    const used = document.getElementById(`${name}-draft`);
    if (used) used.value = draft;
    return true;
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-fill]");
    if (!link || event.ctrlKey || event.metaKey) return;
    const { fill: name, text, draft } = link.dataset;
    if (fill(name, text, draft)) event.preventDefault();
  });

  // "/refund " becomes the canned reply of that shortcut, wherever it is typed.
  document.addEventListener("input", (event) => {
    if (event.target.id !== "reply-text") return;
    const typed = event.target.value.match(/(^|\s)\/([\w-]+)\s$/);
    const found = typed && document.querySelector(`[data-shortcut="${CSS.escape(typed[2])}"]`);
    if (!found) return;
    const before = event.target.value.slice(0, typed.index) + typed[1];
    event.target.value = before + found.dataset.text;
  });

  document.addEventListener("keydown", (event) => {
    if (!event.target.matches("[data-send]")) return;
    if (event.key === "Escape") event.target.blur();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      event.target.form.requestSubmit();
    }
  });

  // Who reads further up stays there; who is at the end sees what comes.
  let atEnd = true;
  const talk = () => document.getElementById("talk");
  const toEnd = () => { if (talk()) talk().scrollTop = talk().scrollHeight; };
  document.addEventListener("scroll", ({ target }) => {
    if (target.id !== "talk") return;
    atEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 60;
  }, true);
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "live" && atEnd) toEnd();
  });
  document.addEventListener("load", ({ target }) => { // a picture, which was flat till now
    if (atEnd && talk()?.contains(target)) toEnd();
  }, true);
  toEnd();
})();
