"""The words of a move: the model's where they keep to the card, else the template's.

The embedded model can't lead a call, and often can't word one either: its JSON may be
unusable, or its words leave the card. Then the template's words are said. Which it was
stands with each line of the transcript.
"""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import jsonschema
from django.template import Context
from django.template.backends.django import Template as DjangoTemplate
from django.template.loader import get_template

from agents import engines
from agents.cleaning import storable
from agents.prompting import Line
from agents.subagents import Said, Work
from agents.subagents.cards import Card
from agents.subagents.flow import Move, State
from agents.subagents.values import in_words
from knowledge.quantities import plain, quantities

MODEL, TEMPLATE = "model", "template"
WORDING_SECONDS = 6.0  # nobody stays on a line that is silent for longer
SPOKEN_SECONDS = 2.0  # by voice, two seconds of nothing are long
MOST_WITHHELD = 2  # lines in a row; then the model is not asked any more in this call
LONGEST_SAY = 240  # characters: about 15 seconds of speech
LINES_SHOWN = 6
USED_UP = "what it may cost is used up"
# Words that bind the business; they may stand in a line only as the card has them.
_BINDING = re.compile(
    r"\b(promise|guarantee|refund\w*|compensat\w*|discount\w*|vouchers?|coupons?|free of charge|"
    r"for free|free|gift|bonus|waive\w*|extra|we will pay|we'll pay|credit|reward\w*)\b|"
    r"保证|承诺|退款|赔偿|补偿|折扣|优惠|免费|赠送",
    re.IGNORECASE,
)
# What the model may word; offers, readings back and farewells are said as they are written.
WORDED = ("greet", "ask", "ask_again", "explain", "calm", "still_there")
_ASKS = ("ask", "ask_again")


@dataclass(slots=True)
class Words:
    """What is to be said; `why` tells why the model's words were not taken."""

    say: str
    by: str = TEMPLATE
    why: str = ""
    facts: dict[str, Any] = field(default_factory=dict)  # that the model says it heard
    tokens: tuple[int, int] = (0, 0)

    @property
    def data(self) -> dict[str, Any]:
        """Return what the transcript keeps beside the line."""
        return {"by": self.by} | ({"why": self.why} if self.why else {})


def template_words(card: Card, state: State, move: Move) -> str:
    """Return the template's words for a move."""
    context = {
        "card": card,
        "move": move,
        "fact": card.fact(move.about),
        "offer": next((offer for offer in card.offers if offer.name == move.about), None),
        "known": known(card, state),
        "lead": "" if len(state.asked) else {"zh": "谢谢。"}.get(card.language, "Thank you. "),
    }
    return " ".join(_render(f"wording_{card.language}", context).split())


def system_words(card: Card) -> str:
    """Return what the model is told of the whole call."""
    return _render("system", {"card": card})


def _render(part: str, context: dict[str, Any]) -> str:
    template = cast(DjangoTemplate, get_template(f"agents/prompts/outbound/{part}.txt")).template
    return str(template.render(Context(context, autoescape=False, use_l10n=False))).strip()


def known(card: Card, state: State) -> str:
    """Return the facts obtained, as they were read, to be read back: so they can be denied."""
    return "; ".join(
        f"{fact.name.replace('_', ' ')}: {in_words(fact.kind, value, card.language)}"
        for fact in card.facts
        if (value := state.facts.get(fact.name, {}).get("value")) is not None
    )


async def words_for(
    work: Work, card: Card, state: State, move: Move, *, by_voice: bool = False
) -> Words:
    """Word a move: ask the model once, and check what it says against the card."""
    step = template_words(card, state, move)
    if move.kind not in WORDED:
        return Words(step)
    if work.release is None:
        return Words(step, why="no release is live")
    if state.withheld >= MOST_WITHHELD:
        return Words(step, why="its words were withheld before")
    left = await work.money_left()
    if left is not None and left <= 0:
        return Words(step, why=USED_UP)
    patience = SPOKEN_SECONDS if by_voice else WORDING_SECONDS
    words = await _model_words(work, card, move, step, patience)
    state.withheld = 0 if words.by == MODEL else state.withheld + 1
    return words


async def _model_words(work: Work, card: Card, move: Move, step: str, seconds: float) -> Words:
    try:
        async with asyncio.timeout(seconds):
            completion = await _complete(work, card, step)
    except (engines.EngineUnavailable, TimeoutError):
        return Words(step, why="the engine did not answer in time")
    tokens = (completion.prompt_tokens, completion.completion_tokens)
    action = read_action(completion.text, card)
    if action is None:
        return Words(step, why="unusable JSON", tokens=tokens)
    say = " ".join(action["say"].split())
    why = objection(say, action["offer"], card=card, move=move, step=step, lines=work.lines)
    if why:
        return Words(step, why=why, facts=action["facts"], tokens=tokens)
    return Words(say, by=MODEL, facts=action["facts"], tokens=tokens)


async def _complete(work: Work, card: Card, step: str) -> engines.Completion:
    """Ask the engine for one JSON action.

    Raises:
        EngineUnavailable: no answer.
    """
    shown = [line for line in work.lines if line.speaker != "note"][-LINES_SHOWN:]
    lines = [str(Line(line.speaker, line.text)) for line in shown]
    messages = [
        {"role": "system", "content": system_words(card)},
        {"role": "user", "content": _render("turn", {"lines": lines, "step": step})},
    ]
    assert work.release is not None  # noqa: S101 (narrows the type; words_for checked)
    pieces = [
        piece async for piece in engines.stream(work.release.version, messages, action_schema(card))
    ]
    completions = [piece for piece in pieces if isinstance(piece, engines.Completion)]
    if not completions:
        raise engines.EngineUnavailable("The engine's answer has no end.")
    return completions[-1]


def action_schema(card: Card) -> dict[str, Any]:
    """Build the JSON schema of one action of the call.

    None of the steps that the model words is an offer, so it can name none; `objection`
    refuses those of an engine that does not keep to schemas.
    """
    properties = {
        "say": {"type": "string", "minLength": 1, "maxLength": LONGEST_SAY},
        "facts": {
            "type": "object",
            "properties": {
                fact.name: {"type": "string", "maxLength": LONGEST_SAY} for fact in card.facts
            },
            "additionalProperties": False,
        },
        "offer": {"enum": [""]},
        "stop": {"type": "string", "maxLength": 60},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def read_action(text: str, card: Card) -> dict[str, Any] | None:
    """Return the model's action, or None if it is none. When to stop is not the model's choice."""
    schema = action_schema(card)
    schema["properties"]["offer"] = {"type": "string"}
    try:
        action = storable(json.loads(text))
        jsonschema.validate(action, schema)
    except (ValueError, RecursionError, jsonschema.ValidationError):
        return None
    return dict(action)


def objection(
    say: str, offer: str, *, card: Card, move: Move, step: str, lines: Sequence[Said]
) -> str:
    """Return why these words may not be said, "" if they may.

    Figures must stand on the card or have been said by the callee; what binds the business
    may be said only in the card's own words; a question must remain a question.
    """
    if offer and offer not in {permitted.name for permitted in card.offers}:
        return f"offers {offer[:40]}, which the card does not permit"
    if offer:
        return f"offers {offer[:40]}, which is not due"
    heard = " ".join(line.text for line in lines if line.speaker == "callee")
    grounds = plain(f"{step} {card.why} {heard}")
    known_figures = {(item.kind, item.value, item.unit) for item in quantities(grounds)}
    for item in quantities(plain(say)):
        if (item.kind, item.value, item.unit) not in known_figures:
            return f"says {item.text}, which nobody did"
    allowed = step.lower()
    bound = [word[0] for word in _BINDING.finditer(say) if word[0].lower() not in allowed]
    if bound:
        return f"promises beyond the card: {bound[0]}"
    return _off_the_step(say, card=card, move=move)


def _off_the_step(say: str, *, card: Card, move: Move) -> str:
    fact = card.fact(move.about)
    if move.kind in _ASKS and not re.search(r"[?？]", say):
        return "asks nothing"
    if move.kind in _ASKS and fact and not _shares_words(say, fact.question):
        return "asks something else"
    if move.kind in ("greet", "explain") and card.for_whom.lower() not in say.lower():
        return "does not say who calls"
    return ""


def _shares_words(say: str, question: str) -> bool:
    """Say whether at least half of the question's longer words, or signs, are there."""
    wanted = set(re.findall(r"[a-z]{4,}|[\u4e00-\u9fff]", question.lower()))
    return not wanted or sum(word in say.lower() for word in wanted) * 2 >= len(wanted)
