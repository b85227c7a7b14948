// The customer's chat. What was said is the server's; kept here are the session and the
// messages it has not acknowledged yet, so that nothing is lost and nothing comes twice.
(() => {
  "use strict";

  const $ = (id) => document.getElementById(id);
  const log = $("log"), field = $("text"), scroll = $("scroll");
  const FIRST_PAUSE = 500, LONGEST_PAUSE = 15000, QUIET = $("link").textContent;

  let session = load("chat.session");
  let socket = null, opening = null, pause = FIRST_PAUSE, refused = 0, closed = false, asked = false;
  let seen = new Set(); // sequence numbers shown
  let lost = new Set(); // turns of which we missed a part: their message will come whole
  let draft = null; // the bubble that streams: {turn, item, text}

  function load(key) {
    try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
  }
  const save = (key, value) => localStorage.setItem(key, JSON.stringify(value));
  const outbox = () => load("chat.outbox") || []; // not acknowledged yet

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  // The last sequence number below which nothing is missing.
  function contiguous() {
    let seq = 0;
    while (seen.has(seq + 1)) seq += 1;
    return seq;
  }

  const newest = () => Math.max(0, ...seen);

  const bottom = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 120;

  function place(item, seq) {
    const stick = bottom();
    item.dataset.seq = seq ?? "";
    const later = ({ dataset }) => !dataset.seq || +dataset.seq > seq;
    log.insertBefore(item, (seq && [...log.children].find(later)) || null);
    $("welcome").hidden = true;
    if (stick || item.matches(".customer")) scroll.scrollTop = scroll.scrollHeight;
  }

  function bubble(role, text) {
    const item = make("li", role === "system" ? "note" : role);
    if (role === "staff") item.append(make("span", "who", "Our staff"));
    item.append(make("span", "hidden", { customer: "You: ", agent: "Agent: " }[role] || ""));
    item.append(make("div", role === "system" ? "" : "text", text));
    return item;
  }

  const note = (text, seq) => place(bubble("system", text), seq);
  const doing = (text) => { $("doing").textContent = text; };
  const link = (text, trouble) => {
    $("link").textContent = text;
    $("link").className = trouble ? "trouble" : "";
  };

  function pending(entry) {
    const item = bubble("customer", entry.text);
    item.classList.add("waiting");
    item.dataset.client = entry.client_id;
    log.querySelectorAll(".choices").forEach((row) => row.remove());
    item.append(make("span", "state", "Sending…"));
    place(item);
  }

  const unsent = (clientId) => outbox().find((entry) => entry.client_id === clientId)?.text || "";

  function settle(clientId, seq, failure) {
    save("chat.outbox", outbox().filter((entry) => entry.client_id !== clientId));
    const item = [...log.children].find((other) => other.dataset.client === clientId);
    if (!item) return false;
    item.classList.remove("waiting");
    const state = item.querySelector(".state");
    failure ? (state.textContent = failure) : state.remove();
    delete item.dataset.client;
    place(item, seq);
    return true;
  }

  function thumb(id, value) {
    const button = $(value).content.firstElementChild.cloneNode(true);
    button.dataset.message = id;
    button.value = value;
    button.addEventListener("click", () => send({ type: "feedback", message: id, value }));
    return button;
  }

  function under(event) {
    const row = make("div", "under");
    if (event.role === "agent") row.append(thumb(event.id, "like"), thumb(event.id, "dislike"));
    for (const citation of event.citations || []) {
      const chip = make("span", "chip", `rule: ${citation.title}`);
      chip.title = citation.title;
      row.append(chip);
    }
    return row;
  }

  // The answers that the agent offers to its question; gone once anything else is said.
  function choices(event) {
    const row = make("div", "choices");
    row.setAttribute("role", "group");
    row.setAttribute("aria-label", event.text);
    for (const text of event.choices) {
      const button = make("button", "btn btn-sm btn-outline-primary", text);
      button.type = "button";
      button.addEventListener("click", () => { say(text); field.focus(); });
      row.append(button);
    }
    return row;
  }

  const ACTIONS = {
    look_up_order: "Order looked up",
    refund_order: "Refund",
    cancel_order: "Cancellation",
    track_courier: "Courier",
  };
  const LABELS = { order_id: "Order", eta_minutes: "Minutes left" };
  const words = (name) => name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());

  function card(event) {
    const result = event.result || {}, failure = result.error || result.detail;
    const item = make("li", failure ? "card failed" : "card");
    item.append(make("h3", "", ACTIONS[event.name] || words(event.name)));
    const facts = make("dl");
    const known = Object.entries({ ...event.arguments, ...result })
      .filter(([, value]) => ["string", "number", "boolean"].includes(typeof value) && value !== "");
    for (const [name, value] of known.slice(0, 6)) {
      const shown = typeof value === "boolean" ? (value ? "Yes" : "No") : String(value);
      facts.append(make("dt", "", LABELS[name] || words(name)), make("dd", "", shown));
    }
    item.append(facts);
    return item;
  }

  function dropDraft() {
    draft?.item.remove();
    draft = null;
  }

  const STATES = {
    thinking: "Writing an answer…",
    searching: "Checking our rules…",
    queued: "Waiting for a person…",
  };
  const CONTROL = {
    queued: "A person will take over shortly.",
    human: "You are talking to a person now.",
    bot: "The agent answers again.",
  };

  const handlers = {
    ready() {
      pause = FIRST_PAUSE;
      refused = 0;
      link(QUIET);
      tools(true);
      send({ type: "resume", after: contiguous() });
      for (const entry of outbox()) send({ type: "message", ...entry });
    },
    ack(event) {
      if (settle(event.client_id, event.seq)) seen.add(event.seq);
    },
    status(event) {
      doing(STATES[event.state] || event.detail || "Looking into it…");
    },
    delta(event) {
      if (lost.has(event.turn)) return;
      if (draft?.turn !== event.turn) {
        dropDraft();
        draft = { turn: event.turn, item: bubble("agent", ""), text: "" };
        draft.item.classList.add("streaming");
        draft.item.setAttribute("aria-hidden", "true"); // read out once, when it is whole
        place(draft.item);
      }
      const stick = bottom();
      draft.text += event.text;
      draft.item.querySelector(".text").textContent = draft.text;
      if (stick) scroll.scrollTop = scroll.scrollHeight;
      doing("");
    },
    message(event) {
      if (event.role === "customer" && event.client_id && settle(event.client_id, event.seq)) return;
      if (event.role !== "customer") {
        dropDraft();
        doing("");
      }
      const item = bubble(event.role, event.text);
      log.querySelectorAll(".choices").forEach((row) => row.remove());
      if (event.choices?.length) item.append(choices(event));
      if (event.role === "agent") item.append(under(event));
      place(item, event.seq);
    },
    action(event) {
      dropDraft();
      place(card(event), event.seq);
    },
    control(event) {
      doing("");
      if (event.state !== "bot") dropDraft();
      asked = event.state !== "bot";
      tools(true);
      if (CONTROL[event.state]) note(CONTROL[event.state], event.seq);
    },
    error(event) {
      doing("");
      const text = field.value || unsent(event.client_id);
      if (event.client_id) settle(event.client_id, newest(), "Not sent");
      field.value = text;
      note(event.detail || "That did not work. Please try again.", newest());
    },
    feedback(event) {
      press(log.querySelectorAll(`[data-message="${CSS.escape(event.message)}"]`), event.value);
    },
    rating(event) {
      press($("rating").querySelectorAll(".stars button"), String(event.score));
      $("thanks").textContent = "Thank you.";
    },
    closed(event) {
      dropDraft();
      doing("");
      note("This chat has ended.", event.seq);
      finish();
    },
  };

  function tools(connected) {
    $("end").disabled = closed || !connected;
    $("human").disabled = asked || $("end").disabled;
  }

  function press(buttons, value) {
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.value === value)));
  }

  function finish() {
    closed = true;
    $("write").hidden = true;
    $("rating").hidden = false;
    tools(false);
  }

  function receive(raw) {
    const event = JSON.parse(raw);
    const durable = event.seq !== undefined && event.type !== "ack";
    if (durable && seen.has(event.seq)) return;
    handlers[event.type]?.(event);
    if (durable) seen.add(event.seq);
  }

  function send(event) {
    if (socket?.readyState !== WebSocket.OPEN) return false;
    socket.send(JSON.stringify(event));
    return true;
  }

  function address() {
    const url = new URL(session.websocket, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.searchParams.set("token", session.token);
    return url;
  }

  function connect() {
    let opened = false;
    const own = socket = new WebSocket(address());
    own.addEventListener("open", () => { opened = true; });
    own.addEventListener("message", (event) => receive(event.data));
    own.addEventListener("close", () => own === socket && again(opened));
  }

  async function again(opened) {
    if (draft) lost.add(draft.turn);
    dropDraft();
    doing("");
    tools(false);
    link("Reconnecting…", true);
    // The server is there and refuses us: the session is gone.
    refused = opened ? 0 : refused + 1;
    if (refused >= 3 && (await fetch("/healthz").then((r) => r.ok, () => false))) {
      link("This chat is no longer available", true);
      return finish();
    }
    setTimeout(connect, pause * (0.75 + Math.random() / 2));
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }

  async function open() {
    const scene = new URLSearchParams(location.search).get("scene");
    const answer = await fetch($("chat").dataset.sessions, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ scene }),
    });
    if (!answer.ok) throw new Error(answer.status === 429 ? "busy" : "failed");
    session = await answer.json();
    save("chat.session", session);
    connect();
  }

  // One session, however often it is asked for.
  function ensure() {
    if (session) return;
    link("Connecting…");
    opening ??= open()
      .catch((error) => link(error.message === "busy"
        ? "Too many chats. Please wait a minute."
        : "We can’t be reached. Trying again…", true))
      .finally(() => {
        opening = null;
        if (!session) setTimeout(ensure, pause = Math.min(pause * 2, LONGEST_PAUSE));
      });
  }

  function say(text) {
    const entry = { client_id: identifier(), text };
    if (draft) lost.add(draft.turn); // what was being written is dropped, or comes whole
    dropDraft();
    save("chat.outbox", [...outbox(), entry]);
    pending(entry);
    ensure();
    send({ type: "message", ...entry });
  }

  // randomUUID is for secure pages only; a phone may try a console by its plain address.
  const identifier = () => crypto.randomUUID?.()
    ?? [...crypto.getRandomValues(new Uint8Array(16))].map((n) => n.toString(16).padStart(2, "0")).join("");

  $("write").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text) return;
    field.value = "";
    grow();
    say(text);
  });
  const grow = () => {
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + 2}px`;
  };
  field.addEventListener("input", grow);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    $("write").requestSubmit();
  });
  document.querySelectorAll("[data-say]").forEach((button) =>
    button.addEventListener("click", () => { say(button.dataset.say); field.focus(); }));

  $("human").addEventListener("click", () => send({ type: "human" }));
  $("end").addEventListener("click", () => send({ type: "close" }));
  $("rating").addEventListener("submit", (event) => {
    event.preventDefault();
    send({ type: "rate", score: Number(event.submitter.value), comment: "" });
  });
  $("again").addEventListener("click", () => {
    ["chat.session", "chat.outbox"].forEach((key) => localStorage.removeItem(key));
    location.reload();
  });

  outbox().forEach(pending);
  if (session) {
    link("Connecting…");
    connect();
  } else if (outbox().length) ensure();
})();
