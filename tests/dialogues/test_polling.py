"""The long poll: what the socket does over plain requests, and what it refuses."""

import asyncio
import json
import threading
import time
from unittest import mock

from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.db import OperationalError

from dialogues import answering, services
from dialogues.chat import frames, listening, polling
from dialogues.models import Role
from tests.dialogues.test_consumers import PATIENCE_SECONDS, SocketTestCase
from tests.factories import say
from wowconsole.asgi import application


class PollTestCase(SocketTestCase):
    def setUp(self):
        super().setUp()
        frames._allowances_of.cache_clear()

    def asked(self, method, path, query="", token=None, scheme="Bearer"):
        """Begin a request and return what talks to it."""
        token = self.token if token is None else token
        scope = {
            "type": "http",
            "method": method,
            "path": f"/api/chat/sessions/{self.conversation.public_id}/{path}/",
            "query_string": query.encode(),
            "headers": [(b"authorization", f"{scheme} {token}".encode())],
        }
        return ApplicationCommunicator(application, scope)

    async def request(self, *args, body=b"", **kwargs):
        """Return status and JSON."""
        request = self.asked(*args, **kwargs)
        await request.send_input({"type": "http.request", "body": body})
        return await self.answer(request)

    async def answer(self, request):
        start = await request.receive_output(PATIENCE_SECONDS)
        body = await request.receive_output(PATIENCE_SECONDS)
        await request.wait(PATIENCE_SECONDS)
        content = json.loads(body["body"])
        kind = b"application/problem+json" if "title" in content else b"application/json"
        assert dict(start["headers"])[b"content-type"] == kind
        return start["status"], content

    async def events(self, after=0, wait=0):
        status, answer = await self.request("GET", "events", f"after={after}&wait={wait}")
        assert status == 200
        return answer

    async def post(self, **frame):
        return await self.request("POST", "frames", body=json.dumps(frame).encode())


class TalkTests(PollTestCase):
    async def test_a_whole_talk_without_a_socket(self):
        status, ack = await self.post(type="message", client_id="c-1", text="Where is it?")
        assert (status, ack) == (200, {"type": "ack", "client_id": "c-1", "seq": 1})
        again = await self.post(type="message", client_id="c-1", text="Where is it?")
        assert again == (200, ack)
        heard, after = [], 0
        while not any(event.get("role") == "agent" for event in heard):
            answer = await self.events(after, wait=5)
            after, heard = answer["after"], heard + answer["events"]
        await asyncio.gather(*answering._background)
        said = [event for event in heard if event["type"] == "message"]
        assert [event["seq"] for event in said] == [1, 2]
        assert said[1]["text"] == "Hello from the engine."
        assert not [event for event in heard if event["type"] == "delta"]
        assert (await self.events(0))["events"] == said
        await self.post(type="rate", score=5)
        assert (await self.events(2))["events"][0]["score"] == 5

    async def test_polls_do_not_wait_for_each_others_statements(self):
        both, say = threading.Barrier(2), services.say

        def together(**fields):
            both.wait(PATIENCE_SECONDS)  # one thread alone would break it
            return say(**fields)

        with mock.patch.object(services, "say", together):
            posts = (self.post(type="message", client_id=name, text="Hi") for name in "ab")
            answers = await asyncio.gather(*posts)
        assert {(status, ack["type"]) for status, ack in answers} == {(200, "ack")}
        await asyncio.gather(*answering._background)

    async def test_it_waits_and_hears_at_once(self):
        with mock.patch.object(listening, "LOOK_SECONDS", 60):
            waiting = asyncio.create_task(self.events(0, wait=20))
            await self.until_joined(1)
            assert not waiting.done()
            say = sync_to_async(services.say)
            await say(conversation=self.conversation, text="Hi", client_id="a")
            began = time.monotonic()
            assert [event["seq"] for event in (await waiting)["events"]] == [1]
            assert time.monotonic() - began < 10
        assert not listening._ears

    async def test_who_waits_for_a_person_hears_where_they_stand(self):
        await self.post(type="human")
        opened = (await self.events(0))["events"]
        assert [event["type"] for event in opened] == ["control", "status"]
        assert (opened[1]["state"], opened[1]["position"]) == ("queued", 1)
        again = (await self.events(1))["events"]
        assert again == opened[1:]
        assert await self.events(1, wait=1) == {"events": [], "after": 1}
        await self.post(type="agent")
        assert [event["type"] for event in (await self.events(1))["events"]] == ["control"]

    async def test_nothing_happens(self):
        assert await self.events(3, wait=1) == {"events": [], "after": 3}

    async def test_a_client_that_hangs_up_leaves_nothing_behind(self):
        request = self.asked("GET", "events", "after=0&wait=25")
        await request.send_input({"type": "http.request"})
        await self.until_joined(1)
        await request.send_input({"type": "http.disconnect"})
        await request.wait(PATIENCE_SECONDS)
        assert not listening._ears

    async def test_a_long_log_comes_in_pages(self):
        with mock.patch.object(polling, "EVENTS_AT_ONCE", 2):
            rate = sync_to_async(services.rate)
            for score in (1, 2, 3):
                await rate(conversation=self.conversation, score=score)
            first = await self.events(0)
            assert ([event["seq"] for event in first["events"]], first["after"]) == ([1, 2], 2)
            assert [event["seq"] for event in (await self.events(2))["events"]] == [3]


class DoorTests(PollTestCase):
    async def test_only_the_sessions_token_opens(self):
        _, other = await sync_to_async(services.start_conversation)(scene=None)
        for token in ("", "wrong", other, "ü"):
            for door in (("GET", "events"), ("POST", "frames")):
                status, answer = await self.request(*door, token=token)
                assert (status, answer["code"]) == (404, "no_such_session")
        assert (await self.request("GET", "events", scheme="Basic"))[0] == 404

    async def test_wrong_methods_and_numbers(self):
        assert (await self.request("POST", "events"))[0] == 405
        assert (await self.request("GET", "frames"))[0] == 405
        for query in ("after=x", "after=-1", "wait=1.5", "after=9999999999", "after=١"):
            status, answer = await self.request("GET", "events", query)
            assert (status, answer["code"]) == (422, "invalid"), query

    async def test_wrong_frames_are_told_as_on_the_socket(self):
        for body in (b"", b"[]", b"\xff\xfe", b'{"type": "dance"}'):
            status, answer = await self.request("POST", "frames", body=body)
            assert (status, answer["type"], answer["code"]) == (422, "error", "bad_frame")
        status, answer = await self.request(
            "POST", "frames", body=b"x" * (polling.LARGEST_BODY + 1)
        )
        assert (status, answer["code"]) == (413, "too_large")
        status, answer = await self.post(type="cancel")
        assert (status, answer["code"]) == (409, "nothing_to_stop")


class CutOffTests(PollTestCase):
    """The database restarts, and refuses the connection by which a request would read."""

    def failing(self, name, times):
        faults = [OperationalError("it restarts")] * times
        real = getattr(polling, name)

        async def fails_first(*args):
            if faults:
                raise faults.pop()
            return await real(*args)

        self.enterContext(mock.patch.object(polling, name, fails_first))

    async def test_a_poll_and_a_frame_go_on_with_a_new_one(self):
        self.failing("opened", 1)
        assert (await self.events())["events"] == []
        self.failing("opened", 1)
        status, _ = await self.post(type="message", client_id="a", text="Hi")
        assert status == 200
        await self.finish()

    async def test_one_that_is_cut_off_while_it_waits_goes_on_from_where_it_was(self):
        async def fails(*args):
            await sync_to_async(say)(self.conversation, "Hello.", Role.STAFF)
            raise OperationalError("it restarts")

        with mock.patch.object(polling, "_awaited", fails):
            answer = await self.events(wait=9)
        assert [event["text"] for event in answer["events"]] == ["Hello."]

    async def test_while_it_is_away_the_client_is_told_to_try_again(self):
        for name in ("opened", "_awaited"):
            self.failing(name, 2)
            with self.assertLogs(polling.logger, "WARNING"):
                status, problem = await self.request("GET", "events", "after=0&wait=1")
            assert (status, problem["code"]) == (503, "unavailable")
