"""What the agent would say first: the same checks as in service, and no tool is called."""

from collections.abc import Sequence

from agents import (
    confirming,
    degrading,
    generating,
    granting,
    guarding,
    master,
    proposing,
    telling,
    turning,
)
from agents.actions import CLARIFY, DialogueAction
from agents.happenings import Finished, Step, TurnContext
from agents.prompting import Line, Rule
from agents.turning import Running


async def rehearse(
    context: TurnContext,
    rules: Sequence[Rule],
    told: Sequence[Line] = (),
    steps: list[Step] | None = None,
) -> DialogueAction:
    """Return what the agent would say or do first by `rules`; tools are named, never called.

    It is held to the same checks as in service, with one more try where they refuse.

    Args:
        told: what calls of this turn told already; the next action is the one after them.
        steps: where each engine call is put, also of a try that fails, for who counts its cost.

    Raises:
        EngineUnavailable: no answer.
    """
    turn = await turning.begin(context)
    turning.show(turn, rules)
    said = await _rehearsed(turn, told, [] if steps is None else steps)
    return telling.with_news(context, said)


async def _rehearsed(turn: Running, told: Sequence[Line], steps: list[Step]) -> DialogueAction:
    if plain := _without_a_model(turn, told):
        return plain
    while not turn.spent.over(turn.budget):
        step = Step(generating.prompt_of(turn), is_retry=turn.refused is not None)
        steps.append(step)
        async for _ in generating.ask(turn, step, guarding.is_backed):
            pass
        action = generating.read(turn, step)
        if action is not None and action.calls_a_tool:
            return action
        if action is not None and (said := guarding.checked(turn, action, step)):
            return granting.with_offer(turn, said)[0]
        last = master.again(turn, step)[-1]
        if isinstance(last, Finished):
            return last.action
    return degrading.instead(turn, "Its budget is used up.").action


def _without_a_model(turn: Running, told: Sequence[Line]) -> DialogueAction | None:
    """Return what no model is asked for; afterwards the turn knows what its calls told."""
    if turn.context.declined:
        return DialogueAction(CLARIFY, turn.say(confirming.LEFT), "The customer said no")
    asked = None if turn.context.confirmed else proposing.proposed(turn) or granting.taken_up(turn)
    for line in told:
        turn.lines.append(line)
        turn.made.setdefault(line.name, []).append(line.arguments)
    if told or asked is None:
        return telling.as_told(turn, is_all=asked is not None and asked.calls_a_tool)
    if asked.calls_a_tool and turn.tools[asked.name].is_irreversible:
        return master.asking(turn, asked).action
    return asked
