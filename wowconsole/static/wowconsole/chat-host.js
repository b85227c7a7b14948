// The page around us, when the chat is embedded: what it says, and what it is told. Only the
// window that embeds us is heard, and only from an origin that may.

import { $ } from "./chat-words.js";

export const embedded = parent !== window && document.documentElement.classList.contains("embedded");

const allowed = new Set([location.origin, ...$("chat").dataset.origins.split(" ").filter(Boolean)]);
let origin = null; // of the page around us, once it spoke

export function listen(handlers) {
  if (!embedded) return;
  addEventListener("message", (event) => {
    const said = event.data;
    if (event.source !== parent || !allowed.has(event.origin) || said?.wowconsole !== 1) return;
    origin = event.origin;
    handlers[said.type]?.(said);
  });
  parent.postMessage({ wowconsole: 1, type: "hello" }, "*"); // says nothing but that we are here
}

export function tell(type, more = {}) {
  if (embedded && origin) parent.postMessage({ wowconsole: 1, type, ...more }, origin);
}

// Whom a proof names: the site's own id of its customer.
export function customerOf(proof) {
  if (!proof) return "";
  if (proof.customer) return String(proof.customer);
  try {
    const claims = proof.jwt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(claims), (sign) => sign.charCodeAt(0));
    return String(JSON.parse(new TextDecoder().decode(bytes)).sub);
  } catch {
    return "";
  }
}

// Theme: contrast as WCAG 2.2 defines it, so that no colour makes the text unreadable.

const READABLE = 4.5;

const parts = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
const joined = (rgb) => `#${rgb.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
const mixed = (one, other, share) => joined(parts(one).map((part, i) => part + (parts(other)[i] - part) * share));

function luminance(color) {
  const [r, g, b] = parts(color).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

// Take the site's colour, and shades of it that can be read on the page.
function paint(color, dark) {
  const paper = dark ? "#141916" : "#ffffff", ink = dark ? "#ffffff" : "#000000";
  let deep = color;
  for (let share = 0; contrast(deep, paper) < READABLE && share < 1; share += 0.05) {
    deep = mixed(color, ink, share);
  }
  const style = document.documentElement.style;
  style.setProperty("--green", color);
  style.setProperty("--green-deep", deep);
  style.setProperty("--on-green", contrast(color, "#ffffff") >= READABLE ? "#ffffff" : "#111111");
  style.setProperty("--soft", mixed(color, paper, 0.85));
}

export function theme(color) {
  if (!/^#[0-9a-f]{6}$/i.test(color || "")) return;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  paint(color, dark.matches);
  dark.addEventListener("change", () => paint(color, dark.matches));
}

// Where the keyboard may go in here, in order.
const PLACES = "button, a[href], textarea, input, [tabindex='0']";
const reachable = () => [...(document.querySelector("dialog[open]") || document).querySelectorAll(PLACES)]
  .filter((each) => !each.disabled && each.getClientRects().length);

export const focusLast = () => reachable().at(-1)?.focus();
