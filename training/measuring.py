"""How good answers are: shares over many, with Wilson intervals. No Django, no model.

Names of the shares: `valid_json` (it parses), `valid_action` (it is a dialogue action),
`action` (its name is right), `arguments` (of expected tool calls: name and arguments are
right), `knowledge` (it cites exactly the expected rules), `reply_overlap` (mean token F1
of the reply), `repeats` (the reply says again what the agent said before). For pairs:
`repaired`. The names, and `repaired` as a measure, are our own definitions.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from difflib import SequenceMatcher
from typing import Any

from agents.actions import DialogueAction, UnreadableAction, parse_action
from knowledge.shares import share_of

REPEATED = 0.8  # normalised similarity from which a reply counts as said again
WORD = re.compile(r"[a-z0-9$.']*[a-z0-9]")

Scores = dict[str, float]  # by name, each from 0 to 1; a name is absent where it can't be asked


def score_answer(answer: str, *, expected: str, said: Sequence[str] = ()) -> Scores:
    """Compare an answered action text with the expected one.

    `said` are the agent's earlier replies of the dialogue.

    Raises:
        UnreadableAction: `expected` is not a dialogue action.
    """
    target = parse_action(expected)
    action = _parsed(answer)
    scores = {"valid_json": float(_is_json(answer)), "valid_action": float(action is not None)}
    scores["action"] = float(action is not None and action.name == target.name)
    if target.arguments:
        scores["arguments"] = float(action is not None and _call(action) == _call(target))
    scores["knowledge"] = float(action is not None and _cited(action) == _cited(target))
    scores["reply_overlap"] = token_f1(action.reply, target.reply) if action else 0.0
    if said and action:
        scores["repeats"] = float(any(is_repetition(action.reply, text) for text in said))
    return scores


def score_pair(answer: str, *, chosen: str, rejected: str) -> Scores:
    """Say whether an answer to a bad case is nearer to its rewrite than to what was said.

    Nearness [ours]: 1 for the same call, plus the token F1 of the reply. A tie, or an
    answer that is no action, repairs nothing.
    """
    action = _parsed(answer)
    scores = {"valid_json": float(_is_json(answer)), "valid_action": float(action is not None)}
    near = [_nearness(action, parse_action(text)) if action else 0 for text in (chosen, rejected)]
    return {**scores, "repaired": float(near[0] > near[1])}


def summarise(scores: Iterable[Scores]) -> dict[str, dict[str, Any]]:
    """Return a Share, as a plain object, for each name that was scored at least once."""
    values: dict[str, list[float]] = {}
    for row in scores:
        for name, value in row.items():
            values.setdefault(name, []).append(value)
    return {name: asdict(share_of(column)) for name, column in values.items()}


def token_f1(text: str, target: str) -> float:
    """Return the harmonic mean of precision and recall of words (Rajpurkar et al. 2016)."""
    words, wanted = (Counter(WORD.findall(part.lower())) for part in (text, target))
    shared = (words & wanted).total()
    if not shared:
        return float(not words and not wanted)
    return 2 * shared / (words.total() + wanted.total())


def is_repetition(text: str, earlier: str) -> bool:
    """Say whether two replies are the same but for small changes."""
    first, second = (" ".join(WORD.findall(part.lower())) for part in (text, earlier))
    return SequenceMatcher(None, first, second, autojunk=False).ratio() >= REPEATED


def _nearness(action: DialogueAction, target: DialogueAction) -> float:
    return float(_call(action) == _call(target)) + token_f1(action.reply, target.reply)


def _call(action: DialogueAction) -> tuple[str, dict[str, Any]]:
    return action.name, action.arguments


def _cited(action: DialogueAction) -> frozenset[int]:
    return frozenset(action.knowledge)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _parsed(text: str) -> DialogueAction | None:
    try:
        return parse_action(text)
    except UnreadableAction:
        return None
