// The survey: a card in the log with the questions that the server asks, each of which may be
// left out. It can be put away, and goes once it is answered.

import * as log from "./chat-log.js";
import { load, save } from "./chat-store.js";
import { $, button, failure, make, words } from "./chat-words.js";

export const FRAME = "survey"; // names our frame in what the server says of it

let card = null;

export function show(event, send) {
  if (event.answered !== undefined) {
    putAway(event.survey);
    return log.note(words.survey_thanks, event.seq);
  }
  if (load("survey") === event.survey) return; // it was answered or put away
  card = make("li", "card survey");
  card.append(form(event, send));
  if (log.place(card, event.seq)) log.toTopOf(card);
}

function form(event, send) {
  const asked = make("form"), trouble = make("p", "trouble");
  const shut = button("shut", "×", () => putAway(event.survey));
  shut.setAttribute("aria-label", words.survey_later);
  trouble.setAttribute("role", "status");
  asked.append(make("h2", "", words.survey), shut, ...event.questions.map(field));
  asked.append(trouble, make("button", "again", words.survey_send));
  asked.addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    const answers = answersOf(asked, event.questions);
    trouble.textContent = Object.keys(answers).length ? "" : words.survey_empty;
    if (trouble.textContent) return;
    send({ type: "survey", survey: event.survey, answers, client_id: FRAME });
  });
  return asked;
}

function putAway(survey) {
  save("survey", survey);
  close();
}

function close() {
  const hadFocus = card?.contains(document.activeElement);
  card?.remove();
  card = null;
  if (hadFocus) ($("write").hidden ? $("ended") : $("text")).focus();
}

// The server did not take the answers.
export function refused(event) {
  const trouble = card?.querySelector(".trouble");
  if (trouble) trouble.textContent = failure(event);
}

function field(question) {
  if (question.kind === "text") {
    const label = make("label", "question", question.text), input = make("textarea");
    input.name = question.id;
    input.rows = 2;
    input.maxLength = 2000;
    label.append(input);
    return label;
  }
  const group = make("fieldset");
  group.append(make("legend", "", question.text));
  const choices = question.kind === "score" ? [1, 2, 3, 4, 5] : question.choices;
  choices.forEach((choice, index) => {
    const label = make("label"), input = make("input");
    input.type = "radio";
    input.name = question.id;
    input.value = choice;
    if (question.kind === "score") input.setAttribute("aria-label", words.ratings[index]);
    label.append(input, String(choice));
    group.append(label);
  });
  return group;
}

function answersOf(form, questions) {
  const given = new FormData(form), answers = {};
  for (const { id, kind } of questions) {
    const value = String(given.get(id) ?? "").trim();
    if (value) answers[id] = kind === "score" ? Number(value) : value;
  }
  return answers;
}
