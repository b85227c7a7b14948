"""Pictures of the pages for the README, taken when SCREENSHOTS names a folder."""

import os
from pathlib import Path

PAGES = {
    "overview": "/",
    "knowledge": "/knowledge/",
    "releases": "/agents/",
}


def folder():
    """Return where pictures are wanted, or None."""
    return Path(os.environ["SCREENSHOTS"]) if os.environ.get("SCREENSHOTS") else None


def take(person, name):
    """Write one window, 1280 x 800, as NAME.png; without SCREENSHOTS do nothing."""
    if folder() is None:
        return
    folder().mkdir(parents=True, exist_ok=True)
    notices = person.page.locator("#notices .btn-close")
    while notices.count():
        notices.first.click()
    person.page.mouse.move(0, 0)
    person.page.evaluate("document.activeElement?.blur(); scrollTo({top: 0, behavior: 'instant'})")
    person.page.screenshot(path=folder() / f"{name}.png", animations="disabled")


def take_pages(person):
    for name, path in PAGES.items():
        person.page.goto(path)
        take(person, name)
