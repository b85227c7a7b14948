"""When somebody speaks on a line and when they have finished. Frames in, no I/O, no Django.

By energy over a floor that follows the noise: it costs microseconds a frame, starts with the
first one and needs no model, where Silero's network, as faster-whisper ships it, reads whole
recordings only. That network has the second word: the recogniser runs it over what was cut
out here, so that a door or a cough is not taken for words (agents.hearing).
"""

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

RATE = 8000  # samples a second
FRAME_SECONDS = 0.02
FRAME_BYTES = 320  # 160 samples of 16 bits
SILENCE = bytes(FRAME_BYTES)

OVER_FLOOR_DB, STAYS_DB = 9.0, 6.0  # to begin, and to go on
QUIETEST_DB, LOUDEST_FLOOR_DB = -60.0, -30.0  # where the floor may be, of full scale
WINDOW = 150  # frames whose quietest tenth is the floor: a pause between words is enough
FIRST_DB = -50.0  # the floor of a line of which little has been heard
BEGINS, BEGINS_OF = 5, 8  # voiced frames of the last so many
PAUSE = 15  # frames without voice: they may have finished
END = 35  # frames without voice: they have
SHORTEST = 7  # voiced frames; a click is shorter than "no"
LONGEST = 1500  # frames of one utterance, 30 s
LEAD = 15  # frames kept from before the voice was sure
TONE = 10  # frames of one pitch, 0.2 s: a beep
TONE_HZ = (300.0, 2500.0)
TONE_SHARE = 0.85  # of a frame's energy in its strongest pitch


def level_db(frame: bytes) -> float:
    """Return the mean level of a frame in dB of full scale, -100 for digital silence."""
    samples = np.frombuffer(frame, "<i2").astype(np.float32)
    power = float(np.mean(samples * samples)) if len(samples) else 0.0
    return 10 * math.log10(power / 32768**2) if power > 0.11 else -100.0


@dataclass(frozen=True, slots=True)
class Utterance:
    """What was said without a long pause, silence at its end included."""

    pcm: bytes
    voiced: int  # frames of it

    @property
    def seconds(self) -> float:
        return len(self.pcm) / FRAME_BYTES * FRAME_SECONDS


@dataclass(slots=True)
class Endpointer:
    """Cuts a stream of frames into utterances.

    `finished` holds them, oldest first; whoever listens takes them out.
    """

    finished: deque[Utterance] = field(default_factory=deque)
    levels: deque[float] = field(default_factory=lambda: deque([FIRST_DB] * 5, maxlen=WINDOW))
    recent: deque[bytes] = field(default_factory=lambda: deque(maxlen=LEAD))
    votes: deque[bool] = field(default_factory=lambda: deque(maxlen=BEGINS_OF))
    spoken: list[bytes] = field(default_factory=list)  # the utterance under way
    voiced: int = 0  # frames of it
    quiet: int = 0  # frames without voice at its end

    @property
    def is_speaking(self) -> bool:
        """Say whether an utterance is under way, short pauses included."""
        return bool(self.spoken)

    @property
    def is_pausing(self) -> bool:
        """Say whether they may have finished: no voice for 0.3 s."""
        return self.is_speaking and self.quiet >= PAUSE

    @property
    def voiced_seconds(self) -> float:
        """Return how long there was voice in the utterance under way."""
        return self.voiced * FRAME_SECONDS

    @property
    def floor(self) -> float:
        """Return the level of the noise, in dB of full scale."""
        tenth = len(self.levels) // 10
        quiet = float(np.partition(np.array(self.levels), tenth)[tenth])
        return min(max(quiet, QUIETEST_DB), LOUDEST_FLOOR_DB)

    def so_far(self) -> Utterance:
        """Return the utterance under way."""
        return Utterance(b"".join(self.spoken), self.voiced)

    def feed(self, frame: bytes) -> None:
        """Take the next 20 ms."""
        level = level_db(frame)
        self.levels.append(level)
        is_voice = level > self.floor + (STAYS_DB if self.is_speaking else OVER_FLOOR_DB)
        self.votes.append(is_voice)
        if self.is_speaking:
            self._go_on(frame, is_voice)
        else:
            self.recent.append(frame)
            if sum(self.votes) >= BEGINS:
                self._begin()

    def _begin(self) -> None:
        self.spoken, self.voiced, self.quiet = list(self.recent), sum(self.votes), 0
        self.recent.clear()

    def _go_on(self, frame: bytes, is_voice: bool) -> None:
        self.spoken.append(frame)
        self.voiced += is_voice
        self.quiet = 0 if is_voice else self.quiet + 1
        if self.quiet >= END or len(self.spoken) >= LONGEST:
            self._end()

    def _end(self) -> None:
        if self.voiced >= SHORTEST:
            self.finished.append(self.so_far())
        self.spoken, self.voiced, self.quiet = [], 0, 0
        self.votes.clear()


@dataclass(slots=True)
class BeepDetector:
    """Knows the tone after which an answering machine records."""

    frames: int = 0  # of one pitch in a row
    pitch: int = 0  # its bin of the spectrum

    def feed(self, frame: bytes) -> bool:
        """Take the next 20 ms; say whether a beep has just been heard."""
        pitch = _pitch_of(frame)
        same = pitch is not None and abs(pitch - self.pitch) <= 1
        self.frames = self.frames + 1 if same else int(pitch is not None)
        self.pitch = pitch or 0
        return self.frames == TONE


def _pitch_of(frame: bytes) -> int | None:
    """Return the bin of a pure tone, None for anything else."""
    samples = np.frombuffer(frame, "<i2").astype(np.float32)
    if level_db(frame) < -35 or len(samples) * 2 != FRAME_BYTES:
        return None
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    strongest = int(power.argmax())
    share = float(power[max(strongest - 2, 0) : strongest + 3].sum() / power.sum())
    hertz = strongest * RATE / len(samples)
    is_tone = share >= TONE_SHARE and TONE_HZ[0] <= hertz <= TONE_HZ[1]
    return strongest if is_tone else None
