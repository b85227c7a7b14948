"""The master agent: finds rules, asks the model for one action at a time, calls tools, speaks.

It knows nothing of how dialogues are stored: a `TurnContext` goes in, plain events come
out, in the order in which they happen. Method: the unified dialogue-action loop of the
WOWService report (arXiv 2510.13291), with batch retrieval before each turn.
"""

import hashlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from asgiref.sync import sync_to_async

from agents import confirming, engines
from agents.actions import (
    HANDOFF,
    REPLY,
    DialogueAction,
    UnreadableAction,
    action_schema,
    parse_action,
)
from agents.calling import call_tool
from agents.confirming import Call
from agents.finding import find_rules_for
from agents.grounding import grounded, invents
from agents.models import Release, Tool, as_json
from agents.prompting import Line, Message, Rule, build_messages
from agents.streaming import ReplyStream
from knowledge.models import Scene
from knowledge.searching import Found

MOST_STEPS = 4  # engine calls in one turn; each costs the customer a second or two
SORRY = "I'm sorry, I can't answer that right now. I'm passing you to a colleague."


@dataclass(frozen=True, slots=True)
class TurnContext:
    """All that the agent may know of the dialogue it answers."""

    turn_id: str
    release: Release
    scene: Scene | None
    lines: list[Line]  # oldest first; the last ones are what the customer just wrote
    # {"channel", "segment", "region"} as far as known: some rules are for some customers only.
    audience: Mapping[str, str] = field(default_factory=dict)
    confirmed: Call | None = None  # what the customer was asked about, and has just agreed to


@dataclass(frozen=True, slots=True)
class Thinking:
    """The rules were found; the model is asked."""

    found: list[Found]
    search_ms: float


@dataclass(frozen=True, slots=True)
class Delta:
    """The reply gained characters. They may still be withdrawn: only Finished is final."""

    text: str


@dataclass(frozen=True, slots=True)
class Calling:
    """A tool is about to be called; `detail` says so in the agent's words."""

    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class Called:
    """A tool was called."""

    name: str
    arguments: dict[str, Any]
    result: dict[str, Any]


@dataclass(slots=True)
class Step:
    """One engine call and what followed; stored as it is. `action` is None if unreadable."""

    messages: list[Message]
    output: str = ""
    action: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    engine_ms: float = 0.0
    first_token_ms: float = 0.0
    tool_ms: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The turn is over; `action` is what is said and done. `error` is empty if all went well.

    `pending` is the call that the customer is asked to agree to, if the reply asks that.
    """

    action: DialogueAction
    error: str = ""
    pending: Call | None = None


Happening = Thinking | Delta | Calling | Called | Step | Finished


@dataclass(slots=True)
class _Turn:
    """What one run of the loop remembers."""

    context: TurnContext
    tools: dict[str, Tool]
    rules: list[Rule]
    lines: list[Line]
    calls: set[str] = field(default_factory=set)
    allowed: dict[str, dict[str, Any]] = field(default_factory=dict)  # tools callable now


async def answer(context: TurnContext) -> AsyncIterator[Happening]:
    """Answer the customer's last words: yields what happens, Finished last.

    A tool call that was made before with the same key (after a crash) acts once, since
    its idempotency key depends on the turn and the arguments alone.
    """
    started = time.perf_counter()
    found = await sync_to_async(find_rules)(context)
    yield Thinking(found, round((time.perf_counter() - started) * 1000, 1))

    turn = _Turn(context, await _tools_of(context), _as_rules(found), list(context.lines))
    async for happening in _call_confirmed(turn):
        yield happening
    for _ in range(MOST_STEPS):
        step = Step(_messages(turn))
        try:
            async for delta in _ask(turn, step):
                yield delta
        except engines.EngineUnavailable as error:
            yield step
            yield Finished(DialogueAction(HANDOFF, SORRY), error=str(error))
            return
        action = _readable(turn, step)
        if action is None or not action.calls_a_tool:
            yield step
            break
        if turn.tools[action.name].confirmation and not _was_called(turn, action):
            yield step
            asked = confirming.question(turn.tools[action.name], action)
            yield Finished(asked, pending=Call(action.name, action.arguments))
            return
        yield Calling(action.name, action.reply)
        repeated = await _call(turn, action, step)
        yield step
        yield Called(action.name, action.arguments, step.result or {})
        if repeated:
            action = None
            break
    yield _finish(action)


async def _call_confirmed(turn: _Turn) -> AsyncIterator[Happening]:
    """Make the call to which the customer has just agreed, without asking the model again."""
    call = turn.context.confirmed
    if call is None or call.name not in turn.tools:
        return
    action = DialogueAction(call.name, "", "The customer agreed", arguments=call.arguments)
    step = Step([], output=action.as_json(), action=action.as_dict())
    yield Calling(action.name, turn.tools[action.name].description.capitalize())
    await _call(turn, action, step)
    yield step
    yield Called(action.name, action.arguments, step.result or {})


def _was_called(turn: _Turn, action: DialogueAction) -> bool:
    return _key(turn.context.turn_id, action) in turn.calls


def _finish(action: DialogueAction | None) -> Finished:
    if action is None or not action.reply.strip():
        return Finished(DialogueAction(HANDOFF, SORRY), error="No readable action.")
    if action.calls_a_tool:
        return Finished(DialogueAction(HANDOFF, SORRY), error=f"More than {MOST_STEPS} steps.")
    return Finished(action)


def find_rules(context: TurnContext) -> list[Found]:
    """Return the rules for the customer's last message, best first.

    A message of a word or two ("and groceries?"), or one that finds nothing, is searched
    for together with the one before it. Both are asked in one batch.
    """
    [found] = find_rules_for([context.lines], scene=context.scene, audience=context.audience)
    return found


async def rehearse(context: TurnContext, rules: Sequence[Rule]) -> DialogueAction:
    """Return what the agent would say or do first by `rules`; tools are named, never called.

    Raises:
        EngineUnavailable: no answer.
    """
    turn = _Turn(context, await _tools_of(context), list(rules), list(context.lines))
    step = Step(_messages(turn))
    async for _ in _ask(turn, step):
        pass
    action = _readable(turn, step)
    return action if action and action.calls_a_tool else _finish(action).action


def _as_rules(found: Sequence[Found]) -> list[Rule]:
    return [Rule(item.unit_id, item.condition, item.content) for item in found]


async def _tools_of(context: TurnContext) -> dict[str, Tool]:
    tools = Tool.objects.of_scene(context.scene).filter(name__in=context.release.tools)
    return {tool.name: tool async for tool in tools.order_by("pk")}


def _messages(turn: _Turn) -> list[Message]:
    return build_messages(
        prompt=turn.context.release.prompt,
        tools=[as_json(tool) for tool in turn.tools.values()],
        rules=turn.rules,
        lines=turn.lines,
    )


async def _ask(turn: _Turn, step: Step) -> AsyncIterator[Delta]:
    """Ask the model once; fills `step` and yields the reply as it is written."""
    tools = grounded([as_json(tool) for tool in turn.tools.values()], _named(step.messages))
    turn.allowed = {tool["name"]: tool for tool in tools}
    schema = action_schema(tools=tools, unit_ids=[rule.id for rule in turn.rules])
    reply, started = ReplyStream(), time.perf_counter()
    version = turn.context.release.version
    async with aclosing(engines.stream(version, step.messages, schema)) as pieces:
        async for piece in pieces:
            if isinstance(piece, engines.Completion):
                _note_completion(step, piece)
                continue
            text = reply.feed(piece)
            if quoted := _quoted(turn, reply):
                step.output = quoted.as_json()
                step.engine_ms = round((time.perf_counter() - started) * 1000, 1)
                yield Delta(quoted.reply)
                return  # which ends the request: the rest is known
            if text:
                yield Delta(text)


def _note_completion(step: Step, completion: engines.Completion) -> None:
    step.output = completion.text
    for name, value in asdict(completion).items():
        if name != "text":
            setattr(step, name, value)


def _quoted(turn: _Turn, reply: ReplyStream) -> DialogueAction | None:
    """Return the action with its one rule's own words as the reply, where the release wants it.

    Not after a tool was called: then the reply has to tell what came of it.
    """
    if not turn.context.release.quotes_rules or turn.calls:
        return None
    decided = reply.decided()
    if decided is None or decided.name != REPLY or len(decided.knowledge) != 1:
        return None
    words = {rule.id: rule.content for rule in turn.rules}.get(decided.knowledge[0])
    return replace(decided, reply=words) if words else None


def _named(messages: Sequence[Message]) -> str:
    """Return what customers said and tools told: what the agent made up grounds nothing."""
    _, _, dialogue = messages[-1]["content"].partition("\nDIALOGUE\n")
    return "\n".join(line for line in dialogue.split("\n") if not line.startswith("agent: "))


def _readable(turn: _Turn, step: Step) -> DialogueAction | None:
    """Read what the engine wrote; a call that the turn's schema forbids is not readable."""
    try:
        action = parse_action(step.output)
    except UnreadableAction:
        return None
    step.action = action.as_dict()
    if action.calls_a_tool:
        tool = turn.allowed.get(action.name)
        if tool is None or invents(action.arguments, tool):
            return None
    return action


async def _call(turn: _Turn, action: DialogueAction, step: Step) -> bool:
    """Call a tool and show the model its result; return True if it was a repetition."""
    key = _key(turn.context.turn_id, action)
    repeated = key in turn.calls
    turn.calls.add(key)
    if repeated:
        step.result = {"error": f"{action.name} was called already"}
    else:
        answered = await call_tool(turn.tools[action.name], action.arguments, key=key)
        step.result, step.tool_ms = answered.data, answered.milliseconds
    line = Line("tool", name=action.name, arguments=action.arguments, result=step.result)
    turn.lines.append(line)
    return repeated


def _key(turn_id: str, action: DialogueAction) -> str:
    digest = hashlib.sha256(repr((action.name, sorted(action.arguments.items()))).encode())
    return f"{turn_id}-{digest.hexdigest()[:16]}"
