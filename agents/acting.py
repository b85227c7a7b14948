"""Calling one tool in a turn: its breaker, its cost, and what the model is shown of it."""

import hashlib
from decimal import Decimal
from typing import Any

from agents import breaking
from agents.actions import DialogueAction
from agents.budgeting import dollars
from agents.calling import call_tool, failed
from agents.confirming import Call
from agents.happenings import Step
from agents.models import Tool, ToolKind
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
    price = Decimal(0) if tool.uses_fixtures else Decimal(tool.cost_per_call)
    if (told := _told_before(turn, action)) is not None:
        step.result = told
        _book(turn, step, tool, price)
    elif not await _affords(turn, tool, price):
        step.result = {"error": f"{tool.name} was not called: the budget leaves too little"}
    else:
        if await _ask(turn, tool, action, step):
            _book(turn, step, tool, price)
        step.removed = orders_in(step.result)


async def _affords(turn: Running, tool: Tool, price: Decimal) -> bool:
    """Say whether the turn's budget and the caps leave a call's price, and keep it there."""
    if not turn.spent.affords(tool.name, price, turn.budget):
        return False
    reserve, on_turn = turn.context.reserve, turn.spent.money - turn.spent.delegated
    if not price or reserve is None or await reserve(on_turn + price):
        return True
    turn.spent.too_dear = f"{tool.name} costs {dollars(price)}, and the caps leave less."
    return False


def _book(turn: Running, step: Step, tool: Tool, price: Decimal) -> None:
    """Note a call's price; a sub-agent's stands on its job, which may cost more later."""
    if tool.kind != ToolKind.SUBAGENT:
        pay(turn, step, price)
    elif not failed(step.result or {}):
        turn.spent.money += price
        turn.spent.delegated += price


async def _ask(turn: Running, tool: Tool, action: DialogueAction, step: Step) -> bool:
    """Call the tool unless its breaker is open, and say whether that has its price."""
    try:
        async with breaking.guarded(f"tool:{tool.pk}", counts=_Silent):
            answered = await call_tool(
                tool,
                action.arguments,
                key=_key_of(turn, action),
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
        return False
    return answered.is_priced or tool.kind == ToolKind.SUBAGENT


def _told_before(turn: Running, action: DialogueAction) -> dict[str, Any] | None:
    """Return what this very call told the process that died over the turn, if it was made."""
    told = (line for line in turn.context.done if line.name == action.name)
    return next((line.result for line in told if line.arguments == action.arguments), None)


class _Silent(Exception):
    """A tool failed as a program, whatever it had to say."""


def _key_of(turn: Running, action: DialogueAction) -> str:
    """Return the key of a call: the same in whatever process makes it.

    A call that was agreed to has its own, which may outlive the turn.
    """
    agreed = turn.context.confirmed
    if agreed and agreed.key and agreed == Call(action.name, action.arguments):
        return agreed.key
    return f"{turn.context.turn_id}-{digest(action.name, action.arguments)}"


def digest(name: str, arguments: dict[str, Any]) -> str:
    """Return a short text that only this tool with these arguments has."""
    return hashlib.sha256(repr((name, sorted(arguments.items()))).encode()).hexdigest()[:16]
