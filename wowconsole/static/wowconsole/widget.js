// The chat on any page:
//   <script src="https://console.example/widget.js" data-site="shop" async></script>
// The page's CSP needs this server in script-src and frame-src, nothing else: no inline style,
// no eval. The README, under "Widget", lists the data- attributes and WOWConsole's methods.
(() => {
  "use strict";

  if (window.WOWConsole) return;

  const script = document.currentScript || document.querySelector('script[src*="/widget.js"]');
  const home = new URL(script.src).origin;
  const given = script.dataset;
  const WORDS = {
    en: { title: "Help", open: "Open the chat", close: "Close the chat", unread: "unread messages" },
    zh: { title: "在线客服", open: "打开聊天", close: "关闭聊天", unread: "未读消息" },
  };
  const COLOR = "#0f6b4f", READABLE = 4.5;

  const language = WORDS[given.lang] ? given.lang
    : (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";
  const words = WORDS[language];
  const title = given.title || words.title;
  const left = given.position === "left";
  const remembered = `wowconsole.${given.site || ""}`; // a chat was begun here

  let identity = proofOf(given.identity);
  let frame = null, ready = false, isOpen = false, unread = 0;
  const listeners = {};

  // A proof is a JWT, or {jwt}, or {key, customer, expires, signature}.
  function proofOf(proof) {
    return typeof proof === "string" && proof ? { jwt: proof } : proof || null;
  }

  // Colours: contrast as WCAG 2.2 defines it.

  function colorOf(text) {
    const short = /^#([0-9a-f])([0-9a-f])([0-9a-f])$/i.exec(text || "");
    const color = short ? `#${short.slice(1).map((digit) => digit + digit).join("")}` : text || COLOR;
    if (/^#[0-9a-f]{6}$/i.test(color)) return color;
    console.warn(`WOWConsole: data-color is ${text}; write it like ${COLOR}.`);
    return COLOR;
  }

  function luminance(color) {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }

  const color = colorOf(given.color);
  const onColor = 1.05 / (luminance(color) + 0.05) >= READABLE ? "#ffffff" : "#111111";

  // What is seen

  const STYLE = `
    :host { all: initial; }
    * { box-sizing: border-box; }
    [hidden] { display: none !important; }
    .button { position: fixed; bottom: 1.25rem; ${left ? "left" : "right"}: 1.25rem; z-index: 2147483000;
      display: grid; place-items: center; width: 3.5rem; height: 3.5rem; border-radius: 50%;
      border: 2px solid ${onColor}; background: ${color}; color: ${onColor};
      box-shadow: 0 4px 18px rgb(0 0 0 / 28%); cursor: pointer; padding: 0; }
    .button:focus-visible { outline: 3px solid ${color}; outline-offset: 3px; }
    .button svg { width: 1.6rem; height: 1.6rem; fill: none; stroke: currentcolor; stroke-width: 1.8;
      stroke-linecap: round; stroke-linejoin: round; }
    .badge { position: absolute; top: -.3rem; ${left ? "left" : "right"}: -.3rem; min-width: 1.4rem;
      height: 1.4rem; padding: 0 .3rem; border-radius: .7rem; background: #b3261e; color: #fff;
      font: 700 .8rem/1.4rem system-ui, sans-serif; text-align: center; }
    .panel { position: fixed; bottom: 5.5rem; ${left ? "left" : "right"}: 1.25rem; z-index: 2147483001;
      width: 24rem; max-width: calc(100vw - 2.5rem); height: 38rem; max-height: calc(100vh - 7rem);
      border-radius: 1rem; overflow: hidden; background: Canvas; box-shadow: 0 12px 40px rgb(0 0 0 / 30%); }
    .panel iframe { display: block; width: 100%; height: 100%; border: 0; color-scheme: light dark; }
    .edge { position: absolute; width: 1px; height: 1px; overflow: hidden; opacity: 0; }
    @media (max-width: 480px) {
      .panel { inset: 0; width: 100%; max-width: none; height: 100%; height: 100dvh; max-height: none;
        border-radius: 0; }
    }
    @media (prefers-reduced-motion: no-preference) {
      .panel { animation: rise .18s ease-out; }
      @keyframes rise { from { opacity: 0; transform: translateY(.75rem); } }
    }
    @media (forced-colors: active) { .button, .panel { border: 2px solid ButtonText; } }`;

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function picture() {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg"), path = document.createElementNS(space, "path");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", "M20 11.5a7.5 7.5 0 0 1-11 6.6L4 19.5l1.4-4.6A7.5 7.5 0 1 1 20 11.5z");
    svg.append(path);
    return svg;
  }

  const badge = make("span", { class: "badge", "aria-hidden": "true", hidden: "" });
  const button = make("button", { class: "button", type: "button", "aria-haspopup": "dialog" }, picture(), badge);
  const before = make("div", { class: "edge", tabindex: "0" }), after = make("div", { class: "edge", tabindex: "0" });
  const panel = make("div", { class: "panel", role: "dialog", "aria-modal": "true", "aria-label": title, hidden: "" }, before, after);
  const host = make("wowconsole-chat", {});
  const shadow = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet(); // not an inline style: a strict CSP lets it be
  sheet.replaceSync(STYLE);
  shadow.adoptedStyleSheets = [sheet];
  shadow.append(button, panel);

  function label() {
    button.setAttribute("aria-expanded", String(isOpen));
    const count = unread && !isOpen ? `, ${words.unread}: ${unread}` : "";
    button.setAttribute("aria-label", `${isOpen ? words.close : words.open}${count}`);
    badge.hidden = !count;
    badge.textContent = unread > 99 ? "99+" : String(unread);
  }

  // The chat in its frame. What is said between us has an origin on both ends.

  function load() {
    if (frame) return;
    const address = new URL("/chat/", home);
    const query = { embed: "1", lang: language, site: given.site, scene: given.scene };
    for (const [name, value] of Object.entries(query)) if (value) address.searchParams.set(name, value);
    frame = make("iframe", { src: address.href, title, allow: "microphone; clipboard-write" });
    before.after(frame);
  }

  const tell = (type, more) => ready && frame.contentWindow.postMessage({ wowconsole: 1, type, ...more }, home);

  const heard = {
    hello() {
      ready = true;
      tell("init", { color, identity, title: given.title, greeting: given.greeting, open: isOpen });
    },
    unread(said) {
      unread = Number(said.count) || 0;
      label();
      emit("unread", unread);
    },
    session(said) { remember(said.active); },
    identified(said) { emit("identified", said.customer); },
    refused() { emit("refused"); },
    close,
  };

  addEventListener("message", (event) => {
    if (!frame || event.source !== frame.contentWindow || event.origin !== home) return;
    if (event.data?.wowconsole === 1 && Object.hasOwn(heard, event.data.type)) heard[event.data.type](event.data);
  });

  // Where a chat was begun, it is loaded at once next time, so that its answers are counted;
  // for a known customer too, to whom we may have spoken first.
  function remember(active) {
    try {
      if (active) localStorage.setItem(remembered, "1");
      else localStorage.removeItem(remembered);
    } catch { /* then it is loaded when it is opened */ }
  }

  function wasBegun() {
    try { return localStorage.getItem(remembered) === "1"; } catch { return false; }
  }

  // The keyboard stays in the open chat, as in any dialog.
  before.addEventListener("focus", () => { frame.focus(); tell("focus"); });
  after.addEventListener("focus", () => frame.focus());
  addEventListener("keydown", (event) => {
    const isComposing = event.isComposing || event.keyCode === 229; // Safari's end of a word
    if (event.key === "Escape" && isOpen && !isComposing) close();
  });
  button.addEventListener("click", () => (isOpen ? close() : open()));

  function open() {
    load();
    isOpen = true;
    panel.hidden = false;
    unread = 0;
    label();
    frame.focus();
    tell("opened");
    emit("open");
  }

  function close() {
    if (!isOpen) return;
    isOpen = false;
    panel.hidden = true;
    label();
    tell("closed");
    button.focus();
    emit("close");
  }

  // Say who the customer is; without a proof, that nobody is signed in any more.
  function identify(proof) {
    identity = proofOf(proof);
    if (identity) load();
    tell("identify", { identity });
  }

  function on(name, listener) {
    (listeners[name] ||= []).push(listener);
  }

  function emit(name, value) {
    for (const listener of listeners[name] || []) listener(value);
  }

  function begin() {
    document.body.append(host);
    label();
    if (given.open === "true") open();
    else if (wasBegun() || identity) load();
  }

  window.WOWConsole = { open, close, identify, on };
  if (document.body) begin();
  else addEventListener("DOMContentLoaded", begin);
})();
