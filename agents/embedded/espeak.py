"""Speak texts by the bundled eSpeak NG: a JSON object a line in, WAVs out, each after its length.

A program of its own: the library keeps one global voice, is not safe among threads, and a crash
in it would take a worker along. It ends when its input does. {"text", "voice",
"words_a_minute"} → 4 bytes, big-endian, and so many of WAV; none: it could not be spoken.
"""

import ctypes
import io
import json
import struct
import sys
import wave
from typing import Any

SYNCHRONOUS, UTF8, WORDS_A_MINUTE = 2, 1, 1  # of speak_lib.h
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Espeak:
    """The library, started once."""

    def __init__(self) -> None:
        import espeakng_loader

        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.rate = int(self.library.espeak_Initialize(SYNCHRONOUS, 0, data, 0))
        self.pieces: list[bytes] = []
        self.callback = _CALLBACK(self._take)  # kept: the library calls it
        self.library.espeak_SetSynthCallback(self.callback)

    def _take(self, samples: Any, count: int, _: Any) -> int:
        if samples and count > 0:
            self.pieces.append(ctypes.string_at(samples, count * 2))
        return 0

    def wav(self, text: str, voice: str, words_a_minute: int) -> bytes:
        """Return a text as spoken, b"" if there is no such voice."""
        if self.rate <= 0 or self.library.espeak_SetVoiceByName(voice.encode()):
            return b""
        self.pieces.clear()
        self.library.espeak_SetParameter(WORDS_A_MINUTE, words_a_minute, 0)
        said = text.encode()
        self.library.espeak_Synth(said, len(said) + 1, 0, 0, 0, UTF8, None, None)
        self.library.espeak_Synchronize()
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(self.rate)
            out.writeframes(b"".join(self.pieces))
        return file.getvalue()


def main() -> None:
    espeak = Espeak()
    for line in sys.stdin.buffer:
        wav = espeak.wav(**json.loads(line))
        sys.stdout.buffer.write(struct.pack(">I", len(wav)) + wav)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
