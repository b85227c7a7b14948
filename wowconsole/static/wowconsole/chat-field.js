// Where the customer writes: the field grows with its text, and Enter sends it.

import { $, isComposing } from "./chat-words.js";

const TYPING_MS = 3000; // between two times that the other side is told

const field = $("text");
let toldAt = 0;

export const focus = () => field.focus();

function fill(text) {
  field.value = text;
  grow();
}

function grow() {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + 2}px`;
}

// Return what is written, and begin anew.
export function take() {
  const text = field.value.trim();
  fill("");
  toldAt = 0;
  return text;
}

// Put a text back, below what is there.
export const giveBack = (text) => fill([field.value, text].filter(Boolean).join("\n"));

export function wire(typing) {
  field.addEventListener("input", () => {
    grow();
    if (Date.now() - toldAt < TYPING_MS) return;
    toldAt = Date.now();
    typing();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || isComposing(event)) return;
    event.preventDefault();
    $("write").requestSubmit();
  });
}
