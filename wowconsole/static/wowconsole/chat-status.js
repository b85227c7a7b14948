// What is being done for the customer, in words of the page's language.

import { fill, language, words } from "./chat-words.js";

const BACK = { weekday: "long", hour: "2-digit", minute: "2-digit" };

export function inWords(event) {
  if (event.state === "queued") return queued(event);
  if (event.state === "calling" && language === "en" && event.detail) return event.detail;
  return words.states[event.state] || event.detail || "";
}

function queued({ position, back_at: back, detail }) {
  if (back) return fill(words.back_at, { when: new Date(back).toLocaleString(language, BACK) });
  if (back === null && detail?.startsWith("Our people are away")) return words.away;
  if (position) return position === 1 ? words.next : fill(words.position, { position });
  return words.states.queued;
}
