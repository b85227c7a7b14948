// The way to the server and back: a socket, or long polls where none gets through. A message
// stays in the outbox until it is acknowledged, so that nothing is lost; the server stores a
// client_id once, so that nothing comes twice.

import { forget, load, save } from "./chat-store.js";

const FIRST_PAUSE = 500, LONGEST_PAUSE = 15000; // ms between two tries
const SOCKET_TRIES = 2; // in vain, before the long poll is tried
const POLL_SECONDS = 25;
const POLLING_MS = 120000; // then the socket gets another chance
const LOOKING_MS = 600000; // between two looks for a chat that waits
const PASSING = ["typing", "resume", "cancel"]; // worth nothing once they are late

// Why no chat was begun, as the page names it.
async function why(answer) {
  const { code } = await answer.json().catch(() => ({}));
  if (code === "site_off") return "off";
  return { 400: "wrong", 403: "refused", 422: "wrong", 429: "busy" }[answer.status] || "unreachable";
}

// A message as it is sent: the server knows its files by their ids.
function frameOf({ files, ...entry }) {
  const attachments = files?.map((file) => file.id);
  return { type: "message", ...entry, ...(attachments?.length && { attachments }) };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Line {
  // `view` has ready(event) → seq, receive(event), position() → seq, dropped(), state(name),
  // request() → what a session is opened with.
  constructor(sessions, view) {
    this.sessions = sessions;
    this.view = view;
    this.session = load("session");
    this.over = false; // nothing more will come
    this.held = []; // frames to send when there is a line
    this.pause = FIRST_PAUSE;
    this.refused = 0;
    addEventListener("online", () => this.hurry());
    addEventListener("offline", () => this.session && view.state("offline"));
  }

  get up() { return this.socket?.readyState === WebSocket.OPEN || Boolean(this.polling); }

  get outbox() { return load("outbox") || []; }

  start() {
    if (this.session) {
      this.view.state("connecting");
      this.connect();
    } else if (this.outbox.length) this.ensure();
  }

  // Send a message; it is kept until the server has it.
  say(entry) {
    save("outbox", [...this.outbox, entry]);
    if (this.up) this.put(frameOf(entry));
    else this.ensure();
  }

  settled(clientId) {
    save("outbox", this.outbox.filter((entry) => entry.client_id !== clientId));
  }

  send(frame) {
    if (this.up) return this.put(frame);
    if (PASSING.includes(frame.type) || this.over) return;
    this.held.push(frame);
    this.ensure();
  }

  put(frame) {
    if (!this.polling) return this.socket.send(JSON.stringify(frame));
    this.posted = (this.posted ?? Promise.resolve()).then(() => this.post(frame)); // in order
  }

  // Forget the session, as when another customer signs in.
  leave() {
    this.session = null;
    this.over = false;
    this.held = [];
    forget("session", "outbox", "read", "survey");
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.hangUp();
  }

  address() {
    const url = new URL(this.session.websocket, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.searchParams.set("token", this.session.token);
    return url;
  }

  connect() {
    clearTimeout(this.timer);
    if (this.over || !this.session || this.up) return;
    let opened = false, own;
    try {
      own = this.socket = new WebSocket(this.address());
    } catch {
      return this.again(false); // some browsers and policies refuse it at once
    }
    own.addEventListener("open", () => { opened = true; });
    own.addEventListener("message", (event) => own === this.socket && this.hear(JSON.parse(event.data)));
    own.addEventListener("close", () => own === this.socket && this.again(opened));
  }

  hear(event) {
    if (event.type !== "ready") return this.view.receive(event);
    this.pause = FIRST_PAUSE;
    this.refused = 0;
    this.reached = false;
    this.view.state("up");
    this.put({ type: "resume", after: this.view.ready(event) });
    this.flush();
  }

  flush() {
    for (const entry of this.outbox) this.put(frameOf(entry));
    for (const frame of this.held.splice(0)) this.put(frame);
  }

  async again(opened) {
    this.view.dropped();
    if (this.over) return;
    this.view.state(navigator.onLine ? "down" : "offline");
    this.refused = opened ? 0 : this.refused + 1;
    if (this.refused >= SOCKET_TRIES && (await this.poll())) return;
    this.timer = setTimeout(() => this.connect(), this.pause * (0.75 + Math.random() / 2));
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
  }

  hurry() {
    this.pause = FIRST_PAUSE;
    if (this.up) this.view.state(this.polling ? "polling" : "up");
    else if (this.session) this.connect();
    else if (this.outbox.length) this.ensure();
  }

  // Long polls

  call(path, options = {}) {
    const headers = { Authorization: `Bearer ${this.session.token}`, "Content-Type": "application/json" };
    return fetch(`${this.sessions}${this.session.id}/${path}`, { headers, ...options });
  }

  // What is newer; no `events` without an answer of the console's own: a proxy's page is none.
  async events(after, wait, signal) {
    try {
      const answer = await this.call(`events/?after=${after}&wait=${wait}`, { signal });
      return { status: answer.status, events: answer.ok && (await answer.json()).events };
    } catch {
      return {};
    }
  }

  // Say whether the line is up by polling now, or over: then there is nothing to try again.
  // A server that answers for the first time was only away: the socket gets one more try.
  async poll() {
    const { status, events } = await this.events(this.view.position(), 0);
    if (status === 404) {
      this.end("gone");
      return true;
    }
    const answeredBefore = this.reached;
    this.reached = Boolean(events);
    if (!this.reached) return false;
    this.pause = FIRST_PAUSE;
    if (!answeredBefore) return false;
    const polling = this.polling = new AbortController();
    this.view.state("polling");
    this.flush();
    this.take(events);
    this.follow(polling, Date.now() + POLLING_MS);
    return true;
  }

  async follow(polling, until) {
    while (this.polling === polling && Date.now() < until) {
      const { events } = await this.events(this.view.position(), POLL_SECONDS, polling.signal);
      if (this.polling !== polling) return;
      if (!events) break;
      this.take(events);
      if (this.unsent) this.flush();
      this.unsent = false;
    }
    if (this.polling !== polling) return;
    this.hangUp();
    this.refused = SOCKET_TRIES - 1;
    await sleep(FIRST_PAUSE);
    this.connect();
  }

  take(events) {
    for (const event of events) this.view.receive(event);
  }

  async post(frame) {
    const answer = await this.call("frames/", { method: "POST", body: JSON.stringify(frame), keepalive: true })
      .then((response) => response.json()).catch(() => null);
    if (answer?.type) this.view.receive(answer);
    if (answer) return;
    this.unsent = true; // a message is in the outbox; the others wait here
    if (frame.type !== "message" && !PASSING.includes(frame.type)) this.held.push(frame);
  }

  hangUp() {
    this.polling?.abort();
    this.polling = null;
  }

  end(state) {
    this.over = true;
    this.hangUp();
    this.view.state(state);
  }

  // The session

  // One session, however often it is asked for.
  ensure() {
    if (this.session || this.over) return;
    this.view.state("connecting");
    this.opening ??= this.open()
      .catch((error) => this.view.state(error.message))
      .finally(() => {
        this.opening = null;
        if (this.session || this.over) return;
        setTimeout(() => this.ensure(), this.pause = Math.min(this.pause * 2, LONGEST_PAUSE));
      });
  }

  ask(body) {
    const headers = { "Content-Type": "application/json" };
    return fetch(this.sessions, { method: "POST", headers, body: JSON.stringify(body) });
  }

  // Take up the chat in which the server spoke first to this customer, if there is one.
  async lookForWaiting(identity) {
    const asked = load("looked"), who = this.view.who();
    if (this.session || this.outbox.length) return;
    if (asked?.who === who && Date.now() - asked.at < LOOKING_MS) return;
    save("looked", { who, at: Date.now() });
    const answer = await this.ask({ identity, waiting: true }).catch(() => null);
    if (answer?.status === 201 && !this.session && !this.opening) await this.begin(answer);
  }

  async open() {
    const answer = await this.ask(this.view.request())
      .catch(() => { throw new Error(navigator.onLine ? "unreachable" : "offline"); });
    if ([400, 403, 422].includes(answer.status)) this.over = true; // saying it again won't help
    if (answer.status !== 201) throw new Error(await why(answer)); // a proxy's page has another
    await this.begin(answer);
  }

  async begin(answer) {
    this.session = await answer.json();
    save("session", { ...this.session, who: this.view.who() });
    this.view.began();
    this.connect();
  }
}
