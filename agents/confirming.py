"""Asking the customer before something is done that can't be undone.

A tool with a `confirmation` is called only after the customer has said yes to that very
call. The question is the tool's own words and the check of the answer is a list of words:
neither is left to a model, which can be talked into things.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.actions import CLARIFY, DialogueAction
from agents.kinds import KIND_WORDS
from agents.models import Tool
from agents.phrases import Phrase, writes_chinese
from knowledge.scripts import WORD

CHOICES, CHOICES_ZH = ("Yes", "No"), ("是", "否")
AGREED = "The customer agreed"

# What a customer may say to agree; anything else, a condition too, is no yes.
_AGREES = (
    r"y|ye(?:s|p|a|ah)|yess+|yup|sure|ok|okay|correct|right|fine|alright|all right|great|perfect"
    r"|cool|that'?s (?:right|correct)|sounds good|works for me|confirm(?:ed)?"
    r"|i (?:do )?(?:confirm|agree)|please do|do it|go ahead|go for it|of course|absolutely"
    r"|definitely"
)
# No space needs to stand around it.
_AGREES_ELSE = (
    r"👍[🏻-🏿]?|✅|👌[🏻-🏿]?|(?:是|好|可以|行|对|嗯|要)[的吧啊呀]?|需要的?|确[认定]|同意|没问题"
)
_BESIDE = (
    r"please|pl[sz]|thanks|thank you|very much|a lot|so much|do so|then|and|now|asap|right away"
    r"|actually|i am|i'm sure|i want that|you (?:can|may)"
)
_BEFORE = r"actually|well|oh|um+|hm+|please|pl[sz]"  # none of these agrees
_APART = r"[\s,.!…，。！、]"  # each stands in front of one word alone: two ways to read it multiply
_YES = re.compile(
    rf"(?:(?:{_BEFORE}){_APART}+|请{_APART}*)*(?:{_AGREES_ELSE}|(?:{_AGREES})(?!\w))"
    rf"(?:{_APART}*(?:{_AGREES_ELSE}|谢谢[您你]?|麻烦[您你]?了?|请)|{_APART}+(?:{_AGREES}|{_BESIDE})(?!\w))*{_APART}*",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\S*\d\S*")  # an identifier, and no reason that is one of a list
_LEAVES = (
    r"wait|stop|hold on|hang on|not (?:now|yet)|never ?mind"
    r"|(?:leave|keep) (?:it|that)(?: as it is| alone)?|forget (?:it|that|about it)"
    r"|i(?:'ve| have)? changed my mind|i'?d rather (?:not|keep it|leave it)|rather not|better not"
)
_DONT = r"(?:don't|do not)(?: do (?:it|that))?"
_DECLINES = rf"{_LEAVES}|no way|no|nope|nah|{_DONT}|i (?:don't|do not) want (?:you )?to do it"
_DECLINES_ELSE = (
    r"(?:暂时|先|还是)?(?:不|别)(?:要|用|行|需要|必|好|可以|同意)?做?了?|不[退打]了?|算了|否"
)
_NO = re.compile(
    rf"(?:(?:{_BEFORE}|ok|okay|sorry){_APART}+)*(?:{_DECLINES_ELSE}|(?:{_DECLINES})(?!\w))"
    rf"(?:{_APART}*(?:{_DECLINES_ELSE}|谢谢[您你]?)"
    rf"|{_APART}+(?:{_DECLINES}|thanks|thank you|please|actually|sorry)(?!\w))*{_APART}*",
    re.IGNORECASE,
)
LEFT = Phrase(
    "All right, I leave it as it is. Is there anything else I can do?",
    zh="好的，那就保持不变。还有什么可以帮您？",
)
_WISHES = (
    r"(?:(?:i'd like|i would like|i want|you can|you may|go ahead (?:and|with)|let's)"
    r"(?: you)?(?: to)?\s+)?(?:(?:a|the|my)\s+)?"
)
_BRACKETS = Phrase(" ({})", zh="（{}）")
_PLACE = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Call:
    """A call that waits for the customer's yes, or that they have agreed to."""

    name: str
    arguments: dict[str, Any]
    # What it goes out with once agreed to: the same until it is known what came of it.
    key: str = field(default="", compare=False)

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "arguments": self.arguments}


def says_yes(text: str, call: Call) -> bool:
    """Say whether the text agrees to this call and says nothing else.

    It may name the deed and what it is done to, in words of the call: "yes, cancel the order",
    "yes, cancel GW1009". Another deed, or another order, is no yes.
    """
    return _YES.fullmatch(_without_names(text, call, "yes", "是")) is not None


def says_no(text: str, call: Call) -> bool:
    """Say whether the text declines this call and says nothing else: "no, don't cancel it"."""
    return _NO.fullmatch(_without_names(text, call, "do it", "做")) is not None


def _without_names(text: str, call: Call, deed: str, in_chinese: str) -> str:
    """Return the text with other words for the call's deed, and none for its identifiers."""
    doing, doing_in_chinese, own = _names(call)
    said = doing.sub(deed, text.strip().replace("’", "'"))
    return own.sub("please", doing_in_chinese.sub(in_chinese, said))


def _names(call: Call) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Match how a customer names the call: its deed with its object, and its identifiers alone.

    The deed is the first word of the tool's name, unless it is the object's: who says "order it"
    does not agree that `order_cancel` is called with an `order_id`. In Chinese it is what means
    the same.
    """
    deed, *rest = call.name.split("_")
    objects = {word for name in [*call.arguments, *rest] for word in re.findall("[a-z]+", name)}
    numbers = [str(value) for value in call.arguments.values() if _NUMBER.fullmatch(str(value))]
    own, nouns = _any_of(numbers), _any_of(objects)
    whose = r"(?:\s+(?:of|for))?(?:\s+(?:it|this|that|(?:the|my)(?:\s+(?:whole|entire))?))?"
    doing = rf"{_WISHES}{_any_of({deed} - objects)}{whose}(?:\s+{nouns})?(?:\s+{own})?"
    alike = [kind.pattern.split("|") for kind in KIND_WORDS.values() if kind.search(deed)]
    chinese = _any_of(word for words in alike for word in words if not word.isascii())
    in_chinese = rf"(?:请?帮我|我?(?:想要?|要))?{chinese}(?:这个|我的|该)?(?:订单)?(?:\s*{own})?吧?"
    return _whole(doing), _whole(in_chinese), _whole(own)


def _any_of(words: Iterable[str]) -> str:
    return rf"(?:{'|'.join(map(_spelt, words)) or '(?!)'})"


def _spelt(word: str) -> str:
    """Match a word, with a sign or a space before its figures too: "gw 1009"."""
    return re.sub(r"(?<=[A-Za-z])(?=\d)", r"[-\\s]?", re.escape(word))


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!{WORD}){pattern}(?!{WORD})", re.IGNORECASE)


def question(tool: Tool, action: DialogueAction, said: Sequence[str]) -> DialogueAction:
    """Return the action that asks the customer, who `said` this, for a yes to the call.

    What its words don't name is added, so that the yes is to all that is sent.
    """
    given = {name: _worded(value) for name, value in action.arguments.items()}
    # In one pass: braces in what a customer wrote are no places to fill.
    asks = tool.asks.to(said)
    words = _PLACE.sub(lambda place: given.get(place[1], place[0]), asks)
    named = set(_PLACE.findall(asks))
    rest = {name: value for name, value in given.items() if name not in named}
    if rest:
        asked, mark = (words[:-1], words[-1]) if words[-1:] in {"?", "？"} else (words, "")
        words = f"{asked}{_BRACKETS.to([asks]).format(listed(rest))}{mark}"
    return DialogueAction(CLARIFY, words, action.thought, action.knowledge)


def choices_for(question: str) -> list[str]:
    """Return what to answer a question with.

    It may follow a rule in another language, and end with the customer's own words in brackets.
    """
    asks = re.split(r"[(（]", question.splitlines()[-1])[0]
    return list(CHOICES_ZH if writes_chinese([asks]) else CHOICES)


def _worded(value: Any) -> str:
    """Write an argument as people do."""
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "none"
        case list():
            return ", ".join(map(_worded, value))
        case dict():
            return listed(value)
    return " ".join(str(value).split())


def listed(given: dict[str, Any]) -> str:
    """Write arguments as people do: "order id: GW1009, reason: cold"."""
    return ", ".join(f"{name.replace('_', ' ')}: {_worded(value)}" for name, value in given.items())
