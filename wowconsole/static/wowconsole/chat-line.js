// The way to the server and back: a socket, or long polls where none gets through. A message
// stays in the outbox until it is acknowledged, so that nothing is lost; the server stores a
// client_id once, so that nothing comes twice.

import * as outbox from "./chat-outbox.js";
import { Pulse } from "./chat-pulse.js";

const FIRST_PAUSE = 500, LONGEST_PAUSE = 15000; // ms between two tries
const READY_MS = 5000; // that a socket may take to open; then the network swallows it
const SOCKET_TRIES = 2; // in vain, before the long poll is tried
const POLL_SECONDS = 25, GRACE_SECONDS = 10; // how long the server waits, and we beyond that
const POLLING_MS = 120000; // then the socket gets another chance
const PASSING = ["typing", "resume", "cancel"]; // worth nothing once they are late
const PING = "ping";

// A message as it is sent: the server knows its files by their ids.
function frameOf({ client_id, text, files }) {
  const attachments = files?.map((file) => file.id);
  return { type: "message", client_id, text, ...(attachments?.length && { attachments }) };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Line {
  // `view` has ready(event) → seq, receive(event), position() → seq, dropped(), state(name).
  constructor(session, view) {
    this.session = session;
    this.view = view;
    this.held = []; // frames to send when there is a line
    this.doubted = []; // frames that were sent, and nobody has answered since
    this.pause = FIRST_PAUSE;
    this.refused = 0; // sockets in vain, since one was of use
    this.pulse = new Pulse(() => this.probe(), () => this.lose(true));
    addEventListener("online", () => this.hurry(true));
    addEventListener("offline", () => this.warn());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry(false));
  }

  get open() { return this.isReady && this.socket?.readyState === WebSocket.OPEN; }

  get up() { return this.open || Boolean(this.polling); }

  start() {
    this.session.share();
    if (this.session.current) {
      this.view.state("connecting");
      this.connect();
    } else if (outbox.waiting().length) this.session.ensure();
  }

  // Send a message; it is kept until the server has it.
  say(entry) {
    outbox.add(entry);
    if (this.up) this.put(frameOf(entry));
    else this.session.ensure();
  }

  send(frame) {
    if (this.up) return this.put(frame);
    if (PASSING.includes(frame.type) || this.session.over) return;
    this.held.push(frame);
    this.session.ensure();
  }

  put(frame) {
    if (this.polling) return this.post(frame);
    this.socket.send(JSON.stringify(frame));
    if (frame.type === "message") return this.pulse.expect(); // it is acknowledged
    if (PASSING.includes(frame.type)) return;
    this.doubted.push(frame);
    this.probe();
  }

  // Forget the session, as when another customer signs in.
  leave() {
    this.session.leave();
    outbox.drop();
    this.held = [];
    this.doubted = [];
    this.close();
    this.hangUp();
  }

  // The socket

  address() {
    const { websocket, token } = this.session.current;
    const url = new URL(websocket, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.searchParams.set("token", token);
    return url;
  }

  connect() {
    clearTimeout(this.timer);
    if (this.session.over || !this.session.current || this.socket || this.polling) return;
    let own;
    try {
      own = this.socket = new WebSocket(this.address());
    } catch {
      return this.again(false); // some browsers and policies refuse it at once
    }
    this.isReady = this.isProved = false;
    this.asked = this.answered = 0;
    this.pulse.expect(READY_MS);
    own.addEventListener("message", (event) => own === this.socket && this.hear(JSON.parse(event.data)));
    own.addEventListener("close", () => own === this.socket && this.lose(false));
  }

  hear(event) {
    this.pulse.heard();
    if (event.type === "ready") return this.begin(event);
    if (this.isWarned) this.view.state("up");
    this.isWarned = false;
    // A server that knows no ping refuses it, which is an answer too.
    if (event.type === "pong" || event.client_id === PING) return this.prove();
    this.view.receive(event);
  }

  begin(event) {
    this.isReady = true;
    this.isWarned = false;
    this.view.state("up");
    this.put({ type: "resume", after: this.view.ready(event) });
    this.flush();
    this.probe();
  }

  // The browser says that it is offline; it may be wrong.
  warn() {
    this.isWarned = true;
    if (this.session.current) this.view.state("offline");
  }

  // Ask whether anybody is there.
  probe() {
    this.asked += 1;
    this.socket.send(JSON.stringify({ type: "ping", client_id: PING }));
    this.pulse.expect();
  }

  // It works both ways, and what was sent before the last ping has arrived.
  prove() {
    this.answered += 1;
    if (this.answered === this.asked) this.doubted = [];
    this.isProved = this.worked = true;
    this.pause = FIRST_PAUSE;
    this.refused = 0;
    this.reached = false;
  }

  // These have their answer, and need not be sent again.
  settle(type) { this.doubted = this.doubted.filter((frame) => frame.type !== type); }

  flush() {
    for (const entry of outbox.waiting()) this.put(frameOf(entry));
    for (const frame of this.held.splice(0)) this.put(frame);
  }

  close() {
    const socket = this.socket;
    this.socket = null;
    this.isReady = false;
    this.pulse.stop();
    socket?.close();
  }

  // The socket was closed, or nobody answers on it: where one never did, it won't get through.
  lose(isSilent) {
    this.close();
    this.held.unshift(...this.doubted.splice(0));
    if (isSilent) {
      this.refused = SOCKET_TRIES;
      this.reached ||= !this.worked;
    }
    this.again(this.isProved);
  }

  async again(wasProved) {
    this.view.dropped();
    if (this.session.over) return;
    this.view.state(navigator.onLine ? "down" : "offline");
    this.refused = wasProved ? 0 : this.refused + 1;
    if (this.refused >= SOCKET_TRIES && (await this.poll())) return;
    this.timer = setTimeout(() => this.connect(), this.pause * (0.75 + Math.random() / 2));
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
  }

  // The network is back, or the customer: what looks open may be dead.
  hurry(isNetworkNew) {
    this.pause = FIRST_PAUSE;
    if (this.open) return this.probe();
    if (isNetworkNew) {
      this.close();
      this.hangUp();
    }
    if (this.session.current) this.connect();
    else this.session.hurry();
  }

  // Long polls

  // What is newer; no `events` without an answer of the console's own: a proxy's page is none.
  async events(after, wait, signal) {
    const within = (wait + GRACE_SECONDS) * 1000;
    const { status, content } = await this.session.call(`events/?after=${after}&wait=${wait}`, { signal, within });
    return { status, events: status === 200 ? content?.events : null };
  }

  // Say whether the line is up by polling now, or over: then there is nothing to try again.
  // A server that answers for the first time was only away: the socket gets one more try.
  async poll() {
    const session = this.session.current;
    const { status, events } = await this.events(this.view.position(), 0);
    if (this.socket || this.session.current !== session) return true; // it goes on elsewhere
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

  // One after the other, and none in another's chat. What one of them breaks stops no other.
  post(frame) {
    const session = this.session.current, posted = this.posted ?? Promise.resolve();
    this.posted = posted.then(() => session === this.session.current && this.postNow(frame))
      .catch((error) => queueMicrotask(() => { throw error; })); // the browser tells of it
  }

  async postNow(frame) {
    const session = this.session.current;
    const { content } = await this.session.call("frames/", { method: "POST", body: JSON.stringify(frame), keepalive: true });
    if (session !== this.session.current) return; // the customer has left meanwhile
    if (content?.type) this.view.receive(content);
    if (content) return;
    this.unsent = true; // a message is in the outbox; the others wait here
    if (frame.type !== "message" && !PASSING.includes(frame.type)) this.held.push(frame);
  }

  hangUp() {
    this.polling?.abort();
    this.polling = null;
  }

  end(state) {
    this.session.over = true;
    this.hangUp();
    this.view.state(state);
  }
}
