"""Which rules a dialogue is answered by: what to search for, and what of it is shown."""

from collections.abc import Mapping, Sequence

from agents.prompting import Line
from knowledge.models import Scene
from knowledge.searching import Found, current_settings, search, shown_of

QUERY_LENGTH = 400  # characters of a message that are searched for
WORDS_THAT_STAND_ALONE = 3


def find_rules_for(
    dialogues: Sequence[Sequence[Line]], *, scene: Scene | None, audience: Mapping[str, str]
) -> list[list[Found]]:
    """Return the rules for the last message of each dialogue, best first; one batch for all."""
    said = [[line.text for line in lines if line.role == "customer"] for lines in dialogues]
    queries = [query for texts in said for query in wordings(texts)]
    settings = current_settings()
    once = list(dict.fromkeys(queries))  # both wordings of a first message are the same
    results = search(once, scene=scene, audience=audience, settings=settings)
    found = dict(zip(once, results, strict=True))
    pairs = zip(queries[::2], queries[1::2], strict=True)
    return [shown_of(found[first] or found[second], settings) for first, second in pairs]


def wordings(said: Sequence[str]) -> tuple[str, str]:
    """Return what to search for, given what a customer said, oldest first: the better one first.

    A message of a word or two says something only together with the one before it.
    """
    recent = [text[-QUERY_LENGTH:] for text in said[-2:]]
    alone, joined = recent[-1], " ".join(recent)
    return (joined, alone) if len(alone.split()) < WORDS_THAT_STAND_ALONE else (alone, joined)
