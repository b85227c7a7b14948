"""Dialling by SIP: what comes of an INVITE, to a peer on loopback."""

import asyncio
import time

import pytest
from django.test import override_settings

from agents.subagents import GaveUp, TryAgain
from agents.subagents.sip import SipTransport
from agents.subagents.transports import Opened
from tests.telephone import Peer, SipCase
from tests.voices import tones


class DiallingTests(SipCase):
    def opened(self, peer, **settings):
        async def talk(line, _):
            return await line.open()

        return self.run_with(peer, talk, **settings)

    def test_who_answers_and_waits_is_a_person(self):
        assert self.opened(Peer([None])) == Opened.ANSWERED

    def test_busy_and_declined_are_busy_and_acknowledged(self):
        for status in (486, 603):
            peer = Peer(status=status)
            assert self.opened(peer) == Opened.BUSY
            assert "ACK" in peer.requests

    def test_nobody_answers_and_the_ringing_is_cancelled(self):
        peer = Peer(status=180)
        assert self.opened(peer, SIP_RING_SECONDS=1) == Opened.NO_ANSWER
        assert peer.requests[-2:] == ["CANCEL", "ACK"]

    def test_a_number_that_does_not_exist_is_given_up(self):
        with pytest.raises(GaveUp, match="nobody at this number"):
            self.opened(Peer(status=404))

    def test_a_call_that_is_sent_elsewhere_is_not_made_there(self):
        with pytest.raises(GaveUp, match="sent elsewhere"):
            self.opened(Peer(status=302))

    def test_a_trunk_out_of_order_is_tried_again(self):
        with pytest.raises(TryAgain, match="SIP 500"):
            self.opened(Peer(status=500))

    def test_a_silent_trunk_is_tried_again(self):
        with pytest.raises(TryAgain, match="out of order"):
            self.opened(Peer(drops=99), SIP_RING_SECONDS=1)

    def test_an_invite_that_was_lost_is_sent_again(self):
        peer = Peer([None], drops=1)
        started = time.monotonic()
        assert self.opened(peer) == Opened.ANSWERED
        assert time.monotonic() - started > 0.5

    def test_no_common_codec_is_given_up(self):
        peer = Peer([None], early=only_g729)
        with pytest.raises(GaveUp, match="SIP 488"):
            self.opened(peer)

    def test_a_law_is_spoken_where_the_peer_wants_it(self):
        peer = Peer([self.words.say("hello")], codecs=[8])

        async def talk(line, _):
            await line.open()
            await line.say("Good day to you.")
            return await line.hear(5)

        assert self.run_with(peer, talk).text == "hello"
        assert peer.agent_frames > 5

    def test_a_challenge_is_answered_for_the_trunk_only(self):
        peer = Peer([None], status=401)

        async def talk(line, peer):
            trunk = f"127.0.0.1:{peer.port}"
            with override_settings(SIP_TRUNK=trunk, SIP_USER="me", SIP_PASSWORD="secret"):
                return await line.open()

        assert self.run_with(peer, talk) == Opened.ANSWERED
        assert 'username="me"' in peer.credentials
        assert "secret" not in peer.credentials
        stranger = Peer([None], status=401)
        with pytest.raises(GaveUp, match="SIP 401"):
            self.opened(stranger, SIP_USER="me", SIP_PASSWORD="secret")
        assert not hasattr(stranger, "credentials")

    def test_a_number_goes_to_the_trunk(self):
        peer = Peer([None])

        async def talk(_, peer):
            settings = {"SIP_TRUNK": f"127.0.0.1:{peer.port}", "SIP_ALLOW": ["+44"]}
            with override_settings(**settings, SIP_FROM="+442000000000"):
                line = SipTransport("tel:+44 20 1234 5678", "en", self.register)
                opened = await line.open()
                await line.release()
                return opened

        assert self.run_with(peer, talk) == Opened.ANSWERED
        assert peer.call.invite.uri == f"sip:+442012345678@127.0.0.1:{peer.port}"
        assert "+442000000000" in peer.call.caller

    def test_a_machine_beeps_and_hears_the_message_out(self):
        peer = Peer([None], early=beep_soon)
        spoken = []

        async def talk(line, _):
            opened = await line.open()
            spoken.append(await line.say("Hello, we will call again. Goodbye."))
            return opened

        assert self.run_with(peer, talk) == Opened.VOICEMAIL
        assert spoken[0].said == "Hello, we will call again. Goodbye."

    def test_a_long_monologue_is_a_machine(self):
        peer = Peer([None], early=monologue_soon)
        assert self.opened(peer) == Opened.VOICEMAIL


async def only_g729(call):
    answer = call.sdp_offer
    answer.media[0].formats = ["18"]
    answer.media[0].attributes["rtpmap"] = ["18 G729/8000"]
    call.accept(answer)
    await asyncio.sleep(1)


async def _speak_once_answered(call, pcm):
    peer = call.peer
    await peer.answered.wait()
    await peer.speak(pcm)


async def beep_soon(call):
    call.peer.tasks.append(
        asyncio.create_task(_speak_once_answered(call, tones(1000, seconds=0.4)))
    )


async def monologue_soon(call):
    monologue = tones(500, 1200, seconds=2)
    call.peer.tasks.append(asyncio.create_task(_speak_once_answered(call, monologue)))
