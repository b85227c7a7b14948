"""Whose the chat is: several people, and several tabs, at one browser."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

PRIVATE = "I am Owen Blake of 12 Elm Street. Please cancel GW1002."
AWAY = 503, {"code": "unavailable"}
KEPT = "JSON.stringify(localStorage)"
FIRST = "Your order is late."


@pytest.fixture
def chat(seat):
    return seat()


def leave_unsent(chat, customer):
    """Let a customer write what can't be sent, and close the page."""
    chat.refusal = AWAY
    chat.visit(customer)
    chat.put(PRIVATE)
    expect(chat.root.get_by_text("Sending…")).to_be_visible()
    chat.page.goto("about:blank")
    chat.refusal = None


def until(chat, condition):
    for _ in range(500):
        if condition():
            return
        chat.page.wait_for_timeout(20)
    raise AssertionError("it did not come to that")


class TestOwner:
    @pytest.mark.parametrize("customer", ["Maya", ""])
    def test_nobody_sees_or_sends_what_another_has_written(self, chat, customer):
        leave_unsent(chat, "Owen")
        chat.visit(customer)
        assert chat.write("Hello")["text"] == "Hello"
        assert chat.shown() == ["Hello"]
        assert "Elm Street" not in chat.page.frames[1].evaluate(KEPT)

    def test_whoever_wrote_it_finds_it_again(self, chat):
        leave_unsent(chat, "Owen")
        chat.visit("Owen")
        assert chat.wait_for("message")["text"] == PRIVATE
        assert chat.shown() == [PRIVATE]

    def test_what_nobody_in_particular_wrote_is_theirs_who_sign_in_there(self, chat):
        leave_unsent(chat, "")
        chat.visit("Maya")
        assert chat.wait_for("message")["text"] == PRIVATE

    def test_but_not_in_another_tab(self, chat, seat):
        leave_unsent(chat, "")
        other = seat(beside=chat)
        other.visit("Maya")
        assert other.write("Hello")["text"] == "Hello"
        assert other.shown() == ["Hello"]

    def test_it_goes_when_another_signs_in_before_there_is_a_chat(self, chat):
        chat.refusal = AWAY
        chat.visit("Owen")
        chat.put(PRIVATE)
        chat.sign_in("Maya")
        expect(chat.root.locator("#log > li")).to_have_count(0)
        chat.refusal = None
        assert chat.write("Hello")["text"] == "Hello"

    def test_a_chat_that_was_asked_for_by_another_is_not_taken(self, chat):
        chat.visit("Owen")
        until(chat, lambda: chat.asked)  # whether anything waits
        chat.held = []
        chat.put(PRIVATE)
        until(chat, lambda: chat.held)
        chat.sign_in("Maya")
        (asked,), chat.held = chat.held, None
        chat.begin(asked)
        assert chat.write("Hello")["text"] == "Hello"
        owens, mayas = [body["identity"] for body in chat.asked if "waiting" not in body]
        assert owens != mayas


class TestTabs:
    @pytest.fixture
    def tabs(self, chat, seat):
        """Two tabs, opened before there was a chat."""
        tabs = chat, seat(beside=chat)
        for tab in tabs:
            tab.open()
        return tabs

    def test_all_tabs_have_one_chat(self, tabs):
        one, other = tabs
        one.say("A person please", 1)
        other.wait_for("resume")
        other.write("My parcel is broken")
        assert (one.posts, other.posts) == (1, 0)
        assert one.sockets[-1].url == other.sockets[-1].url

    def test_so_have_tabs_that_wrote_while_nobody_could_be_reached(self, tabs):
        one, other = tabs
        for tab, text in ((one, "From one"), (other, "From the other")):
            tab.refusal = AWAY
            tab.put(text)
            expect(tab.page.get_by_text("Sending…")).to_be_visible()
        for tab in tabs:
            tab.refusal = None
        assert one.wait_for("message")["text"] == "From one"
        assert other.wait_for("message")["text"] == "From the other"
        assert one.sockets[-1].url == other.sockets[-1].url
        other.page.wait_for_timeout(100)
        assert "message" not in [frame["type"] for tab in tabs for frame in tab.sent]

    def test_a_new_chat_in_one_is_not_forgotten_by_the_other(self, tabs):
        one, other = tabs
        one.say("Hello", 1)
        other.wait_for("resume")
        for tab in tabs:
            tab.tell("closed", seq=2)
            expect(tab.page.locator("#ending")).to_be_visible()
        for tab in (other, one):
            tab.last_seq = 0
            with tab.page.expect_navigation():
                tab.page.get_by_role("button", name="New chat").click()
            if tab is other:
                other.write("One more thing")
        one.wait_for("resume")
        assert one.sockets[-1].url == other.sockets[-1].url
        assert (one.posts, other.posts) == (1, 1)

    def test_an_old_browser_has_no_locks_and_chats(self, chat):
        chat.page.add_init_script("delete Navigator.prototype.locks")
        chat.open()
        assert chat.write("Hello")["text"] == "Hello"


class TestAttempt:
    def test_an_answer_that_was_lost_is_asked_for_again(self, chat):
        chat.visit("Owen")
        until(chat, lambda: chat.asked)  # whether anything waits
        chat.held = []
        chat.put("Hello")
        until(chat, lambda: chat.held)
        (lost,), chat.held = chat.held, None
        lost.abort()
        chat.wait_for("message")
        assert chat.asked[-1] == lost.request.post_data_json
        chat.tell("closed", seq=1)
        with chat.page.expect_event("framenavigated"):
            chat.root.get_by_role("button", name="New chat").click()
        chat.write("Hello again")
        assert chat.asked[-1]["attempt"] != lost.request.post_data_json["attempt"]


class TestProof:
    EXPIRED = 403, {"code": "identity_expired"}

    def test_a_fresh_one_is_good_after_one_that_was_refused(self, chat):
        chat.refusal = self.EXPIRED
        chat.visit("Owen")
        chat.put("Where is my order?")
        expect(chat.root.locator("#link")).to_contain_text("could not say who you are")
        chat.refusal = None
        chat.sign_in("Owen")
        assert chat.wait_for("message")["text"] == "Where is my order?"
        expect(chat.root.locator("#link")).to_have_text("Here to help")

    def test_so_is_one_that_comes_while_the_first_is_still_checked(self, chat):
        chat.visit("Owen")
        until(chat, lambda: chat.asked)  # whether anything waits
        chat.held = []
        chat.put("Where is my order?")
        until(chat, lambda: chat.held)
        chat.sign_in("Owen")
        (asked,), chat.held = chat.held, None
        asked.fulfill(status=403, json=self.EXPIRED[1])
        assert chat.wait_for("message")["text"] == "Where is my order?"


class TestSpokenFirst:
    """We have spoken first to a customer whose last chat has ended."""

    @pytest.fixture
    def ended(self, chat):
        chat.visit("Owen")
        chat.say("Thanks, bye", 1)
        chat.tell("closed", seq=2)
        expect(chat.root.locator("#ending")).to_be_visible()
        assert [body.get("waiting") for body in chat.asked] == [True, None]
        return chat

    def forget_looking(self, chat):
        """As ten minutes later."""
        chat.page.frames[1].evaluate("localStorage.removeItem('chat.looked')")
        chat.asked.clear()

    def sees_it(self, chat):
        until(chat, lambda: chat.asked)
        assert [body.get("waiting") for body in chat.asked] == [True]
        until(chat, lambda: "-1/" in chat.sockets[-1].url)  # the chat that was asked for first
        chat.wait_for("resume")
        chat.answer(FIRST, 1)
        expect(chat.root.get_by_text(FIRST)).to_be_visible()
        assert chat.shown() == [FIRST]
        expect(chat.root.locator("#ending")).to_be_hidden()
        expect(chat.root.locator("#text")).to_be_visible()

    def test_they_see_it_in_place_of_the_old_chat(self, ended):
        self.forget_looking(ended)
        ended.waits, ended.last_seq = True, 0
        ended.visit("Owen")
        self.sees_it(ended)

    def test_who_did_not_see_the_end_sees_it_too(self, chat):
        chat.visit("Owen")
        chat.say("Thanks", 1)
        self.forget_looking(chat)
        chat.page.goto("about:blank")
        chat.waits, chat.last_seq = True, 2
        chat.visit("Owen")
        chat.wait_for("resume")
        chat.tell("closed", seq=2)
        self.sees_it(chat)

    def test_who_has_just_ended_it_may_rate_it(self, chat):
        chat.visit("Owen")
        chat.say("Thanks", 1)
        self.forget_looking(chat)
        chat.waits = True
        chat.tell("closed", seq=2)
        expect(chat.root.locator("#ending")).to_be_visible()
        chat.page.wait_for_timeout(200)
        assert chat.asked == []
