"""Rows on which the shipped adapter is trained, made from the demo content alone.

Three kinds, as in the SFT stage of the WOWService report: knowledge-operational rows
(each rule asked for in its other wordings), short practice exchanges, and the good
dialogues. Rules are found as in service, by the same embedder, and carry random ids: the
model must read them off the prompt, so that it can use a rule written tomorrow.
"""

import hashlib
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from agents.actions import DialogueAction
from agents.prompting import Line, Rule, build_messages
from knowledge.embedding import embed_passages, embed_queries
from wowconsole.demo.content import read

RULES_SHOWN = 3
HELD_OUT_SHARE = 0.15  # of rules and of practice rows: the model never sees them
KNOWN_AMONG_FOUND = 0.9  # share of rows whose rule is shown even if search missed it
SEED = 17

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """One step to learn: what was said, the rules that apply, and the right action."""

    lines: list[Line]
    query: str
    cited: list[str]  # external ids
    action: DialogueAction
    held_out: bool


class Shelf:
    """The demo rules with the vectors of their hooks, searched as in service but in memory."""

    def __init__(self) -> None:
        self.units: list[dict[str, Any]] = read("units.jsonl")
        self.place = {unit["external_id"]: n for n, unit in enumerate(self.units)}
        hooks = [(n, text) for n, unit in enumerate(self.units) for text in _hooks(unit)]
        self.owners = np.asarray([place for place, _ in hooks])  # (hooks,) int
        self.texts = [text for _, text in hooks]
        self.vectors = np.asarray(embed_passages(self.texts))  # (hooks, 384) float

    def find(self, query: str, cited: Sequence[str], dice: random.Random) -> list[int]:
        """Return the places of up to RULES_SHOWN rules, best first, the cited ones among them."""
        scores = self.vectors @ np.asarray(embed_queries([query])[0])
        # A customer never asks in the very words of a hook; the row must not either.
        scores[[text == query for text in self.texts]] = 0
        ranked = dict.fromkeys(int(self.owners[hook]) for hook in np.argsort(-scores))
        found = list(ranked)[:RULES_SHOWN]
        for external_id in cited:
            wanted = self.place[external_id]
            if wanted not in found and dice.random() < KNOWN_AMONG_FOUND:
                found[dice.randrange(len(found))] = wanted
        return list(dict.fromkeys(found))


def _hooks(unit: dict[str, Any]) -> list[str]:
    whole = f"{unit['title']}. {unit['condition']}. {unit['content']}"
    return [unit["title"], unit["condition"], *unit["questions"][:3], whole]


def rows() -> tuple[list[Row], list[Row]]:
    """Return training and held-out rows in TRL's prompt/completion form, shuffled."""
    dice = random.Random(SEED)  # noqa: S311 (not a secret)
    shelf = Shelf()
    samples = [*_of_units(), *_of_practice(), *_of_dialogues()]
    samples += [other for sample in samples if (other := _renumbered(sample, dice))]
    dice.shuffle(samples)
    split: tuple[list[Row], list[Row]] = ([], [])
    for sample in samples:
        split[sample.held_out].append(_row(sample, shelf, dice))
    return split


def _renumbered(sample: Sample, dice: random.Random) -> Sample | None:
    """Return the same tool call about another order, so that numbers are copied, not learnt."""
    known = sample.action.arguments.get("order_id")
    if known is None or sample.held_out:
        return None
    other = f"GW{dice.randrange(1000, 10000)}"

    def swap(value: Any) -> Any:
        return json.loads(re.sub(known, other, json.dumps(value), flags=re.IGNORECASE))

    lines = [Line(**swap(asdict(line))) for line in sample.lines]
    return replace(sample, lines=lines, action=DialogueAction(**swap(asdict(sample.action))))


def _row(sample: Sample, shelf: Shelf, dice: random.Random) -> Row:
    places = shelf.find(sample.query, sample.cited, dice)
    if not sample.cited and dice.random() < 0.4:  # often search finds nothing near enough
        places = []
    ids = dict(zip(places, dice.sample(range(1, 3000), len(places)), strict=True))
    rules = [
        Rule(ids[place], shelf.units[place]["condition"], shelf.units[place]["content"])
        for place in places
    ]
    cited = [ids[shelf.place[name]] for name in sample.cited if shelf.place[name] in ids]
    thought = sample.action.thought or f"Rule {cited[0] if cited else 'none'} answers this."
    action = DialogueAction(
        sample.action.name, sample.action.reply, thought, cited, sample.action.arguments
    )
    messages = build_messages(
        prompt="default",
        tools=read("tools.json"),
        rules=rules,
        lines=[*_earlier(shelf, dice), *sample.lines] if len(sample.lines) == 1 else sample.lines,
    )
    completion = [{"role": "assistant", "content": action.as_json()}]
    return {"prompt": messages, "completion": completion}


def _earlier(shelf: Shelf, dice: random.Random) -> list[Line]:
    """Return, now and then, another question and its answer: talks have a past."""
    if dice.random() > 0.2:
        return []
    unit = dice.choice(shelf.units)
    question = dice.choice(unit["questions"][:3])
    return [Line("customer", question), Line("agent", unit["content"])]


def _of_units() -> Iterator[Sample]:
    for unit in read("units.jsonl"):
        questions = unit["questions"]
        held_out = is_held_out(unit["external_id"])
        for question in questions if held_out else questions[:3]:
            action = DialogueAction("reply", unit["content"])
            line = Line("customer", question)
            yield Sample([line], question, [unit["external_id"]], action, held_out)


def _of_practice() -> Iterator[Sample]:
    for number, entry in enumerate(read("practice.jsonl")):
        lines = _lines(entry["history"])
        if entry["customer"]:
            lines.append(Line("customer", entry["customer"]))
        yield _sample(lines, entry["target"], is_held_out(f"practice {number}"))


def _of_dialogues() -> Iterator[Sample]:
    for dialogue in read("dialogues.jsonl"):
        if dialogue["label"] != "good":
            continue
        for number, turn in enumerate(dialogue["turns"]):
            if turn["role"] == "customer" or not number:
                continue
            lines = _lines(dialogue["turns"][:number])
            yield _sample(lines, _target(turn), is_held_out(dialogue["id"]))


def _target(turn: dict[str, Any]) -> dict[str, Any]:
    """Read an agent's or an action's turn of a dialogue as what the model should write."""
    name = turn["name"] if turn["role"] == "action" else turn.get("action", "reply")
    return {
        "thought": turn.get("thought", ""),
        "knowledge": turn.get("knowledge", []),
        "action": {"name": name, "arguments": turn.get("arguments", {})},
        "reply": turn["text"],
    }


def _sample(lines: list[Line], target: dict[str, Any], held_out: bool) -> Sample:
    action = DialogueAction(
        target["action"]["name"],
        target["reply"],
        target["thought"],
        arguments=target["action"]["arguments"],
    )
    said = [line.text for line in lines if line.role == "customer"]
    return Sample(lines, " ".join(said[-2:]), target["knowledge"], action, held_out)


def _lines(turns: Sequence[dict[str, Any]]) -> list[Line]:
    return [
        Line("tool", name=turn["name"], arguments=turn["arguments"], result=turn["result"])
        if turn["role"] == "action"
        else Line(turn["role"], turn["text"])
        for turn in turns
    ]


def is_held_out(name: str) -> bool:
    digest = hashlib.sha256(name.encode()).digest()
    return digest[0] < HELD_OUT_SHARE * 256
