"""The customer's socket: the protocol, what goes wrong, and that nothing is lost or doubled."""

import asyncio
import json
from unittest import mock

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.db import InterfaceError, OperationalError
from django.test import TransactionTestCase

from dialogues import answering, appending, services
from dialogues.chat import consumers, listening, windows
from dialogues.models import Control, EventKind, Role
from tests.engine import EngineMixin, says
from tests.factories import make_release, make_user
from wowconsole.asgi import application

DURABLE = set(EventKind.values)
PATIENCE_SECONDS = 30  # machines under load are slow, not wrong


class Socket(ApplicationCommunicator):
    """A WebSocket client without a network. (The one of channels.testing needs Daphne.)"""

    def __init__(self, path, query):
        scope = {"type": "websocket", "path": path, "query_string": query, "headers": []}
        super().__init__(application, scope)

    async def connect(self):
        """Return whether the handshake was accepted."""
        await self.send_input({"type": "websocket.connect"})
        return (await self.receive_output(PATIENCE_SECONDS))["type"] == "websocket.accept"

    async def send(self, **frame):
        await self.send_input({"type": "websocket.receive", **frame})

    async def receive(self):
        message = await self.receive_output(PATIENCE_SECONDS)
        assert message["type"] == "websocket.send", message
        return json.loads(message["text"])

    async def disconnect(self):
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(PATIENCE_SECONDS)


class Tab:
    """One open window: what it got, durable events apart from the rest."""

    def __init__(self, conversation, token):
        path = f"/ws/chat/{conversation.public_id}/"
        self.socket = Socket(path, f"token={token}".encode())
        self.got = []

    async def open(self):
        assert await self.socket.connect()
        return await self.next("ready")

    async def send(self, **frame):
        await self.socket.send(text=json.dumps(frame))

    async def next(self, kind):
        """Return the next event of this type, keeping all others."""
        while True:
            event = await self.socket.receive()
            self.got.append(event)
            if event["type"] == kind:
                return event

    async def until_reply(self):
        while (event := await self.next("message"))["role"] != Role.AGENT:
            continue
        return event

    async def drain(self):
        while not await self.socket.receive_nothing(timeout=0.05, interval=0.01):
            self.got.append(await self.socket.receive())

    @property
    def seqs(self):
        return [event["seq"] for event in self.got if event["type"] in DURABLE]

    async def close(self):
        await self.socket.disconnect()


class SocketTestCase(EngineMixin, TransactionTestCase):
    def setUp(self):
        super().setUp()
        make_release(live=True)
        self.conversation, self.token = services.start_conversation(scene=None)
        self.enterContext(mock.patch.object(listening, "LOOK_SECONDS", 0.05))
        self.tabs = []

    async def tab(self):
        tab = Tab(self.conversation, self.token)
        self.tabs.append(tab)
        self.ready = await tab.open()
        return tab

    async def finish(self):
        """Close what is open and wait for what still runs, as the loop ends with the test."""
        for tab in self.tabs:
            await tab.close()
        await asyncio.gather(*answering._background)

    async def until_joined(self, count):
        """Wait until this process hears of so many conversations; return its ear."""
        ear = listening._ear()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(ear.joined) < count:
                await asyncio.sleep(0.01)
        return ear

    async def kinds(self):
        return [event.kind async for event in self.conversation.events.order_by("seq")]


class HandshakeTests(SocketTestCase):
    async def refused(self, path, query):
        socket = Socket(path, query)
        assert not await socket.connect()
        await socket.disconnect()

    async def test_a_bad_token_is_refused(self):
        path = f"/ws/chat/{self.conversation.public_id}/"
        _, other = await sync_to_async(services.start_conversation)(scene=None)
        queries = ["", "token=", "token=wrong", f"token={other}", "token=%ff%00", "x=1"]
        for query in (*(text.encode() for text in queries), b"token=\xff\xfe"):
            await self.refused(path, query)
        unknown = path.replace(str(self.conversation.public_id)[:8], "00000000")
        await self.refused(unknown, f"token={self.token}".encode())

    async def test_addresses_that_lead_nowhere_are_refused(self):
        for path in ("/ws/chat/nope/", "/ws/", "/", f"/ws/chat/{self.conversation.public_id}"):
            await self.refused(path, f"token={self.token}".encode())

    async def test_ready_says_where_the_log_stands(self):
        await sync_to_async(services.say)(conversation=self.conversation, text="Hi", client_id="x")
        tab = await self.tab()
        assert self.ready == {"type": "ready", "last_seq": 1}
        await tab.drain()
        assert tab.seqs == []
        await self.finish()


class TalkTests(SocketTestCase):
    async def test_ack_then_message_then_answer(self):
        tab = await self.tab()
        await tab.send(type="message", client_id="c-1", text="Where is it?")
        assert await tab.next("ack") == {"type": "ack", "client_id": "c-1", "seq": 1}
        asked = await tab.next("message")
        assert (asked["role"], asked["client_id"], asked["seq"]) == ("customer", "c-1", 1)
        answer = await tab.until_reply()
        assert (answer["text"], answer["seq"]) == ("Hello from the engine.", 2)
        assert answer["release"].startswith("release-")
        said = "".join(event["text"] for event in tab.got if event["type"] == "delta")
        assert said == answer["text"]
        passed = [event["turn"] for event in tab.got if event["type"] in {"delta", "status"}]
        assert set(passed) == {answer["turn"]}
        await self.finish()

    async def test_a_repeated_message_gets_the_same_ack_and_one_answer(self):
        tab = await self.tab()
        for _ in range(3):
            await tab.send(type="message", client_id="c-1", text="Hi")
            assert (await tab.next("ack"))["seq"] == 1
        await tab.until_reply()
        await tab.drain()
        assert tab.seqs == [1, 2]
        assert len(self.engine.requests) == 1
        await self.finish()

    async def test_two_tabs_see_everything_once(self):
        first, second = await self.tab(), await self.tab()
        await first.send(type="message", client_id="a", text="Hi")
        await first.until_reply()
        await second.until_reply()
        await second.send(type="message", client_id="b", text="Again")
        await second.until_reply()
        await first.until_reply()
        await first.drain()
        await second.drain()
        assert first.seqs == second.seqs == [1, 2, 3, 4]
        await self.finish()

    async def test_resume_gives_the_rest_exactly_once(self):
        tab = await self.tab()
        await tab.send(type="message", client_id="a", text="Hi")
        await tab.until_reply()
        await tab.close()
        self.tabs.clear()
        await sync_to_async(services.rate)(conversation=self.conversation, score=4)
        for after, rest in ((0, [1, 2, 3]), (2, [3]), (3, []), (99, [])):
            tab = await self.tab()
            await tab.send(type="resume", after=after)
            await tab.drain()
            assert tab.seqs == rest
        await self.finish()

    async def test_who_comes_back_with_what_they_have_gets_the_rest_in_order(self):
        for number in range(3):
            await sync_to_async(services.say)(
                conversation=self.conversation, text="Hi", client_id=f"c{number}"
            )
        for after, missed in [("1", [2, 3]), ("0", [1, 2, 3]), ("3", []), ("9", []), ("x", [])]:
            tab = Tab(self.conversation, f"{self.token}&after={after}")
            await tab.open()
            await tab.drain()
            assert tab.seqs == missed
            await tab.close()

    async def test_several_quick_messages_get_one_answer(self):
        self.engine.script = [says("Never read.", hold_after=2)]
        tab = await self.tab()
        await tab.send(type="message", client_id="0", text="Hi")
        await tab.next("ack")
        await asyncio.to_thread(self.engine.holding.wait, 5)
        for number in (1, 2, 3):
            await tab.send(type="message", client_id=str(number), text="And?")
            await tab.next("ack")
        assert (await tab.until_reply())["text"] == "Hello from the engine."
        await self.finish()
        assert tab.seqs == [1, 2, 3, 4, 5]

    async def test_rating_feedback_person_and_end(self):
        tab = await self.tab()
        await tab.send(type="message", client_id="a", text="Hi")
        answer = await tab.until_reply()
        await tab.send(type="typing")
        await tab.send(type="rate", score=5, comment="Good\0\ud800")
        assert (await tab.next("rating"))["comment"] == "Good"
        await tab.send(type="feedback", message=answer["id"], value="dislike", reason="\0no")
        assert (await tab.next("feedback"))["reason"] == "no"
        await tab.send(type="human")
        passed = await tab.next("control")
        assert (passed["state"], passed["by_customer"]) == (Control.QUEUED, True)
        await tab.send(type="close")
        await tab.next("closed")
        await tab.send(type="message", client_id="b", text="One more thing")
        error = await tab.next("error")
        assert (error["code"], error["client_id"]) == ("conversation_closed", "b")
        await self.finish()

    async def test_after_a_takeover_not_even_a_draft_is_shown(self):
        self.engine.will(says("A reply that comes too late.", hold_after=9))
        tab = await self.tab()
        await tab.send(type="message", client_id="a", text="Hi")
        await asyncio.to_thread(self.engine.holding.wait, 5)
        staff = await sync_to_async(make_user)(is_superuser=True)
        await sync_to_async(services.reply_as_staff)(
            conversation=self.conversation, by=staff, text="I'm here."
        )
        assert (await tab.next("control"))["state"] == Control.HUMAN
        self.engine.go_on.set()
        await asyncio.gather(*answering._background)
        before = len(tab.got)
        await tab.drain()
        assert [event["type"] for event in tab.got[before:]] == ["message"]
        assert tab.got[-1]["text"] == "I'm here."
        await self.finish()


class WrongFrameTests(SocketTestCase):
    async def test_every_wrong_frame_gets_an_error_and_the_socket_stays_open(self):
        tab = await self.tab()
        wrong = [
            "",
            "hello",
            "[]",
            "null",
            '"message"',
            "{",
            "[" * 8000,
            '{"type": "dance"}',
            "{}",
            '{"type": ["message"]}',
            '{"type": "message", "text": "Hi"}',
            '{"type": "message", "text": "Hi", "client_id": 5}',
            '{"type": "message", "text": "Hi", "client_id": "\\u0000"}',
            json.dumps({"type": "message", "text": "Hi", "client_id": "x" * 65}),
            '{"type": "message", "text": ["Hi"], "client_id": "a"}',
            '{"type": "message", "text": "  ", "client_id": "a"}',
            json.dumps({"type": "message", "text": "x" * 2001, "client_id": "a"}),
            '{"type": "resume"}',
            '{"type": "resume", "after": -1}',
            '{"type": "resume", "after": true}',
            '{"type": "resume", "after": "1"}',
            '{"type": "rate", "score": 6}',
            '{"type": "rate", "score": "5"}',
            '{"type": "rate", "score": 5, "comment": {}}',
            '{"type": "feedback", "message": "x", "value": "like"}',
            '{"type": "feedback", "value": "\\ud800"}',
            json.dumps({"type": "typing", "text": "x" * 16_384}),
        ]
        for frame in wrong:
            await tab.socket.send(text=frame)
            error = await tab.next("error")
            assert error["code"] in {"bad_frame", "invalid", "no_such_message"}, frame
            assert error["detail"]
        await tab.socket.send(bytes=b"\x00\xff")
        assert (await tab.next("error"))["code"] == "bad_frame"
        await tab.send(type="message", client_id="a", text="Still there?")
        assert (await tab.next("ack"))["seq"] == 1
        await self.finish()

    async def test_an_error_names_the_message_it_is_about(self):
        tab = await self.tab()
        await tab.send(type="message", client_id="c-9", text="")
        assert (await tab.next("error"))["client_id"] == "c-9"
        await self.finish()

    async def test_too_many_messages(self):
        tab = await self.tab()
        with mock.patch.object(appending, "MESSAGES_A_MINUTE", 1):
            await tab.send(type="message", client_id="a", text="Hi")
            await tab.send(type="message", client_id="b", text="Hi")
            error = await tab.next("error")
        assert (error["code"], error["client_id"]) == ("rate_limited", "b")
        await self.finish()


class FaultTests(SocketTestCase):
    """The database drops its connections, or something of ours breaks."""

    async def test_a_frame_that_could_not_be_stored_is_told_and_the_socket_stays(self):
        tab = await self.tab()
        for fault in (OperationalError("it has gone"), InterfaceError("it is closed")):
            with (
                mock.patch.object(services, "say", side_effect=fault),
                self.assertLogs("dialogues.chat.frames", "ERROR"),
            ):
                await tab.send(type="message", client_id="c-1", text="Hi")
                error = await tab.next("error")
            assert (error["code"], error["client_id"]) == ("unavailable", "c-1")
        await tab.send(type="message", client_id="c-1", text="Hi")
        assert (await tab.next("ack"))["seq"] == 1
        await tab.until_reply()
        await self.finish()

    async def test_what_could_not_be_read_is_shown_later(self):
        faults = [InterfaceError("it is closed")] * 3
        newer = windows.Window.newer

        async def flaky(*args, **kwargs):
            if faults:
                raise faults.pop()
            async for event in newer(*args, **kwargs):
                yield event

        with (
            mock.patch.object(windows.Window, "newer", flaky),
            mock.patch.object(consumers, "LOOK_SECONDS", 0.01),
        ):
            tab = await self.tab()
            await tab.send(type="rate", score=5)
            assert (await tab.next("rating"))["seq"] == 1
            await self.finish()
        assert not faults

    async def test_a_fault_of_ours_leaves_nothing_behind(self):
        tab = await self.tab()
        with mock.patch.object(services, "rate", side_effect=ZeroDivisionError):
            await tab.send(type="rate", score=5)
            await self.breaks(tab.socket)
        assert not listening._ears
        assert not [task for task in asyncio.all_tasks() if "_tell" in repr(task)]

    async def test_nor_does_one_while_a_window_opens(self):
        tab = Tab(self.conversation, self.token)
        with mock.patch.object(windows.Window, "standing", side_effect=ZeroDivisionError):
            await tab.open()
            await self.breaks(tab.socket)
        assert not listening._ears

    async def breaks(self, socket):
        with pytest.raises(ZeroDivisionError):
            await socket.wait(PATIENCE_SECONDS)
