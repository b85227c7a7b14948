// What this browser keeps: the session, what is not acknowledged yet, what was read. Each site
// has its own, and all tabs share it. Where a browser allows no storage, it lasts as long as the
// page.

const site = new URLSearchParams(location.search).get("site");
const prefix = site ? `chat.${site}.` : "chat.";
const LONGEST_WORK_MS = 20000;
const memory = new Map(); // what the browser did not take

export function load(key) {
  if (memory.has(key)) return memory.get(key);
  try {
    return JSON.parse(localStorage.getItem(prefix + key));
  } catch {
    return null;
  }
}

// Everything whose key begins so.
export function all(beginning) {
  let kept = [];
  try { kept = Object.keys(localStorage); } catch { /* memory has it */ }
  const ours = kept.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
  return [...ours, ...memory.keys()].filter((key) => key.startsWith(beginning)).map(load);
}

export function save(key, value) {
  try {
    localStorage.setItem(prefix + key, JSON.stringify(value));
    memory.delete(key);
  } catch {
    memory.set(key, value);
  }
}

export function forget(...keys) {
  for (const key of keys) {
    memory.delete(key);
    try { localStorage.removeItem(prefix + key); } catch { /* it was never there */ }
  }
}

// Hear when another tab has changed something.
export function hear(key, changed) {
  addEventListener("storage", (event) => event.key === prefix + key && changed());
}

// Do something while no other tab does; where there are no locks (an address without TLS, no
// storage), or one is held by a tab that sleeps, all the same.
export async function alone(work) {
  let begun = false;
  try {
    return await navigator.locks.request(prefix, { signal: AbortSignal.timeout(LONGEST_WORK_MS) }, () => {
      begun = true;
      return work();
    });
  } catch (error) {
    if (begun) throw error;
    return work();
  }
}
