"""Offering what a rule grants: "Cold food is refunded in full. Shall I refund order GW1003?"

For releases that say rules in their own words: their models name the rule that applies, and seldom
go on to the deed that it speaks of. It is offered where people wrote down both halves: the
customer's words are among the occasions of one tool that asks first, and the rule says that what
the tool does is done, without denying it. The customer agrees or not, and the business's own limits
hold as ever.
"""

import re
from dataclasses import replace

from agents import confirming, occasions
from agents.actions import CLARIFY, REPLY, DialogueAction
from agents.composing import as_written
from agents.confirming import Call
from agents.models import Tool
from agents.prompting import Rule
from agents.proposing import arguments_in, question, said_last
from agents.turning import Running, named, told_of

# A question about how things are, not about an order: "how long do refunds take".
_GENERAL = re.compile(
    r"[?？]|^\W*(how|what|when|why|which|who|where|do|does|is|are|can|could)\b", re.IGNORECASE
)

_PICTURE = re.compile(r"(?<!no )\b(photo|picture|video|screenshot)s?\b|照片|图片", re.IGNORECASE)


def with_offer(turn: Running, action: DialogueAction) -> tuple[DialogueAction, Call | None]:
    """Return a reply with the question for the deed that its rule grants, and the call it means.

    By the customer's last words alone, so what they declined is not offered again. The call is
    None where there is no such deed, or where an identifier is asked for first.
    """
    said = said_last(turn)
    action = _with_rule(turn, action)
    tool = _granted(turn, action, said)
    if tool is None:
        return action, None
    arguments = arguments_in(tool, said, words=said)
    if arguments is None and not _GENERAL.search(said):
        if lacking := question(turn, tool):
            return _followed_by(action, lacking.reply), None
        arguments = arguments_in(tool, named(turn), words=said)
    if arguments is None or _was_called(turn, tool, arguments):
        return action, None
    asked = confirming.question(tool, replace(action, arguments=arguments))
    return _followed_by(action, asked.reply), Call(tool.name, arguments)


def _with_rule(turn: Running, action: DialogueAction) -> DialogueAction:
    """Return what a call told with the first rule behind it, where that grants a deed.

    Only a rule that is said as written: what a model is to word is left to one.
    """
    rule = turn.rules[0] if turn.rules else None
    if rule is None or action.reply != told_of(turn):
        return action
    if not turn.context.release.says_as_written(rule.risk):
        return action
    worded = as_written([rule], turn.lines)
    cites = replace(action, knowledge=[rule.id], reply=f"{action.reply}\n{worded.text}")
    grants = _granted(turn, cites, said_last(turn)) is not None
    return cites if grants and not worded.missing else action


def _followed_by(action: DialogueAction, words: str) -> DialogueAction:
    return replace(action, name=CLARIFY, reply=f"{action.reply}\n{words}")


def _granted(turn: Running, action: DialogueAction, said: str) -> Tool | None:
    """Return the one tool that asks first, is spoken of, and does what a cited rule grants."""
    if action.name != REPLY or not turn.context.release.quotes:
        return None
    asking = [tool for tool in turn.tools.values() if tool.is_irreversible]
    tools = [tool for tool in asking if occasions.asked_for(tool, said)]
    rules = [rule for rule in turn.cited(action) if not _lacks_a_picture(turn, rule)]
    if len(tools) != 1 or not any(occasions.grants(tools[0], rule) for rule in rules):
        return None
    return tools[0]


def _lacks_a_picture(turn: Running, rule: Rule) -> bool:
    """Say whether a rule wants to see something that the customer has not shown."""
    return bool(_PICTURE.search(rule.content)) and not any(line.is_customers for line in turn.lines)


def _was_called(turn: Running, tool: Tool, arguments: dict[str, str]) -> bool:
    """Say whether it was called for the same thing before, whatever came of it."""
    properties = tool.parameters.get("properties", {}).items()
    wanted = {name: arguments[name] for name, schema in properties if "pattern" in schema}
    calls = [line for line in turn.lines if line.role == "tool" and line.name == tool.name]
    return any(wanted.items() <= line.arguments.items() for line in calls)
