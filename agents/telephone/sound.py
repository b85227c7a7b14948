"""The sound of one call: RTP by aiortp, 20 ms at a time both ways.

Something is sent in every frame, silence too: the other side's firewalls stay open and its
watchdogs quiet. What comes is heard at once and without gaps, since nobody listens by the clock;
only where nothing comes for a while is silence put in.
"""

import asyncio
import secrets
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from aiortp import MediaClock, RTPSession

from agents.telephone.endpointing import FRAME_BYTES, FRAME_SECONDS, SILENCE
from agents.telephone.media import Stream

LATE = 6  # frames that may be on their way; after that nothing is being sent
TRIES = 50  # ports
RETRIES = 25  # of one port, 20 ms apart

Address = tuple[str, int]


class Sound:
    """What is said goes out of `queue`; each frame that is heard goes to `ear`."""

    def __init__(self, ear: Callable[[bytes], None]) -> None:
        self.ear = ear
        self.queue: deque[bytes] = deque()
        self.missing = 0  # frames since something came
        self.part = b""  # less than a frame of what was heard
        self.is_held = False  # nobody listens, and what comes is music
        self.session: RTPSession | None = None
        self.clock: MediaClock | None = None

    async def start(self, local: Address, stream: Stream) -> None:
        """Open the line; what was sent before is not heard.

        Raises:
            OSError: the port can't be bound.
        """
        self.session = await _session(local, stream.remote, stream.payload_type)
        self.is_held = stream.is_held
        self.session.on_audio = self._take
        self.clock = MediaClock(FRAME_SECONDS, self._tick)
        self.clock.start()

    def follow(self, stream: Stream) -> None:
        """Send to another place from now on; on hold, keep what is to be said until they return."""
        self.is_held = stream.is_held
        if self.session and not stream.is_held:
            self.session.update_remote(stream.remote)

    def say(self, pcm: bytes) -> int:
        """Put samples in the queue; return how many frames they are."""
        frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
        self.queue.extend(frame.ljust(FRAME_BYTES, b"\0") for frame in frames)
        return len(frames)

    def hush(self) -> None:
        """Say no more of what is in the queue."""
        self.queue.clear()

    async def close(self) -> None:
        if self.clock:
            await self.clock.stop()
        if self.session:
            await self.session.close()

    def _take(self, pcm: bytes, _: int) -> None:
        if self.is_held:
            return
        self.missing = 0
        self.part += pcm
        while len(self.part) >= FRAME_BYTES:
            frame, self.part = self.part[:FRAME_BYTES], self.part[FRAME_BYTES:]
            self.ear(frame)

    def _tick(self) -> None:
        assert self.session is not None  # noqa: S101 (narrows the type)
        if not self.is_held:
            self.session.send_audio_pcm_auto(self.queue.popleft() if self.queue else SILENCE)
        self.missing += 1
        if self.missing > LATE:
            self.ear(SILENCE)


async def _session(local: Address, remote: Address, payload_type: int) -> RTPSession:
    """Open RTP on a port that was held until now.

    A program that is being started at this moment may still have a copy of the held socket:
    until it runs, the port looks taken.
    """
    for _ in range(RETRIES):
        with suppress(OSError):
            return await RTPSession.create(local, remote, payload_type, jitter_prefetch=2)
        await asyncio.sleep(FRAME_SECONDS)
    return await RTPSession.create(local, remote, payload_type, jitter_prefetch=2)


def hold_ports(bind: str, ports: tuple[int, int], count: int) -> list[socket.socket]:
    """Bind so many UDP ports in a row, the first one even; whoever uses them closes these first.

    Args:
        ports: the lowest and the highest that may be taken.

    Raises:
        OSError: none is free.
    """
    evens = range(ports[0] + ports[0] % 2, ports[1] + 2 - count, 2)
    for _ in range(TRIES if len(evens) else 0):
        first = secrets.choice(evens)
        held: list[socket.socket] = []
        try:
            held.extend(_bound(bind, port) for port in range(first, first + count))
        except OSError:
            release(held)
            continue
        return held
    raise OSError(f"No UDP port of {ports[0]} to {ports[1]} is free.")


def _bound(bind: str, port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        one.setblocking(False)
        one.bind((bind, port))
    except OSError:
        one.close()
        raise
    return one


def release(held: list[socket.socket]) -> None:
    for one in held:
        one.close()
