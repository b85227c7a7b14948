"""Offering what a rule grants: "Cold food is refunded in full. Shall I refund order GW1003?"

For releases that say rules in their own words: their models name the rule that applies, and seldom
go on to the deed that it speaks of. It is offered where people wrote down both halves: the
customer's words are among the occasions of one tool that asks first, and the rule, which is about
what they complain of, says that what the tool does is done, without denying it. The customer agrees
or not, and the business's own limits hold as ever.

Who complains is held to the rules said last that are about it, whatever they write next: what was
denied stays denied, and a picture that was wanted is waited for.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from agents import confirming, occasions
from agents.actions import CLARIFY, HANDOFF, REPLY, DialogueAction
from agents.composing import as_written
from agents.confirming import Call
from agents.finding import goes_on, said_by_customer
from agents.grounding import words_in
from agents.models import Tool
from agents.phrases import Phrase
from agents.prompting import Line, Rule
from agents.proposing import arguments_in, cut, is_free, question, said_last
from agents.turning import Running, named, named_now, told_of, waiting

# A question about how things are, not about an order: "how long do refunds take".
_GENERAL = re.compile(
    r"[?？]|^\W*(how|what|when|why|which|who|where|do|does|is|are|can|could)\b", re.IGNORECASE
)

LOOKED_AT = Phrase(
    "I can't judge by myself what your picture shows, so a colleague looks at it now.",
    zh="我无法自行判断您图片里的情况，现在由同事来查看。",
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
    if held := held_back(turn, tool, turn.cited(action)):
        return (held if held.name == HANDOFF else action), None
    words = _complained(turn, tool)
    arguments = arguments_in(tool, said, words=words)
    if arguments is None and not _GENERAL.search(said):
        if lacking := question(turn, tool):
            return _followed_by(action, lacking.reply), None
        arguments = arguments_in(tool, named_now(turn), words=words)
    if arguments is None or _was_called(turn, tool, arguments):
        return action, None
    asked = confirming.question(
        tool, replace(action, arguments=arguments), said_by_customer(turn.lines)
    )
    return _followed_by(action, asked.reply), Call(tool.name, arguments)


def taken_up(turn: Running) -> DialogueAction | None:
    """Return the deed that rules said before grant, now that the customer names its order.

    They were told the rule and asked for the number; a model need not find that out anew.
    """
    if not turn.context.release.quotes or turn.made or not goes_on(turn.lines):
        return None
    tool = _granted(turn, DialogueAction(REPLY, "", ""), said_last(turn))
    if tool is None:
        return None
    arguments = arguments_in(tool, waiting(turn), words=_complained(turn, tool))
    if arguments is None or _was_called(turn, tool, arguments):
        return None
    return DialogueAction(tool.name, "", "Its number was asked for", arguments=arguments)


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
    tools = [tool for tool in asking if occasions.wished(tool, said)]
    if len(tools) != 1:
        return None
    given, cited = occasions.reasons(tools[0], said), turn.cited(action)
    rules = _about(given, *_shelves(turn, tools[0], cited)) if given else cited
    return tools[0] if _grant(tools[0], rules) else None


def _grant(tool: Tool, rules: Sequence[Rule]) -> bool:
    return any(occasions.grants(tool, rule) for rule in rules)


def _about(given: Sequence[re.Pattern[str]], *shelves: Sequence[Rule]) -> Sequence[Rule]:
    """Return those rules of the first shelf with any that are about what the customer complains of.

    A word of theirs for it stands in the rule's condition or in another wording of that.
    """
    kept = ([rule for rule in rules if occasions.is_about(rule, given)] for rules in shelves)
    return next(filter(None, kept), [])


def _shelves(turn: Running, tool: Tool, *now: Sequence[Rule]) -> list[Sequence[Rule]]:
    """Return the rules of this turn and those on which the agent's lines rest, first what counts.

    This turn's where the customer complains in it; else what they were told before, last first.
    """
    before = [line.rules for line in reversed(turn.lines)]
    return [*now, *before] if occasions.reasons(tool, waiting(turn)) else [*before, *now]


def _complaint(turn: Running, tool: Tool) -> list[re.Pattern[str]]:
    """Return the reasons for the deed that the customer gave last."""
    said = [said_last(turn), *reversed(said_by_customer(turn.lines))]
    return next(filter(None, (occasions.reasons(tool, text) for text in said)), [])


def is_founded(turn: Running, tool: Tool, call: DialogueAction) -> bool:
    """Say whether a small model's call has a ground: the customer's own wish, or a rule.

    Their complaint alone is none: they may be owed something else for it.
    """
    if not turn.context.release.quotes or occasions.wishes(tool, said_by_customer(turn.lines)):
        return True
    if any(occasions.names(rule, tool) for rule in turn.rules):
        return True
    rules = _deciding(turn, tool, turn.cited(call) or turn.rules[:1])
    return _grant(tool, rules)


def held_back(turn: Running, tool: Tool, cited: Sequence[Rule]) -> DialogueAction | None:
    """Return what is said instead of asking for a deed that rules deny, or want a picture for.

    Those are the rules said last that are about what the customer complains of, however long ago
    they did; where they never said why, those cited.
    """
    rules = _deciding(turn, tool, cited)
    return denied(turn, tool, rules) or held_up(turn, tool, rules or turn.rules[:1])


def _deciding(turn: Running, tool: Tool, cited: Sequence[Rule]) -> Sequence[Rule]:
    given = _complaint(turn, tool)
    return _about(given, *_shelves(turn, tool, cited, turn.rules)) if given else cited


def in_their_words(turn: Running, tool: Tool, call: DialogueAction) -> DialogueAction:
    """Return a small model's call with the customer's own words where it has words of its own.

    What may be left out is.
    """
    if not turn.context.release.quotes:
        return call
    known, properties = words_in(named(turn)), tool.parameters.get("properties", {})
    needed, arguments = tool.parameters.get("required", properties), dict(call.arguments)
    for name in arguments.keys() & properties.keys():
        is_own = not is_free(properties[name]) or words_in(str(arguments[name])) <= known
        if not is_own and name in needed:
            arguments[name] = cut(_complained(turn, tool), properties[name])
        elif not is_own:
            del arguments[name]
    return replace(call, arguments=arguments)


def _complained(turn: Running, tool: Tool) -> str:
    """Return the message in which the customer spoke last of what the tool does."""
    said = reversed(said_by_customer(turn.lines))
    return next((text for text in said if occasions.asked_for(tool, text)), said_last(turn))


def held_up(turn: Running, tool: Tool, rules: Sequence[Rule]) -> DialogueAction | None:
    """Return what comes before a deed whose rules all want a picture: to send one, or a person.

    A person where one was sent that nobody has made out: a file, an unclear one, one with signs
    of tampering, or where only its words are read (no VISION_URL).
    """
    granting = [rule for rule in rules if occasions.grants(tool, rule)]
    wanting = [rule for rule in granting if _PICTURE.search(rule.content)]
    if not wanting or len(wanting) < len(granting) or any(map(_is_made_out, turn.lines)):
        return None
    ids = [rule.id for rule in wanting]
    if any(line.is_customers for line in turn.lines):
        return DialogueAction(
            HANDOFF, turn.say(LOOKED_AT), "A person has to look at the picture", ids
        )
    if not turn.context.release.quotes:
        return None  # its model reads the rule
    asks = as_written(wanting[:1], turn.lines)
    return DialogueAction(REPLY, asks.text, "Its rule wants a picture", ids[:1])


def denied(turn: Running, tool: Tool, rules: Sequence[Rule]) -> DialogueAction | None:
    """Return the rule that a small model cites for a deed and that denies it, as what is said."""
    denying = [rule for rule in rules if occasions.denies(tool, rule)]
    if not denying or len(denying) < len(rules) or not turn.context.release.quotes:
        return None
    worded = as_written(denying[:1], turn.lines)
    action = DialogueAction(REPLY, worded.text, "Its rule denies it", [denying[0].id])
    return None if worded.missing else action


def _is_made_out(line: Line) -> bool:
    """Say whether a customer's line brings a picture of something, without a doubt about it."""
    pictures = line.result.get("pictures", []) if line.is_customers else []
    return any((each["item"] or each["damage"]) and "advice" not in each for each in pictures)


def _was_called(turn: Running, tool: Tool, arguments: dict[str, str]) -> bool:
    """Say whether it was called for the same thing before, whatever came of it."""
    properties = tool.parameters.get("properties", {}).items()
    wanted = {name: arguments[name] for name, schema in properties if "pattern" in schema}
    calls = [line for line in turn.lines if line.role == "tool" and line.name == tool.name]
    return any(wanted.items() <= line.arguments.items() for line in calls)
