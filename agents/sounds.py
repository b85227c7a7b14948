"""Mono sound as signed 16-bit samples: WAV in and out, and other rates. No Django."""

import io
import math
import wave
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOBES = 12  # of the sinc on each side: enough for speech
BYTES = 2  # a sample


class UnreadableSound(ValueError):
    """These bytes are no WAV of 16-bit samples."""


@dataclass(frozen=True, slots=True)
class Sound:
    """One voice: little-endian samples, so many a second."""

    pcm: bytes
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.pcm) / BYTES / self.rate

    def as_wav(self) -> bytes:
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(BYTES)
            out.setframerate(self.rate)
            out.writeframes(self.pcm)
        return file.getvalue()

    def at(self, rate: int) -> "Sound":
        """Return the same sound at another rate, without what that rate can't hold."""
        if rate == self.rate or not self.pcm:
            return Sound(self.pcm, rate)
        samples = np.frombuffer(self.pcm, "<i2").astype(np.float32)
        other = _resample(samples, self.rate, rate)
        return Sound(np.clip(np.rint(other), -32768, 32767).astype("<i2").tobytes(), rate)


def from_wav(data: bytes) -> Sound:
    """Read a WAV file; of several channels the first. Streamed ones may lie about their length.

    Raises:
        UnreadableSound: it is none, or of other samples.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, rate = file.getnchannels(), file.getframerate()
            if file.getsampwidth() != BYTES or not rate:
                raise UnreadableSound("Only samples of 16 bits are read.")
            pcm = file.readframes(min(file.getnframes(), len(data)))
    except (wave.Error, EOFError) as error:
        raise UnreadableSound(str(error)) from error
    whole = len(pcm) // (BYTES * channels) * BYTES * channels
    return Sound(np.frombuffer(pcm[:whole], "<i2")[::channels].tobytes(), rate)


def _resample(samples: NDArray[np.float32], old: int, new: int) -> NDArray[np.float32]:
    """Resample by a Hann-windowed sinc, cut off at the lower of both Nyquist frequencies.

    The filter is made once for each of the few places that a new sample can have between two
    old ones. Source: J. O. Smith, Digital Audio Resampling, "Bandlimited Interpolation".
    """
    common = math.gcd(old, new)
    phases, step = new // common, old // common
    band = min(1.0, new / old)
    reach = math.ceil(LOBES / band)
    taps = np.arange(-reach + 1, reach + 1)
    away = (np.arange(phases) * step % phases / phases)[:, None] - taps  # (phases, taps)
    window = 0.5 + 0.5 * np.cos(np.pi * np.clip(away / reach, -1, 1))
    weights = (np.sinc(away * band) * band * window).astype(np.float32)
    count = np.arange(len(samples) * new // old)
    near = np.pad(samples, reach)[(count * step // phases + reach)[:, None] + taps]
    return np.asarray(np.einsum("ij,ij->i", near, weights[count % phases]), dtype=np.float32)
