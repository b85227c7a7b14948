// Messages that the server has not acknowledged yet. Each belongs to a customer, and to a chat
// once there is one: what one person wrote is neither shown to the next at this browser nor sent
// as theirs. A tab sends what it wrote itself, and what it finds when it is loaded.

import { all, forget, save } from "./chat-store.js";
import { identifier } from "./chat-words.js";

const PREFIX = "unsent:"; // and the message's id: tabs write at the same time

let entries = []; // {client_id, text, files, at, tab, who, session}
let owner = { who: "", session: null }; // of what is written now

// What nobody in particular wrote is theirs who sign in next in the same tab.
const tab = (() => {
  try { return (sessionStorage.chatTab ??= identifier()); } catch { return identifier(); }
})();

function isMine(entry) {
  if (entry.session) return entry.session === owner.session;
  return entry.who === owner.who || (!entry.who && entry.tab === tab);
}

const keep = (entry) => save(PREFIX + entry.client_id, entry);

// Take up what was left when the page was closed; what is another's is dropped.
export function open(who, session) {
  belong(who, session);
  const kept = all(PREFIX);
  forget(...kept.filter((entry) => !isMine(entry)).map((entry) => PREFIX + entry.client_id));
  entries = kept.filter(isMine).sort((one, other) => one.at - other.at);
  belong(who, session);
}

// Say whose it is from now on, and of which chat.
export function belong(who, session = null) {
  owner = { who, session };
  for (const entry of entries) keep(Object.assign(entry, owner));
}

export const waiting = () => [...entries];

export function add(entry) {
  entries.push({ ...entry, at: Date.now(), tab, ...owner });
  keep(entries.at(-1));
}

// Take one out: the server has it, or will not have it.
export function take(clientId) {
  const entry = entries.find((each) => each.client_id === clientId);
  entries = entries.filter((each) => each !== entry);
  forget(PREFIX + clientId);
  return entry;
}

export const drop = () => entries.forEach(({ client_id }) => take(client_id));
