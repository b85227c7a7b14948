// Thumbs under an answer; a bad one may be explained.

import { $, button, isComposing, make, words } from "./chat-words.js";

const log = $("log");

const give = (message, value, reason) =>
  log.dispatchEvent(new CustomEvent("feedback", { detail: { message, value, reason } }));

function thumb(id, value, press) {
  const element = $(value).content.firstElementChild.cloneNode(true);
  element.dataset.message = id;
  element.value = value;
  element.setAttribute("aria-pressed", "false");
  element.addEventListener("click", () => press(element));
  return element;
}

export function feedbackRow(id) {
  return [
    thumb(id, "like", () => give(id, "like", "")),
    thumb(id, "dislike", (pressed) => ask(id, pressed)),
  ];
}

function ask(id, pressed) {
  const row = pressed.closest(".under");
  if (row.nextElementSibling?.matches(".why")) return;
  const form = make("form", "why");
  const done = (reason) => {
    form.remove();
    give(id, "dislike", reason);
    pressed.focus();
  };
  form.append(question(), ...end(() => done("")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = new FormData(form);
    done([given.get("reason"), given.get("words").trim()].filter(Boolean).join(": "));
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || isComposing(event)) return;
    event.stopPropagation();
    form.remove();
    pressed.focus();
  });
  row.after(form);
  form.querySelector("input").focus();
}

function question() {
  const group = make("fieldset");
  group.append(make("legend", "", words.why_bad));
  for (const [value, text] of Object.entries(words.reasons)) {
    const label = make("label"), choice = make("input");
    choice.type = "radio";
    choice.name = "reason";
    choice.value = value;
    label.append(choice, text);
    group.append(label);
  }
  return group;
}

function end(skip) {
  const field = make("input", "words");
  field.name = "words";
  field.maxLength = 500;
  field.placeholder = words.in_my_words;
  field.setAttribute("aria-label", words.in_my_words);
  const row = make("div", "row");
  row.append(make("button", "tool", words.send_feedback), button("tool", words.skip, skip));
  return [field, row];
}

// What the log says was given.
export function given(event) {
  const thumbs = log.querySelectorAll(`[data-message="${CSS.escape(event.message)}"]`);
  press(thumbs, event.value);
}

export function press(buttons, value) {
  buttons.forEach((each) => each.setAttribute("aria-pressed", String(each.value === value)));
}
