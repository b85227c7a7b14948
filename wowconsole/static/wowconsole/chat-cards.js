// Cards: what a tool did, and how a job goes on.

import { button, isOurs, make, readable, words } from "./chat-words.js";

const MOST_FACTS = 6;

function facts(values) {
  const list = make("dl");
  const shown = Object.entries(values)
    .filter(([, value]) => ["string", "number", "boolean"].includes(typeof value) && value !== "");
  for (const [name, value] of shown.slice(0, MOST_FACTS)) {
    list.append(make("dt", "", words.labels[name] || readable(name)));
    list.append(make("dd", "", written(value)));
  }
  return list;
}

function written(value) {
  if (typeof value === "boolean") return value ? words.yes : words.no;
  // As the agent words it: a fraction is mostly of money.
  return typeof value === "number" && !Number.isInteger(value) ? value.toFixed(2) : String(value);
}

export function actionCard(event) {
  const item = make("li", event.result.error ? "card failed" : "card");
  item.append(make("h2", "", words.actions[event.name] || readable(event.name)));
  item.append(facts({ ...event.arguments, ...event.result }));
  return item;
}

// A summary says it all in words; the outcome's name is for programs.
function told(result) {
  return result.summary ? { summary: result.summary } : result;
}

const UNDER_WAY = ["queued", "running", "waiting"];

export function jobCard(event, cancel) {
  const open = UNDER_WAY.includes(event.state);
  const item = make("li", ["failed", "expired"].includes(event.state) ? "card failed" : "card");
  item.append(make("h2", "", words.jobs[event.name] || readable(event.name)));
  const line = make("p", "job-state");
  if (open) line.append(make("span", "pulse"));
  line.append(stateOf(event));
  item.append(line);
  if (open) item.append(button("tool", words.cancel_job, cancel));
  else if (event.result) item.append(facts(told(event.result)));
  return item;
}

// The server's own words where they are in the page's language, else those of the state.
function stateOf({ state, detail }) {
  return isOurs(detail) ? detail : words.job_states[state] || readable(state);
}
