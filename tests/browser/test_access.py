"""The console for everybody: a day's work without a mouse, and every page under WCAG 2.2 AA.

Chromium drives the real console. The bound on presses says when a change made the way longer.
"""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.keyboard import Typist
from wowconsole.demo.logins import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RULE = {
    "Title": "Umbrellas for rent",
    "Scene": "Food delivery",
    "When does it apply?": "When a customer wants to rent an umbrella",
    "What is the answer, or what must be done?": "Umbrellas are rented for $3 a day.",
    "How do customers ask it?": "Can I rent an umbrella from you?",
}
QUESTION = "do you rent out umbrellas?"
THREE_TURNS = "Dana Whitfield"  # the customer of a demo dialogue with as many
REWRITE = "Yes. Your refund arrives within three working days."
CALM = {"reduced_motion": "reduce"}  # scrolling is at its end when the focus is looked at
MOST_PRESSES = 50
AUDIT = Path(__file__).with_name("auditing.js").read_text(encoding="utf-8")
PAGES = [
    *("/", "/knowledge/", "/knowledge/new/", "/knowledge/search/?q=late", "/knowledge/review/"),
    *("/knowledge/conflicts/", "/knowledge/gaps/", "/knowledge/effect/", "/knowledge/quality/"),
    *("/knowledge/indexes/", "/knowledge/snapshots/", "/knowledge/bulk/", "/knowledge/imports/"),
    *("/dialogues/", "/dialogues/inbox/", "/dialogues/inbox/canned/", "/dialogues/inbox/hours/"),
    *("/dialogues/jobs/", "/dialogues/proactive/", "/cases/", "/costs/", "/agents/"),
    *("/channels/", "/channels/plans/", "/channels/contact/"),
    "/channels/do-not-call/",
    *("/agents/tools/", "/training/", "/training/datasets/"),
]
FIRST = ["/knowledge/", "/dialogues/", "/agents/tools/"]  # and the first row of these
LOOKS = {"light": 1280, "dark": 390}  # px wide


@pytest.fixture
def typist(invite):
    """Somebody at the door, the hands on the keys."""
    person = invite(**CALM)
    person.page.goto("/")
    return Typist(person)


class TestKeyboard:
    def test_a_rule_is_written_tried_and_turns_are_labelled_by_keys_alone(self, typist):
        sign_in(typist, "olivia")
        skip_the_menu(typist)
        write_rule(typist)
        try_rule(typist)
        sign_out(typist)
        sign_in(typist, "ravi")
        open_dialogue(typist)
        label_turns(typist)
        see_the_case(typist)
        print(f"\n{typist.presses} presses, texts not counted")  # noqa: T201 (for -s)
        assert typist.presses <= MOST_PRESSES

    def test_a_form_with_a_fault_comes_back_at_the_fault(self, typist):
        sign_in(typist, "olivia")
        go_to(typist, "k", "Knowledge")
        typist.press("n")
        expect_page(typist, "New rule")
        typist.write(RULE["Title"])
        with typist.person.during_refusal():
            typist.press("Control+Enter")
            expect(typist.page.get_by_text("This field is required.").first).to_be_visible()
        expect(typist.page.get_by_label("Scene")).to_be_focused()
        expect(typist.page.get_by_label("Scene")).to_have_accessible_description(
            re.compile("This field is required")
        )

    def test_letters_can_be_switched_off(self, typist):
        sign_in(typist, "olivia")
        typist.press("?")
        typist.tab_to("Single-key shortcuts in this browser")
        typist.press("Space", "Escape", "?")
        expect(typist.page.get_by_role("dialog")).to_be_hidden()
        typist.tab_to("Keyboard shortcuts")
        typist.press("Enter")
        expect(typist.page.get_by_role("dialog", name="Keyboard")).to_be_visible()
        typist.press("k")
        expect(typist.page.get_by_role("heading", name="Overview", level=1)).to_be_visible()

    @pytest.mark.parametrize(
        ("path", "width", "key"), [("/", 1280, "Tab"), ("/knowledge/new/", 390, "Shift+Tab")]
    )
    def test_tab_reaches_everything_and_is_caught_nowhere(self, typist, path, width, key):
        sign_in(typist, "olivia")
        typist.page.set_viewport_size({"width": width, "height": 800})
        typist.page.goto(path)
        assert typist.walk_round(key) == []


class TestPages:
    def test_no_page_breaks_a_rule_of_access(self, signed_in):
        page = signed_in("ada").page
        troubles = {}
        for path in [*PAGES, *(first_of(page, path) for path in FIRST)]:
            page.goto(path)
            expect(page.locator("[hx-trigger=load]")).to_have_count(0)
            for theme, width in LOOKS.items():
                page.set_viewport_size({"width": width, "height": 800})
                if found := page.evaluate(AUDIT, theme):
                    troubles[path, theme] = found
        assert troubles == {}


def first_of(page, path):
    page.goto(path)
    return page.locator("main tbody a").first.get_attribute("href")


def sign_in(typist, username):
    expect(typist.page.get_by_label("Username or email")).to_be_focused()
    typist.write(username)
    typist.press("Tab")
    typist.write(PASSWORD)
    typist.press("Enter")
    expect_page(typist, "Overview")


def sign_out(typist):
    typist.press("?", "q")
    expect_page(typist, "Sign in")


def expect_page(typist, title):
    expect(typist.page.get_by_role("heading", name=title, level=1)).to_be_visible()


def go_to(typist, letter, title):
    """Open the list of keys, which leads to the parts of the console."""
    typist.press("?")
    expect(typist.page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    assert typist.focus()["name"] == "Close"
    typist.press(letter)
    expect_page(typist, title)


def skip_the_menu(typist):
    typist.press("Tab")
    assert typist.focus()["name"] == "Skip to the main content"
    typist.press("Enter")
    expect(typist.page.get_by_role("main")).to_be_focused()
    typist.press("Tab")
    assert typist.focus()["name"] == "Talk to the agent"


def write_rule(typist):
    """Fill the form from field to field, in the order in which it is read, and publish it."""
    go_to(typist, "k", "Knowledge")
    typist.press("n")
    expect_page(typist, "New rule")
    fields = list(RULE.items())
    for place, (label, text) in enumerate(fields):
        assert typist.focus()["name"] == label
        typist.write(text)
        if place + 1 < len(fields):
            typist.press("Tab")
    typist.press("Control+Enter")
    expect(typist.page.get_by_text("What agents use now")).to_be_visible()
    expect(typist.page.locator("#unit").get_by_text("Live", exact=True).first).to_be_visible()
    expect(typist.page.get_by_role("status").get_by_text("Live now:")).to_be_visible()


def try_rule(typist):
    """Ask as a customer would, walk to what was found, and open it."""
    go_to(typist, "k", "Knowledge")
    typist.press("s")
    expect_page(typist, "Try a question")
    typist.press("/")
    assert typist.focus()["name"] == "A customer's words"
    typist.write(QUESTION)
    typist.press("Enter")
    expect(typist.page.locator("#said")).to_have_text(re.compile("[1-9] rules? for the agent"))
    typist.press("Escape", "j")
    assert RULE["Title"] in typist.focus()["name"]
    typist.press("Enter")
    expect_page(typist, re.compile(RULE["Title"]))


def open_dialogue(typist):
    go_to(typist, "d", "Dialogues")
    typist.press("/")
    typist.write(THREE_TURNS)
    expect(typist.page.locator("#said")).to_have_text("1 dialogue")
    typist.press("Escape", "j")
    assert typist.focus()["name"] == THREE_TURNS
    typist.press("Enter")
    expect_page(typist, THREE_TURNS)


def label_turns(typist):
    """Judge three turns: good, bad with an issue and a rewrite, neutral."""
    label_turn(typist, "g", 1, "Good")
    typist.press("j")
    expect(typist.page.get_by_text("Turn 2 of 3")).to_be_visible()
    typist.press("b", "1", "e")
    assert typist.focus()["name"].startswith("What should have been said")
    typist.write(REWRITE)
    label_turn(typist, None, 2, "Bad")
    typist.press("j")
    expect(typist.page.get_by_text("Turn 3 of 3")).to_be_visible()
    label_turn(typist, "n", 3, "Neutral")


def label_turn(typist, key, place, verdict):
    """Save a verdict: it is said aloud, and the focus stays with the turn."""
    if key:
        typist.press(key)
        assert typist.focus()["name"].startswith(verdict)
    typist.press("Control+Enter")
    mine = typist.page.locator("#turn-panel .history > li").filter(has_text="ravi")
    expect(mine.filter(has_text=verdict)).to_have_count(1)
    expect(typist.page.get_by_role("status").get_by_text("Judged.").last).to_be_visible()
    panel = typist.page.get_by_role("region", name=f"Why this answer Turn {place} of 3")
    expect(panel).to_be_focused()


def see_the_case(typist):
    go_to(typist, "c", "Cases")
    expect(typist.page.locator("#cases tbody tr").filter(has_text=REWRITE)).to_have_count(1)
