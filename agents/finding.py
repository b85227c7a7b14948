"""Which rules a dialogue is answered by: what to search for, and what of it is shown."""

from collections.abc import Mapping, Sequence
from functools import partial

from agents.prompting import Line
from knowledge import anticipating
from knowledge.models import Scene
from knowledge.searching import Found, current_settings, search, shown_of

QUERY_LENGTH = 400  # characters of a message that are searched for
WORDS_THAT_STAND_ALONE = 3


def find_rules_for(
    dialogues: Sequence[Sequence[Line]], *, scene: Scene | None, audience: Mapping[str, str]
) -> list[list[Found]]:
    """Return the rules for the last message of each dialogue, best first; one batch for all.

    The second wording of those that find nothing by the first is asked in another batch.
    """
    said = [[line.text for line in lines if line.role == "customer"] for lines in dialogues]
    pairs = [wordings(texts) if texts else ("", "") for texts in said]  # a job may speak first
    settings = current_settings()
    find = partial(search, scene=scene, audience=audience, settings=settings)
    found: dict[str, list[Found]] = {"": []}
    for place in (0, 1):
        silent = [pair for pair in pairs if not found.get(pair[0])]
        asked = list(dict.fromkeys(pair[place] for pair in silent if pair[place] not in found))
        found |= dict(zip(asked, find(asked), strict=True))
    return [shown_of(found[first] or found[second], settings) for first, second in pairs]


def expect(text: str) -> None:
    """Begin to embed a customer's message that `find_rules_for` will search for."""
    if len(text.split()) >= WORDS_THAT_STAND_ALONE:
        anticipating.expect(text[-QUERY_LENGTH:])


def wordings(said: Sequence[str]) -> tuple[str, str]:
    """Return what to search for, given what a customer said, oldest first: the better one first.

    A message of a word or two says something only together with the one before it.
    """
    recent = [text[-QUERY_LENGTH:] for text in said[-2:]]
    alone, joined = recent[-1], " ".join(recent)
    return (joined, alone) if len(alone.split()) < WORDS_THAT_STAND_ALONE else (alone, joined)
