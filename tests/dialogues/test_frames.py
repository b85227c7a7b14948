"""What windows may send besides talk: stopping, typing, saying who one is; floods; policy."""

import asyncio
import json
from unittest import mock

from asgiref.sync import sync_to_async

from dialogues import answering
from dialogues.chat import frames, stopping, writing
from dialogues.models import CitationPolicy, Conversation, Role, Site, TurnStatus
from tests.dialogues.test_consumers import SocketTestCase
from tests.dialogues.test_identifying import make_key, make_site, signed
from tests.engine import says
from tests.factories import make_turn
from tests.factories import say as said


class FrameTestCase(SocketTestCase):
    def setUp(self):
        super().setUp()
        frames._allowances_of.cache_clear()


class StopTests(FrameTestCase):
    async def test_an_answer_is_stopped_and_the_next_message_answered(self):
        self.engine.script = [says("Never read to its end.", hold_after=3)]
        first, second = await self.tab(), await self.tab()
        await first.send(type="message", client_id="a", text="Hi")
        await asyncio.to_thread(self.engine.holding.wait, 5)
        await first.send(type="cancel")
        for tab in (first, second):
            while (status := await tab.next("status"))["state"] != "stopped":
                continue
        turn = await self.conversation.turns.aget()
        assert (turn.status, turn.error) == (TurnStatus.DROPPED, stopping.STOPPED)
        assert status["turn"] == str(turn.public_id)
        self.engine.go_on.set()
        await asyncio.gather(*answering._background)
        assert await self.kinds() == ["message"]
        await first.send(type="message", client_id="b", text="Something else")
        assert (await first.until_reply())["text"] == "Hello from the engine."
        await self.finish()
        assert first.seqs == [1, 2, 3]

    async def test_who_writes_it_stops_at_once(self):
        self.engine.script = [says("Never read to its end.", hold_after=3)]
        tab = await self.tab()
        with mock.patch.object(answering, "LOOK_SECONDS", 60):
            await tab.send(type="message", client_id="a", text="Hi")
            await asyncio.to_thread(self.engine.holding.wait, 5)
            await tab.send(type="cancel")
            async with asyncio.timeout(5):  # the engine waits for longer
                await asyncio.gather(*answering._background)
        assert not answering._works
        await self.finish()

    async def test_what_was_done_is_told(self):
        turn = await sync_to_async(make_turn)(
            self.conversation, status=TurnStatus.RUNNING, finished_at=None, acts=True
        )
        tab = await self.tab()
        await tab.send(type="cancel")
        assert (await tab.next("error"))["code"] == "too_late_to_stop"
        await turn.arefresh_from_db()
        assert turn.status == TurnStatus.RUNNING
        await self.finish()

    async def test_there_is_nothing_to_stop(self):
        tab = await self.tab()
        await tab.send(type="cancel")
        assert (await tab.next("error"))["code"] == "nothing_to_stop"
        await self.finish()


class TypingTests(FrameTestCase):
    async def test_each_side_sees_the_other_and_nobody_stores_it(self):
        tab = await self.tab()
        await tab.send(type="typing")
        await tab.send(type="cancel")
        await tab.next("error")  # by now the first frame was taken
        is_writing = sync_to_async(writing.is_writing)
        assert await is_writing(self.conversation.public_id, Role.CUSTOMER)
        assert not await is_writing(self.conversation.public_id, Role.STAFF)
        await writing.note(self.conversation.public_id, Role.STAFF)
        assert await tab.next("typing") == {"type": "typing", "role": "staff"}
        assert not [event for event in tab.got if event.get("role") == "customer"]
        assert await self.kinds() == []
        await self.finish()


class PingTests(FrameTestCase):
    async def test_somebody_is_there_and_nothing_is_stored(self):
        tab = await self.tab()
        await tab.send(type="ping")
        assert await tab.next("pong") == {"type": "pong"}
        assert await self.kinds() == []
        await self.finish()


class IdentityTests(FrameTestCase):
    async def test_a_customer_signs_in_half_way(self):
        key = await sync_to_async(lambda: make_key(make_site()))()
        tab = await self.tab()
        await tab.send(type="identify", identity=signed(key, secret="x" * 43))
        assert (await tab.next("error"))["code"] == "identity_invalid"
        await tab.send(type="identify", identity=signed(key))
        assert await tab.next("identified") == {"type": "identified", "customer": "C-7"}
        await tab.send(type="identify", identity=signed(key, "C-8"))
        assert (await tab.next("error"))["code"] == "other_customer"
        stored = await Conversation.objects.aget()
        assert stored.customer_ref == "C-7"
        await self.finish()


class FloodTests(FrameTestCase):
    async def flood(self, tab, count, **frame):
        """Send a frame many times and return the codes of the errors."""
        for _ in range(count):
            await tab.send(**frame)
        await tab.send(type="nonsense")
        codes = []
        while (error := await tab.next("error"))["code"] != "bad_frame":
            codes.append(error["code"])
        return codes

    async def test_floods_are_refused_and_other_frames_go_on(self):
        tab = await self.tab()
        for frame in ({"type": "typing"}, {"type": "resume", "after": 0}, {"type": "human"}):
            most, _ = frames.ALLOWANCES[frame["type"]]
            codes = await self.flood(tab, most + 5, **frame)
            assert 3 <= codes.count("rate_limited") <= 5, frame
        await tab.send(type="message", client_id="a", text="Still there?")
        assert (await tab.next("ack"))["seq"]
        await self.finish()

    async def test_rubbish_counts_too_and_a_second_window_has_no_allowance_of_its_own(self):
        most, _ = frames.OTHER
        tab, other = await self.tab(), await self.tab()
        for _ in range(most):
            await tab.socket.send(text="{")
            assert (await tab.next("error"))["code"] == "bad_frame"
        await other.socket.send(bytes=b"\0")
        assert (await other.next("error"))["code"] == "rate_limited"
        await self.finish()

    def test_an_allowance_fills_up_again(self):
        allowances = frames.Allowances()
        with mock.patch.object(frames.time, "monotonic", return_value=0.0) as clock:
            for _ in range(5):
                allowances.spend("human")
            with self.assertRaises(frames.TooMany):
                allowances.spend("human")
            clock.return_value = 6.0
            allowances.spend("human")


class AttachmentTests(FrameTestCase):
    async def test_ids_are_ids(self):
        tab = await self.tab()
        for wrong in ("x", ["x"], [5], 7, {"a": 1}):
            frame = {"type": "message", "client_id": "a", "text": "Hi", "attachments": wrong}
            await tab.socket.send(text=json.dumps(frame))
            assert (await tab.next("error"))["code"] == "bad_frame", wrong
        await self.finish()


class CitationTests(FrameTestCase):
    async def test_customers_see_citations_where_the_site_says_so(self):
        citation = {"unit": 5, "title": "Refunds"}
        site = await sync_to_async(make_site)()
        await Conversation.objects.aupdate(site=site)
        await sync_to_async(said)(
            self.conversation, "So it is.", Role.AGENT, data={"citations": [citation]}
        )
        for policy, shown in (
            (CitationPolicy.SHOWN, [citation]),
            (CitationPolicy.HIDDEN, []),
        ):
            await Site.objects.aupdate(citations=policy)
            tab = await self.tab()
            await tab.send(type="resume", after=0)
            assert (await tab.next("message"))["citations"] == shown
        await self.finish()
