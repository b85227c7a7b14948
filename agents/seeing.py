"""Making typed evidence out of a customer's picture.

By a vision model where one is configured (VISION_URL, VISION_MODEL: any server that speaks
the OpenAI API and takes images); by embedded OCR otherwise, which reads words and can't tell
what a picture is of. Takes seconds: for worker processes only.
"""

import base64
import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import dist
from typing import TYPE_CHECKING, Any, cast

import jsonschema
from django.conf import settings
from django.template.loader import render_to_string
from openai import OpenAI, OpenAIError

from agents.cleaning import storable

if TYPE_CHECKING:
    from rapidocr import RapidOCR

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30
MOST_TOKENS = 800
LONGEST_TEXT = 2000  # characters
LONGEST_WORDS = 200
LEAST_SCORE = 0.6  # of a line read; below it the letters are guesses
PROPERTIES: dict[str, Any] = {
    "text": {"type": "string"},
    "item": {"type": ["string", "null"]},
    "damage": {"type": ["string", "null"]},
    "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    "signs": {"type": "array", "items": {"type": "string"}, "maxItems": 10},
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": PROPERTIES,
    "required": list(PROPERTIES),
    "additionalProperties": False,
}


_reading = threading.Lock()  # one at a time in a worker: it fills a core by itself


class VisionUnavailable(Exception):
    """No vision model is configured, it can't be reached, or its answer fits no schema."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was made out in a picture. All words in it are data from outside.

    `item` and `damage` are None where nobody could tell. `confidence` is 0 to 1: the
    model's own, or the mean score of the lines found, with 0 for what was not read of them.
    `signs` are why the picture may have been tampered with. `by` is "ocr" or the model's name.
    """

    text: str
    item: str | None
    damage: str | None
    confidence: float
    signs: list[str]
    by: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def look(picture: bytes, content_type: str) -> Evidence:
    """Return what can be made out in a picture that was decoded before."""
    if settings.VISION_URL and settings.VISION_MODEL:
        try:
            return _ask(picture, content_type)
        except VisionUnavailable as error:
            logger.warning("The vision model gave nothing; reading the words only: %s", error)
    return read(picture)


def _ask(picture: bytes, content_type: str) -> Evidence:
    url = f"data:{content_type};base64,{base64.b64encode(picture).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}]
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": render_to_string("agents/senses/picture.txt")},
        {"role": "user", "content": content},
    ]
    try:
        answer = storable(json.loads(_complete(messages)))
        jsonschema.validate(answer, ANSWER)
    except (OpenAIError, ValueError, jsonschema.ValidationError) as error:
        raise VisionUnavailable(str(error)[:300]) from error
    return Evidence(
        text=answer["text"].strip()[:LONGEST_TEXT],
        item=_short(answer["item"]),
        damage=_short(answer["damage"]),
        confidence=round(float(answer["confidence"]), 2),
        signs=[sign[:LONGEST_WORDS] for sign in answer["signs"]],
        by=settings.VISION_MODEL,
    )


def _short(words: str | None) -> str | None:
    return (words or "").strip()[:LONGEST_WORDS] or None


def _complete(messages: list[dict[str, Any]]) -> str:
    wrapped = {"name": "evidence", "schema": ANSWER, "strict": True}
    with OpenAI(
        base_url=settings.VISION_URL,
        api_key=settings.VISION_API_KEY,
        timeout=TIMEOUT_SECONDS,
        max_retries=1,
    ) as client:
        answer = client.chat.completions.create(
            model=settings.VISION_MODEL,
            messages=cast(Any, messages),
            temperature=0,
            max_tokens=MOST_TOKENS,
            response_format=cast(Any, {"type": "json_schema", "json_schema": wrapped}),
        )
    return answer.choices[0].message.content or "" if answer.choices else ""


def read(picture: bytes) -> Evidence:
    """Return the words of a picture, in reading order; what it is of stays unknown."""
    with _reading:
        found: Any = _reader()(picture)
    texts, scores = found.txts or (), found.scores or ()
    sizes = [_size_of(box) for box in found.boxes] if texts else []
    lines = list(zip(texts, scores, sizes, strict=True))
    sure = [line for line in lines if line[1] >= LEAST_SCORE]
    confidence = sum(score * size for _, score, size in sure) / (sum(sizes) or 1)
    text = storable("\n".join(text for text, _, _ in sure))[:LONGEST_TEXT]
    return Evidence(text, None, None, round(float(confidence), 2), [], "ocr")


def _size_of(box: Sequence[Sequence[float]]) -> float:
    """Return the area of a line by its corners: one that is blurred is read as fewer letters."""
    return dist(box[0], box[1]) * dist(box[1], box[2])


@lru_cache(maxsize=1)
def _reader() -> "RapidOCR":
    """Load the recogniser once per process: 0.8 s, and about 350 MB stay."""
    from rapidocr import RapidOCR

    # Lines that were found and can't be read are told too: they say how much is missing.
    quiet = {"Global.log_level": "error", "Global.text_score": 0.0}
    # One thread: beside the engine, more of them only get in each other's way.
    threads = {
        f"EngineConfig.onnxruntime.{which}_op_num_threads": 1 for which in ("intra", "inter")
    }
    return RapidOCR(params=quiet | threads)
