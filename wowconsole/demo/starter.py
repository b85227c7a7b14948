"""Rows on which the shipped adapter is trained, made from the demo content alone.

Three kinds, as in the SFT stage of the WOWService report: knowledge-operational rows
(each rule asked for in its other wordings), short practice exchanges, and the good
dialogues. Rules are found as in service, by the same embedder, and carry random ids: the
model must read them off the prompt, so that it can use a rule written tomorrow. Rules of other
businesses, and questions beside a rule that does not answer them, teach it to read a rule
before it rests on it.
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

# As the starter's release reads them: among three this model chose no better than by chance, and
# search puts the right one first more often (`manage.py bench turn`).
RULES_SHOWN = 1
HELD_OUT_SHARE = 0.15  # of rules and of practice rows: the model never sees them
FITS = 0.84  # cosine from which a question that no rule answers is shown the nearest all the same
BESIDE = range(2, 8)  # ranks among which a question's wrong rule is drawn
SEED = 17
NO_RULE = (
    "I have no rule for that and don't want to guess. A colleague takes over.",
    "That is not in my rules, so I'm passing you to a colleague.",
    "I can't answer that for sure. A colleague will help you here.",
    "Nothing I have covers this. I'm connecting you with a colleague.",
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """One step to learn: what was said, the rules that apply, and the right action."""

    lines: list[Line]
    query: str
    cited: list[str]  # external ids
    action: DialogueAction
    held_out: bool
    wrong: bool = False  # a rule is shown that does not answer: `cited` is the one that would


class Shelf:
    """The demo rules with the vectors of their hooks, searched as in service but in memory."""

    def __init__(self) -> None:
        self.units: list[dict[str, Any]] = [*read("units.jsonl"), *elsewhere()]
        self.place = {unit["external_id"]: n for n, unit in enumerate(self.units)}
        hooks = [(n, text) for n, unit in enumerate(self.units) for text in _hooks(unit)]
        self.owners = np.asarray([place for place, _ in hooks])  # (hooks,) int
        self.texts = [text for _, text in hooks]
        self.vectors = np.asarray(embed_passages(self.texts))  # (hooks, 384) float

    def ranked(self, query: str) -> list[tuple[int, float]]:
        """Return the places of all rules and the cosine of their best hook, best first."""
        scores = self.vectors @ np.asarray(embed_queries([query])[0])
        # A customer never asks in the very words of a hook; the row must not either.
        scores[[text == query for text in self.texts]] = 0
        order = [int(hook) for hook in np.argsort(-scores)]
        best: dict[int, float] = {}
        for hook in order:
            best.setdefault(int(self.owners[hook]), float(scores[hook]))
        return list(best.items())

    def find(self, sample: Sample, dice: random.Random) -> list[int]:
        """Return the places of what the model is shown: RULES_SHOWN rules at most, best first.

        The cited one, whatever the search put first; a neighbour of it where the sample wants
        a wrong one; the nearest where none is cited, if it is near enough.
        """
        ranked = self.ranked(sample.query)
        cited = [self.place[external_id] for external_id in sample.cited]
        if sample.wrong:
            beside = [place for place, _ in ranked if place not in cited]
            return [beside[dice.choice(BESIDE)]]
        if cited:
            return [place for place, _ in ranked if place in cited][:RULES_SHOWN]
        return [place for place, score in ranked[:RULES_SHOWN] if score >= FITS]


def _hooks(unit: dict[str, Any]) -> list[str]:
    whole = f"{unit['title']}. {unit['condition']}. {unit['content']}"
    return [unit["title"], unit["condition"], *unit["questions"][:3], whole]


def rows() -> tuple[list[Row], list[Row]]:
    """Return training and held-out rows in TRL's prompt/completion form, shuffled."""
    dice = random.Random(SEED)  # noqa: S311 (not a secret)
    shelf = Shelf()
    samples = [*_of_units(), *_of_elsewhere(dice), *_beside(dice), *_of_practice()]
    samples += _of_dialogues()
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
    places = shelf.find(sample, dice)
    ids = dict(zip(places, dice.sample(range(1, 3000), len(places)), strict=True))
    rules = [
        Rule(ids[place], shelf.units[place]["condition"], shelf.units[place]["content"])
        for place in places
    ]
    cited = [ids[shelf.place[name]] for name in sample.cited if shelf.place[name] in ids]
    if sample.wrong:
        cited = []
    thought = sample.action.thought or f"Rule {cited[0] if cited else 'none'} answers this."
    action = DialogueAction(
        sample.action.name, sample.action.reply, thought, cited, sample.action.arguments
    )
    messages = build_messages(
        prompt="default",
        tools=[*read("tools.json"), *read("plans.json")],
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


def elsewhere() -> list[dict[str, Any]]:
    """Return the rules of other businesses in the form of ours."""
    return [
        {**rule, "external_id": f"elsewhere.{number}"}
        for number, rule in enumerate(read("elsewhere.jsonl"))
    ]


def _of_elsewhere(dice: random.Random) -> Iterator[Sample]:
    """Yield other businesses' rules, asked for, and questions near them that they don't answer."""
    for unit in elsewhere():
        name = unit["external_id"]
        held_out = is_held_out(name)
        for question in unit["questions"]:
            line, action = Line("customer", question), DialogueAction("reply", unit["content"])
            yield Sample([line], question, [name], action, held_out)
        for question in unit["near"]:
            yield Sample([Line("customer", question)], question, [], _declined(dice), held_out)


def _beside(dice: random.Random) -> Iterator[Sample]:
    """Yield one question of each rule beside another rule, which does not answer it."""
    for unit in read("units.jsonl"):
        name = unit["external_id"]
        question = dice.choice(unit["questions"][:3])
        line = Line("customer", question)
        yield Sample([line], question, [name], _declined(dice), is_held_out(name), wrong=True)


def _declined(dice: random.Random) -> DialogueAction:
    return DialogueAction("handoff", dice.choice(NO_RULE), thought="No rule answers this.")


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
