// Who the customer is, as the page around us proves it. Nobody sees another's chat: it is left
// when somebody else signs in, or its customer out.

import * as host from "./chat-host.js";
import * as outbox from "./chat-outbox.js";

let proof = null;

export const proven = () => proof;

// The site's own id of the customer; "" while nobody is signed in.
export const who = () => host.customerOf(proof);

// `restart` leaves what is shown.
export function identify(given, session, line, restart) {
  const before = session.current ? session.current.who : who();
  proof = given || null;
  if (before && before !== who()) restart();
  outbox.belong(who(), session.current?.id);
  if (!proof) return;
  introduce(session, line);
  session.renew();
  look(session);
}

// Tell it in a chat that has begun.
export function introduce({ current }, line) {
  if (proof && current && !current.identified) line.send({ type: "identify", identity: proof });
}

// See whether we have spoken first.
export function look(session) {
  if (proof) session.lookForWaiting(proof);
}
