"""Speech both ways on an open line: saying, being interrupted, hearing, knowing a machine."""

import asyncio
import math
import re
from dataclasses import dataclass

from agents import hearing, speaking
from agents.sounds import Sound as Recording
from agents.subagents import TryAgain
from agents.subagents.transports import Ear, Heard, Spoken
from agents.telephone.endpointing import (
    FRAME_SECONDS,
    RATE,
    BeepDetector,
    Endpointer,
    Utterance,
)
from agents.telephone.media import Stream
from agents.telephone.sound import Address, Sound

PATIENCE_SECONDS = 8.0  # of silence on a telephone; who types is given longer
BARGE_SECONDS = 0.3  # of voice: a cough or a "mhm" stops nobody
GREETING_SECONDS = 1.5  # that we wait for a "hello?" before we speak
SHORT_SECONDS = 2.5  # a greeting so short is a person's
MORE_SECONDS = 1.0  # of silence after a longer one: a person, too, has finished
MACHINE_SECONDS = 6.0  # of talk straight after answering: nobody greets for so long
BEEP_SECONDS = 30.0  # that a machine's words are listened to, for its beep
AFTER_SECONDS = 1.5  # of silence: the machine has finished without a beep
_TENS = re.compile(r"\b([2-9])0-([1-9])\b")  # how Whisper may write "twenty-five"
_PARTS = re.compile(r".{12,}?(?:[.!?;:]+(?=\s)|[。！？；：]+)\s*|.+$", re.DOTALL)


@dataclass(slots=True)
class Early:
    """Words recognised in a pause, good if nothing more was said."""

    voiced: int
    task: "asyncio.Task[hearing.Heard]"


class Talk:
    """An open line. `over` is set by whoever knows that it has ended."""

    def __init__(self, over: asyncio.Event, language: str) -> None:
        self.over, self.language = over, language
        self.ear, self.beeps = Endpointer(), BeepDetector()
        self.beeped = False
        self.to_machine = False  # nothing interrupts a message
        self.sound = Sound(self.feed)

    def feed(self, frame: bytes) -> None:
        """Take the next 20 ms of what the other side says."""
        self.ear.feed(frame)
        self.beeped = self.beeps.feed(frame) or self.beeped

    async def start(self, local: Address, stream: Stream) -> None:
        await self.sound.start(local, stream)

    async def close(self) -> None:
        await self.sound.close()

    # Saying

    async def say(self, text: str) -> Spoken:
        """Speak until it is said, they interrupt, or the line ends.

        Each sentence is synthesised while the one before is heard.

        Raises:
            TryAgain: nothing here can speak any more.
        """
        if self._is_interrupted():
            return Spoken("", interrupted=True)
        parts, said = _PARTS.findall(text), 0
        ahead = asyncio.create_task(synthesise(parts[0])) if parts else None
        for number, part in enumerate(parts):
            assert ahead is not None  # noqa: S101 (narrows the type)
            frames = self.sound.say(await ahead)
            if number + 1 < len(parts):
                ahead = asyncio.create_task(synthesise(parts[number + 1]))
            left = await self._play()
            said += _heard_of(part, 1 - left / max(frames, 1))
            if left or self.over.is_set():
                ahead.cancel()
                return Spoken(text[:said].rstrip(), interrupted=not self.over.is_set())
        self.ear.finished.clear()  # "mhm", said while we spoke
        return Spoken(text)

    async def _play(self) -> int:
        """Wait until the queue is said; return how many frames were left when it was cut off."""
        while self.sound.queue:
            if self.over.is_set() or self._is_interrupted():
                left = len(self.sound.queue)
                self.sound.hush()
                return left
            await asyncio.sleep(FRAME_SECONDS / 2)
        return 0

    def _is_interrupted(self) -> bool:
        if self.to_machine:
            return False
        voiced = [*(past.voiced for past in self.ear.finished), self.ear.voiced]
        return max(voiced) * FRAME_SECONDS >= BARGE_SECONDS

    # Hearing

    async def hear(self, seconds: float) -> Heard:
        """Wait for words; noise is none.

        Recognising begins in the first pause, and its result counts if nothing more was said.

        Raises:
            TryAgain: nothing here can hear any more.
        """
        loop = asyncio.get_running_loop()
        until, quiet_since = loop.time() + seconds, loop.time()
        early: Early | None = None
        while loop.time() < until or self.ear.is_speaking:
            early = self._early(early)
            if self.ear.finished:
                words = await self._words(self.ear.finished.popleft(), early)
                if words.text:
                    confidence = 1.0 if words.confidence is None else words.confidence
                    text = _TENS.sub(r"\1\2", words.text)
                    return Heard(Ear.SPEECH, text, confidence=confidence)
                early = None
            elif self.ear.is_speaking:
                quiet_since = loop.time()
            elif self.over.is_set():
                return Heard(Ear.HUNG_UP)
            elif loop.time() - quiet_since >= PATIENCE_SECONDS:
                break
            await asyncio.sleep(FRAME_SECONDS / 2)
        return Heard(Ear.SILENCE)

    def _early(self, early: Early | None) -> Early | None:
        """Begin to recognise in a pause; drop that when they go on."""
        if early and self.ear.is_speaking and early.voiced != self.ear.voiced:
            early.task.cancel()
            early = None
        if early is None and self.ear.is_pausing:
            so_far = self.ear.so_far()
            task = asyncio.create_task(recognise(so_far, self.language))
            early = Early(so_far.voiced, task)
        return early

    async def _words(self, utterance: Utterance, early: Early | None) -> hearing.Heard:
        if early and early.voiced == utterance.voiced:
            return await early.task
        return await recognise(utterance, self.language)

    # Who answered

    async def is_machine(self) -> bool:
        """Let who answered speak first. Say whether it is a machine, ready for a message.

        A machine beeps, or talks for longer than people greet. What is said is not kept.
        """
        loop = asyncio.get_running_loop()
        started = quiet_since = loop.time()
        while not self.over.is_set() and loop.time() - started < BEEP_SECONDS:
            talked = self._talked_seconds()
            self.to_machine = self.beeped or talked >= MACHINE_SECONDS
            if self.ear.is_speaking:
                quiet_since = loop.time()
            elif loop.time() - quiet_since >= _enough(talked):
                break
            if self.beeped:
                break
            await asyncio.sleep(FRAME_SECONDS / 2)
        self.ear.finished.clear()
        return self.to_machine

    def _talked_seconds(self) -> float:
        under_way = self.ear.so_far() if self.ear.is_speaking else Utterance(b"", 0)
        return sum(one.seconds for one in [*self.ear.finished, under_way])


def _enough(talked: float) -> float:
    """Return for how long a greeting of so many seconds must be followed by silence, in s."""
    if talked == 0:
        return GREETING_SECONDS
    if talked >= MACHINE_SECONDS:
        return AFTER_SECONDS
    return 0.0 if talked < SHORT_SECONDS else MORE_SECONDS


def _heard_of(part: str, share: float) -> int:
    """Return how many signs of `part` can have been heard, the word under way included."""
    end = math.ceil(len(part) * min(max(share, 0.0), 1.0))
    while 0 < end < len(part) and part[end].isascii() and part[end].isalnum():
        end += 1
    return end


async def synthesise(text: str) -> bytes:
    """Return the samples of a text for a telephone line, without silence at the end.

    Raises:
        TryAgain: nothing here can speak.
    """
    try:
        return await asyncio.to_thread(_samples, text)
    except speaking.SpeakingUnavailable as error:
        raise TryAgain(f"Nothing could be said: {error}") from error


def _samples(text: str) -> bytes:
    return speaking.speak(text).at(RATE).pcm.rstrip(b"\0")


async def recognise(utterance: Utterance, language: str) -> hearing.Heard:
    """Return what was said.

    Raises:
        TryAgain: nothing here can hear.
    """
    wav = Recording(utterance.pcm, RATE).as_wav()
    try:
        return await asyncio.to_thread(hearing.hear, wav, "call.wav", language)
    except hearing.HearingUnavailable as error:
        raise TryAgain(f"Nothing could be heard: {error}") from error
