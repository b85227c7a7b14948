// The customer's chat. What was said is the server's; kept here are the session and the
// messages it has not acknowledged yet, so that nothing is lost and nothing comes twice.

import * as customer from "./chat-customer.js";
import * as ending from "./chat-ending.js";
import * as feedback from "./chat-feedback.js";
import * as field from "./chat-field.js";
import * as files from "./chat-files.js";
import * as host from "./chat-host.js";
import { Line } from "./chat-line.js";
import * as log from "./chat-log.js";
import * as outbox from "./chat-outbox.js";
import { Session } from "./chat-session.js";
import { load } from "./chat-store.js";
import { inWords } from "./chat-status.js";
import * as survey from "./chat-survey.js";
import * as unread from "./chat-unread.js";
import { $, failure, identifier, isComposing, words } from "./chat-words.js";

const TYPING_SHOWN_MS = 6000;
const query = new URLSearchParams(location.search);
const asked = { scene: query.get("scene"), site: query.get("site") || "" };

let control = "bot", closed = false, typingTimer = null;
let controlled = 0; // the event by which `control` is what it is
let place = ""; // in the queue, in words
let known = 0; // the last event when the line came up

const session = new Session($("chat").dataset.sessions, {
  who: customer.who,
  request: () => ({ ...asked, identity: customer.proven() }),
  state: linked,
  began() {
    outbox.belong(customer.who(), session.current.id);
    files.use(session.current);
    host.tell("session", { active: true });
    customer.introduce(session, line);
    line.connect();
  },
  replaced: restart,
});

const line = new Line(session, {
  ready(event) {
    known = event.last_seq;
    log.begin(event.last_seq);
    return log.contiguous();
  },
  receive,
  position: log.contiguous,
  dropped() {
    log.giveUpDraft();
    doing("");
  },
  state: linked,
});

// What the page says of itself

function linked(state) {
  $("link").textContent = { up: words.here, down: words.reconnecting }[state] || words[state];
  $("link").className = ["up", "polling", "connecting"].includes(state) ? "" : "trouble";
  if (state === "gone") gone();
  if (["off", "wrong"].includes(state)) turnAway();
  if (state === "refused") host.tell("refused");
  tools();
}

// The same words again are not put there again: a screen reader would repeat them.
function doing(text) {
  clearTimeout(typingTimer);
  if ($("doing").textContent !== text) $("doing").textContent = text;
}

// Whether an answer is being written that can be stopped.
function answers(writes) {
  log.keepEnd(() => { $("stop").hidden = !writes; });
}

// It stays while the customer waits, whatever else is said or done meanwhile.
function stands(event) {
  place = inWords(event);
  log.keepEnd(tools);
}

function tools() {
  $("starters").hidden = closed;
  $("human").hidden = closed || control !== "bot";
  $("agent").hidden = closed || control !== "queued";
  $("place").textContent = !closed && control === "queued" ? place : "";
  $("end").disabled = !session.current;
  $("end").hidden = closed;
}

function finish(isGone) {
  closed = true;
  session.note({ ended: true });
  doing("");
  answers(false);
  ending.show(isGone);
  tools();
}

function gone() {
  finish(true);
  customer.look(session);
}

// No chat can be begun here: what was written is shown as not sent.
function turnAway() {
  closed = true;
  doing("");
  for (const { client_id } of outbox.waiting()) notSent(client_id);
  $("write").hidden = true;
}

function notSent(clientId) {
  log.settle(clientId, log.newest(), words.not_sent);
  return outbox.take(clientId);
}

// What the server says

const handlers = {
  ack(event) {
    outbox.take(event.client_id);
    if (log.settle(event.client_id, event.seq)) log.isNew({ seq: event.seq });
    if (control === "bot" && !log.isAnswered(event.seq)) answers(true);
  },
  status(event) {
    if (event.state === "stopped") return stopped(event);
    if (event.state === "queued") return stands(event);
    if (closed || log.isOver(event.turn)) return;
    doing(inWords(event));
    if (["searching", "thinking"].includes(event.state)) answers(true);
    if (event.state === "calling") answers(false); // what a tool does is told, not stopped
  },
  delta(event) {
    if (closed || log.isOver(event.turn)) return;
    log.delta(event);
    answers(true);
    doing("");
  },
  message(event) {
    if (event.role === "customer") {
      if (event.client_id) outbox.take(event.client_id);
      if (event.client_id && log.settle(event.client_id, event.seq)) return;
    } else {
      log.endTurn(event.turn);
      doing("");
      answers(false);
      unread.count(event.seq);
    }
    log.message(event);
  },
  action: log.action,
  job: log.job,
  control(event) {
    const said = event.detail ? inWords(event) : words.control[event.state]; // of the hours, say
    if (said) log.note(said, event.seq);
    if (event.seq < controlled) return; // an earlier one, asked for now
    controlled = event.seq;
    control = event.state;
    doing("");
    if (control !== "bot") log.giveUpDraft();
    if (control === "human") answers(false);
    tools();
  },
  typing() {
    doing(words.staff_types);
    typingTimer = setTimeout(() => doing(""), TYPING_SHOWN_MS);
  },
  error(event) {
    doing("");
    if (["nothing_to_stop", "too_late_to_stop"].includes(event.code)) answers(false);
    if (event.client_id === survey.FRAME) return survey.refused(event);
    if (event.client_id) return unsent(event);
    if (event.code.startsWith("identity_")) return linked("refused");
    if (event.code === "other_customer") return restart();
    log.note(failure(event), log.newest());
  },
  identified(event) {
    session.note({ who: event.customer, identified: true });
    line.settle("identify");
    linked(line.polling ? "polling" : "up");
    host.tell("identified", { customer: event.customer });
  },
  feedback: feedback.given,
  rating: ending.rated,
  survey: (event) => survey.show(event, (frame) => line.send(frame)),
  closed(event) {
    log.giveUpDraft();
    finish(false);
    if (event.seq <= known) customer.look(session); // the customer comes back to it
  },
};

function receive(event) {
  if (log.isNew(event)) handlers[event.type]?.(event);
}

// What was refused goes back into the field, its files too.
function unsent(event) {
  const entry = notSent(event.client_id);
  field.giveBack(entry?.text);
  files.giveBack(entry?.files || []);
  log.note(failure(event), log.newest());
}

function stopped(event) {
  log.endTurn(event.turn);
  doing("");
  answers(false);
  log.note(words.stopped, log.newest());
}

// What the customer does

function say(text) {
  const taken = files.take();
  const entry = { client_id: identifier(), text, files: taken };
  log.giveUpDraft(); // what was being written is dropped, or comes whole
  log.pending(entry);
  line.say(entry);
}

$("write").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = field.take();
  if (text || files.ready()) say(text);
});
field.wire(() => session.current && line.send({ type: "typing" }));
document.querySelectorAll("[data-say]").forEach((button) =>
  button.addEventListener("click", () => { say(button.dataset.say); field.focus(); }));
$("log").addEventListener("say", (event) => { say(event.detail); field.focus(); });
$("log").addEventListener("feedback", (event) => line.send({ type: "feedback", ...event.detail }));
$("log").addEventListener("cancel-job", (event) => line.send({ type: "cancel_job", id: event.detail }));

$("log").addEventListener("no-news", async () => {
  const { status } = await session.call("no-news/", { method: "POST" });
  log.note(status >= 200 && status < 300 ? words.no_news_done : words.failed, log.newest());
});

for (const type of ["human", "agent"]) $(type).addEventListener("click", () => line.send({ type }));
$("stop").addEventListener("click", () => { line.send({ type: "cancel" }); field.focus(); });
ending.wire(line);
$("again").addEventListener("click", () => {
  line.leave();
  host.tell("session", { active: Boolean(load("session")) }); // another tab's
  location.reload();
});
$("earlier").addEventListener("click", async () => {
  const { events } = await line.events(log.goBack(), 0);
  events?.forEach(receive);
});

files.wire(session, (text, failure) => {
  doing(text);
  if (failure) log.note(failure, log.newest());
});

// The page around us, and who its customer is

const identify = ({ identity }) => customer.identify(identity, session, line, restart);

function restart() {
  line.leave();
  files.use(null);
  log.clear();
  unread.restart();
  closed = false;
  control = "bot";
  controlled = 0;
  ending.hide();
  linked("up");
  host.tell("session", { active: false });
}

function show() {
  unread.see(true);
  log.toEnd(); // what came while we were hidden had no height to scroll by
  field.focus();
}

host.listen({
  init(said) {
    host.theme(said.color);
    if (said.title) $("heading").textContent = said.title;
    if (said.title) $("mark").textContent = [...said.title][0];
    if (said.greeting) $("greeting").textContent = said.greeting;
    identify(said);
    host.tell("session", { active: Boolean(session.current) });
    begin();
    if (said.open) show();
  },
  identify,
  opened: show,
  closed: () => unread.see(false),
  focus: () => host.focusLast(),
});
$("shut")?.addEventListener("click", () => host.tell("close"));
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !isComposing(event) && !ending.isAsked()) host.tell("close");
});

let begun = false;
function begin() {
  if (begun) return;
  begun = true;
  files.use(session.current);
  outbox.open(customer.who(), session.current?.id);
  outbox.waiting().forEach(log.pending);
  line.start();
  tools();
}

tools();
if (!host.embedded) begin();
