"""Calling one tool in a turn: its breaker, its cost, and what the model is shown of it."""

import hashlib
from decimal import Decimal
from typing import Any

from agents import breaking
from agents.actions import DialogueAction
from agents.calling import call_tool
from agents.happenings import Step
from agents.prompting import Line
from agents.screening import orders_in
from agents.turning import Running, pay


async def call(turn: Running, action: DialogueAction, step: Step) -> None:
    """Call a tool, if the turn's budget has its price, and show the model its result."""
    turn.made.setdefault(action.name, []).append(action.arguments)
    await _call(turn, action, step)
    line = Line("tool", name=action.name, arguments=action.arguments, result=step.result or {})
    turn.lines.append(line)


async def _call(turn: Running, action: DialogueAction, step: Step) -> None:
    tool = turn.tools[action.name]
    step.tool_kind = tool.kind
    price = Decimal(tool.cost_per_call)
    if (told := _told_before(turn, action)) is not None:
        step.result = told
        pay(turn, step, price)
        return
    if not turn.spent.affords(tool.name, price, turn.budget):
        step.result = {"error": f"{tool.name} was not called: the budget leaves too little"}
        return
    try:
        async with breaking.guarded(f"tool:{tool.pk}", counts=_Silent):
            answered = await call_tool(
                tool,
                action.arguments,
                key=key_of(turn.context.turn_id, action),
                delegate=turn.context.delegate,
                identified=bool(turn.context.customer),
                customer=turn.context.customer,
            )
            step.result, step.tool_ms = answered.data, answered.milliseconds
            step.tool_status = answered.status
            if answered.is_failure:
                raise _Silent
    except _Silent:
        pass  # counted; its result says so to the model
    except breaking.BreakerOpen:
        step.result = {"error": f"{tool.name} is not answering"}
    step.removed = orders_in(step.result)
    pay(turn, step, price)


def _told_before(turn: Running, action: DialogueAction) -> dict[str, Any] | None:
    """Return what this very call told the process that died over the turn, if it was made."""
    told = (line for line in turn.context.done if line.name == action.name)
    return next((line.result for line in told if line.arguments == action.arguments), None)


class _Silent(Exception):
    """A tool failed as a program, whatever it had to say."""


def key_of(turn_id: str, action: DialogueAction) -> str:
    digest = hashlib.sha256(repr((action.name, sorted(action.arguments.items()))).encode())
    return f"{turn_id}-{digest.hexdigest()[:16]}"
