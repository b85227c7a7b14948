"""What independent telephones do that ours did not: answers, forks, routes, refusals."""

import asyncio
import random
import re

from django.test import SimpleTestCase

from agents.telephone.signalling import OK, UNUSABLE
from tests.sippeer import RawPeer, run, sdp

NONCE = 'Digest realm="{}", nonce="{}"'


async def hung_up(peer, line, number=1):
    """Hang up as we do; the peer agrees."""
    ending = asyncio.create_task(line.end())
    bye = await peer.gets("BYE", number)
    peer.say(200, bye)
    await ending
    return bye


class ChallengeTests(SimpleTestCase):
    def test_a_stale_nonce_is_replaced(self):
        async def script(peer, _):
            peer.say(401, await peer.gets("INVITE"), WWW_Authenticate=NONCE.format("r", "old"))
            again = await peer.gets("INVITE", 2)
            stale = NONCE.format("r", "new") + ", stale=TRUE"
            peer.say(401, again, WWW_Authenticate=stale)
            last = await peer.gets("INVITE", 3)
            assert 'nonce="new"' in last["Authorization"]
            peer.say(200, last, sdp())

        assert run(script, password="secret").status == OK

    def test_a_wrong_password_is_shown_once(self):
        async def script(peer, _):
            for number in (1, 2):
                invite = await peer.gets("INVITE", number)
                peer.say(401, invite, WWW_Authenticate=NONCE.format("r", number))

        assert run(script, password="wrong").status == 401

    def test_a_proxy_asks_and_then_who_is_behind_it(self):
        async def script(peer, _):
            peer.say(407, await peer.gets("INVITE"), Proxy_Authenticate=NONCE.format("p", "p1"))
            peer.say(401, await peer.gets("INVITE", 2), WWW_Authenticate=NONCE.format("r", "r1"))
            last = await peer.gets("INVITE", 3)
            assert "p1" in last["Proxy-Authorization"]
            assert "r1" in last["Authorization"]
            peer.say(200, last, sdp())

        assert run(script, password="secret").status == OK

    def test_of_several_algorithms_a_known_one_is_used(self):
        async def script(peer, _):
            asked = [NONCE.format("r", kind) + f", algorithm={kind}" for kind in ("X", "SHA-256")]
            peer.say(401, await peer.gets("INVITE"), WWW_Authenticate=asked)
            again = await peer.gets("INVITE", 2)
            assert "algorithm=SHA-256" in again["Authorization"]
            peer.say(200, again, sdp())

        assert run(script, password="secret").status == OK

    def test_a_refusal_that_comes_again_is_acknowledged_and_ends_nothing(self):
        async def script(peer, _):
            first = await peer.gets("INVITE")
            peer.say(401, first, WWW_Authenticate=NONCE.format("r", "n"))
            again = await peer.gets("INVITE", 2)
            peer.say(401, first, WWW_Authenticate=NONCE.format("r", "n"))
            await peer.gets("ACK", 2)
            peer.say(200, again, sdp())

        assert run(script, password="secret").status == OK

    def test_a_bye_that_is_asked_about_is_proved(self):
        async def script(peer, line):
            await peer.answers()
            ending = asyncio.create_task(line.end())
            peer.say(407, await peer.gets("BYE"), Proxy_Authenticate=NONCE.format("p", "b"))
            proved = await peer.gets("BYE", 2)
            assert 'nonce="b"' in proved["Proxy-Authorization"]
            peer.say(200, proved)
            await ending

        assert run(script, password="secret").status == OK


class AnswerTests(SimpleTestCase):
    def test_what_can_not_be_used_is_acknowledged_and_hung_up(self):
        for body in (
            sdp(port="abc"),
            sdp(port=70000),
            sdp(port=0),
            sdp(c="IN IP6 ::1"),
            sdp(c="IN IP4 media.invalid"),
            sdp(c="IN IP4 224.1.1.1"),
            sdp(formats="101", a="a=rtpmap:101 telephone-event/8000\r\n"),
            sdp(a="a=x\r\n" * 9000),
            "m=",
        ):

            async def script(peer, line, body=body):
                await peer.answers(body)
                await hung_up(peer, line)

            assert run(script).status == UNUSABLE, body[:200]

    def test_a_type_in_capitals_and_one_part_of_several_are_read(self):
        several = f"--b\r\nContent-Type: application/sdp\r\n\r\n{sdp()}\r\n--b--\r\n"
        for kind, body in (
            ("Application/SDP;charset=utf-8", sdp()),
            ("multipart/mixed;boundary=b", several),
        ):

            async def script(peer, _, kind=kind, body=body):
                await peer.answers(body, Content_Type=kind)

            assert run(script).stream.remote == ("127.0.0.1", 4000)

    def test_who_answers_on_hold_is_waited_for(self):
        for body in (sdp(a="a=sendonly\r\n"), sdp(c="IN IP4 0.0.0.0"), sdp(a="a=inactive\r\n")):

            async def script(peer, _, body=body):
                await peer.answers(body)

            assert run(script).stream.is_held

    def test_an_answer_that_comes_again_is_acknowledged_again(self):
        async def script(peer, _):
            await peer.answers()
            peer.say(200, await peer.gets("INVITE"), sdp())
            await peer.gets("ACK", 2)

        assert run(script).status == OK

    def test_a_second_telephone_that_answers_is_hung_up(self):
        async def script(peer, line):
            invite = await peer.gets("INVITE")
            for tag in "abab":
                peer.say(180, invite, tag=tag)
                peer.say(200, invite, sdp(), tag=tag)
            await peer.gets("ACK", 4)
            bye = await peer.gets("BYE")
            assert "tag=b" in bye["To"]
            peer.say(200, bye)
            assert "tag=a" in (await hung_up(peer, line, 2))["To"]

        assert run(script).status == OK

    def test_noise_never_ends_in_a_fault_of_ours(self):
        chance = random.Random(7)  # noqa: S311 (no secret)

        async def script(peer, line):
            invite = await peer.gets("INVITE")
            route = f"<sip:127.0.0.1:{peer.port};lr>"
            ack = await peer.answers(Record_Route=route, Session_Expires="90")
            good, peer.open = [], Recorder()
            peer.open.kept = good
            peer.say(200, invite, sdp(a="a=rtpmap:0 PCMU/8000\r\n"), tag="b", Record_Route=route)
            for method in ("INVITE", "UPDATE", "BYE", "INFO", "ACK"):
                peer.ask(method, ack, sdp(), number=9, Session_Expires="90")
            for _ in range(1500):
                line.wire._dispatch(spoilt(chance.choice(good), chance), ("127.0.0.1", 9))

        with self.assertNoLogs("aiosipua.transport", "ERROR"):
            run(script, hang_up=False)


class Recorder:
    """Keeps what a peer would send."""

    def sendto(self, data, _):
        self.kept.append(data)

    def close(self):
        """There is nothing to close."""


def spoilt(data, chance):
    """Return a message with a few bytes changed, cut out or doubled; its Call-ID is kept."""
    whole = bytearray(data)
    known = re.search(rb"Call-ID: .*?\r\n", data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(whole))
        match chance.randrange(3):
            case 0:
                whole[at] = chance.choice(b'\0\r\n;,<>"=:0x\xff')
            case 1:
                del whole[at : at + chance.randint(1, 30)]
            case _:
                whole[at:at] = whole[at : at + 40] * chance.choice((1, 1, 50))
    start, _, rest = bytes(whole).partition(b"\r\n")
    return start + b"\r\n" + known[0] + rest


class RouteTests(SimpleTestCase):
    ROUTES = ("<sip:127.0.0.1:{0};lr;n=2>", "<sip:127.0.0.1:{0};lr;n=1>")

    def test_acknowledgement_and_hanging_up_follow_the_routes(self):
        async def script(peer, line):
            routes = [route.format(peer.port) for route in self.ROUTES]
            far = '"The, shop" <sip:far@127.0.0.9:5999;transport=udp;ob>;+sip.instance="<urn:x>"'
            ack = await peer.answers(Record_Route=routes, Contact=far)
            for message in (ack, await hung_up(peer, line)):
                assert "sip:far@127.0.0.9:5999;transport=udp;ob SIP" in message.start
                assert message["Route"] == ", ".join(reversed(routes))

        assert run(script).status == OK

    def test_without_routes_they_go_to_who_answered(self):
        async def script(peer, line):
            async with RawPeer() as other:
                contact = f"<sip:shop@127.0.0.1:{other.port}>"
                peer.say(200, await peer.gets("INVITE"), sdp(), Contact=contact)
                await other.gets("ACK")
                await hung_up(other, line)
            assert peer.count("ACK") == peer.count("BYE") == 0

        assert run(script).status == OK

    def test_a_call_answered_too_late_is_ended_along_its_routes(self):
        async def script(peer, line):
            invite = await peer.gets("INVITE")
            peer.say(180, invite)
            await asyncio.sleep(0.05)
            ending = asyncio.create_task(line.end())
            cancel = await peer.gets("CANCEL")
            peer.say(200, cancel)
            routes = [route.format(peer.port) for route in self.ROUTES]
            peer.say(200, invite, sdp(), Record_Route=routes)
            for message in (await peer.gets("ACK"), await peer.gets("BYE")):
                assert message["Route"] == ", ".join(reversed(routes))
            peer.say(200, await peer.gets("BYE"))
            await ending

        run(script, seconds=0.3)

    def test_a_name_that_we_can_not_reach_leads_back_where_we_came_from(self):
        async def script(peer, line):
            await peer.answers(Contact="<sip:shop@behind.a.router.invalid>")
            await hung_up(peer, line)

        assert run(script).status == OK
