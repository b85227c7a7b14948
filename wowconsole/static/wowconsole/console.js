// Listeners on data- attributes. Loaded before the page is painted, for the theme's sake.
(() => {
  "use strict";

  const root = document.documentElement;
  const wish = () => localStorage.getItem("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => { root.dataset.bsTheme = wish() || (dark.matches ? "dark" : "light"); };
  paint();
  dark.addEventListener("change", paint);

  const keysOn = () => localStorage.getItem("keys") !== "off";

  function notify(text, kind = "info") {
    const notice = document.createElement("div");
    notice.className = `notice notice-${kind}`;
    const words = document.createElement("span");
    words.className = "notice-text";
    words.textContent = text;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "btn-close";
    close.dataset.dismiss = "";
    close.setAttribute("aria-label", "Dismiss");
    notice.append(words, close);
    document.getElementById("notices").append(notice);
    fade(notice);
  }

  // Good news goes by itself; errors stay until dismissed.
  function fade(notice) {
    if (notice.matches(".notice-success, .notice-info")) setTimeout(() => notice.remove(), 8000);
  }

  async function copy(button) {
    const source = button.dataset.copy;
    const element = source.startsWith("#") ? document.querySelector(source) : null;
    const text = element ? element.value ?? element.textContent : source;
    try {
      await navigator.clipboard.writeText(text.trim());
      notify("Copied.", "success");
    } catch {
      notify("The browser did not allow copying. Select the text and copy it by hand.", "error");
    }
  }

  function showKeys() {
    document.querySelectorAll("[data-keys-toggle]").forEach((button) => {
      button.setAttribute("aria-pressed", String(keysOn()));
      button.title = `Single-key shortcuts are ${keysOn() ? "on" : "off"}`;
    });
  }

  const handlers = {
    "[data-theme-toggle]": () => {
      localStorage.setItem("theme", root.dataset.bsTheme === "dark" ? "light" : "dark");
      paint();
    },
    "[data-keys-toggle]": () => {
      localStorage.setItem("keys", keysOn() ? "off" : "on");
      showKeys();
    },
    "[data-copy]": copy,
    "[data-dismiss]": (button) => button.closest(".notice, .alert, .card")?.remove(),
  };

  document.addEventListener("click", (event) => {
    for (const [selector, handle] of Object.entries(handlers)) {
      const element = event.target.closest(selector);
      if (element) handle(element);
    }
  });

  document.addEventListener("submit", (event) => {
    const question = (event.submitter?.dataset.confirm) || event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });

  let waiting;
  const autosubmit = (event, delay) => {
    const form = event.target.closest("form[data-autosubmit]");
    if (!form) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => form.requestSubmit(), delay);
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches("select, input[type=checkbox], input[type=radio], input[type=date]")) {
      autosubmit(event, 0);
    }
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches("input[type=search], input[type=text]")) autosubmit(event, 350);
  });

  const typing = (element) =>
    element.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName);

  document.addEventListener("keydown", (event) => {
    if (!keysOn() || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const target = [...document.querySelectorAll("[data-key]")]
      .find((element) => element.dataset.key === event.key && !element.disabled);
    if (!target) return;
    event.preventDefault();
    target.matches("input, textarea, select") ? target.focus() : target.click();
  });

  // Rows with a box: x ticks the row in focus, Shift and a click all since the last one.
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
  document.addEventListener("keydown", (event) => {
    if (event.key !== "x" || !keysOn() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing(event.target) && !event.target.matches("[data-tick]")) return;
    event.target.closest?.("tr")?.querySelector("[data-tick]")?.click();
  });

  // How much of a field's room is left, said only when it runs short.
  const LITTLE_ROOM = 0.8;
  function count(field) {
    const counter = field.id && document.querySelector(`[data-count-for="${CSS.escape(field.id)}"]`);
    if (!counter || !(field.maxLength > 0)) return;
    const used = field.value.length;
    counter.textContent = used < LITTLE_ROOM * field.maxLength ? "" : `${used} / ${field.maxLength}`;
    counter.classList.toggle("text-danger-emphasis", used >= field.maxLength);
  }
  const countAll = (part) => part.querySelectorAll("[maxlength]").forEach(count);
  document.addEventListener("input", (event) => count(event.target));

  // Times come from the server in its zone; people read their own.
  const short = { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" };
  const thisYear = new Intl.DateTimeFormat(undefined, short);
  const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const localise = (part) => part.querySelectorAll("time[data-local]").forEach((time) => {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) return;
    const recent = moment.getFullYear() === new Date().getFullYear();
    const usual = recent ? thisYear : clock;
    time.textContent = (time.dataset.local === "seconds" ? exact : usual).format(moment);
    time.title = clock.format(moment);
  });

  let loading = 0;
  const busy = (event, change) => {
    loading = Math.max(0, loading + change);
    document.body.classList.toggle("is-loading", loading > 0);
    const target = event.detail.target;
    change > 0 ? target?.setAttribute("aria-busy", "true") : target?.removeAttribute("aria-busy");
  };
  // A page that polls should not flicker: quiet requests carry data-quiet.
  const quiet = (event) => event.detail.elt?.closest("[data-quiet]");
  document.addEventListener("htmx:beforeRequest", (event) => quiet(event) || busy(event, 1));
  document.addEventListener("htmx:afterRequest", (event) => quiet(event) || busy(event, -1));
  document.addEventListener("htmx:responseError", (event) => {
    if (quiet(event)) return;
    const status = event.detail.xhr.status;
    const known = {
      401: "You are signed out. Reload the page and sign in.",
      403: "Your role does not include this.",
      404: "This is no longer there. Reload the page.",
    };
    notify(known[status] || "Something broke on our side. Try again in a moment.", "error");
  });
  document.addEventListener("htmx:sendError", (event) => {
    if (!quiet(event)) notify("The server can't be reached. Check the connection and try again.", "error");
  });

  document.addEventListener("htmx:load", (event) => {
    localise(event.detail.elt);
    countAll(event.detail.elt);
  });
  document.addEventListener("DOMContentLoaded", () => {
    localise(document);
    countAll(document);
    showKeys();
    const notices = document.getElementById("notices");
    notices.querySelectorAll(".notice").forEach(fade);
    new MutationObserver((changes) => changes.forEach((change) =>
      change.addedNodes.forEach((node) => node.nodeType === 1 && fade(node)),
    )).observe(notices, { childList: true });
  });
})();
