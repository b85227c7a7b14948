// One request to the server: its answer, or none in time. Some networks swallow what they do not
// let through, and would be waited for without end.

const PATIENCE_MS = 15000;

// Return {status, content}: status 0 without an answer, content null unless it is JSON, as a
// proxy's own page is not.
export async function request(url, { within = PATIENCE_MS, signal, ...options } = {}) {
  const limit = new AbortController(), giveUp = () => limit.abort();
  const timer = setTimeout(giveUp, within);
  signal?.addEventListener("abort", giveUp);
  try {
    const answer = await fetch(url, { ...options, signal: limit.signal });
    return { status: answer.status, content: await answer.json().catch(() => null) };
  } catch {
    return { status: 0, content: null };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
  }
}
