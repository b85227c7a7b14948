// What the customer has not seen, while the widget around us is closed.

import * as host from "./chat-host.js";
import { newest } from "./chat-log.js";
import { load, save } from "./chat-store.js";

let seen = !host.embedded; // whether the customer sees us
let waiting = 0;

// An answer came, with this number in the log.
export function count(seq) {
  if (seen) return save("read", Math.max(newest(), seq));
  if (seq > (load("read") || 0)) waiting += 1;
  host.tell("unread", { count: waiting });
}

export function see(visible) {
  seen = visible;
  if (!visible) return;
  waiting = 0;
  save("read", newest());
  host.tell("unread", { count: 0 });
}

// The chat is another from now on.
export function restart() {
  waiting = 0;
  host.tell("unread", { count: 0 });
}
