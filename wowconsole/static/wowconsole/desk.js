// The desk: drafts and canned replies go into the answer without a new page, and the log keeps
// to its end. All of it works without this script too, by links and forms.
(() => {
  "use strict";

  // What was typed outlives its page, until it is sent: then the page comes `after` something else.
  const shelf = (target) => `${target.id} ${target.dataset.keep}`;
  const used = (target) => document.getElementById(target.id.replace("-text", "-draft"));

  function keep(target) {
    const kept = { after: target.dataset.after, text: target.value, draft: used(target).value };
    sessionStorage.setItem(shelf(target), JSON.stringify(kept));
  }

  function putBack(target) {
    const kept = JSON.parse(sessionStorage.getItem(shelf(target)));
    if (kept?.after !== target.dataset.after) return sessionStorage.removeItem(shelf(target));
    target.value = kept.text;
    used(target).value = kept.draft;
  }

  document.addEventListener("htmx:load", ({ target }) => {
    for (const each of target.querySelectorAll("[data-keep]")) putBack(each);
  });

  const field = (name) => document.getElementById(`${name}-text`);

  function fill(name, text, draft = "") {
    const target = field(name);
    if (!target) return false;
    target.value = text;
    target.focus();
    used(target).value = draft;
    keep(target);
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

  document.addEventListener("input", ({ target }) => {
    if (target.dataset.keep) keep(target);
  });

  // The server takes a form once; the button says that it is under way.
  document.addEventListener("submit", ({ target }) => {
    if (target.id === "reply") target.querySelector("#sending .btn-primary").disabled = true;
  });
  addEventListener("pageshow", ({ persisted }) => { if (persisted) location.reload(); });

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
