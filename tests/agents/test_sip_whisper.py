"""A call as it is made on one machine without any engine: eSpeak NG speaks, Whisper hears."""

import asyncio

import pytest
from django.test import SimpleTestCase, override_settings

from agents import hearing, speaking
from agents.subagents import outbound
from agents.subagents.callees import SimulatedCallee, Temper, make_sheet
from agents.subagents.cards import read_card
from tests.agents.test_call_flow import CARD, MemoryWork
from tests.telephone import RegisterMixin

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (hearing.is_embedded() and speaking.is_embedded()),
        reason="The extra speech is not installed",
    ),
]


@override_settings(
    SPEECH_URL="",
    SPEECH_VOICE="",
    SIP_BIND="127.0.0.1",
    SIP_TRUNK="",
    QUIET_FROM_HOUR=0,
    QUIET_UNTIL_HOUR=0,
)
class EmbeddedSpeechTests(RegisterMixin, SimpleTestCase):
    def call(self, temper):
        from agents.subagents.phones import Phone

        card = read_card(CARD)

        async def run():
            phone = Phone(lambda _: SimulatedCallee(temper, 0, make_sheet(card.facts, 0)))
            await phone.start()
            address = f"sip:shop@127.0.0.1:{phone.port}"
            work = MemoryWork({**CARD, "whom": {"name": "Bangkok Corner", "address": address}})
            try:
                with override_settings(SIP_ALLOW=[f"@127.0.0.1:{phone.port}"]):
                    return await outbound.call(work), work, phone.calls
            finally:
                await phone.stop()

        return asyncio.run(run())

    def test_a_cooperative_callee_is_understood(self):
        outcome, work, [taken] = self.call(Temper.COOPERATIVE)
        assert outcome.result["outcome"] == "goal_reached"
        assert outcome.result["score"] >= 80
        assert taken.said[0] in ("Yes, speaking.", "25 minutes.")
        assert all(
            0 < line.data["confidence"] <= 1 for line in work.lines if line.speaker == "callee"
        )
