"""Proposing a deed at once: where a customer asks for it in so many words, no model need choose.

For releases that say rules in their own words, whose models are small: theirs answered "please
cancel GW1009" with the rule about ending a membership. Only for tools that ask first, so a wrong
guess costs a question, and whose arguments are identifiers, so code can copy them.
"""

from agents import occasions
from agents.actions import DialogueAction
from agents.grounding import identifiers
from agents.models import Tool
from agents.turning import Running


def proposed(turn: Running) -> DialogueAction | None:
    """Return the one call that the customer's last message asks for, if there is just one."""
    last = turn.lines[-1] if turn.lines else None
    if not turn.context.release.quotes or turn.made or last is None or last.role != "customer":
        return None
    calls = [call for tool in turn.tools.values() if (call := _call(tool, last.text))]
    return calls[0] if len(calls) == 1 else None


def _call(tool: Tool, text: str) -> DialogueAction | None:
    if not tool.confirmation or not occasions.asked_for(tool, text):
        return None
    arguments: dict[str, str] = {}
    for name, schema in tool.parameters.get("properties", {}).items():
        named = set(identifiers(schema["pattern"], text)) if "pattern" in schema else set()
        if len(named) != 1:
            return None
        [arguments[name]] = named
    if not arguments:
        return None
    return DialogueAction(tool.name, "", "The customer asked for it", arguments=arguments)
