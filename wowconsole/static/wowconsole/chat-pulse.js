// Whether anybody is at the other end. A line that breaks without a word (from Wi-Fi to 4G, a
// laptop that slept) looks open for minutes, and browsers hide the server's own pings.

const QUIET_MS = 25000; // then it is asked
const ANSWER_MS = 8000; // then nobody is there

export class Pulse {
  // `ask` makes the other end answer; `silent` is called when it does not.
  constructor(ask, silent) {
    this.ask = ask;
    this.silent = silent;
  }

  heard() {
    this.stop();
    this.timer = setTimeout(this.ask, QUIET_MS);
  }

  // Something must come within so many ms.
  expect(ms = ANSWER_MS) {
    if (this.isAwaited) return;
    this.stop();
    this.isAwaited = true;
    this.timer = setTimeout(this.silent, ms);
  }

  stop() {
    clearTimeout(this.timer);
    this.isAwaited = false;
  }
}
