"""A telephone by hand: SIP over loopback UDP, as a test writes it, byte by byte.

The peers of `tests.telephone` are made of the library that we call with; this one says what no
library would, and reads with nothing but `str`.
"""

import asyncio
import re
from unittest.mock import patch

from agents.telephone import signalling
from agents.telephone.signalling import Caller, Signalling
from agents.telephone.sound import hold_ports

SDP = (
    "v=0\r\no=- 7 7 IN IP4 127.0.0.1\r\ns=-\r\n{c}t=0 0\r\nm=audio {port} RTP/AVP {formats}\r\n{a}"
)
SECONDS = 3  # that a message may take


def sdp(port=4000, formats="0", c="IN IP4 127.0.0.1", a=""):
    return SDP.format(port=port, formats=formats, c=f"c={c}\r\n", a=a)


class Message(str):
    """A message as it came."""

    def all(self, name):
        return re.findall(rf"(?im)^{name}: *(.*?)\r?$", self.partition("\r\n\r\n")[0])

    def __getitem__(self, name):
        return ", ".join(self.all(name))

    @property
    def start(self):
        return self.partition("\r\n")[0]

    @property
    def body(self):
        return self.partition("\r\n\r\n")[2]


class RawPeer(asyncio.DatagramProtocol):
    def __init__(self):
        self.came = []
        self.news = asyncio.Event()
        [bound] = hold_ports("127.0.0.1", (31000, 32700), 1)
        self.bound, self.port, self.number, self.caller = bound, bound.getsockname()[1], 0, None

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.open, _ = await loop.create_datagram_endpoint(lambda: self, sock=self.bound)
        return self

    async def __aexit__(self, *_):
        self.open.close()

    def datagram_received(self, data, addr):
        self.caller = addr
        self.came.append(Message(data.decode()))
        self.news.set()

    async def gets(self, what, number=1):
        """Wait for the so-manieth message whose first line begins so, and return it."""
        async with asyncio.timeout(SECONDS):
            while len(found := [one for one in self.came if one.start.startswith(what)]) < number:
                self.news.clear()
                await self.news.wait()
        return found[number - 1]

    def count(self, what):
        return sum(one.start.startswith(what) for one in self.came)

    def send(self, text, body=""):
        self.open.sendto(f"{text}\r\n\r\n{body}".encode(), self.caller)

    def say(self, status, request, body="", *, tag="a", **head):
        """Answer a request; headers are named with _ for -, several values as a list."""
        lines = [f"SIP/2.0 {status} Words"]
        for name in ("Via", "From", "Call-ID", "CSeq"):
            lines += [f"{name}: {value}" for value in request.all(name)]
        lines += [f"To: {request['To']}" + ("" if "tag=" in request["To"] else f";tag={tag}")]
        known = {"Contact": f"<sip:shop@127.0.0.1:{self.port}>"}
        if body:
            known["Content_Type"] = "application/sdp"
        for name, values in (known | head).items():
            for value in values if isinstance(values, list) else [values]:
                lines.append(f"{name.replace('_', '-')}: {value}")
        self.send("\r\n".join(lines), body)

    def ask(self, method, ack, body="", *, number=None, branch="", **head):
        """Send a request within the call that `ack` confirmed; with `branch`, once more."""
        self.number += number is None
        number = number or self.number
        lines = [
            f"{method} sip:x@127.0.0.1 SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{branch or self.number}{method}",
            *(f"From: {ack['To']}", f"To: {ack['From']}", f"Call-ID: {ack['Call-ID']}"),
            f"CSeq: {number} {method}",
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in head.items()]
        self.send("\r\n".join(lines), body)

    async def answers(self, body=None, **fields):
        """Take the call; return the ACK."""
        self.say(200, await self.gets("INVITE"), sdp() if body is None else body, **fields)
        return await self.gets("ACK")


def run(script, *, seconds=5, password="", hang_up=True):
    """Call a peer that does what `script(peer, line)` says; return what came of the INVITE."""

    async def main():
        async with RawPeer() as peer:
            caller = Caller("127.0.0.1", "", "console", "", password and "me", password)
            [bound] = hold_ports("127.0.0.1", (31000, 32700), 1)
            line = Signalling(caller, bound, 30000, ("127.0.0.1", peer.port))
            inviting = asyncio.create_task(line.invite(f"sip:shop@127.0.0.1:{peer.port}", seconds))
            try:
                await script(peer, line)
                return await inviting
            finally:
                if hang_up:
                    await line.end()

    with patch.object(signalling, "BYE_SECONDS", 0.5):  # not every script answers the BYE
        return asyncio.run(main())
