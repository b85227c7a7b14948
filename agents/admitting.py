"""Saying so where a small model has nothing to say.

For releases that say rules in their own words: what their models word themselves is worth little.
Of 50 of the demo's questions four were answered as by "I'm sorry. I'm opening the order." with no
order opened, and two with facts that nobody wrote. Where they mean to ask and ask nothing,
the identifier that a tool lacks is asked for; where they tell what stands nowhere, that is said.
A chat is ended only where the customer takes leave, and who is passed on is told to whom.
"""

import re
from dataclasses import replace

from agents import courtesies, occasions, proposing
from agents.actions import CLARIFY, CLOSE, HANDOFF, REPLY, DialogueAction
from agents.clauses import SENTENCE
from agents.composing import as_written, names_untold
from agents.finding import said_by_customer
from agents.phrases import Phrase, is_english, writes_chinese
from agents.turning import Running, words_itself
from knowledge.scripts import count_words

UNKNOWN = Phrase(
    "I have found nothing on that. Please say it in other words, or ask for a person.",
    zh="关于这一点我没有找到资料。请换个说法，或者要求人工服务。",
)
ASKS_NOTHING = "it asks nothing: ask a question, call a tool or hand off"
SMALL_TALK_WORDS = 8  # "Hello! How can I help you today?"
_ASKS = re.compile(r"[?？]|\b(please|tell me|which|what|send|need)\b|请|哪", re.IGNORECASE)
_WHO = re.compile(r"\b(colleague|person|human|team|specialist)s?\b|同事|人工", re.IGNORECASE)
# Nobody looked: "I have no order GW1002."
_DENIES_ALL = re.compile(
    r"\b(have|found|find|see|know) (no|nothing)\b|\b(can't|cannot|couldn't|could not|didn't|don't)"
    r" (find|see|have)\b|没有找到|找不到|查不到",
    re.IGNORECASE,
)
# Of an order: "GW1003 is still being prepared".
_STATE = re.compile(
    r"\d[\"'”’)]?\s+(?:is|was|has|had|will|isn't|wasn't|hasn't|won't)\b|\d\s*(?:已|正在|还在|的状态)",
    re.IGNORECASE,
)
_FAREWELL = re.compile(
    r"\b(good ?bye|bye|see you|good ?night|have an? \w+ \w+|clos(e|ing) (the|this) chat"
    r"|end of (the )?chat)\b|再见|拜拜",
    re.IGNORECASE,
)


def staying(turn: Running, action: DialogueAction) -> DialogueAction:
    """Return a close as a reply, unless the customer takes leave and nothing is under way.

    Its farewell would be wrong then, too.
    """
    last = turn.lines[-1] if turn.lines else None
    if action.name != CLOSE:
        return action
    if last and last.role == "customer" and courtesies.takes_leave(last.text):
        return courtesies.parting(turn, action)
    kept = [] if turn.context.release.quotes else _without_farewell(action.reply)
    return replace(action, name=REPLY, reply=" ".join(kept) or turn.say(courtesies.ANYTHING_ELSE))


def _without_farewell(text: str) -> list[str]:
    return [each for each in SENTENCE.split(text) if each.strip() and not _FAREWELL.search(each)]


def instead(turn: Running, action: DialogueAction) -> DialogueAction:
    """Return what is said in place of a small model's own words, the action itself if they do."""
    if asks_nothing(turn, action):
        return _asking(turn, action) or action
    if action.name == HANDOFF and turn.context.release.quotes:
        return replace(action, reply=_to_whom(turn, action.reply))
    made_up = (_tells_what_stands_nowhere, _tells_of_an_order, _is_in_english)
    if any(each(turn, action) for each in made_up):
        return replace(action, name=CLARIFY, reply=_lacking(turn) or turn.say(_nothing(turn)))
    return action


def _to_whom(turn: Running, reply: str) -> str:
    """Return what a hand-over says of who comes, without the reasons that a small model finds.

    In the customer's language: a small model may know one only.
    """
    said = [
        each
        for each in SENTENCE.split(reply)
        if _WHO.search(each)
        and count_words(each) <= SMALL_TALK_WORDS
        and not _FAREWELL.search(each)
    ]
    ours, words = turn.say(courtesies.COLLEAGUE), " ".join(said)
    return words if words and writes_chinese([words]) == writes_chinese([ours]) else ours


def _asking(turn: Running, action: DialogueAction) -> DialogueAction | None:
    """Return the rules that it names as written, and the question for what a tool lacks."""
    question = proposing.asked_first(turn)
    if question is None:
        return None
    worded = as_written(turn.cited(action), turn.lines)
    known = [worded.text] if worded.text and not worded.missing else []
    return replace(action, reply="\n".join([*known, question.reply]))


def asks_nothing(turn: Running, action: DialogueAction) -> bool:
    """Say whether a model that meant to ask something asked nothing."""
    means_to = turn.context.release.quotes and action.name == CLARIFY
    return means_to and not _ASKS.search(action.reply)


def _nothing(turn: Running) -> Phrase:
    """Return what is said where there is nothing to tell: who says thanks has asked nothing."""
    last = turn.lines[-1] if turn.lines else None
    is_thanked = last and last.role == "customer" and courtesies.takes_leave(last.text)
    return courtesies.ANYTHING_ELSE if is_thanked else UNKNOWN


def _lacking(turn: Running) -> str:
    """Return the question for what a tool needs of which the customer speaks, "" for none."""
    text = proposing.said_last(turn)
    tools = filter(proposing.is_spoken_of, turn.tools.values())
    asked = (proposing.question(turn, tool) for tool in tools if occasions.asked_for(tool, text))
    return next((each.reply for each in asked if each), "")


def _is_in_english(turn: Running, action: DialogueAction) -> bool:
    """Say whether a small model's words are English to who writes Chinese, and rest on nothing."""
    if any(line.role == "tool" for line in turn.lines) or not is_english(action.reply):
        return False
    return _rests_on_nothing(turn, action) and writes_chinese(said_by_customer(turn.lines))


def _rests_on_nothing(turn: Running, action: DialogueAction) -> bool:
    """Say whether a small model's words cite no rule; a strict one is said as it is written."""
    quotes = turn.context.release.quotes
    return quotes and not turn.cited(action) and words_itself(turn, action)


def _tells_what_stands_nowhere(turn: Running, action: DialogueAction) -> bool:
    """Say whether a reply rests on no rule, no call and no figure of the dialogue.

    Nor on a call about something else: what one order's look-up told says nothing of another.

    That its figures have a source is checked elsewhere (agents/promising.py).
    """
    if (
        action.name != REPLY
        or action.reply == turn.say(courtesies.ON_IT)
        or not _rests_on_nothing(turn, action)
    ):
        return False
    if turn.lines and turn.lines[-1].role == "tool":
        return False
    if _DENIES_ALL.search(action.reply) or names_untold(action.reply, turn.lines):
        return True
    is_small_talk = count_words(action.reply) <= SMALL_TALK_WORDS
    return not is_small_talk and not any(letter.isdigit() for letter in action.reply)


def _tells_of_an_order(turn: Running, action: DialogueAction) -> bool:
    """Say whether a small model's question tells how an order is of which no call has told."""
    if action.name != CLARIFY or not turn.context.release.quotes:
        return False
    parts = [each for part in action.reply.split("，") for each in SENTENCE.split(part)]
    told = [each for each in parts if not each.rstrip().endswith(("?", "？"))]
    return any(_STATE.search(each) and names_untold(each, turn.lines) for each in told)
