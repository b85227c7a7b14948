"""What is told of a call in words of code, where no model is trusted to word it.

A release that says rules in their own words (`Composition.QUOTED`) tells results so as well: a
job's as the job sums it up, a tool's by the tool's template. A small model leaves out or changes
what was found; without it the reply is right, and comes a model call sooner.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from operator import contains
from typing import Any

from agents import composing, occasions
from agents.actions import CLARIFY, HANDOFF, REPLY, DialogueAction
from agents.calling import NOT_IDENTIFIED, WRONG_ARGUMENTS, failed, is_broken
from agents.finding import said_by_customer, unanswered
from agents.grounding import identifiers
from agents.happenings import TurnContext
from agents.models import Tool, ToolKind
from agents.phrases import Phrase
from agents.prompting import Line
from agents.turning import Running, last_call, told_of

REFUSED = Phrase(
    "I'm sorry, that did not work: {error}. Check what you wrote, or ask for a person.",
    zh="抱歉，没有成功：{error}。请检查您写的内容，或者要求人工服务。",
)
SIGN_IN = Phrase(
    "I may tell that only to who has signed in. Please sign in, and ask once more.",
    zh="这些信息只能告诉已登录的顾客。请登录后再问一次。",
)
BROKEN = Phrase(
    "I'm sorry, I can't reach the system for that at the moment. Please try again in a few "
    "minutes, or ask for a person.",
    zh="抱歉，目前无法连接到相关系统。请几分钟后再试，或者要求人工服务。",
)
FAILED = Phrase(
    "I'm sorry, this did not work out ({job}): {error}", zh="抱歉，这件事没有办成（{job}）：{error}"
)
CANCELLED = Phrase(
    "This was cancelled ({job}), so no news of it will come. Ask me if I shall try again.",
    zh="这件事已取消（{job}），不会再有消息。如果要我再试一次，请告诉我。",
)
LONGEST_NAME = 20  # characters of an argument that says what a job was about
TAKEN_UP = 0.3  # of the words that carry a meaning
_WORD = re.compile(r"[\u4e00-\u9fff]|\d+|[^\W\d_]{4,}")
UNCLEAR = Phrase("No clear answer came.", zh="没有得到明确的答复。")
UNSURE = Phrase(
    "I'm sorry, I can't tell whether that worked. A colleague looks into it now.",
    zh="抱歉，我无法确认是否成功，现在由同事来核实。",
)


def as_told(turn: Running, *, is_all: bool = False) -> DialogueAction | None:
    """Return what the last call or job says of itself as the reply; None: the model goes on.

    Args:
        is_all: nothing was asked but to look that up, so no rule may follow.
    """
    if not turn.context.release.quotes:
        return None
    if words := words_of_job(turn):
        told = turn.made or _is_news_alone(turn.lines)
        return DialogueAction(REPLY, words, "As told by the job") if told else None
    return _of_tool(turn, is_all)


def words_of_job(turn: Running) -> str:
    """Return what sub-agents' jobs say of themselves, if that is the last thing that happened.

    That is what they brought, or that one was begun in this turn; the words are code's.
    """
    if not turn.made:
        return "\n".join(_news(turn.lines)) if turn.lines and turn.lines[-1].is_news else ""
    last, tool = last_call(turn)
    if last is None or tool is None or tool.kind != ToolKind.SUBAGENT:
        return ""
    return str(last.result.get("summary") or last.result.get("note") or "")


def with_news(context: TurnContext, action: DialogueAction) -> DialogueAction:
    """Return the action with what jobs brought before its words, unless these say it.

    A turn tells all that it takes up, whatever else the customer asked for meanwhile. What a
    small model words of it is not relied on.
    """
    if action.calls_a_tool:
        return action
    says = contains if context.release.quotes else _takes_up
    untold = [words for words in _news(context.lines) if not says(action.reply, words)]
    return replace(action, reply="\n".join([*untold, action.reply])) if untold else action


def _news(lines: Sequence[Line]) -> list[str]:
    said = said_by_customer(lines)
    told = [of_job(line, said) for line in lines if line.is_news]
    return [words for words in dict.fromkeys(told) if words]


def of_job(line: Line, said: Sequence[str]) -> str:
    """Return how a job ended in words for the customer who `said` this, "" where it has none."""
    if not failed(line.result):
        return str(line.result.get("summary") or "")
    about = [text for text in map(str, line.arguments.values()) if len(text) <= LONGEST_NAME]
    job = " ".join([line.name.replace("_", " "), *about])
    words = CANCELLED if line.is_cancelled else FAILED
    return words.to(said).format(job=job, error=line.result["error"])


def _takes_up(reply: str, words: str) -> bool:
    """Say whether a reply says enough of these words to be about the same."""
    wanted, said = (set(_WORD.findall(text.lower())) for text in (words, reply))
    return len(wanted & said) >= TAKEN_UP * len(wanted)


def _of_tool(turn: Running, is_all: bool) -> DialogueAction | None:
    last, tool = last_call(turn)
    if last is None or tool is None or tool.name not in turn.made:
        return None
    if failed(last.result):
        return _of_failure(turn, tool, str(last.result["error"]))
    words = told_of(turn) if tool.result_template else ""
    if not words or (not (is_all or tool.is_irreversible) and _has_more_to_do(turn, tool)):
        return None
    return DialogueAction(REPLY, words, "As the tool told")


def _of_failure(turn: Running, tool: Tool, error: str) -> DialogueAction | None:
    if is_broken(tool.name, error):
        if tool.is_irreversible:
            return DialogueAction(HANDOFF, turn.say(UNSURE), error[:120])
        return DialogueAction(CLARIFY, turn.say(BROKEN), error[:120])
    if not tool.result_template or error.startswith(WRONG_ARGUMENTS):
        return None  # which the model reads, and calls again
    words = turn.say(SIGN_IN if error == NOT_IDENTIFIED else REFUSED)
    return DialogueAction(CLARIFY, words.format(error=error.rstrip(".。")), "As the tool refused")


def broken(turn: Running) -> str:
    """Return the error of a tool that did not work, if that is the last thing that happened."""
    last, tool = last_call(turn)
    error = str(last.result["error"]) if last and failed(last.result) else ""
    return error if tool and error and is_broken(tool.name, error) else ""


def _has_more_to_do(turn: Running, tool: Tool) -> bool:
    """Say whether to look something up may have been a step only: to a rule, a deed, or the next.

    Then the model goes on, and its reply is what was told and the rule that it cites.
    """
    if turn.rules or _is_next_named(turn, tool):
        return True
    others = [each for each in turn.tools.values() if each.name not in turn.made]
    return any(occasions.offers(others, turn.lines, turn.rules).values())


def _is_next_named(turn: Running, tool: Tool) -> bool:
    """Say whether the customer has named another order, or the like, that this tool takes."""
    said = " ".join(unanswered(turn.lines))
    made = {str(value) for call in turn.made[tool.name] for value in call.values()}
    schemas = tool.parameters.get("properties", {}).values()
    patterns = [schema["pattern"] for schema in schemas if "pattern" in schema]
    return any(made.isdisjoint([each]) for one in patterns for each in identifiers(one, said))


def shown(turn: Running, tool: Tool, result: dict[str, Any]) -> dict[str, Any]:
    """Return what customers are shown of a result: what its template names, or why not.

    Reasons are those of the business; what broke, and how, is for staff.
    """
    if not failed(result):
        return composing.named_by(tool.result_template, result)
    error = str(result["error"])
    if error == NOT_IDENTIFIED:
        return {"error": turn.say(SIGN_IN)}
    is_ours = error.startswith((tool.name, WRONG_ARGUMENTS)) or is_broken(tool.name, error)
    return {"error": turn.say(UNCLEAR) if is_ours else error}


def _is_news_alone(lines: Sequence[Line]) -> bool:
    """Say whether the customer has written nothing since the agent spoke last."""
    speakers = [line.role for line in lines if line.role != "tool"]
    return not speakers or speakers[-1] == "agent"
