// What was said, as bubbles and cards in the order of the log.

import { feedbackRow } from "./chat-feedback.js";
import { jobCard, actionCard } from "./chat-cards.js";
import { fileList } from "./chat-files.js";
import { $, button, fill, make, words } from "./chat-words.js";

const FIRST_EVENTS = 100; // of a long history, shown at once

const log = $("log"), scroll = $("scroll");
const seen = new Set(); // sequence numbers shown
const lost = new Set(); // turns of which we missed a part: their message will come whole
const over = new Set(); // turns that have their message, or were stopped
let answered = 0; // the agent's newest message
let base = 0; // what is older is shown on demand
let draft = null; // the bubble that streams: {turn, item, text}

// The last sequence number below which nothing is missing.
export function contiguous() {
  let seq = base;
  while (seen.has(seq + 1)) seq += 1;
  return seq;
}

export const newest = () => Math.max(base, ...seen);

// Whether the agent has spoken since.
export const isAnswered = (seq) => answered > seq;

// Begin a long history near its end.
export function begin(lastSeq) {
  if (!seen.size && !base) base = Math.max(0, lastSeq - FIRST_EVENTS);
  $("earlier").hidden = base === 0;
}

// Go further back; return after which event.
export function goBack() {
  base = Math.max(0, base - FIRST_EVENTS);
  $("earlier").hidden = base === 0;
  return base;
}

export function clear() {
  seen.clear();
  base = answered = 0;
  dropDraft();
  log.replaceChildren();
  $("earlier").hidden = true;
  $("welcome").hidden = false;
}

// Remember that an event was shown; say whether it is new.
export function isNew(event) {
  if (event.seq === undefined || event.type === "ack") return true;
  if (seen.has(event.seq)) return false;
  seen.add(event.seq);
  return true;
}

const atBottom = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 120;

export const toEnd = () => { scroll.scrollTop = scroll.scrollHeight; };

// Put an entry where its number belongs; say whether the log was moved on to it.
export function place(item, seq) {
  const stick = atBottom();
  item.dataset.seq = seq ?? "";
  const later = ({ dataset }) => !dataset.seq || +dataset.seq > seq;
  log.insertBefore(item, (seq && [...log.children].find(later)) || null);
  $("welcome").hidden = true;
  if (!stick && !item.matches(".customer")) return false;
  toEnd();
  for (const picture of item.querySelectorAll("img")) picture.addEventListener("load", toEnd);
  return true;
}

// Show the beginning of what may be higher than the window.
export function toTopOf(item) {
  scroll.scrollTop += item.getBoundingClientRect().top - scroll.getBoundingClientRect().top;
}

// Make a change that takes room from the log; who saw its end sees it still.
export function keepEnd(change) {
  const stick = atBottom();
  change();
  if (stick) toEnd();
}

const SPEAKERS = { customer: words.you, agent: words.agent_says };

function bubble(role, text, files = []) {
  const item = make("li", role === "system" ? "note" : role);
  if (role === "staff") item.append(make("span", "who", words.staff));
  item.append(make("span", "hidden", SPEAKERS[role] || ""));
  if (files.length) item.append(fileList(files));
  if (text || !files.length) item.append(make("div", role === "system" ? "" : "text", text));
  return item;
}

export const note = (text, seq) => place(bubble("system", text), seq);

export function pending(entry) {
  const item = bubble("customer", entry.text, entry.files);
  item.classList.add("waiting");
  item.dataset.client = entry.client_id;
  dropChoices();
  item.append(make("span", "state", navigator.onLine ? words.sending : words.waiting_to_send));
  place(item);
}

// The server has the message, or refused it; say whether it was waiting here.
export function settle(clientId, seq, failure) {
  const item = [...log.children].find((other) => other.dataset.client === clientId);
  if (!item) return false;
  item.classList.remove("waiting");
  const state = item.querySelector(".state");
  if (failure) state.textContent = failure;
  else state.remove();
  delete item.dataset.client;
  place(item, seq);
  return true;
}

export function message(event) {
  const item = bubble(event.role, event.text, event.attachments);
  dropChoices();
  if (event.choices?.length && event.seq >= newest()) item.append(choices(event));
  if (event.role === "agent") {
    item.append(under(event));
    answered = Math.max(answered, event.seq);
  }
  place(item, event.seq);
}

function under(event) {
  const row = make("div", "under");
  row.append(...feedbackRow(event.id));
  for (const citation of event.citations || []) {
    const chip = make("span", "chip", fill(words.rule, citation));
    chip.title = citation.title;
    row.append(chip);
  }
  if (event.proactive) {
    row.append(button("tool", words.no_news, () => log.dispatchEvent(new CustomEvent("no-news"))));
  }
  return row;
}

export const dropChoices = () => log.querySelectorAll(".choices").forEach((row) => row.remove());

// The answers that the agent offers to its question; gone once anything else is said.
function choices(event) {
  const row = make("div", "choices");
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", event.text);
  for (const text of event.choices) {
    row.append(button("choice", text, () =>
      log.dispatchEvent(new CustomEvent("say", { detail: text }))));
  }
  return row;
}

export function action(event) {
  dropDraft();
  place(actionCard(event), event.seq);
}

export function job(event) {
  const known = [...log.children].find(({ dataset }) => dataset.job === event.id);
  if (known && +known.dataset.state >= event.seq) return;
  const item = jobCard(event, () =>
    log.dispatchEvent(new CustomEvent("cancel-job", { detail: event.id })));
  item.dataset.job = event.id;
  item.dataset.state = event.seq;
  if (!known) return place(item, event.seq);
  item.dataset.seq = known.dataset.seq; // the card stays where the job began
  known.replaceWith(item);
}

// A reply that is being written

export function delta(event) {
  if (lost.has(event.turn)) return;
  if (draft?.turn !== event.turn) {
    dropDraft();
    draft = { turn: event.turn, item: bubble("agent", ""), text: "" };
    draft.item.classList.add("streaming");
    draft.item.setAttribute("aria-hidden", "true"); // read out once, when it is whole
    place(draft.item);
  }
  const stick = atBottom();
  draft.text = event.withdraws ? event.text : draft.text + event.text;
  draft.item.querySelector(".text").textContent = draft.text;
  if (stick) toEnd();
}

// A part of it was missed, or will not be wanted: its message comes whole or not at all.
export function giveUpDraft() {
  if (draft) lost.add(draft.turn);
  dropDraft();
}

// The turn has its message or will have none. What passes by may still come late.
export function endTurn(turn) {
  if (turn) over.add(turn);
  giveUpDraft();
}

export const isOver = (turn) => over.has(turn);

function dropDraft() {
  draft?.item.remove();
  draft = null;
}
