"""The master agent: finds rules, asks the model for one action at a time, calls tools, speaks.

It knows nothing of how dialogues are stored: a `TurnContext` goes in, plain events come
out, in the order in which they happen. Method: the unified dialogue-action loop of the
WOWService report (arXiv 2510.13291), with batch retrieval before each turn.
"""

import time
from collections.abc import AsyncIterator
from dataclasses import replace

from asgiref.sync import sync_to_async

from agents import (
    acting,
    confirming,
    degrading,
    engines,
    generating,
    granting,
    guarding,
    proposing,
    telling,
    turning,
)
from agents.actions import CLARIFY, HANDOFF, DialogueAction
from agents.budgeting import STEPS as MOST_STEPS
from agents.calling import Delegate
from agents.confirming import Call
from agents.degrading import SORRY
from agents.finding import find_rules_for, said_by_customer
from agents.happenings import (
    Called,
    Calling,
    Delta,
    Finished,
    Happening,
    Step,
    Thinking,
    TurnContext,
)
from agents.models import Tool
from agents.turning import Running
from knowledge.searching import Found

__all__ = [
    "MOST_STEPS",
    "SORRY",
    "Called",
    "Calling",
    "Delegate",
    "Delta",
    "Finished",
    "Happening",
    "Step",
    "Thinking",
    "TurnContext",
    "answer",
    "find_rules",
    "make_agreed",
    "news",
]

UNREADABLE = "The model wrote no readable action twice."
UNFOUNDED = (
    "{name}: the customer did not ask for it, and no rule found for them says that it is done"
)
UNBACKED = "The model said twice what has no source."


async def answer(context: TurnContext) -> AsyncIterator[Happening]:
    """Answer the customer's last words: yields what happens, Finished last.

    A tool call that was made before with the same key (after a crash) acts once, since its
    idempotency key depends on the turn and the arguments alone; that of a call to which the
    customer agreed stays the same until it is known what came of it.
    """
    turn = await turning.begin(context)  # meanwhile the question is embedded (agents/finding.py)
    async for happening in _answered(turn):
        if not isinstance(happening, Finished):
            yield happening
            continue
        said = telling.with_news(context, happening.action)
        if said != happening.action:
            yield Delta(said.reply, withdraws=True)
        yield replace(happening, action=said)


async def _answered(turn: Running) -> AsyncIterator[Happening]:
    context, started = turn.context, time.perf_counter()
    found = await sync_to_async(find_rules)(context)
    yield Thinking(found, round((time.perf_counter() - started) * 1000, 1))

    await turning.show_found(turn, found)
    if context.declined:
        left = turn.say(confirming.LEFT)
        yield Delta(left)
        yield Finished(DialogueAction(CLARIFY, left, "The customer said no"))
        return
    async for happening in _call_confirmed(turn):
        yield happening
    async for happening in _proposed(turn):
        yield happening
        if isinstance(happening, Finished):
            return
    async for happening in _until_finished(turn):
        yield happening


async def _proposed(turn: Running) -> AsyncIterator[Happening]:
    """Do at once what the customer asked for in so many words, or ask what that needs."""
    action = proposing.proposed(turn) or granting.taken_up(turn)
    if action is None:
        return
    if not action.calls_a_tool:
        yield Delta(action.reply)
        yield Finished(action)
    elif turn.tools[action.name].is_irreversible:
        yield asking(turn, action)
    else:
        async for happening in _call_unasked(turn, action):
            yield happening
        told = None if turn.spent.too_dear else telling.as_told(turn, is_all=True)
        if told:
            yield Delta(told.reply)
            yield Finished(told, degraded=telling.broken(turn))


def asking(turn: Running, call: DialogueAction) -> Finished:
    """Ask for the customer's yes to a call, unless its rule denies it or wants a picture first.

    Nor while the same is under way already: what came of that is to be known first.
    """
    if turning.is_under_way(turn, call):
        return Finished(
            DialogueAction(HANDOFF, turn.say(telling.UNSURE), f"{call.name} is under way")
        )
    tool = turn.tools[call.name]
    if held := granting.held_back(turn, tool, turn.cited(call)):
        return Finished(held)
    call = granting.in_their_words(turn, tool, call)
    asked = confirming.question(tool, call, said_by_customer(turn.lines))
    return Finished(asked, pending=Call(call.name, call.arguments))


async def _until_finished(turn: Running) -> AsyncIterator[Happening]:
    """Ask the model for one action after the other, within the budget."""
    while not (over := turn.spent.over(turn.budget)):
        if told := telling.as_told(turn):
            yield Delta(told.reply)
            yield Finished(told, degraded=telling.broken(turn))
            return
        step = Step(generating.prompt_of(turn), is_retry=turn.refused is not None)
        try:
            async for delta in generating.ask(turn, step, guarding.is_backed):
                yield delta
        except engines.EngineUnavailable as error:
            yield step
            over = str(error)
            break
        async for happening in _follow(turn, step):
            yield happening
            if isinstance(happening, Finished):
                return
    for happening in _instead(turn, over):
        yield happening


async def _follow(turn: Running, step: Step) -> AsyncIterator[Happening]:
    """Do what one output says: call, ask for a yes, speak, or have it written again."""
    action = generating.read(turn, step)
    if action is not None and action.calls_a_tool:
        turn.refused = None
        async for happening in _act(turn, action, step):
            yield happening
        return
    said = action and guarding.checked(turn, action, step)
    if action and said is None and (call := proposing.look_up_for(turn, action)):
        async for happening in _call_unasked(turn, call):
            yield happening
        said = guarding.checked(turn, action, step)
    for happening in _spoken(turn, said, step) if said else again(turn, step):
        yield happening


async def _act(turn: Running, action: DialogueAction, step: Step) -> AsyncIterator[Happening]:
    tool = turn.tools[action.name]
    if tool.confirmation:
        for happening in _asked_by_model(turn, tool, action, step):
            yield happening
        return
    async for happening in _call(turn, action, step):
        yield happening


def _asked_by_model(
    turn: Running, tool: Tool, action: DialogueAction, step: Step
) -> list[Happening]:
    finished = asking(turn, action)
    if finished.pending is None or granting.is_founded(turn, tool, action):
        return [step, finished]
    step.fault, step.problems = "forbidden", [UNFOUNDED.format(name=action.name)]
    return again(turn, step)


def _spoken(turn: Running, action: DialogueAction, step: Step) -> list[Happening]:
    turn.refused = None
    said, pending = granting.with_offer(turn, action)
    rest = _rest(turn, said.reply)
    return [step, *([rest] if rest else []), Finished(said, pending=pending)]


def _rest(turn: Running, reply: str) -> Delta | None:
    """Return what is still to be shown of a reply, all of it where something else was."""
    shown, turn.shown = turn.shown, reply
    if reply.startswith(shown):
        return Delta(reply[len(shown) :]) if reply != shown else None
    return Delta(reply, withdraws=True)


def again(turn: Running, step: Step) -> list[Happening]:
    """Have a refused output written once more; the second time is the last."""
    kind = "unbacked" if step.fault == "unbacked" else "unreadable"
    if kind not in turn.retried:
        turn.retried.add(kind)
        turn.refused = step
        return [step, *_withdrawn(turn)]
    why = UNBACKED if kind == "unbacked" else UNREADABLE
    return [step, *_instead(turn, f"{why} {'; '.join(step.problems)}"[:300])]


def _instead(turn: Running, why: str) -> list[Happening]:
    """Take back what was shown, and say something safe."""
    return [*_withdrawn(turn), degrading.instead(turn, why)]


def _withdrawn(turn: Running) -> list[Delta]:
    shown, turn.shown = turn.shown, ""
    return [Delta("", withdraws=True)] if shown else []


async def _call(turn: Running, action: DialogueAction, step: Step) -> AsyncIterator[Happening]:
    """Make a call, said in the tool's own words: what a model writes beside one has no source."""
    words, agreed = turn.tools[action.name].description, turn.context.confirmed
    is_agreed = agreed == Call(action.name, action.arguments)
    yield Calling(action.name, words[:1].upper() + words[1:], agreed if is_agreed else None)
    await acting.call(turn, action, step)
    yield step
    result = step.result or {}
    shown = telling.shown(turn, turn.tools[action.name], result)
    yield Called(action.name, action.arguments, result, shown)


async def _call_confirmed(turn: Running) -> AsyncIterator[Happening]:
    """Make the call to which the customer has just agreed, without asking the model again."""
    call = turn.context.confirmed
    if call is None or call.name not in turn.tools:
        return
    action = DialogueAction(call.name, "", confirming.AGREED, arguments=call.arguments)
    async for happening in _call_unasked(turn, action):
        yield happening


async def _call_unasked(turn: Running, action: DialogueAction) -> AsyncIterator[Happening]:
    """Make a call that no model chose."""
    step = Step([], output=action.as_json(), action=action.as_dict())
    async for happening in _call(turn, action, step):
        yield happening


async def make_agreed(context: TurnContext) -> AsyncIterator[Happening]:
    """Make the call that was agreed to and say nothing, so as to learn what comes of it."""
    async for happening in _call_confirmed(await turning.begin(context)):
        yield happening


async def news(context: TurnContext) -> DialogueAction | None:
    """Return what a job tells by itself, which costs nothing; None: only a model can answer."""
    return telling.as_told(await turning.begin(context))


def find_rules(context: TurnContext) -> list[Found]:
    """Return the rules for the customer's last message, best first.

    A message of a word or two ("and groceries?"), or one that finds nothing, is searched
    for together with the one before it. Both are asked in one batch.
    """
    [found] = find_rules_for([context.lines], scene=context.scene, audience=context.audience)
    return found
