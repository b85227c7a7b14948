"""Making speech out of text, for calls.

By a speech engine where SPEECH_VOICE names one of its voices (SPEECH_URL: any server with the
OpenAI API's /audio/speech), else by eSpeak NG: the one of the extra `speech`, or the program
`espeak-ng` where it is installed; both are processes of their own. Blocks, for 10 ms or for as long
as an engine takes: for threads of worker processes only.
"""

import importlib.util
import json
import re
import select
import shutil
import struct
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

from django.conf import settings
from openai import OpenAI, OpenAIError

from agents.sounds import Sound, UnreadableSound, from_wav

TIMEOUT_SECONDS = 20
LONGEST_TEXT = 1000  # characters
# Of the voices and paces tried through G.711 Whisper base misheard these least: 1 word in 6.
WORDS_A_MINUTE = 140
VOICES = {"en": "en", "zh": "cmn"}  # of eSpeak NG
_PROGRAM = Path(__file__).parent / "embedded" / "espeak.py"
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


class SpeakingUnavailable(Exception):
    """Nothing here can speak, or it failed; the message is for people."""


def can_speak() -> bool:
    """Say whether calls can be spoken on this installation."""
    return has_engine() or is_embedded() or bool(shutil.which("espeak-ng"))


def has_engine() -> bool:
    return bool(settings.SPEECH_URL and settings.SPEECH_VOICE)


def is_embedded() -> bool:
    return importlib.util.find_spec("espeakng_loader") is not None


def speak(text: str) -> Sound:
    """Return a text as it is spoken, in the voice of its language.

    Raises:
        SpeakingUnavailable: nothing here can speak, or it failed.
    """
    text = " ".join(text.split())[:LONGEST_TEXT]
    if not text:
        return Sound(b"", 8000)
    wav = _ask(text) if has_engine() else _by_espeak(text, voice_of(text))
    try:
        return from_wav(wav)
    except UnreadableSound as error:
        raise SpeakingUnavailable(f"The speech engine answered no WAV: {error}") from error


def voice_of(text: str) -> str:
    """Return eSpeak NG's voice for a text: Mandarin where a fifth of its signs are Chinese."""
    share = len(_CHINESE.findall(text)) / max(len(text), 1)
    return VOICES["zh" if share > 0.2 else "en"]


def _ask(text: str) -> bytes:
    try:
        with OpenAI(
            base_url=settings.SPEECH_URL,
            api_key=settings.SPEECH_API_KEY,
            timeout=TIMEOUT_SECONDS,
            max_retries=1,
        ) as client:
            answer = client.audio.speech.create(
                model=settings.SPEECH_VOICE_MODEL,
                voice=settings.SPEECH_VOICE,
                input=text,
                response_format="wav",
            )
            return answer.content
    except OpenAIError as error:
        raise SpeakingUnavailable(str(error)[:300]) from error


def _by_espeak(text: str, voice: str) -> bytes:
    """Have eSpeak NG speak; the text goes in by standard input and is never part of a command."""
    if is_embedded():
        return _child().speak(text, voice)
    if program := shutil.which("espeak-ng"):
        options = ["--stdin", "--stdout", "-b", "1", "-v", voice, "-s", str(WORDS_A_MINUTE)]
        return _run([program, *options], text.replace("[[", "["))  # [[…]] would be phonemes
    raise SpeakingUnavailable("Calls can't be spoken here: no speech engine, no eSpeak NG.")


def _run(command: list[str], text: str) -> bytes:
    try:
        done = subprocess.run(
            command, input=text.encode(), capture_output=True, timeout=TIMEOUT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SpeakingUnavailable(f"eSpeak NG failed: {error}"[:300]) from error
    return done.stdout


class Child:
    """The bundled eSpeak NG, one process for all calls of this one; it ends with us.

    A process that broke is started anew for the next text.
    """

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.process: subprocess.Popen[bytes] | None = None

    def speak(self, text: str, voice: str) -> bytes:
        """Return a WAV.

        Raises:
            SpeakingUnavailable: no such voice, or the process broke.
        """
        order = {"text": text, "voice": voice, "words_a_minute": WORDS_A_MINUTE}
        with self.turn:
            try:
                wav = self._ask(json.dumps(order).encode() + b"\n")
            except (OSError, EOFError) as error:
                self._end()
                raise SpeakingUnavailable(f"eSpeak NG failed: {error}"[:300]) from error
        if not wav:
            raise SpeakingUnavailable(f"eSpeak NG has no voice {voice}.")
        return wav

    def _ask(self, order: bytes) -> bytes:
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(_PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env={},  # it needs none of our secrets
            )
        assert self.process.stdin  # noqa: S101 (narrows the type)
        self.process.stdin.write(order)
        (length,) = struct.unpack(">I", self._read(4))
        return self._read(length)

    def _read(self, length: int) -> bytes:
        assert self.process and self.process.stdout  # noqa: S101, PT018 (narrows the type)
        read = b""
        while len(read) < length:
            ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT_SECONDS)
            more = self.process.stdout.read(length - len(read)) if ready else b""
            if not more:
                raise EOFError("it did not answer")
            read += more
        return read

    def _end(self) -> None:
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None


@cache
def _child() -> Child:
    return Child()
