"""Whole calls by speech, from goal card to score; and what becomes of them when cut short."""

import asyncio
from unittest.mock import patch

import pytest

from agents.subagents import outbound
from agents.subagents.cards import read_card
from tests.agents.test_call_flow import MemoryWork
from tests.telephone import Peer, SipCase

CARD = {
    "whom": {"name": "Bangkok Corner"},
    "why": "order GW1001 is late",
    "facts": [
        {"name": "ready_in", "question": "In how many minutes is it ready?", "kind": "duration"}
    ],
}


async def letting_go(line):
    """Say nothing any more, as a dead process."""
    line.wire.close()
    await line.wire.stop()


class WholeCallTests(SipCase):
    def work(self, peer, **fields):
        card = {**CARD, "whom": {"name": "Bangkok Corner", "address": f"sip:{peer.address}"}}
        return MemoryWork(card, **fields)

    def call(self, peer, then=None, **fields):
        async def talk(_, peer):
            work = self.work(peer, **fields)
            task = asyncio.create_task(outbound.call(work))
            if then:
                await then(task, peer)
            return work, await task

        return self.run_with(peer, talk)

    def test_a_goal_is_reached_by_speech(self):
        peer = Peer(
            [self.words.say("yes, speaking"), self.words.say("25 minutes"), self.words.say("yes")]
        )
        work, outcome = self.call(peer)
        assert outcome.result["outcome"] == "goal_reached"
        assert outcome.result["facts"]["ready_in"]["value"] == 1500
        assert outcome.result["commitment"]["words"] == "yes"
        assert outcome.result["score"] == 100
        spoken = [line.text for line in work.lines if line.speaker == "callee"]
        assert spoken == ["yes, speaking", "25 minutes", "yes"]
        assert ("speech", "Goodbye.") in self.asked

    def test_a_cancelled_job_hangs_up(self):
        peer = Peer([None])

        async def cancel(task, peer):
            await peer.answered.wait()
            await asyncio.sleep(0.3)
            task.cancel()
            await asyncio.wait([task])

        with pytest.raises(asyncio.CancelledError):
            self.call(peer, cancel)
        assert "BYE" in peer.requests

    def test_a_job_cancelled_while_it_rings_stops_the_ringing(self):
        peer = Peer(status=180)

        async def cancel(task, peer):
            await peer.ringing.wait()
            task.cancel()
            await asyncio.wait([task])

        with pytest.raises(asyncio.CancelledError):
            self.call(peer, cancel)
        assert "CANCEL" in peer.requests

    def test_after_a_dead_process_it_dials_again_and_says_so(self):
        peer = Peer([self.words.say("25 minutes"), self.words.say("yes")])

        async def talk(_, peer):
            work = self.work(peer, attempt=2, most_attempts=3)
            asking = {"move": {"kind": "ask", "about": "ready_in"}, "awaiting": True}
            work.memory = {"state": {**asking, "exchanges": 2, "asking": "ready_in"}}
            return work, await outbound.call(work)

        work, outcome = self.run_with(peer, talk)
        assert work.lines[0].text == "The line was cut off."
        assert "we were cut off" in work.lines[1].text
        assert outcome.result["facts"]["ready_in"]["value"] == 1500

    def test_who_wants_never_to_be_called_again_is_promised_so(self):
        peer = Peer([self.words.say("no, never call me again"), None])
        work, outcome = self.call(peer)
        uri = f"sip:{peer.address}"
        assert self.register.unwanted == [(uri, "no, never call me again")]
        assert outcome.result["outcome"] == "never_again"
        assert outcome.result["summary"] == "Bangkok Corner wants never to be called again."
        assert "will not be called again" in work.lines[-1].text
        assert work.memory["line"] == {}

    def test_the_call_of_a_dead_process_is_ended_before_it_is_dialled_again(self):
        peer = Peer([None])

        async def die(task, peer):
            await peer.answered.wait()
            await asyncio.sleep(0.6)
            task.cancel()  # as a death, but for its hanging up
            await asyncio.wait([task])

        async def talk(_, peer):
            work = self.work(peer, attempt=1, most_attempts=3)
            with patch("agents.telephone.signalling.Signalling.end", letting_go):
                await die(asyncio.create_task(outbound.call(work)), peer)
            assert "BYE" not in peer.requests
            line = self.line_to(work, read_card(work.arguments))
            try:
                await line.open()
            finally:
                await line.release()
            return peer.requests

        requests = self.run_with(peer, talk)
        assert requests.index("BYE") < len(requests) - 1 - requests[::-1].index("INVITE")

    def test_greeting_is_said_again_to_who_talked_over_it(self):
        peer = Peer(
            [self.words.say("25 minutes"), self.words.say("25 minutes"), self.words.say("yes")],
            interrupts=self.words.say("who is there", seconds=0.6),
        )
        self.words.pace = 0.01
        work, outcome = self.call(peer)
        said = [line.data["move"] for line in work.lines if line.data.get("move")]
        assert said[:2] == ["greet", "greet"]
        assert outcome.result["outcome"] == "goal_reached"
