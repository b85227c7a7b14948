// What this browser keeps: the session, what is not acknowledged yet, what was read. Each site
// has its own. Where a browser allows no storage, it lasts as long as the page.

const site = new URLSearchParams(location.search).get("site");
const prefix = site ? `chat.${site}.` : "chat.";
const memory = new Map();

export function load(key) {
  try {
    return JSON.parse(localStorage.getItem(prefix + key)) ?? memory.get(key) ?? null;
  } catch {
    return memory.get(key) ?? null;
  }
}

export function save(key, value) {
  memory.set(key, value);
  try { localStorage.setItem(prefix + key, JSON.stringify(value)); } catch { /* memory has it */ }
}

export function forget(...keys) {
  for (const key of keys) {
    memory.delete(key);
    try { localStorage.removeItem(prefix + key); } catch { /* it was never there */ }
  }
}
