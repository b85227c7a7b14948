// The end of a chat: the customer is asked whether they are sure, and what is offered after it.

import { dropChoices, keepEnd } from "./chat-log.js";
import { $, words } from "./chat-words.js";

const PASSING = "#write, #end, #sure, .choices"; // what the end takes away

export const isAsked = () => $("sure").open;

export function wire(line) {
  $("end").addEventListener("click", () => {
    $("sure").returnValue = "";
    $("sure").showModal();
  });
  $("sure").addEventListener("close", () => {
    if ($("sure").returnValue === "end") line.send({ type: "close" });
  });
  $("rating").addEventListener("submit", (event) => {
    event.preventDefault();
    line.send({ type: "rate", score: Number(event.submitter.value), comment: "" });
  });
}

// A chat that is gone can't be rated.
export function show(isGone) {
  const hadFocus = document.activeElement?.closest(PASSING);
  dropChoices();
  $("ended").textContent = isGone ? words.gone : words.ended;
  $("rating").hidden = isGone;
  keepEnd(() => {
    $("write").hidden = true;
    $("ending").hidden = false;
  });
  $("sure").close();
  if (hadFocus) $("ended").focus();
}

export function hide() {
  $("write").hidden = false;
  $("ending").hidden = true;
  rated({ score: null });
}

export function rated({ score }) {
  $("rating").querySelectorAll("button").forEach((each) =>
    each.setAttribute("aria-pressed", String(each.value === String(score))));
  $("thanks").textContent = score ? words.thanks : "";
}
