"""The line of the customer's page where a network breaks it without a word, or swallows it."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

ASKED = "Where is my order?"
QUIET_MS, ANSWER_MS, READY_MS = 25_000, 8_000, 5_000
NEVER_OPEN = """window.WebSocket = class extends EventTarget {
  static OPEN = 1;
  readyState = 0;
  close() {}
};"""


@pytest.fixture
def chat(seat):
    """A window whose clock a test moves on."""
    chat = seat()
    chat.page.clock.install()
    return chat


@pytest.fixture
def talk(chat):
    chat.open()
    chat.say("Hello", 1)
    link_says(chat, "Here to help")
    return chat


def link_says(chat, text):
    expect(chat.root.locator("#link")).to_have_text(text)


def wait(chat, *spans):
    """Let time pass, in steps between which the page may do something."""
    for ms in spans:
        chat.page.wait_for_timeout(50)
        chat.page.clock.fast_forward(ms)


def wait_until(chat, condition):
    for _ in range(500):
        if condition():
            return
        chat.page.wait_for_timeout(20)
    raise AssertionError("it did not come to that")


def are_posted(chat, posted, *texts):
    """Check what is posted; what a page says of its line can come before the request does."""
    wait_until(chat, lambda: len(posted) >= len(texts))
    assert [frame["text"] for frame in posted] == list(texts)


class TestDeadLine:
    def test_a_message_that_nobody_acknowledges_is_sent_on_another_line(self, talk):
        talk.silent = True
        talk.put(ASKED)
        wait(talk, ANSWER_MS)
        link_says(talk, "Reconnecting…")
        talk.silent = False
        wait(talk, ANSWER_MS)
        frame = talk.wait_for("message")
        assert frame["text"] == ASKED
        talk.tell("ack", client_id=frame["client_id"], seq=2)
        expect(talk.page.get_by_text("Sending…")).to_have_count(0)
        link_says(talk, "Here to help")

    def test_it_is_noticed_though_nobody_says_anything(self, talk):
        talk.silent = True
        wait(talk, QUIET_MS, ANSWER_MS)
        link_says(talk, "Reconnecting…")

    def test_what_is_pressed_meanwhile_is_not_lost(self, talk):
        talk.silent = True
        talk.page.get_by_role("button", name="Talk to a person").click()
        wait(talk, ANSWER_MS)
        link_says(talk, "Reconnecting…")
        talk.silent = False
        wait(talk, ANSWER_MS)
        talk.wait_for("human")
        wait(talk, QUIET_MS, ANSWER_MS)
        assert "human" not in [frame["type"] for frame in talk.sent]

    @pytest.mark.parametrize(
        "event",
        [
            "window.dispatchEvent(new Event('online'))",
            "document.dispatchEvent(new Event('visibilitychange'))",
        ],
    )
    def test_who_comes_back_does_not_believe_that_it_is_open(self, talk, event):
        talk.silent = True
        talk.page.evaluate(event)
        wait(talk, ANSWER_MS)
        link_says(talk, "Reconnecting…")

    def test_a_line_that_lives_stays(self, talk):
        talk.page.evaluate("window.dispatchEvent(new Event('offline'))")
        link_says(talk, "You are offline. What you write is sent when you are back.")
        talk.page.evaluate("window.dispatchEvent(new Event('online'))")
        link_says(talk, "Here to help")
        wait(talk, *[QUIET_MS] * 4)
        assert len(talk.sockets) == 1

    def test_a_server_that_knows_no_ping_is_there_all_the_same(self, talk):
        refusal = {"code": "bad_frame", "detail": "Unknown type."}
        talk.pong = lambda frame: talk.tell("error", client_id=frame["client_id"], **refusal)
        wait(talk, *[QUIET_MS, ANSWER_MS] * 2)
        assert len(talk.sockets) == 1
        assert talk.shown() == ["Hello"]


class TestSwallowed:
    """No socket gets through, and none is refused either; plain requests pass."""

    @pytest.fixture
    def posted(self, chat):
        posted = []

        def take(route):
            posted.append(route.request.post_data_json)
            route.fulfill(json={"type": "ack", "client_id": posted[-1].get("client_id"), "seq": 1})

        chat.page.route("**/frames/", take)
        chat.page.route("**/events/?*wait=0", lambda route: route.fulfill(json={"events": []}))
        chat.page.route("**/events/?*wait=25", lambda route: None)  # it waits for news
        return posted

    @pytest.mark.parametrize("network", ["it opens and passes nothing", "it never opens"])
    def test_it_is_polled_instead(self, chat, posted, network):
        chat.silent = True
        if network == "it never opens":
            chat.page.add_init_script(NEVER_OPEN)
        chat.open()
        chat.put(ASKED)
        link_says(chat, "Connecting…")
        wait(chat, READY_MS)
        link_says(chat, "Here to help (slow connection)")
        are_posted(chat, posted, ASKED)
        expect(chat.page.get_by_text("Sending…")).to_have_count(0)

    def test_so_where_only_the_way_back_is_open(self, chat, posted):
        chat.deaf = True
        chat.open()
        chat.put(ASKED)
        link_says(chat, "Here to help")
        wait(chat, ANSWER_MS)
        link_says(chat, "Here to help (slow connection)")
        are_posted(chat, posted, ASKED)

    def test_an_answer_to_who_has_left_stops_nothing_that_the_next_one_says(self, chat, posted):
        chat.silent = True
        chat.visit("")
        chat.put(ASKED)
        link_says(chat, "Connecting…")
        wait(chat, READY_MS)
        link_says(chat, "Here to help (slow connection)")
        held = []
        chat.page.route("**/frames/", lambda route: held.append(route), times=2)
        chat.sign_in("Owen")
        chat.sign_in("Owen")  # with a fresh proof, before the first was answered
        for number in (1, 2):
            wait_until(chat, lambda number=number: len(held) == number)
            if number == 2:
                chat.sign_in("Maya")
                expect(chat.root.locator("#log > li")).to_have_count(0)
            held[-1].fulfill(json={"type": "identified", "customer": "Owen"})
        chat.page.wait_for_timeout(200)
        chat.put("Hello")
        link_says(chat, "Connecting…")
        wait(chat, READY_MS)
        link_says(chat, "Here to help (slow connection)")
        are_posted(chat, posted, ASKED, "Hello")

    def test_a_poll_that_hangs_is_given_up(self, chat, posted):
        chat.silent = True
        chat.open()
        chat.put(ASKED)
        link_says(chat, "Connecting…")
        wait(chat, READY_MS)
        link_says(chat, "Here to help (slow connection)")
        chat.silent = False
        wait(chat, QUIET_MS, 10_000, 1_000)
        link_says(chat, "Here to help")
        assert len(chat.sockets) == 2
