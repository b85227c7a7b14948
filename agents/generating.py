"""Asking the model once, and reading the action that it wrote."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from django.conf import settings

from agents import breaking, budgeting, composing, engines, occasions
from agents.actions import (
    LONGEST_REPLY,
    DialogueAction,
    UnreadableAction,
    action_schema,
    parse_action,
)
from agents.gating import Gate
from agents.grounding import grounded, made_up, objection
from agents.happenings import Delta, Step
from agents.models import as_json
from agents.prompting import Message, ask_again, build_messages
from agents.streaming import ReplyStream
from agents.turning import Running, named, named_now, pay, told_of, waiting, words_itself

LONGEST_SAID = 4 * LONGEST_REPLY  # characters of an engine that keeps to no schema
TOO_LONG = f"the reply is too long: {LONGEST_REPLY} characters at most"

# Whether a sentence of a reply under way has a source, given all of the action but the reply.
Backed = Callable[[Running, DialogueAction | None, str], bool]


class Slow(engines.EngineUnavailable):
    """The engine took longer than the turn may wait."""


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
