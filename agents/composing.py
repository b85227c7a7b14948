"""Who words a reply that rests on rules, by their risk (see `agents.models.Composition`).

A rule's {fields} are filled from tool results alone: `{total}`, or `{customer.name}` for a value
inside another.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agents.actions import CLARIFY, CLOSE, REPLY, DialogueAction
from agents.calling import failed
from agents.clauses import SENTENCE
from agents.models import Composition
from agents.prompting import Line, Rule
from agents.screening import orders_in
from knowledge.searching import CODE

FIELD = re.compile(r"\{([A-Za-z_]\w*(?:\.\w+)*)\}")
LONGEST_VALUE = 200  # characters of a result that fill a field
CLOSE_ENOUGH = 0.6  # share of a rule's words that a styled reply has to keep
_SPACE_LESS = re.compile(r"(?<=[。！？；]) ")
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
    missing = [name for name in dict.fromkeys(FIELD.findall(text)) if not known.get(name)]
    # In one pass: braces in what a tool told are no places to fill.
    return Worded(FIELD.sub(lambda place: known.get(place[1]) or place[0], text), missing)


def verified_fields(lines: Sequence[Line]) -> dict[str, str]:
    """Return what tools told without an error of what the customer named last, by name.

    What is known of one order never fills another's field, nor does an older result what the
    newest leaves empty: a name with nothing to say has "". What a customer's own file says is no
    tool's word.
    """
    told = [line for line in reversed(lines) if _is_a_tools_word(line)]
    named = next((codes for line in reversed(lines) if (codes := _named_by_customer(line))), None)
    if named is not None:
        told = [line for line in told if named & subject(line)]
    if not told:
        return {}
    about = [line for line in told if subject(line) == subject(told[0])] if named else told[:1]
    return {name: value for line in reversed(about) for name, value in _values(line.result).items()}


def names_untold(text: str, lines: Sequence[Line]) -> bool:
    """Say whether a text names an order, or the like, that no tool has told of."""
    told = (subject(line) for line in lines if _is_a_tools_word(line))
    return bool(_codes(text).difference(*told))


def _is_a_tools_word(line: Line) -> bool:
    return line.role == "tool" and line.is_proof and not failed(line.result)


def _named_by_customer(line: Line) -> set[str]:
    return _codes(line.text) if line.role == "customer" else set()


def subject(line: Line) -> set[str]:
    """Return the identifiers of what a call was about: those it was given, else those it told."""
    return _codes(str(line.arguments)) or _codes(str(line.result))


def _codes(text: str) -> set[str]:
    """Return the identifiers in a text (GW-4471, 4471902), without signs between their parts."""
    return {"".join(filter(None, found.groups())).upper() for found in CODE.finditer(text)}


def _values(result: Mapping[str, Any]) -> dict[str, str]:
    """Return each value of a result on one line, "" for none and for one that gives a model orders.

    Each by its path, and by its name if none shares it.
    """
    return {name: _written(value) for name, value in _named(result).items()}


def _named(result: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(_scalars(result))
    names = Counter(path[-1] for path in found)
    alone = {path[-1]: value for path, value in found.items() if names[path[-1]] == 1}
    return alone | {".".join(path): value for path, value in found.items()}


def _scalars(result: Mapping[str, Any], *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in result.items():
        if isinstance(value, Mapping):
            yield from _scalars(value, *path, name)
        elif not isinstance(value, bool | list):
            yield (*path, name), value


def _written(value: str | float | None) -> str:
    if value is None or orders_in(value):
        return ""
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    return " ".join(text.split())[:LONGEST_VALUE]


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
    text = worded.text
    if not (strict and any(FIELD.search(rule.content) for rule, _ in cited)):
        text = "\n".join(filter(None, [told, text]))
    return replace(action, reply="" if worded.missing else text)


def filled(template: str, result: Mapping[str, Any]) -> str:
    """Return a template with the {fields} of a result, less the sentences that lack one.

    Once one was left out, those without a field are too: "The money is on its way" tells nothing
    true of a result that names no sum.
    """
    known = {name: value for name, value in _values(result).items() if value}
    kept, lacks = [], False
    for sentence in filter(None, SENTENCE.split(template)):
        fields = set(FIELD.findall(sentence))
        if not fields <= known.keys():
            lacks = True
        elif fields or not lacks:
            kept.append(FIELD.sub(lambda place: known[place[1]], sentence))
    return _SPACE_LESS.sub("", " ".join(kept))


def named_by(template: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a result has for the {fields} of a template, by their names there."""
    known = _named(result)
    return {name: known[name] for name in FIELD.findall(template) if _written(known.get(name))}


def missing_fields(rules: Sequence[Rule], lines: Sequence[Line]) -> list[str]:
    """Return the fields of these rules that no tool result gives yet."""
    return as_written(rules, lines).missing


def is_close(reply: str, rule: Rule) -> bool:
    """Say whether a styled reply keeps to its rule: most of the rule's words are in it."""
    wanted, said = _words(rule.content), _words(reply)
    return len(wanted & said) >= CLOSE_ENOUGH * len(wanted)


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
