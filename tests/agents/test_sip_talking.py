"""Talking on a line of SIP and RTP, with a peer on loopback."""

import asyncio
import time

import pytest
from django.test import override_settings

from agents.subagents import TryAgain
from agents.subagents.sip import SipTransport
from agents.subagents.transports import Ear
from tests.telephone import Peer, SipCase
from tests.voices import tones


class TalkingTests(SipCase):
    def test_words_are_heard_in_order_and_then_the_hanging_up(self):
        peer = Peer([self.words.say("ten minutes"), self.words.say("yes")])

        async def talk(line, _):
            await line.open()
            await line.say("How long will it take?")
            first = await line.hear(5)
            await line.say("Is that right?")
            second = await line.hear(5)
            await line.say("Thank you.")
            return first, second, await line.hear(5)

        first, second, last = self.run_with(peer, talk)
        assert (first.ear, first.text) == (Ear.SPEECH, "ten minutes")
        assert second.text == "yes"
        assert last.ear == Ear.HUNG_UP
        assert "BYE" not in peer.requests

    def test_several_lines_live_in_one_process(self):
        async def ask(text):
            async with Peer([self.words.say(text)]) as peer:
                line = SipTransport(f"sip:{peer.address}", "en", self.register)
                try:
                    await line.open()
                    await line.say("How long will it take?")
                    return (await line.hear(8)).text
                finally:
                    await line.release()

        async def run():
            return await asyncio.gather(ask("ten minutes"), ask("an hour"), ask("a day"))

        with override_settings(SIP_ALLOW=[f"@127.0.0.1:{port}" for port in range(20000, 31001)]):
            assert asyncio.run(run()) == ["ten minutes", "an hour", "a day"]

    def test_silence_is_told_when_it_has_lasted(self):
        async def talk(line, _):
            await line.open()
            started = time.monotonic()
            heard = await line.hear(1)
            return heard, time.monotonic() - started

        heard, seconds = self.run_with(Peer([None]), talk)
        assert heard.ear == Ear.SILENCE
        assert 0.9 < seconds < 2

    def test_who_interrupts_is_listened_to(self):
        peer = Peer([None], interrupts=self.words.say("wait a moment", seconds=0.8))
        self.words.pace = 0.03
        text = "We call about your order of this morning, which has not come yet, and we ask why."

        async def talk(line, _):
            await line.open()
            spoken = await line.say(text)
            return spoken, await line.hear(5)

        spoken, heard = self.run_with(peer, talk)
        assert spoken.interrupted
        assert text.startswith(spoken.said)
        assert 0 < len(spoken.said) < len(text)
        assert heard.text == "wait a moment"

    def test_a_short_sound_interrupts_nobody(self):
        peer = Peer([None], interrupts=self.words.say("mhm", seconds=0.12))

        async def talk(line, _):
            await line.open()
            spoken = await line.say("We call about your order of this morning, which is late.")
            return spoken, await line.hear(1)

        spoken, heard = self.run_with(peer, talk)
        assert not spoken.interrupted
        assert heard.ear == Ear.SILENCE

    def test_noise_without_words_is_no_answer(self):
        self.words.texts = [""]
        peer = Peer([tones(*self.words.pair(0))])

        async def talk(line, peer):
            await line.open()
            peer.script.append(None)
            await line.say("Hello, who is there?")
            return await line.hear(2)

        assert self.run_with(peer, talk).ear == Ear.SILENCE

    def test_a_hold_is_answered_and_the_call_goes_on(self):
        peer = Peer([self.words.say("back again")])

        async def talk(line, peer):
            await line.open()
            reinvite = peer.call.dialog.create_request(
                "INVITE", via_host="127.0.0.1", via_port=peer.port
            )
            reinvite.headers.set_single("Contact", f"<sip:{peer.address}>")
            peer.transport.send(reinvite, line.signalling.address)
            await asyncio.sleep(0.3)
            await line.say("Are you still there?")
            return await line.hear(5)

        assert self.run_with(peer, talk).text == "back again"
        assert "answer" in peer.requests  # the 200 to the re-INVITE

    def test_a_speech_engine_that_fails_ends_the_attempt(self):
        async def talk(line, _):
            await line.open()
            with override_settings(SPEECH_URL="http://127.0.0.1:9/v1"):
                await line.say("Hello?")

        with pytest.raises(TryAgain, match="Nothing could be said"):
            self.run_with(Peer([None]), talk)

    def test_strangers_who_knock_at_our_port_are_not_heard(self):
        async def talk(line, peer):
            await line.open()
            bye = peer.call.dialog.create_request("BYE", via_host="127.0.0.1", via_port=peer.port)
            bye.headers.set_single("Call-ID", "somebody-else")
            peer.transport.send(bye, line.signalling.address)
            forged = peer.call.dialog.create_request("BYE", via_host="127.0.0.1", via_port=9)
            forged.headers.set_single("From", "<sip:x@127.0.0.1>;tag=forged")
            peer.transport.send(forged, line.signalling.address)
            await asyncio.sleep(0.3)
            return line.talk.over.is_set()

        assert self.run_with(Peer([None]), talk) is False
