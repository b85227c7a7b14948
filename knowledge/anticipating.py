"""Questions that will be searched for in a moment: embedded while their message is stored.

To store a message and to take up its turn is a dozen short waits for the database; a core can
embed what was said meanwhile. Without the vector, or with another embedder in use by then, a
search makes its own.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import Lock

from knowledge.embedding import embed

MOST_EXPECTED = 64  # questions; the oldest is forgotten
AT_ONCE = 4  # the shipped model takes one at a time, a server several

Vector = list[float]
Embedder = tuple[str, str]  # its kind, and its options as JSON

_expected: OrderedDict[tuple[Embedder, str], Future[Vector]] = OrderedDict()
_in_use: list[Embedder] = []  # that of this process's last search; empty before the first
_lock = Lock()


def expect(text: str) -> None:
    """Begin to embed a question by the embedder that was in use last. Returns at once."""
    with _lock:
        if not _in_use or _is_expected(key := (_in_use[0], text)):
            return
        _expected[key] = _threads().submit(_embed_one, *key)
        while len(_expected) > MOST_EXPECTED:
            _expected.popitem(last=False)[1].cancel()


def embed_questions(
    texts: Sequence[str], *, embedder: str, options: Mapping[str, str]
) -> list[Vector]:
    """Return one vector per question, those that were expected without making them again.

    What is still waiting for its turn is made here, as nobody waits behind others' questions;
    so is what failed, which may be long ago.

    Raises:
        EmbeddingFailed: any fault of the model or of the way to it.
    """
    used = (embedder, json.dumps(options, sort_keys=True))
    with _lock:
        _in_use[:] = [used]
        known = {text: _expected.pop((used, text), None) for text in texts}
    begun = {text: future for text, future in known.items() if future and not future.cancel()}
    made = {text: future.result() for text, future in begun.items() if not future.exception()}
    rest = [text for text in known if text not in made]
    fresh = embed(rest, is_query=True, embedder=embedder, options=options)
    made |= dict(zip(rest, fresh, strict=True))
    return [made[text] for text in texts]


def _is_expected(key: tuple[Embedder, str]) -> bool:
    """Say whether it was begun, and has not failed. The caller holds the lock."""
    future = _expected.get(key)
    return future is not None and not (future.done() and future.exception())


def _embed_one(used: Embedder, text: str) -> Vector:
    embedder, options = used
    [vector] = embed([text], is_query=True, embedder=embedder, options=json.loads(options))
    return vector


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="embedding")
