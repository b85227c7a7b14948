"""Who words a reply that rests on rules, by their risk (see `agents.models.Composition`)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agents.actions import CLARIFY, CLOSE, REPLY, DialogueAction
from agents.models import Composition
from agents.promising import SENTENCE
from agents.prompting import Line, Rule

FIELD = re.compile(r"\{([A-Za-z_]\w*)\}")
CLOSE_ENOUGH = 0.6  # share of a rule's words that a styled reply has to keep
_WORD = re.compile(r"[a-z0-9']+|[\u4e00-\u9fff]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Worded:
    """A rule's reply in its own words; `missing` are fields that no tool result gives."""

    text: str
    missing: list[str]


def as_written(rules: Sequence[Rule], lines: Sequence[Line]) -> Worded:
    """Return the rules' own words with their {fields} filled from the dialogue's tool results."""
    known = verified_fields(lines)
    text = "\n".join(rule.content for rule in rules)
    missing = [name for name in dict.fromkeys(FIELD.findall(text)) if name not in known]
    # In one pass: braces in what a tool told are no places to fill.
    return Worded(FIELD.sub(lambda place: known.get(place[1], place[0]), text), missing)


def verified_fields(lines: Sequence[Line]) -> dict[str, str]:
    """Return what tools told without an error, by name; the newest result counts."""
    known: dict[str, str] = {}
    for line in lines:
        if line.role == "tool" and "error" not in line.result:
            known.update((name, str(value)) for name, value in _scalars(line.result))
    return known


def _scalars(result: Mapping[str, Any]) -> Iterator[tuple[str, str | int | float]]:
    for name, value in result.items():
        if isinstance(value, Mapping):
            yield from _scalars(value)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield name, value


def composed_early(
    action: DialogueAction,
    cited: Sequence[tuple[Rule, str]],
    lines: Sequence[Line],
    *,
    has_called: bool,
    told: str = "",
) -> DialogueAction | None:
    """Return the action with the rules as its reply, where that is known before one is written.

    `cited` are the rules that it names, with their composition. None: the model writes on.
    A quoted rule does not tell what came of a call, so then the model does, unless the tool's
    template has `told` it.
    """
    if told and (action.name in (CLARIFY, CLOSE) or (action.name == REPLY and not cited)):
        return replace(action, name=REPLY, reply=told, knowledge=[])
    if action.name != REPLY or not cited:
        return None
    strict = any(mode == Composition.STRICT for _, mode in cited)
    one = len(cited) == 1 and cited[0][1] == Composition.QUOTED
    if not strict and not (one and (told or not has_called)):
        return None
    worded = as_written([rule for rule, _ in cited], lines)
    text = worded.text if strict or not told else f"{told}\n{worded.text}"
    if strict and has_called and not FIELD.search(cited[0][0].content):
        text = "\n".join([text, *_told(lines)])
    return replace(action, reply="" if worded.missing else text)


def _told(lines: Sequence[Line]) -> list[str]:
    """Return the last result as plain lines: what was done is told, in no model's words."""
    calls = [line for line in lines if line.role == "tool"]
    told = dict(_scalars(calls[-1].result)) if calls else {}
    return [f"{name.replace('_', ' ').capitalize()}: {value}" for name, value in told.items()]


def filled(template: str, result: Mapping[str, Any]) -> str:
    """Return a template with the {fields} of a result, less the sentences that lack one."""
    known = {name: _written(value) for name, value in _scalars(result)}
    return " ".join(
        FIELD.sub(lambda place: known[place[1]], sentence)
        for sentence in SENTENCE.split(template)
        if sentence and known.keys() >= set(FIELD.findall(sentence))
    )


def _written(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def missing_fields(rules: Sequence[Rule], lines: Sequence[Line]) -> list[str]:
    """Return the fields of these rules that no tool result gives yet."""
    return as_written(rules, lines).missing


def is_close(reply: str, rule: Rule) -> bool:
    """Say whether a styled reply keeps to its rule: most of the rule's words are in it."""
    wanted, said = _words(rule.content), _words(reply)
    return len(wanted & said) >= CLOSE_ENOUGH * len(wanted)


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
