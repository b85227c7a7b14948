// Working without a mouse: single letters press what carries them in data-key, "j" and "k" walk
// through rows, Ctrl+Enter sends a form, "?" shows the keys of the page and goes elsewhere.
(() => {
  "use strict";

  const FIELD = "textarea, select, input:not([type=checkbox], [type=radio])";
  const keysOn = () => localStorage.getItem("keys") !== "off";
  const writing = (element) => element.isContentEditable || element.matches(FIELD);
  const list = () => document.getElementById("keys");
  const usable = (element) => !element.disabled && element.checkVisibility();
  const keyed = () => [...document.querySelectorAll("main [data-key]")].filter(usable);

  function press(target) {
    const control = target.control ?? target;
    control.focus();
    if (!control.matches(FIELD)) target.click();
    else if (target.control) control.select?.(); // a label: what stands there is to be replaced
  }

  // Rows are the lines of tables and lists that lead somewhere.
  const rows = () => [...document.querySelectorAll("main tbody tr, main .rows > li")]
    .map((row) => row.querySelector("a[href]"))
    .filter((link) => link && usable(link));

  function walk(step) {
    const links = rows();
    const here = links.findIndex((link) => link.closest("tr, li").contains(document.activeElement));
    const start = here < 0 && step < 0 ? 0 : here;
    links[Math.min(Math.max(start + step, 0), links.length - 1)]?.focus();
  }

  const commands = {
    "?": () => show(),
    j: () => walk(1),
    k: () => walk(-1),
    x: () => document.activeElement.closest("tr")?.querySelector("[data-tick]")?.click(),
  };

  // What a command is called: its label or its own words, without the key they end with.
  function nameOf(target) {
    const words = (target.labels?.[0] ?? target).cloneNode(true);
    words.querySelectorAll("kbd").forEach((key) => key.remove());
    return (words.textContent.trim() || target.title).replace(/\s+/g, " ");
  }

  function line(target) {
    const item = document.createElement("li");
    const key = document.createElement("kbd");
    key.textContent = target.dataset.key;
    item.append(key, ` ${nameOf(target)}`);
    return item;
  }

  function show() {
    if (!list() || list().open) return;
    const here = list().querySelector("[data-keys-here]");
    here.replaceChildren(...keyed().map(line));
    here.closest("section").hidden = !here.children.length;
    list().querySelector("[data-keys-toggle]").checked = keysOn();
    list().showModal();
  }

  function go(key) {
    const places = keysOn() ? [...list().querySelectorAll("[data-place]")] : [];
    places.find((place) => place.dataset.place === key)?.click();
  }

  function send(event) {
    const form = event.target.closest("form") ?? document.querySelector("main form:has([data-ctrl-enter])");
    const button = form?.querySelector("[data-ctrl-enter]");
    if (!button) return;
    event.preventDefault();
    document.activeElement?.blur(); // else htmx puts the caret back, and "j" becomes text
    form.requestSubmit(button);
  }

  function leave(event) {
    if (writing(event.target)) {
      event.preventDefault(); // else the browser empties a search field
      return event.target.blur();
    }
    document.querySelectorAll("#notices .notice").forEach((notice) => notice.remove());
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return send(event);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (list()?.open) return go(event.key);
    if (event.key === "Escape") return leave(event);
    if (!keysOn() || writing(event.target)) return;
    const target = keyed().find((element) => element.dataset.key === event.key);
    if (!target && !commands[event.key]) return;
    event.preventDefault();
    target ? press(target) : commands[event.key]();
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-keys-show]")) show();
    if (event.target.matches("[data-keys-toggle]")) {
      localStorage.setItem("keys", event.target.checked ? "on" : "off");
    }
  });

  // Rows with a box: Shift and a click tick all since the last one.
  let lastTick;
  document.addEventListener("click", (event) => {
    if (!event.target.matches("[data-tick]")) return;
    const boxes = [...document.querySelectorAll("[data-tick]")];
    const ends = [boxes.indexOf(lastTick), boxes.indexOf(event.target)].sort((a, b) => a - b);
    if (event.shiftKey && ends[0] >= 0) {
      boxes.slice(ends[0], ends[1]).forEach((box) => { box.checked = event.target.checked; });
    }
    lastTick = event.target;
  });

  // A form that comes back with faults begins at the first of them.
  const toFault = (part) => part.querySelector("main [aria-invalid=true], form [aria-invalid=true]")?.focus();
  document.addEventListener("DOMContentLoaded", () => toFault(document));
  document.addEventListener("htmx:afterSettle", (event) => toFault(event.target));
})();
