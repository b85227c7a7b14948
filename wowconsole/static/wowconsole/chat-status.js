// What is being done for the customer, in words of the page's language.

import { fill, isOurs, language, words } from "./chat-words.js";

const TIME = { weekday: "long", hour: "2-digit", minute: "2-digit" };
const DATE = { ...TIME, day: "numeric", month: "long" };
const SIX_DAYS = 6 * 24 * 3600 * 1000; // ms; the name of a weekday is enough within them

export function inWords(event) {
  if (event.state === "queued") return queued(event);
  if (event.state === "thinking") return words.patience[event.detail] || words.states.thinking;
  if (event.state === "calling" && isOurs(event.detail)) return event.detail;
  return words.states[event.state] || event.detail || "";
}

function queued({ position, back_at: back, detail }) {
  if (back) return fill(words.back_at, { when: dateOf(new Date(back)) });
  if (back === null && detail?.startsWith("Our people are away")) return words.away;
  if (position) return position === 1 ? words.next : fill(words.position, { position });
  return words.states.queued;
}

const dateOf = (day) => day.toLocaleString(language, day - Date.now() < SIX_DAYS ? TIME : DATE);
