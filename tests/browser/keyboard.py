"""Somebody without a mouse: presses keys, reads what is in focus, and counts the presses."""

import re

MOST_TABS = 60
MOST_STOPS = 200

# What is in focus: its name, whether an outline shows it, and whether all of it is covered.
# Scrolling follows the focus, and a button in a form that is being sent can't be hit: it waits.
FOCUS = """async () => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  await frame().then(frame);
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const at = (share, from, to) => from + (to - from) * share;
  const isCovered = () => {
    const box = element.getBoundingClientRect();
    const points = [0.1, 0.5, 0.9].flatMap((x) => [0.1, 0.5, 0.9].map((y) =>
      [at(x, box.left, box.right), at(y, box.top, box.bottom)]));
    return !points.some(([x, y]) => element.contains(document.elementFromPoint(x, y)));
  };
  for (let left = 60; left && isCovered(); left -= 1) await frame();
  const style = getComputedStyle(element);
  const words = [...(element.labels || [])].map((label) => label.textContent).join(" ")
    || element.getAttribute("aria-label") || element.textContent || element.id;
  return {
    id: element.id,
    name: words.replace(/\\s+/g, " ").trim(),
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    covered: isCovered(),
  };
}"""

# What Tab must reach: whatever can be used, one of each group of radios.
LEFT_OUT = """() => [...document.querySelectorAll(
    "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")]
  .filter((element) => !element.disabled && element.tabIndex >= 0
    && element.checkVisibility({visibilityProperty: true}))
  .filter((element) => !reached.has(element) && !(element.type === "radio"
    && [...reached].some((other) => other.name === element.name)))
  .map((element) => element.outerHTML)"""
NOTE = """() => {
  window.reached = new Set();
  document.addEventListener("focusin", (event) => reached.add(event.target));
}"""


class Typist:
    """Two hands on the keys of a Person's page; `presses` counts all but the letters of texts."""

    def __init__(self, person):
        self.person = person
        self.page = person.page
        self.presses = 0

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
            self.presses += 1

    def write(self, text):
        """Type into the field in focus, or choose from its list by the beginning of the words."""
        self.page.keyboard.type(text)

    def focus(self):
        """Return what is in focus, or None; it must be outlined and not covered."""
        found = self.page.evaluate(FOCUS)
        if found:
            assert found["outlined"], f"{found['name']} shows no focus"
            assert not found["covered"], f"{found['name']} is in focus but hidden"
        return found

    def tab_to(self, name):
        """Press Tab until `name`, a pattern of the whole name, is in focus; return the stops."""
        stops = []
        for _ in range(MOST_TABS):
            self.press("Tab")
            found = self.focus()
            stops.append(found["name"] if found else None)
            if found and re.fullmatch(name, found["name"]):
                return stops
        raise AssertionError(f"{name} is not among {stops}")

    def walk_round(self, key):
        """Press Tab, or Shift+Tab, until the page's top comes the second time.

        Return what was never reached. Raises AssertionError where the focus is caught.
        """
        self.page.evaluate(NOTE)
        rounds = 0
        for _ in range(MOST_STOPS):
            self.press(key)
            found = self.focus()
            rounds += bool(found and found["name"].startswith("Skip to"))
            if rounds == 2:
                return self.page.evaluate(LEFT_OUT)
        raise AssertionError(f"the focus never came back to the top, but stays at {found}")
