"""Which rules a dialogue is answered by: what to search for, and what of it is shown."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import takewhile

from agents.clauses import sentences
from agents.occasions import SPEAKS
from agents.prompting import Line
from knowledge import anticipating
from knowledge.models import Scene
from knowledge.scripts import count_words
from knowledge.searching import Found, current_settings, search, shown_of

_NUMBER = re.compile(r"\d{2,}")
# Who asks something else, or thinks better of it, does not go on: "never mind, keep GW1003".
_TURNS_AWAY = re.compile(
    r"[?？]|\b(?:never ?mind|forget|keep|no(?! (?:problem|worries))|not|don['’]?t|actually|but"
    r"|rather|only|just|want|instead|when|where|how|why|what|which|wait|stop|hold|leave)\b"
    r"|不(?!好意思)|别|算了|但|只|想|什么|哪|怎么|几|吗",
    re.IGNORECASE,
)
QUERY_LENGTH = 400  # characters of a message that are searched for
WORDS_THAT_STAND_ALONE = 3
# A question for a number, the agent's own (agents/proposing.py) or a model's.
_ASKS_FOR_ONE = re.compile(
    r"\b(?:please|tell|need|what|which|give|write|have)\b.*\b(?:number|code|id|reference)\b"
    r"|\bwhich (?:order|one)\b|\bplease (?:tell me the|write it once more)\b"
    r"|(?:单|编)号|号码|哪(?:个|一)",
    re.IGNORECASE,
)


def find_rules_for(
    dialogues: Sequence[Sequence[Line]], *, scene: Scene | None, audience: Mapping[str, str]
) -> list[list[Found]]:
    """Return the rules for the last message of each dialogue, best first; one batch for all.

    The second wording of those that find nothing by the first is asked in another batch; that
    of a word or two at once, since it may fit a rule by itself ("thanks"), where nothing that was
    written before it waits for an answer too.
    """
    said = [wants(lines) for lines in dialogues]
    pairs = [wordings(texts) if texts else ("", "") for texts in said]  # a job may speak first
    settings = current_settings()
    find = partial(search, scene=scene, audience=audience, settings=settings)
    found: dict[str, list[Found]] = {"": []}

    def ask(texts: Iterable[str]) -> None:
        asked = [text for text in dict.fromkeys(texts) if text not in found]
        found.update(zip(asked, find(asked), strict=True))

    alone = [
        second if _is_short(second) and len(unanswered(lines)) == 1 else ""
        for (_, second), lines in zip(pairs, dialogues, strict=True)
    ]
    ask([*(first for first, _ in pairs), *alone])
    ask(second for first, second in pairs if not found[first])
    best = [
        short if _speaks(found[short]) else (first if found[first] else second)
        for (first, second), short in zip(pairs, alone, strict=True)
    ]
    return [shown_of(found[text], settings) for text in best]


def unanswered(lines: Sequence[Line]) -> list[str]:
    """Return what the customer wrote since the agent spoke last, oldest first."""
    since = list(takewhile(lambda line: line.role != "agent", reversed(lines)))
    return [line.text for line in reversed(since) if line.role == "customer"]


def said_by_customer(lines: Sequence[Line]) -> list[str]:
    """Return what the customer wrote, oldest first."""
    return [line.text for line in lines if line.role == "customer"]


def wants(lines: Sequence[Line]) -> list[str]:
    """Return what the customer wrote, oldest first; an answer with what it is an answer to.

    Who is asked for a number, and names one, goes on with what they wanted: "It's GW1003, thank
    you" is no thanks.
    """
    said: list[str] = []
    asked = False
    for line in lines:
        if line.role == "customer":
            is_answer = asked and said and _names_one(line.text)
            said.append(f"{said.pop()} {line.text}" if is_answer else line.text)
        elif line.role == "agent":
            asked = asks_for_one(line.text)
    return said


def asks_for_one(text: str) -> bool:
    """Say whether a line of the agent asks for a number."""
    return any(map(_ASKS_FOR_ONE.search, sentences(text)))


def _names_one(text: str) -> bool:
    return bool(_NUMBER.search(text)) and not _TURNS_AWAY.search(text)


def goes_on(lines: Sequence[Line]) -> bool:
    """Say whether the customer's last message answers a question for a number."""
    said = wants(lines)
    return bool(said) and said[-1] != said_by_customer(lines)[-1]


def _speaks(found: Sequence[Found]) -> bool:
    return bool(found) and found[0].similarity >= SPEAKS


def _is_short(text: str) -> bool:
    return count_words(text) < WORDS_THAT_STAND_ALONE


def expect(text: str) -> None:
    """Begin to embed a customer's message that `find_rules_for` will search for."""
    if text:
        anticipating.expect(text[-QUERY_LENGTH:])


def wordings(said: Sequence[str]) -> tuple[str, str]:
    """Return what to search for, given what a customer said, oldest first: the better one first.

    A message of a word or two says something only together with the one before it.
    """
    recent = [text[-QUERY_LENGTH:] for text in said[-2:]]
    alone, joined = recent[-1], " ".join(recent)
    return (joined, alone) if _is_short(alone) else (alone, joined)
