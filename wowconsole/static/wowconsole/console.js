// Listeners on data- attributes.
(() => {
  "use strict";

  function notify(text, kind = "info") {
    const notice = document.createElement("div");
    notice.className = `notice notice-${kind}`;
    if (kind === "error") notice.setAttribute("role", "alert");
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

  // Good news goes by itself, but not while it is looked at; errors stay until dismissed.
  function fade(notice) {
    if (!notice.matches(".notice-success, .notice-info")) return;
    const isLookedAt = () => notice.matches(":hover, :focus-within");
    setTimeout(() => (isLookedAt() ? fade(notice) : notice.remove()), 8000);
  }

  // Screen readers read what enters a live region, not what came with it: not with the page, and
  // not with a part that htmx swapped in.
  function announce(part) {
    const live = "[aria-live], [role=status], [role=alert], .errorlist";
    const words = [part, ...part.querySelectorAll(live)].filter((element) => element.matches(live));
    if (words.length) document.getElementById("said").textContent = words.map((e) => e.textContent).join(" ");
  }
  function readAgain(notices) {
    const first = [...notices.children];
    notices.replaceChildren();
    setTimeout(() => notices.prepend(...first), 150);
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

  const handlers = {
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
  // Sent already: a second answer would take away the row that has the focus by now.
  document.addEventListener("submit", () => clearTimeout(waiting));
  document.addEventListener("change", (event) => {
    if (event.target.matches("select, input[type=checkbox], input[type=radio], input[type=date]")) {
      autosubmit(event, 0);
    }
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches("input[type=search], input[type=text]")) autosubmit(event, 350);
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

  document.addEventListener("htmx:afterSettle", (event) => quiet(event) || announce(event.target));
  document.addEventListener("htmx:load", (event) => {
    localise(event.detail.elt);
    countAll(event.detail.elt);
  });
  document.addEventListener("DOMContentLoaded", () => {
    localise(document);
    countAll(document);
    const notices = document.getElementById("notices");
    new MutationObserver((changes) => changes.forEach((change) =>
      change.addedNodes.forEach((node) => node.nodeType === 1 && fade(node)),
    )).observe(notices, { childList: true });
    readAgain(notices);
  });
})();
