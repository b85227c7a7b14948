"""What a customer asks for in so many words is done, or asked about, before a model is.

For releases that say rules in their own words, whose models are small: theirs answered "please
cancel GW1009" with the rule about ending a membership, and "hi" by passing on to a colleague.

Who asks for a person gets one, and who says goodbye is let go. What is asked of a tool is seen by
the words that people wrote down as its occasions, where its arguments are identifiers, so code can
copy them: what can't be undone is proposed (a wrong guess costs a question); what looks something
up is called, or what it lacks is asked for. A rule that fits almost word for word is the answer,
where no tool was spoken of.
"""

import re
from collections.abc import Sequence
from typing import Any

from agents import occasions, telling
from agents.actions import CLARIFY, REPLY, DialogueAction
from agents.calling import failed
from agents.composing import as_written, missing_fields
from agents.confirming import Call, says_yes
from agents.courtesies import ON_IT, greeted, of_the_talk, takes_leave
from agents.finding import said_by_customer, unanswered, wants, wordings
from agents.grounding import identifiers, words_beside, words_in
from agents.models import Tool, ToolKind
from agents.phrases import Phrase
from agents.prompting import Line
from agents.turning import Running, is_mistyped, named_now, patterns, waiting
from knowledge.scripts import count_words

ASKED_FOR = "The customer asked for it"
WHICH = Phrase("Please tell me the {name}.", zh="请告诉我{name}。")
UNREADABLE = Phrase(
    "I can't make out the {name}. Please write it once more.",
    zh="我看不清{name}，请再写一遍。",
)
# Of what an argument's name speaks, if it speaks of one of these; else of its number (编号).
NUMBERS_ZH = {"order": "订单号", "parcel": "运单号", "tracking": "运单号", "phone": "电话号码"}
LONGEST_WORDS = 200  # characters of what a customer said, as an argument
PLAIN_WORDS = 4  # of a wish that says nothing else
_NEWS = re.compile(
    r"\b(any|some) (news|updates?|luck)\b|\bwhat did (they|he|she|the \w+) say\b"
    r"|\b(did|have) you (call|reach|hear|get through)\w*|\bhow (did|is|was) (the|your) call\b"
    r"|有(消息|结果)了?吗|怎么样了",
    re.IGNORECASE,
)
_CORRECTS = words_in(
    "no nope not sorry oh oops wait actually i meant mean it it's is that's the order number but"
    " instead rather make please thanks other one 不是我说的订单号应该错了对起"
)
_BESIDE_A_NUMBER = words_in(
    "hi hello my the order number id no is it it's for please thanks 订单号我的是你好"
)


def proposed(turn: Running) -> DialogueAction | None:
    """Return what the customer's last message plainly asks for; None: the model decides."""
    last = turn.lines[-1] if turn.lines else None
    if not turn.context.release.quotes or turn.made or last is None or last.role != "customer":
        return None
    said = unanswered(turn.lines)
    text = " ".join(said)
    talk = of_the_talk(turn, said) or _of_the_question(turn, text) or _of_a_job(turn, text)
    return talk or _of_tools_or_rules(turn, said) or greeted(turn, said)


def _of_the_question(turn: Running, text: str) -> DialogueAction | None:
    """Return what is asked once more: who declined it says yes, or means another order."""
    call = turn.context.asked_about
    if call is None or (tool := turn.tools.get(call.name)) is None:
        return None
    if says_yes(text, call):
        return _call(tool, call.arguments)
    meant = _meant_instead(tool, call, text)
    return _call(tool, call.arguments | meant) if meant else None


def _meant_instead(tool: Tool, call: Call, text: str) -> dict[str, str]:
    """Return the identifier that a text puts in the place of another: "no, I meant GW1002"."""
    properties = tool.parameters.get("properties", {}).items()
    patterned = {name: schema["pattern"] for name, schema in properties if "pattern" in schema}
    if not words_beside(patterned.values(), text) <= _CORRECTS:
        return {}
    meant: dict[str, str] = {}
    for name, pattern in patterned.items():
        others = set(identifiers(pattern, text)) - {call.arguments.get(name)}
        if len(others) > 1:
            return {}
        for other in others:
            meant[name] = other
    return meant


def _of_a_job(turn: Running, text: str) -> DialogueAction | None:
    """Return what the last sub-agent's job brought, or that it goes on, to who asks after it."""
    if not _NEWS.search(text) or is_mistyped(turn):
        return None
    about = [each for pattern in patterns(turn) for each in identifiers(pattern, text)]
    jobs = [line for line in turn.lines if _is_a_jobs(turn, line)]
    lines = [line for line in jobs if all(each in str(line.arguments) for each in about)]
    if not lines:
        return None
    words = _told_of(turn, lines[-1])
    return DialogueAction(REPLY, words, "The customer asked after it") if words else None


def _told_of(turn: Running, line: Line) -> str:
    """Return how a job ended, or that it goes on; "" where it does not, or staff say more of it."""
    if not line.is_jobs:
        return turn.say(ON_IT) if line.result.get("job") in turn.context.at_work else ""
    later = turn.lines[turn.lines.index(line) + 1 :]
    is_overtaken = line.is_cancelled and any(each.is_staff or each.is_summary for each in later)
    return "" if is_overtaken else telling.of_job(line, said_by_customer(turn.lines))


def _is_a_jobs(turn: Running, line: Line) -> bool:
    """Say whether a line tells of a sub-agent's job: of its end, or that it was begun."""
    tool = turn.tools.get(line.name) if line.role == "tool" else None
    is_begun = tool is not None and tool.kind == ToolKind.SUBAGENT and not failed(line.result)
    return line.is_jobs or is_begun


def _of_tools_or_rules(turn: Running, said: Sequence[str]) -> DialogueAction | None:
    text = wants(turn.lines)[-1] if len(said) == 1 else " ".join(said)
    calls = [call for tool in turn.tools.values() if (call := _deed(turn, tool, text))]
    if calls:
        return calls[0] if len(calls) == 1 else None
    if turn.rules and turn.rules[0].similarity >= occasions.SPEAKS:
        written = _as_written(turn, text) if len(said) == 1 else None
        return written or _look_up(turn)
    return _look_up(turn)


def _as_written(turn: Running, text: str) -> DialogueAction | None:
    """Return the first rule as the reply, if no tool may have to do with it."""
    rule = turn.rules[0]
    as_is = turn.context.release.says_as_written(rule.risk)
    if not as_is or _concerns_a_tool(turn, text):
        return None
    worded = as_written([rule], turn.lines)
    if worded.missing:
        return None
    return DialogueAction(REPLY, worded.text, "A rule fits almost word for word", [rule.id])


def _concerns_a_tool(turn: Running, text: str) -> bool:
    tools = [tool for tool in turn.tools.values() if is_spoken_of(tool)]
    names = any(any(identifiers(pattern, text)) for pattern in patterns(turn))
    return names or any(occasions.asked_for(tool, text) for tool in tools)


def is_spoken_of(tool: Tool) -> bool:
    """Say whether customers' words choose it: of other tools they may only happen to say one."""
    return tool.is_irreversible or bool(tool.occasions)


def _deed(turn: Running, tool: Tool, text: str) -> DialogueAction | None:
    if not tool.is_irreversible or not occasions.wished(tool, text):
        return None
    is_plain = count_words(text) <= PLAIN_WORDS  # "ok, cancel it": of what was talked about
    arguments = arguments_in(tool, waiting(turn)) or arguments_in(tool, text)
    if arguments is None and is_plain:
        arguments = arguments_in(tool, named_now(turn))
    if arguments is None and is_mistyped(turn):
        return question(turn, tool)
    return _call(tool, arguments) if arguments else None


def _look_up(turn: Running) -> DialogueAction | None:
    if takes_leave(turn.lines[-1].text):
        return None
    text = said_last(turn)
    spoken_of = [tool for tool in turn.tools.values() if is_spoken_of(tool)]
    asked = [tool for tool in spoken_of if occasions.asked_for(tool, text)]
    asked = asked or _that_know_it(turn, spoken_of)[:1]
    if len(asked) != 1 or asked[0].is_irreversible:
        return None
    [tool] = asked
    texts = (waiting(turn), text, named_now(turn))
    arguments = next(filter(None, (arguments_in(tool, each) for each in texts)), None)
    return _call(tool, arguments) if arguments else question(turn, tool)


def _that_know_it(turn: Running, tools: Sequence[Tool]) -> list[Tool]:
    """Return the tools that look up what the customer wrote, if that is one identifier alone."""
    said = waiting(turn)
    looking = [tool for tool in tools if not tool.is_irreversible and arguments_in(tool, said)]
    return looking if words_beside(patterns(turn), said) <= _BESIDE_A_NUMBER else []


def look_up_for(turn: Running, action: DialogueAction) -> DialogueAction | None:
    """Return the call that may fill the fields of the rules cited, of what was named."""
    if not turn.context.release.quotes or not missing_fields(turn.cited(action), turn.lines):
        return None
    for tool in turn.tools.values():
        arguments = arguments_in(tool, named_now(turn)) if tool.occasions else None
        if arguments and not tool.is_irreversible and arguments not in turn.made.get(tool.name, []):
            return _call(tool, arguments)
    return None


def said_last(turn: Running) -> str:
    """Return what waits for an answer, with the message before it if it is a word or two."""
    if len(unanswered(turn.lines)) > 1 or is_mistyped(turn):
        return waiting(turn)
    said = wants(turn.lines)
    return wordings(said)[0] if said else ""


def asked_first(turn: Running) -> DialogueAction | None:
    """Return the question for the first identifier that a tool needs and nobody has named."""
    asked = (question(turn, tool) for tool in turn.tools.values())
    return next((each for each in asked if each), None)


def question(turn: Running, tool: Tool) -> DialogueAction | None:
    """Return the question for an identifier that nobody has named, None if none is missing."""
    for name, schema in tool.parameters.get("properties", {}).items():
        if "pattern" in schema and not any(identifiers(schema["pattern"], named_now(turn))):
            return DialogueAction(CLARIFY, _asking_for(turn, name), f"{tool.name} needs it")
    return None


def _asking_for(turn: Running, name: str) -> str:
    asks = turn.say(UNREADABLE if is_mistyped(turn) else WHICH)
    in_chinese = next((zh for part, zh in NUMBERS_ZH.items() if part in name.lower()), "编号")
    return asks.format(name=turn.say(Phrase(_in_english(name), zh=in_chinese)))


def _in_english(name: str) -> str:
    return name.replace("_id", "_number").replace("_", " ")


def _call(tool: Tool, arguments: dict[str, Any]) -> DialogueAction:
    return DialogueAction(tool.name, "", ASKED_FOR, arguments=arguments)


def arguments_in(tool: Tool, text: str, *, words: str = "") -> dict[str, str] | None:
    """Return the tool's arguments if all are identifiers, each named once in the text.

    Args:
        words: fill what is neither an identifier nor one of a list, a reason say.
    """
    arguments: dict[str, str] = {}
    for name, schema in tool.parameters.get("properties", {}).items():
        found = set(identifiers(schema["pattern"], text)) if "pattern" in schema else set()
        if words and is_free(schema):
            found = {cut(words, schema)}
        if len(found) != 1:
            return None
        [arguments[name]] = found
    return arguments or None


def is_free(schema: dict[str, Any]) -> bool:
    """Say whether an argument is in words: neither an identifier nor one of a list."""
    return schema.get("type") == "string" and not {"pattern", "enum"} & schema.keys()


def cut(words: str, schema: dict[str, Any]) -> str:
    return words[: schema.get("maxLength", LONGEST_WORDS)]
