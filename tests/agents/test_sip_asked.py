"""What the other side may ask within a call, and what lets it know that we are still there."""

import asyncio
from unittest.mock import patch

import numpy as np
from django.test import SimpleTestCase

from agents.telephone import signalling
from agents.telephone.endpointing import FRAME_BYTES
from agents.telephone.media import Stream
from agents.telephone.signalling import OK
from agents.telephone.sound import Sound, hold_ports, release
from tests.sippeer import run, sdp

OPEN = {"Session_Expires": "90;refresher=uas"}


class AskedTests(SimpleTestCase):
    def talk(self, script):
        async def whole(peer, line):
            line.moves = []
            line.moved = line.moves.append
            await script(peer, line, await peer.answers())

        assert run(whole).status == OK

    def test_signs_of_life_are_answered_with_one_tag(self):
        async def script(peer, _, ack):
            for number, method in enumerate(("OPTIONS", "INFO", "UPDATE"), start=1):
                peer.ask(method, ack)
                reply = await peer.gets("SIP/2.0 200", number)
                assert reply["To"].count("tag=") == 1
                assert "UPDATE" in reply["Allow"]

        self.talk(script)

    def test_nobody_else_is_called_because_they_say_so(self):
        async def script(peer, _, ack):
            peer.ask("REFER", ack, Refer_To="<sip:+19005550100@127.0.0.1>")
            assert "INFO" in (await peer.gets("SIP/2.0 405"))["Allow"]

        self.talk(script)

    def test_a_hold_and_its_end(self):
        async def script(peer, line, ack):
            peer.ask("INVITE", ack, sdp(a="a=sendonly\r\n"))
            first = await peer.gets("SIP/2.0 200")
            peer.ask("INVITE", ack, sdp(port=4004))
            second = await peer.gets("SIP/2.0 200", 2)
            assert ("a=recvonly" in first.body, "a=sendrecv" in second.body) == (True, True)
            assert [line.split()[:3] for line in second.body.split("\r\n") if line[:2] == "o="] == [
                ["o=-", "1", "3"]
            ]
            assert [(to.is_held, to.remote[1]) for to in line.moves] == [
                (True, 4000),
                (False, 4004),
            ]

        self.talk(script)

    def test_nobody_is_on_hold_for_ever(self):
        async def script(peer, line, ack):
            with patch.object(signalling, "HOLD_SECONDS", 0.1):
                peer.ask("INVITE", ack, sdp(a="a=inactive\r\n"))
                await asyncio.wait_for(line.over.wait(), 2)
            ending = asyncio.create_task(line.end())
            peer.say(200, await peer.gets("BYE"))
            await ending

        self.talk(script)

    def test_an_update_may_move_the_sound_too(self):
        async def script(peer, line, ack):
            peer.ask("UPDATE", ack, sdp(port=4006))
            assert "m=audio" in (await peer.gets("SIP/2.0 200")).body
            assert line.moves[0].remote[1] == 4006

        self.talk(script)

    def test_asked_for_an_offer_we_make_it_and_take_the_answer(self):
        async def script(peer, line, ack):
            peer.ask("INVITE", ack)
            assert "RTP/AVP 0 8" in (await peer.gets("SIP/2.0 200")).body
            peer.ask("ACK", ack, sdp(port=4008), number=1)
            peer.ask("OPTIONS", ack)
            await peer.gets("SIP/2.0 200", 2)
            assert line.moves[0].remote[1] == 4008

        self.talk(script)

    def test_offers_that_we_can_not_take_leave_the_call_as_it_was(self):
        async def script(peer, line, ack):
            offers = (sdp(formats="8"), sdp(port="x"), sdp(c="IN IP6 ::1"))
            for number, body in enumerate(offers, start=1):
                peer.ask("INVITE", ack, body)
                await peer.gets("SIP/2.0 488", number)
            assert not line.moves
            assert not line.over.is_set()

        self.talk(script)

    def test_what_comes_again_gets_the_same_answer(self):
        async def script(peer, line, ack):
            for method in ("INVITE", "BYE"):
                peer.ask(method, ack, sdp(), branch="same")
                peer.ask(method, ack, sdp(), branch="same", number=peer.number)
            await peer.gets("SIP/2.0 200", 4)
            assert not peer.count("SIP/2.0 4") + peer.count("SIP/2.0 5")
            assert line.over.is_set()

        self.talk(script)

    def test_strangers_to_the_call_are_told_so(self):
        async def script(peer, line, ack):
            forged = type(ack)(ack.replace("tag=", "tag=x"))
            peer.ask("BYE", forged)
            await peer.gets("SIP/2.0 481")
            assert not line.over.is_set()

        self.talk(script)


class SignsOfLifeTests(SimpleTestCase):
    """Should our process die, the other side finds out (RFC 4028)."""

    def test_we_offer_the_shortest_interval_that_may_be(self):
        async def script(peer, _):
            invite = await peer.gets("INVITE")
            assert invite["Session-Expires"] == "90"
            assert "timer" in invite["Supported"]
            peer.say(200, invite, sdp())

        assert run(script).status == OK

    def test_who_wants_a_longer_one_gets_it_with_our_password(self):
        async def script(peer, _):
            asks = 'Digest realm="r", nonce="n"'
            peer.say(401, await peer.gets("INVITE"), WWW_Authenticate=asks)
            peer.say(422, await peer.gets("INVITE", 2), Min_SE="180")
            longer = await peer.gets("INVITE", 3)
            assert longer["Session-Expires"] == "180"
            peer.say(401, longer, WWW_Authenticate=asks)
            peer.say(200, await peer.gets("INVITE", 4), sdp())

        assert run(script, password="secret").status == OK

    def test_a_call_that_they_have_forgotten_is_over(self):
        async def script(peer, line):
            await peer.answers(Session_Expires="1;refresher=uac")
            peer.say(481, await peer.gets("UPDATE"))
            await asyncio.wait_for(line.over.wait(), 2)

        assert run(script).status == OK

    def test_a_call_that_they_do_not_refresh_is_over(self):
        async def script(peer, line):
            await peer.answers(Session_Expires="1;refresher=uas")
            await asyncio.wait_for(line.over.wait(), 2)
            await peer.gets("BYE")

        assert run(script).status == OK

    def test_their_signs_of_life_are_answered_in_kind(self):
        async def script(peer, line):
            ack = await peer.answers(Session_Expires="1;refresher=uas")
            for number in range(1, 4):  # 1.2 s
                await asyncio.sleep(0.4)
                peer.ask("INVITE", ack, sdp(), Session_Expires="1")
                reply = await peer.gets("SIP/2.0 200", number)
                assert reply["Session-Expires"] == "1;refresher=uac"
            assert not line.over.is_set()

        assert run(script).status == OK

    def test_another_process_ends_what_a_dead_one_left(self):
        async def script(peer, line):
            route = f"<sip:127.0.0.1:{peer.port};lr>"
            ack = await peer.answers(Record_Route=route)
            trace = line.trace()
            line.wire.close()
            await line.wire.stop()  # as when a process dies: nothing more is said
            [bound] = hold_ports("127.0.0.1", (31000, 32700), 1)
            other = signalling.Signalling(line.caller, bound, 0, ("127.0.0.1", peer.port))
            ending = asyncio.create_task(other.end_left(trace))
            bye = await peer.gets("BYE")
            peer.say(200, bye)
            await ending
            for name in ("Call-ID", "From", "To", "Route"):
                assert bye[name] == ack[name]
            assert int(bye["CSeq"].split()[0]) > 1000

        assert run(script, hang_up=False).status == OK


class HeldSoundTests(SimpleTestCase):
    def test_on_hold_nothing_is_said_and_music_is_not_heard(self):
        heard = []

        def ear(frame):
            heard.append(bool(np.abs(np.frombuffer(frame, "<i2")).max(initial=0) > 500))

        async def hold():
            held = hold_ports("127.0.0.1", (31000, 32700), 4)
            ours, theirs = (held[at].getsockname() for at in (0, 2))
            release(held)
            one, other = Sound(ear), Sound(lambda _: None)
            await one.start(ours, Stream(theirs, 0, is_held=True))
            await other.start(theirs, Stream(ours, 0))
            one.say(bytes(10 * FRAME_BYTES))
            other.say(b"\x10\x27" * 4000)
            await asyncio.sleep(0.4)
            kept, music = len(one.queue), sum(heard)
            one.follow(Stream(theirs, 0))
            await asyncio.sleep(0.4)
            left, words = len(one.queue), sum(heard)
            await one.close()
            await other.close()
            return kept, music, left, words

        kept, music, left, words = asyncio.run(hold())
        assert (kept, music, left) == (10, 0, 0)
        assert words > 0
