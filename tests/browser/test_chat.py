"""The customer's page, event by event: what comes late, twice, or from others than expected."""

import pytest
from playwright.sync_api import expect

from tests.browser.scripting import Scripted, pages

pytestmark = pytest.mark.browser

ASKED, GIVEN = "Where is my order?", "It is on its way."


@pytest.fixture(scope="module")
def address():
    with pages() as running:
        yield running


@pytest.fixture
def seat(browser, address):
    """Return a function that opens a window; at the end nothing may have failed in any."""
    windows, failures = [], []

    def open_one(**options):
        chat = Scripted(browser, address, **options)
        chat.page.on("pageerror", lambda error: failures.append(str(error)))
        windows.append(chat)
        return chat

    yield open_one
    for chat in windows:
        chat.context.close()
    assert failures == []


@pytest.fixture
def chat(seat):
    chat = seat()
    chat.open()
    return chat


class TestOrder:
    def test_what_comes_after_its_message_is_dropped(self, chat):
        chat.say(ASKED, 1)
        chat.tell("status", state="thinking", detail="Writing an answer", turn="t1")
        chat.tell("delta", turn="t1", text="It is ")
        chat.answer(GIVEN, 2, turn="t1")
        chat.tell("delta", turn="t1", text="on its way.")
        chat.tell("status", state="thinking", detail="Writing an answer", turn="t1")
        chat.tell("feedback", message="m2", value="like", seq=3)  # shown, so all of it was heard
        expect(chat.page.get_by_label("Good answer")).to_have_attribute("aria-pressed", "true")
        assert chat.shown() == [ASKED, GIVEN]
        expect(chat.page.locator("#doing")).to_be_empty()
        expect(chat.page.locator("#stop")).to_be_hidden()

    def test_what_comes_after_a_stop_is_dropped(self, chat):
        chat.say(ASKED, 1)
        chat.tell("delta", turn="t1", text="It is ")
        chat.page.locator("#stop").click()
        chat.wait_for("cancel")
        chat.tell("status", state="stopped", turn="t1", detail="")
        chat.tell("delta", turn="t1", text="on its way.")
        chat.tell("status", state="thinking", detail="Writing an answer", turn="t1")
        chat.tell("typing", role="staff")
        expect(chat.page.locator("#doing")).to_have_text("Our staff is writing…")
        assert chat.shown() == [ASKED, "You stopped this answer."]
        expect(chat.page.locator("#stop")).to_be_hidden()

    def test_an_answer_that_goes_on_while_one_waits_for_a_person_comes_whole(self, chat):
        chat.say(ASKED, 1)
        chat.tell("delta", turn="t1", text="It is ")
        chat.tell("control", state="queued", seq=2)
        chat.tell("delta", turn="t1", text="on its way.")
        chat.tell("typing", role="staff")
        expect(chat.page.locator("#doing")).to_have_text("Our staff is writing…")
        expect(chat.page.locator(".streaming")).to_have_count(0)
        chat.answer(GIVEN, 3, turn="t1")
        expect(chat.page.get_by_text(GIVEN)).to_be_visible()
        assert chat.shown() == [ASKED, "A person will take over shortly.", GIVEN]

    def test_an_ack_that_comes_after_the_answer_offers_no_stop(self, chat):
        frame = chat.write(ASKED)
        chat.tell("message", role="customer", client_id=frame["client_id"], text=ASKED, seq=1)
        chat.answer(GIVEN, 2, turn="t1")
        chat.tell("ack", client_id=frame["client_id"], seq=1)
        chat.tell("typing", role="staff")
        expect(chat.page.locator("#doing")).to_have_text("Our staff is writing…")
        expect(chat.page.locator("#stop")).to_be_hidden()
        assert chat.shown() == [ASKED, GIVEN]

    def test_what_the_log_has_is_not_sent_again(self, chat):
        frame = chat.write(ASKED)
        chat.tell("message", role="customer", client_id=frame["client_id"], text=ASKED, seq=1)
        chat.answer(GIVEN, 2)
        expect(chat.page.get_by_text(GIVEN)).to_be_visible()
        chat.page.reload()
        chat.wait_for("resume")
        chat.page.wait_for_timeout(100)
        assert chat.sent == []


class TestQueue:
    def test_the_place_stays_whatever_else_is_said(self, chat):
        chat.say(ASKED, 1)
        chat.page.get_by_role("button", name="Talk to a person").click()
        chat.wait_for("human")
        chat.tell("status", state="queued", position=2, detail="You are number 2 in the queue.")
        chat.tell("control", state="queued", seq=2)
        place = chat.page.locator("#place")
        expect(place).to_have_text("You are number 2 in the queue.")
        chat.say("And one more thing", 3)
        chat.answer("Noted.", 4, turn="t1")
        chat.tell("error", code="rate_limited", detail="That was very quick.")
        expect(chat.page.get_by_text("That was very quick.")).to_be_visible()
        expect(place).to_have_text("You are number 2 in the queue.")
        chat.tell("status", state="queued", position=1, detail="You are next.")
        expect(place).to_have_text("You are next.")
        chat.tell("control", state="human", seq=5)
        expect(place).to_be_empty()
