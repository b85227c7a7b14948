// The survey at the end: the questions that the server asks, each of which may be left out.

import { $, make, words } from "./chat-words.js";

export function show(event, send) {
  const form = $("survey");
  if (event.answered !== undefined) {
    form.hidden = true;
    $("thanks").textContent = words.survey_thanks;
    return;
  }
  form.dataset.survey = event.survey;
  form.replaceChildren(make("h2", "", words.survey), ...event.questions.map(field));
  form.append(make("button", "again", words.survey_send));
  form.hidden = false;
  $("ending").hidden = false;
  form.onsubmit = (submitted) => {
    submitted.preventDefault();
    send({ type: "survey", survey: event.survey, answers: answersOf(form, event.questions) });
  };
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

export function rated(score) {
  $("rating").querySelectorAll("button").forEach((each) =>
    each.setAttribute("aria-pressed", String(each.value === String(score))));
  $("thanks").textContent = words.thanks;
}
