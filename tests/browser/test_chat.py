"""The customer's page, event by event: what comes late, twice, or from others than expected."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.scripting import token_of

pytestmark = pytest.mark.browser

AUDIT = Path(__file__).with_name("auditing.js").read_text(encoding="utf-8")
LOOKS = {"light": 1280, "dark": 390}  # px wide
SURVEY = {
    "survey": "s1",
    "questions": [
        {"id": "q1", "kind": "choice", "text": "Is it solved?", "choices": ["Solved", "Not yet"]},
        {"id": "q2", "kind": "text", "text": "What should we do better?", "choices": []},
    ],
}
ASKED, GIVEN = "Where is my order?", "It is on its way."


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
        assert chat.shown() == [ASKED, "A person will take over.", GIVEN]

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

    def test_earlier_events_change_nothing_of_what_holds_now(self, chat):
        chat.say(ASKED, 1)
        chat.tell("control", state="bot", seq=150)
        earlier = [
            {"type": "control", "state": "human", "seq": 40},
            {"type": "survey", "seq": 41, "role": "system", **SURVEY},
        ]
        chat.page.route("**/events/?*", lambda route: route.fulfill(json={"events": earlier}))
        chat.page.reload()
        chat.wait_for("resume")
        chat.tell("control", state="bot", seq=150)
        chat.tell("survey", seq=151, role="customer", survey="s1", answered=1)
        chat.page.get_by_role("button", name="Show earlier messages").click()
        expect(chat.page.get_by_text("You are talking to a person now.")).to_be_visible()
        expect(chat.page.get_by_role("button", name="Talk to a person")).to_be_visible()
        expect(chat.page.locator(".survey")).to_have_count(0)


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


class TestLongPoll:
    PORTAL = {"status": 502, "content_type": "text/html", "body": "<h1>Bad gateway</h1>"}

    @pytest.fixture
    def polls(self, chat):
        """Let no socket through. `portals`: how many polls get a proxy's page."""
        self.messages, self.portals = [], 0
        chat.say(ASKED, 1)
        chat.page.route("**/frames/", self.take)
        chat.page.route("**/events/?*", self.poll)
        chat.page.route_web_socket("**/ws/chat/**", lambda socket: socket.close(code=1011))
        chat.page.reload()
        expect(chat.page.locator("#link")).to_contain_text("slow connection", timeout=10_000)
        return chat

    def take(self, route):
        """Acknowledge frames; the first message gets a proxy's page."""
        frame = route.request.post_data_json
        if frame["type"] == "message":
            self.messages.append(frame["text"])
        if self.messages == ["First"]:
            route.fulfill(**self.PORTAL)
        else:
            ack = {"type": "ack", "client_id": frame.get("client_id"), "seq": 2}
            route.fulfill(json=ack)

    def poll(self, route):
        if self.portals:
            self.portals -= 1
            route.fulfill(**self.PORTAL | {"status": 200})
        else:
            time.sleep(0.05)
            route.fulfill(json={"events": [], "after": 1})

    def sent(self, chat, text, times=1):
        chat.page.locator("#text").fill(text)
        chat.page.keyboard.press("Enter")
        for _ in range(500):
            if self.messages.count(text) == times:
                return
            chat.page.wait_for_timeout(20)
        raise AssertionError(f"posted: {self.messages}")

    def test_a_page_of_a_proxys_silences_nothing(self, polls):
        self.sent(polls, "First", times=2)  # what got no answer is sent again
        self.sent(polls, "Second")

    def test_a_page_in_place_of_the_events_is_no_answer(self, polls):
        self.portals = 3
        for _ in range(100):
            polls.page.wait_for_timeout(50)
            if not self.portals:
                break
        self.sent(polls, "Second")


class TestSurvey:
    def test_it_is_a_card_beside_a_chat_that_goes_on(self, chat):
        chat.say(ASKED, 1)
        chat.tell("survey", seq=2, role="system", **SURVEY)
        expect(chat.page.get_by_role("heading", name="A few questions")).to_be_visible()
        expect(chat.page.locator("#ending")).to_be_hidden()
        expect(chat.page.locator("#text")).to_be_visible()
        chat.page.get_by_label("Solved").check()
        chat.page.get_by_role("button", name="Send answers").click()
        assert chat.wait_for("survey")["answers"] == {"q1": "Solved"}
        chat.tell("survey", seq=3, role="customer", survey="s1", answered=1)
        expect(chat.page.get_by_role("heading", name="A few questions")).to_have_count(0)
        assert chat.shown()[-1] == "Thank you for your answers."
        expect(chat.page.locator("#text")).to_be_focused()

    def test_it_can_be_put_away_for_good(self, chat):
        chat.say(ASKED, 1)
        chat.tell("survey", seq=2, role="system", **SURVEY)
        chat.page.get_by_role("button", name="Not now").click()
        expect(chat.page.locator(".survey")).to_have_count(0)
        expect(chat.page.locator("#text")).to_be_focused()
        chat.page.reload()
        chat.wait_for("resume")
        chat.tell("survey", seq=2, role="system", **SURVEY)
        chat.answer(GIVEN, 3)
        expect(chat.page.get_by_text(GIVEN)).to_be_visible()
        expect(chat.page.locator(".survey")).to_have_count(0)

    def test_what_is_wrong_with_the_answers_stands_with_the_questions(self, chat):
        chat.say(ASKED, 1)
        chat.tell("survey", seq=2, role="system", **SURVEY)
        send = chat.page.get_by_role("button", name="Send answers")
        send.click()
        expect(chat.page.locator(".survey")).to_contain_text("Answer at least one question.")
        chat.page.get_by_label("What should we do better?").fill("Nothing")
        send.click()
        frame = chat.wait_for("survey")
        chat.tell("error", code="invalid", detail="Too long.", client_id=frame["client_id"])
        expect(chat.page.locator(".survey")).to_contain_text("Too long.")
        assert chat.shown() == [ASKED]


class TestEnd:
    def test_it_is_ended_once_the_customer_is_sure(self, chat):
        chat.say(ASKED, 1)
        chat.answer("Shall I look?", 2, choices=["Yes", "No"])
        end = chat.page.locator("#end")
        end.click()
        chat.page.get_by_role("button", name="Go on chatting").click()
        end.click()
        chat.page.keyboard.press("Escape")
        expect(end).to_be_focused()
        assert "close" not in [frame["type"] for frame in chat.sent]
        end.click()
        chat.page.get_by_role("dialog").get_by_role("button", name="End chat").click()
        chat.wait_for("close")
        chat.tell("closed", seq=3)
        expect(chat.page.get_by_role("heading", name="This chat has ended.")).to_be_focused()
        expect(chat.page.locator(".choice")).to_have_count(0)
        chat.page.get_by_role("button", name="4 of 5, good").click()
        assert chat.wait_for("rate")["score"] == 4

    def test_the_focus_stays_where_a_reader_has_it(self, chat):
        chat.say(ASKED, 1)
        chat.answer(GIVEN, 2)
        good = chat.page.get_by_label("Good answer")
        good.focus()
        chat.tell("closed", seq=3)
        expect(chat.page.locator("#ending")).to_be_visible()
        expect(good).to_be_focused()

    def test_a_chat_that_is_gone_offers_a_new_one_only(self, chat):
        chat.say(ASKED, 1)
        chat.page.route("**/events/?*", lambda route: route.fulfill(status=404, json={}))
        chat.page.route_web_socket("**/ws/chat/**", lambda socket: socket.close(code=1011))
        chat.page.reload()
        expect(chat.page.get_by_role("heading", name="no longer available")).to_be_visible()
        expect(chat.page.get_by_role("button", name="New chat")).to_be_visible()
        for part in ("#rating", "#starters", "#write", "#human"):
            expect(chat.page.locator(part)).to_be_hidden()


class TestRefusals:
    @pytest.mark.parametrize(("status", "code"), [(400, "invalid"), (422, "no_such_site")])
    def test_a_chat_that_is_set_up_wrongly_is_not_tried_again(self, seat, status, code):
        chat = seat()
        chat.refusal = status, {"code": code, "detail": "There is no such thing."}
        chat.open(scene="nope")
        chat.page.locator("#text").fill(ASKED)
        chat.page.keyboard.press("Enter")
        expect(chat.page.locator("#link")).to_contain_text("not set up correctly")
        expect(chat.page.get_by_text("Not sent")).to_be_visible()
        for part in ("#starters", "#write", "#human"):
            expect(chat.page.locator(part)).to_be_hidden()
        chat.page.wait_for_timeout(1500)  # longer than the first two pauses
        assert chat.posts == 1

    def test_what_was_refused_comes_back_with_its_files(self, chat):
        chat.say(ASKED, 1)
        photo = {"name": "photo.png", "mimeType": "image/png", "buffer": b"1"}
        chat.page.locator("#file").set_input_files(photo)
        expect(chat.page.locator("#files")).to_contain_text("photo.png")
        first, second = chat.write("See my photo"), chat.write("It is blue")
        assert (first["attachments"], second.get("attachments")) == (["f1"], None)
        assert "files" not in first
        for frame in (first, second):
            chat.tell("error", code="rate_limited", detail="Wait.", client_id=frame["client_id"])
        expect(chat.page.locator("#text")).to_have_value("See my photo\nIt is blue")
        expect(chat.page.locator("#files")).to_contain_text("photo.png")


class TestChinese:
    @pytest.fixture
    def chat(self, seat):
        chat = seat(locale="zh-CN")
        chat.open()
        chat.say("我的订单到哪里了？", 1)
        return chat

    def test_what_the_server_refuses_is_told_in_chinese(self, chat):
        chat.tell("error", code="rate_limited", detail="That was very quick.")
        expect(chat.page.get_by_text("您的操作太快了，请稍候再试。")).to_be_visible()
        chat.tell("error", code="brand_new", detail="Nobody has put this into Chinese.")
        expect(chat.page.get_by_text("Nobody has put this into Chinese.")).to_be_visible()
        chat.refusal = 413, {"code": "file_too_large", "detail": "This is larger than 8 MB."}
        film = {"name": "film.mp4", "mimeType": "video/mp4", "buffer": b"1"}
        chat.page.locator("#file").set_input_files(film)
        expect(chat.page.get_by_text("film.mp4: 文件不能超过 8 MB。")).to_be_visible()

    def test_so_is_what_is_done(self, chat):
        doing = chat.page.locator("#doing")
        chat.tell("status", state="thinking", detail="This takes a little longer than usual…")
        expect(doing).to_have_text("需要的时间比平时稍长…")
        chat.tell("status", state="calling", detail="正在查询 GW1002")
        expect(doing).to_have_text("正在查询 GW1002")
        chat.tell("status", state="calling", detail="Looking at the order")
        expect(doing).to_have_text("正在为您查询…")
        result = {"shop": "Burger Yard", "items": "1x Cola", "total": 9.5, "status": "delivered"}
        chat.tell("action", seq=2, name="look_up_order", arguments={}, result=result)
        expect(chat.page.locator(".card dt")).to_have_text(["商家", "商品", "总金额", "状态"])
        expect(chat.page.locator(".card dd")).to_have_text(
            ["Burger Yard", "1x Cola", "9.50", "delivered"]
        )


class TestWords:
    def test_a_long_wait_is_told(self, chat):
        chat.say(ASKED, 1)
        late = "Still at it. A colleague takes over if I can't answer."
        chat.tell("status", state="thinking", detail=late, turn="t1")
        expect(chat.page.locator("#doing")).to_have_text(late.replace("'", "’"))

    def test_a_day_that_is_far_away_has_a_date(self, chat):
        chat.say(ASKED, 1)
        chat.tell("control", state="queued", seq=2)
        for days, dated in ((2, False), (9, True)):
            back = datetime.now(UTC) + timedelta(days=days)
            chat.tell("status", state="queued", position=1, back_at=back.isoformat(), detail="")
            date = re.compile(rf"{back:%B} \d" if dated else r"back \w+day at|back \w+day,? \d\d:")
            expect(chat.page.locator("#place")).to_have_text(date)

    def test_who_asks_for_a_person_at_night_reads_when_they_are_back(self, chat):
        chat.say(ASKED, 1)
        back = (datetime.now(UTC) + timedelta(days=2)).isoformat()
        chat.tell("control", state="queued", seq=2, back_at=back, detail="Our people are back.")
        note = chat.page.locator("#log .note").last
        expect(note).to_have_text(re.compile(r"back \w+day"))

    def test_keys_that_compose_a_word_send_nothing_and_close_nothing(self, chat):
        chat.say(ASKED, 1)
        chat.page.locator("#text").fill("nihao")
        press = """(field) => field.dispatchEvent(
            new KeyboardEvent("keydown", {key: "Enter", keyCode: 229, cancelable: true}))"""
        assert chat.page.locator("#text").evaluate(press), "the key is the composer's"
        expect(chat.page.locator("#text")).to_have_value("nihao")
        chat.page.keyboard.press("Enter")
        assert chat.wait_for("message")["text"] == "nihao"


class TestIdentity:
    @pytest.mark.parametrize("customer", ["C-7", "José", "客户-7"])
    def test_the_page_reads_of_a_token_whom_the_server_reads(self, chat, customer):
        proof = {"jwt": token_of(customer)}
        read = """async ([url, proof]) => (await import(url)).customerOf(proof)"""
        url = "/static/wowconsole/chat-host.js"
        assert chat.page.evaluate(read, [url, proof]) == customer


class TestAccess:
    @pytest.mark.parametrize("theme", LOOKS)
    def test_no_state_of_the_chat_breaks_a_rule_of_access(self, seat, theme):
        size = {"width": LOOKS[theme], "height": 780}
        chat = seat(color_scheme=theme, viewport=size, reduced_motion="reduce")
        chat.open()
        troubles = {"welcome": chat.page.evaluate(AUDIT, theme)}
        chat.say(ASKED, 1)
        chat.tell("action", seq=2, name="look_up_order", arguments={"order_id": "GW1"}, result={})
        chat.answer(GIVEN, 3, choices=["Yes", "No"], citations=[{"title": "Parcel lockers"}])
        chat.tell("status", state="queued", position=2, detail="")
        chat.tell("control", state="queued", seq=4)
        chat.tell("survey", seq=5, role="system", **SURVEY)
        expect(chat.page.get_by_role("heading", name="A few questions")).to_be_visible()
        troubles["chat"] = chat.page.evaluate(AUDIT, theme)
        chat.page.locator("#end").click()
        troubles["sure"] = chat.page.evaluate(AUDIT, theme)
        chat.tell("closed", seq=6)
        expect(chat.page.locator("#ending")).to_be_visible()
        troubles["ended"] = chat.page.evaluate(AUDIT, theme)
        assert {state: found for state, found in troubles.items() if found} == {}
