// The session: the key to this customer's chat. All tabs of a browser share one; it is asked for
// when there is something to say, or when we may have spoken first.

import * as outbox from "./chat-outbox.js";
import { request } from "./chat-request.js";
import { alone, forget, hear, load, save } from "./chat-store.js";
import { identifier } from "./chat-words.js";

const FIRST_PAUSE = 500, LONGEST_PAUSE = 15000; // ms between two tries
const LOOKING_MS = 600000; // between two looks for a chat that waits
const LOOK_MS = 5000; // that one may take: what the customer says waits for it
const ATTEMPT = "attempt:"; // and the customer's id
const REFUSALS = { 400: "wrong", 403: "refused", 422: "wrong" }; // saying it again won't help

// Why no chat was begun, as the page names it.
function why(status, content) {
  if (!status && !navigator.onLine) return "offline";
  if (content?.code === "site_off") return "off";
  return REFUSALS[status] || (status === 429 ? "busy" : "unreachable"); // a proxy's page, say
}

export class Session {
  // `view` has who() → the customer's id or "", request() → what a session is asked for with,
  // state(name), began(), and replaced(): the chat shown makes room for another.
  constructor(address, view) {
    this.address = address;
    this.view = view;
    this.current = load("session"); // {id, token, websocket, identified, who, ended}
    this.over = false; // nothing more will come
    this.pause = FIRST_PAUSE;
    this.looking = Promise.resolve();
  }

  // Hear from now on of a chat that another tab begins.
  share() {
    hear("session", () => this.current || this.takeUp());
  }

  // Have a session, however often it is asked for.
  ensure() {
    if (this.current || this.over) return this.opening;
    this.isWanted = true;
    this.view.state("connecting");
    this.opening ??= this.looking.then(() => alone(() => this.open()))
      .catch((error) => this.isWanted && this.view.state(error.message))
      .finally(() => {
        this.opening = null;
        this.later();
      });
    return this.opening;
  }

  later() {
    clearTimeout(this.timer);
    if (this.current || this.over || !this.isWanted) return;
    this.timer = setTimeout(() => this.ensure(), this.pause = Math.min(this.pause * 2, LONGEST_PAUSE));
  }

  hurry() {
    this.pause = FIRST_PAUSE;
    if (this.isWanted || outbox.waiting().length) this.ensure();
  }

  // Ask again: with a fresh proof, what was refused may be given.
  renew() {
    if (this.over && !this.current) {
      this.over = false;
      this.view.state("up");
    }
    this.hurry();
  }

  async open() {
    if (this.current || this.takeUp()) return;
    const who = this.view.who(), asked = this.view.request();
    const { status, content } = await this.ask(asked);
    if (this.current) return; // another tab's, where there are no locks
    if (who !== this.view.who()) throw new Error("connecting"); // who asked has gone
    if (status === 201 && content) return this.begin(content);
    if (status === 403 && asked.identity !== this.view.request().identity) throw new Error("connecting");
    this.over = status in REFUSALS;
    throw new Error(why(status, content));
  }

  // The attempt has a name, so that an answer that gets lost is given again.
  ask(given, options = {}) {
    const key = ATTEMPT + this.view.who(), attempt = load(key) || identifier();
    save(key, attempt);
    const headers = { "Content-Type": "application/json" }, body = JSON.stringify({ ...given, attempt });
    return request(this.address, { method: "POST", headers, body, ...options });
  }

  // Ask for something of this session.
  call(path, options = {}) {
    const headers = { Authorization: `Bearer ${this.current.token}`, "Content-Type": "application/json" };
    return request(`${this.address}${this.current.id}/${path}`, { headers, ...options });
  }

  begin(answer) {
    this.current = { ...answer, who: this.view.who() };
    save("session", this.current);
    forget(ATTEMPT + this.current.who, "read", "survey"); // of the one before
    this.view.began();
  }

  // Go on with the chat that another tab has begun; say whether there is one of this customer.
  takeUp() {
    const known = load("session");
    if (!known || known.ended || (known.who && known.who !== this.view.who())) return false;
    this.current = known;
    this.over = false;
    this.view.began();
    return true;
  }

  // Remember something of the session; another one may have taken its place in the browser.
  note(change) {
    if (!this.current) return;
    Object.assign(this.current, change);
    if (this.isKept()) save("session", this.current);
  }

  isKept() { return load("session")?.id === this.current?.id; }

  // Forget the session, as when another customer signs in.
  leave() {
    if (this.isKept()) forget("session", "read", "survey");
    this.current = null;
    this.over = this.isWanted = false;
  }

  // Take up the chat in which the server spoke first to this customer, if there is one.
  lookForWaiting(identity) {
    const asked = load("looked"), who = this.view.who();
    if ((this.current && !this.current.ended) || outbox.waiting().length) return;
    if (asked?.who === who && Date.now() - asked.at < LOOKING_MS) return;
    save("looked", { who, at: Date.now() });
    this.looking = alone(() => this.adopt(identity, who));
  }

  async adopt(identity, who) {
    const { status, content } = await this.ask({ identity, waiting: true }, { within: LOOK_MS });
    if (!status) forget("looked");
    if (status !== 201 || who !== this.view.who() || (this.current && !this.current.ended)) return;
    if (this.current) this.view.replaced();
    this.begin(content);
  }
}
