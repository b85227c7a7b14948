"""A telephone at the other end of a call: aiosipua's server and RTP over real loopback UDP.

It "speaks" in tones (`tests.voices`): the network and our parts are real, and nothing depends on
a model.
"""

import asyncio
from unittest.mock import patch

import numpy as np
from aiosipua import CallSession, SipResponse, SipUAS
from django.test import SimpleTestCase, override_settings

from agents.subagents import sip
from agents.subagents.sip import SipTransport
from agents.subagents.transports import FACTORIES
from agents.telephone.numbers import SCHEMES
from agents.telephone.sound import hold_ports, release
from agents.telephone.wire import Udp
from tests.voices import Words, speech_server

FRAME = 160  # samples
HUSH_SECONDS = 0.15  # of our silence, after which it is the peer's turn


class Peer:
    """Answers one call after another. `script`: what it says when it is its turn, then hangs up.

    An item is samples to speak, "" to let its turn pass, or None to stay silent for good.
    """

    def __init__(self, script=(), *, status=200, drops=0, codecs=None, interrupts=None, early=None):
        self.script, self.status, self.codecs = script, status, codecs
        self.interrupts = interrupts  # spoken in the middle of our first words
        self.drops = drops  # datagrams that get lost first
        self.early = early  # a coroutine function called with the ringing call
        self.requests, self.agent_frames = [], 0
        self.ended = asyncio.Event()
        self.ringing = asyncio.Event()
        self.answered = asyncio.Event()
        self.tasks = []

    async def __aenter__(self):
        [bound] = hold_ports("127.0.0.1", (20000, 31000), 1)
        self.port = bound.getsockname()[1]
        self.transport = Udp(bound)
        self.uas = SipUAS(self.transport)
        self.uas.on_invite = self.invited
        self.uas.on_bye = lambda *_: self.ended.set()
        self.uas.on_cancel = lambda *_: self.ended.set()
        await self.uas.start()
        self.handler, self.transport.on_message = self.transport.on_message, self.received
        return self

    async def __aexit__(self, *_):
        await asyncio.sleep(0.05)  # for what is on its way
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.uas.stop()

    @property
    def address(self):
        return f"shop@127.0.0.1:{self.port}"

    def received(self, message, addr):
        if self.drops:
            self.drops -= 1
            return
        self.requests.append(getattr(message, "method", "answer"))
        self.handler(message, addr)

    def invited(self, call):
        self.call, call.peer = call, self
        if self.status == "silent":
            return
        if self.status in (180, 401):
            self.ring_or_challenge(call)
        elif self.status != 200:
            call.reject(self.status)
        else:
            self.tasks.append(asyncio.create_task(self.answer(call)))

    def ring_or_challenge(self, call):
        if self.status == 180:
            call.ringing()
            self.ringing.set()
            return
        if call.invite.headers.get_first("authorization"):
            self.credentials = call.invite.headers.get_first("authorization")
            self.tasks.append(asyncio.create_task(self.answer(call)))
            return
        refusal = SipResponse(status_code=401, reason_phrase="Unauthorized")
        for via in call.invite.headers.get("via"):
            refusal.headers.append("Via", via)
        for name in ("From", "To", "Call-ID", "CSeq"):
            refusal.headers.set_single(name, call.invite.headers.get_first(name))
        refusal.headers.set_single(
            "WWW-Authenticate", 'Digest realm="trunk", nonce="n1", qop="auth"'
        )
        self.transport.send_reply(refusal)
        self.uas._calls.pop(call.call_id)

    async def answer(self, call):
        if self.early:
            await self.early(call)
        held = hold_ports("127.0.0.1", (20000, 31000), 2)
        port = held[0].getsockname()[1]
        release(held)
        self.rtp = CallSession("127.0.0.1", port, call.sdp_offer, supported_codecs=self.codecs)
        self.voiced, self.quiet, self.heard_at_all = 0, 0, asyncio.Event()
        await self.rtp.start()
        self.rtp.on_audio = self.hear
        call.accept(self.rtp.sdp_answer)
        self.answered.set()
        try:
            await self.talk(call)
        finally:
            await self.rtp.close()

    def hear(self, pcm, _):
        loud = np.abs(np.frombuffer(pcm, "<i2")).max(initial=0) > 500
        self.agent_frames += bool(loud)
        self.voiced = self.voiced + 1 if loud else self.voiced
        self.quiet = 0 if loud else self.quiet + 1

    async def talk(self, call):
        if self.interrupts is not None:
            while self.voiced < 8:
                await asyncio.sleep(0.02)
            await self.speak(self.interrupts)
        for pcm in self.script:
            await self.turn()
            if pcm is None:
                await self.ended.wait()
            elif pcm:
                await self.speak(pcm)
        await self.turn()
        if not self.ended.is_set():
            call.hangup()

    async def turn(self):
        """Wait until we have spoken and are silent again, or the call is over."""
        while (
            not (self.voiced > 4 and self.quiet * 0.02 > HUSH_SECONDS) and not self.ended.is_set()
        ):
            await asyncio.sleep(0.02)
        self.voiced = 0

    async def speak(self, pcm):
        loop = asyncio.get_running_loop()
        due = loop.time()
        for at in range(0, len(pcm), 2 * FRAME):
            self.rtp.rtp_session.send_audio_pcm_auto(
                pcm[at : at + 2 * FRAME].ljust(2 * FRAME, b"\0")
            )
            due += 0.02
            await asyncio.sleep(max(0, due - loop.time()))
        for _ in range(3):  # the jitter buffer holds the last frames back until others come
            self.rtp.rtp_session.send_audio_pcm_auto(bytes(2 * FRAME))


QUICK = {
    "agents.telephone.endpointing": {"PAUSE": 6, "END": 12},
    "agents.subagents.talking": {
        "GREETING_SECONDS": 0.3,
        "MACHINE_SECONDS": 1.5,
        "SHORT_SECONDS": 0.8,
        "AFTER_SECONDS": 0.4,
        "MORE_SECONDS": 0.4,
    },
}


class Register:
    """Lets everybody be called; what the database refuses is tested with it."""

    def __init__(self):
        self.called, self.unwanted = [], []

    async def note_call(self, target):
        self.called.append(target.uri)

    async def never_again(self, target, words):
        self.unwanted.append((target.uri, words))


class RegisterMixin:
    """Telephones without a database."""

    def setUp(self):
        super().setUp()
        self.register = Register()
        lines = patch.dict(FACTORIES, dict.fromkeys(SCHEMES, self.line_to))
        lines.start()
        self.addCleanup(lines.stop)

    def line_to(self, work, card):
        return sip.line_to(work, card, self.register)


class SipCase(RegisterMixin, SimpleTestCase):
    """People take their time; these callees do not."""

    def setUp(self):
        super().setUp()
        for module, quicker in QUICK.items():
            patched = patch.multiple(module, **quicker)
            patched.start()
            self.addCleanup(patched.stop)
        self.words = Words()
        server = speech_server(self.words)
        url, self.asked = server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        changed = override_settings(
            SPEECH_URL=url,
            SPEECH_VOICE="test",
            SIP_ALLOW=["@127.0.0.1"],
            SIP_BIND="127.0.0.1",
            SIP_RING_SECONDS=20,
            QUIET_FROM_HOUR=0,
            QUIET_UNTIL_HOUR=0,
            SIP_TRUNK="",
        )
        changed.enable()
        self.addCleanup(changed.disable)

    def run_with(self, peer, talk, **settings):
        """Run `talk(line, peer)`; the line is let go of whatever happens."""

        async def run():
            async with peer:
                with override_settings(SIP_ALLOW=[f"@127.0.0.1:{peer.port}"], **settings):
                    line = SipTransport(f"sip:{peer.address}", "en", self.register)
                    try:
                        return await talk(line, peer)
                    finally:
                        await line.release()

        return asyncio.run(run())
