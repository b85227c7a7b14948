"""One turn under way: what it remembers, asking the model once, and calling one tool."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings

from agents import breaking, budgeting, composing, engines, occasions, promising
from agents.actions import (
    CLARIFY,
    CLOSE,
    HANDOFF,
    LONGEST_REPLY,
    DialogueAction,
    UnreadableAction,
    action_schema,
    parse_action,
)
from agents.budgeting import Budget, Spent
from agents.calling import failed
from agents.finding import unanswered
from agents.gating import Gate
from agents.grounding import grounded, made_up, mistyped, objection
from agents.happenings import Delta, Step, TurnContext
from agents.models import Composition, Tool, as_json, released
from agents.prompting import LINES_SHOWN, Line, Message, Rule, ask_again, build_messages
from agents.schemas import patterns_of
from agents.streaming import ReplyStream
from knowledge.models import Revision
from knowledge.searching import Found

LONGEST_SAID = 4 * LONGEST_REPLY  # characters of an engine that keeps to no schema
TOO_LONG = f"the reply is too long: {LONGEST_REPLY} characters at most"

# Whether a sentence of a reply under way has a source, given all of the action but the reply.
Backed = Callable[["Running", DialogueAction | None, str], bool]


class Slow(engines.EngineUnavailable):
    """The engine took longer than the turn may wait."""


@dataclass(slots=True)
class Running:
    """What one run of the loop remembers."""

    context: TurnContext
    tools: dict[str, Tool]
    lines: list[Line]
    budget: Budget
    rules: list[Rule] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)
    best: Found | None = None  # the rule that fits best, if any was found
    made: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # arguments, by tool
    allowed: dict[str, dict[str, Any]] = field(default_factory=dict)  # tools callable now
    refused: Step | None = None  # what has to be said otherwise
    instructions: str = ""  # the prompt's static part, which is the same for every turn
    shown: str = ""  # of the reply, so far
    retried: set[str] = field(default_factory=set)  # faults after which it was asked again

    def cited(self, action: DialogueAction) -> list[Rule]:
        """Return the rules that an action cites, in its order; others can't be cited."""
        known = {rule.id: rule for rule in self.rules}
        return [known[pk] for pk in dict.fromkeys(action.knowledge) if pk in known]


async def begin(context: TurnContext) -> Running:
    """Return a turn that has read no rule yet: what it needs besides is fetched."""
    budget = budgeting.budget_of(context.release, context.money_left)
    return Running(context, await _tools_of(context), list(context.lines), budget)


async def show_found(turn: Running, found: Sequence[Found]) -> None:
    show(turn, await sync_to_async(_as_rules)(turn.context, found))
    turn.best = max(found, key=lambda item: item.similarity, default=None)


def show(turn: Running, rules: Sequence[Rule]) -> None:
    """Let the turn read these rules, or the first of them if its release reads fewer."""
    turn.rules = list(rules[: turn.budget.rules])


def _as_rules(context: TurnContext, found: Sequence[Found]) -> list[Rule]:
    risks: dict[int, str] = {}
    if context.release.limits.get("composition"):
        pks = [item.revision_id for item in found]
        risks = dict(Revision.objects.filter(pk__in=pks).values_list("unit_id", "risk"))
    return [
        Rule(
            item.unit_id,
            item.condition,
            item.content,
            risks.get(item.unit_id, "low"),
            item.similarity,
        )
        for item in found
    ]


async def _tools_of(context: TurnContext) -> dict[str, Tool]:
    tools = await sync_to_async(released)(context.release, context.scene)
    may_ask = context.may_ask
    return {name: tool for name, tool in tools.items() if may_ask or not tool.is_irreversible}


def prompt_of(turn: Running) -> list[Message]:
    """Return what the model is shown next, with the refused output if it has to try again."""
    prompt = turn.context.release.prompt
    messages = build_messages(
        prompt=prompt,
        tools=[as_json(tool) for tool in turn.tools.values()],
        rules=turn.rules,
        lines=turn.lines,
    )
    turn.instructions = messages[0]["content"]
    if (refused := turn.refused) is None:
        return messages
    part = "unbacked" if refused.fault == "unbacked" else "unreadable"
    problems = refused.problems
    return ask_again(messages, refused.output, prompt=prompt, part=part, problems=problems)


# Asking the model


async def ask(turn: Running, step: Step, is_backed: Backed) -> AsyncIterator[Delta]:
    """Ask the model once; fills `step` and yields the reply as it is written.

    Args:
        is_backed: says of a sentence, given the action it is part of, whether it may be shown.

    Raises:
        EngineUnavailable: no answer in time, or the breaker is open.
    """
    turn.allowed = _allowed(turn, step)
    unit_ids = [rule.id for rule in turn.rules]
    schema = action_schema(tools=list(turn.allowed.values()), unit_ids=unit_ids)
    turn.spent.steps += 1
    started = time.perf_counter()
    try:
        async with breaking.guarded(engine_name(turn), counts=_Counted):
            async for delta in _stream(turn, step, schema, is_backed):
                yield delta
    except breaking.BreakerOpen as error:
        raise engines.EngineUnavailable(f"The engine is left alone. {error}") from error
    except _Counted as error:
        raise error.cause from error
    finally:
        _count(turn, step, started)


def _allowed(turn: Running, step: Step) -> dict[str, dict[str, Any]]:
    """Return the tools that can be called now: their identifiers known, their occasion given.

    A small model takes an order named before for the one that the customer names now, so it may
    not have that.
    """
    described = [as_json(tool) for tool in turn.tools.values()]
    is_small = turn.context.release.quotes
    known, latest = (named_now(turn), waiting(turn)) if is_small else (named(turn), "")
    tools = grounded(described, known, turn.made, latest=latest)
    callable_now = [turn.tools[tool["name"]] for tool in tools]
    step.offers = occasions.offers(callable_now, turn.lines, turn.rules)
    return {tool["name"]: tool for tool in tools if step.offers.get(tool["name"], "no question")}


class _Counted(Exception):
    """A failure of the engine that the breaker counts; its cause is what callers see."""

    def __init__(self, cause: engines.EngineUnavailable) -> None:
        super().__init__(str(cause))
        self.cause = cause


def engine_name(turn: Running) -> str:
    """Return the breaker's name: each model of each server has its own."""
    return f"engine:{settings.ENGINE_URL}:{turn.context.release.version.name}"


async def _stream(
    turn: Running, step: Step, schema: dict[str, Any], is_backed: Backed
) -> AsyncIterator[Delta]:
    reply = ReplyStream()
    gate, written = Gate(lambda sentence: is_backed(turn, reply.decided(), sentence)), 0
    version = turn.context.release.version
    try:
        async with aclosing(engines.stream(version, step.messages, schema)) as pieces:
            while (piece := await _next(turn, step, pieces)) is not None:
                if isinstance(piece, engines.Completion):
                    _note(step, piece)
                    continue
                step.output += piece
                text = gate.feed(gained := reply.feed(piece))
                if (written := written + len(gained)) > LONGEST_SAID:
                    step.problems = [TOO_LONG]
                    return
                if composed := _composed(turn, reply):
                    step.output = composed.as_json()
                    turn.shown += composed.reply
                    yield Delta(composed.reply)
                    return  # which ends the request: the rest is known
                if text and not words_itself(turn, reply.decided()):
                    turn.shown += text
                    yield Delta(text)
    except engines.EngineRefused:
        raise
    except engines.EngineUnavailable as error:
        step.output = ""
        raise _Counted(error) from error


async def _next(turn: Running, step: Step, pieces: Any) -> str | engines.Completion | None:
    """Return the stream's next piece, None at its end.

    Raises:
        Slow: it did not come within what is left of the turn's seconds.
    """
    left = max(turn.budget.seconds - turn.spent.seconds, 0.01)
    if not step.output:
        left = min(left, turn.budget.first_token_seconds)
    try:
        async with asyncio.timeout(left):
            return await anext(pieces, None)
    except TimeoutError:
        raise Slow(f"The engine wrote nothing for {left:.1f} s.") from None


def _composed(turn: Running, reply: ReplyStream) -> DialogueAction | None:
    """Return the action with its reply, where that follows from the rules it names."""
    decided = reply.decided()
    if decided is None:
        return None
    release = turn.context.release
    rules = turn.cited(decided)
    cited = [(rule, release.composition_of(rule.risk)) for rule in rules]
    return composing.composed_early(
        decided, cited, turn.lines, has_called=bool(turn.made), told=told_of(turn, rules)
    )


def words_itself(turn: Running, action: DialogueAction | None) -> bool:
    """Say whether a model words a reply that may be replaced: it is not shown yet.

    A small model's on no rule, and any where a strict rule is to be said.
    """
    if action is None or action.calls_a_tool:
        return False
    if bound_by(turn, action):
        return True
    rests_on_none = action.name != CLOSE and not turn.cited(action)
    return turn.context.release.quotes and (action.name == HANDOFF or rests_on_none)


def bound_by(turn: Running, action: DialogueAction) -> list[Rule]:
    """Return the rules beside which no model may word its answer: a strict one is among them.

    Cited, or found first: then what is cited instead is said as written, too, and a model may at
    most ask something, where the rule does not say almost what the customer said.
    """
    cited, first = turn.cited(action), turn.rules[:1]
    if any(_is_strict(turn, rule) for rule in cited):
        return cited
    if not any(_is_strict(turn, rule) for rule in first):
        return []
    if first[0].similarity >= occasions.SPEAKS:
        return first
    asks = action.name == CLARIFY and promising.only_asks(action.reply)
    return [] if asks else cited or first


def _is_strict(turn: Running, rule: Rule) -> bool:
    mode = turn.context.release.composition_of(rule.risk)
    return mode == str(Composition.STRICT)


def told_of(turn: Running, rules: Sequence[Rule] = ()) -> str:
    """Return what this turn's calls of a tool told, by its template, where the release speaks so.

    Or where one of these `rules` is strict: then no model words results either.
    """
    last, tool = last_call(turn)
    speaks = turn.context.release.quotes or any(_is_strict(turn, rule) for rule in rules)
    made = len(turn.made.get(tool.name, [])) if tool else 0
    if last is None or tool is None or failed(last.result) or not made or not speaks:
        return ""
    calls = [line for line in turn.lines if line.role == "tool" and line.name == tool.name][-made:]
    told = [
        composing.filled(tool.result_template, call.result)
        for call in calls
        if not failed(call.result)
    ]
    return "\n".join(dict.fromkeys(filter(None, told)))


def last_call(turn: Running) -> tuple[Line | None, Tool | None]:
    """Return the dialogue's last line and its tool, if that is what a call or a job brought."""
    last = turn.lines[-1] if turn.lines else None
    if last is None or last.role != "tool":
        return None, None
    return last, turn.tools.get(last.name)


def _note(step: Step, completion: engines.Completion) -> None:
    step.output = completion.text
    step.first_token_ms = completion.first_token_ms
    step.prompt_tokens = completion.prompt_tokens
    step.completion_tokens = completion.completion_tokens
    if completion.was_cut:
        step.problems = ["it was cut off: it is too long"]


def _count(turn: Running, step: Step, started: float) -> None:
    """Add up what the call took; a stream that was cut short has not said its tokens."""
    step.engine_ms = round((time.perf_counter() - started) * 1000, 1)
    if step.output and not step.prompt_tokens:
        shown = "".join(message["content"] for message in step.messages)
        step.prompt_tokens = budgeting.estimated_tokens(shown)
        step.completion_tokens = budgeting.estimated_tokens(step.output)
        step.is_estimate = True
    version = turn.context.release.version
    cost = budgeting.cost_of(version, step.prompt_tokens, step.completion_tokens)
    turn.spent.tokens += step.prompt_tokens + step.completion_tokens
    pay(turn, step, cost)


def pay(turn: Running, step: Step, cost: Decimal) -> None:
    turn.spent.money += cost
    step.cost = round(step.cost + float(cost), 8)


def named(turn: Running) -> str:
    """Return what customers said and tools told: what the agent made up grounds nothing."""
    return "\n".join(str(line) for line in turn.lines[-LINES_SHOWN:] if line.role != "agent")


def waiting(turn: Running) -> str:
    """Return what the customer wrote since the agent spoke last."""
    return " ".join(unanswered(turn.lines))


def patterns(turn: Running) -> list[str]:
    """Return the patterns of all identifiers that the turn's tools take."""
    return list(patterns_of([tool.parameters for tool in turn.tools.values()]))


def is_mistyped(turn: Running) -> bool:
    """Say whether a number that waits for an answer is none that a tool could take."""
    return mistyped(waiting(turn), patterns(turn))


def named_now(turn: Running) -> str:
    """Return what `named` does; where a number is mistyped, nothing that was named before it."""
    return waiting(turn) if is_mistyped(turn) else named(turn)


def read(turn: Running, step: Step) -> DialogueAction | None:
    """Read what the engine wrote; a call that the turn's schema forbids is not readable."""
    try:
        action = parse_action(step.output)
    except UnreadableAction as error:
        step.fault = "unreadable"
        step.problems = step.problems or [str(error)]
        return None
    step.action = action.as_dict()
    if action.calls_a_tool:
        if problem := _problem_of_call(turn, action):
            step.fault, step.problems = "forbidden", [problem]
            return None
    elif not action.reply.strip() and not _lacks_fields(turn, action):
        step.fault, step.problems = "unreadable", ["the reply is empty"]
        return None
    return action


def _problem_of_call(turn: Running, action: DialogueAction) -> str:
    if action.arguments in turn.made.get(action.name, []):
        return f"{action.name} was called with these arguments already: say what it told"
    tool = turn.allowed.get(action.name)
    if tool is None:
        return f"{action.name} can't be called now"
    if wrong := objection(action.arguments, tool):
        return f"{action.name} can't be called with these arguments: {wrong}"
    if turn.tools[action.name].is_irreversible:
        return "; ".join(made_up(action.arguments, tool, _said_to_a_call(turn, action)))
    return ""


def _said_to_a_call(turn: Running, action: DialogueAction) -> list[str]:
    """Return what the words of a call may rest on."""
    rules = [f"{rule.condition}. {rule.content}" for rule in turn.cited(action)]
    return [named(turn), *(line.text for line in turn.lines if line.is_staff), *rules]


def _lacks_fields(turn: Running, action: DialogueAction) -> bool:
    return bool(composing.missing_fields(turn.cited(action), turn.lines))


def with_sources(turn: Running, action: DialogueAction, unit_ids: Sequence[int]) -> DialogueAction:
    """Return the action citing these rules as well."""
    return replace(action, knowledge=list(dict.fromkeys([*action.knowledge, *unit_ids])))
