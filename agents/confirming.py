"""Asking the customer before something is done that can't be undone.

A tool with a `confirmation` is called only after the customer has said yes to that very
call. The question is the tool's own words and the check of the answer is a list of words:
neither is left to a model, which can be talked into things.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from agents.actions import CLARIFY, DialogueAction
from agents.models import Tool
from knowledge.scripts import WORD

CHOICES = ("Yes", "No")
AGREED = "The customer agreed"

# What a customer may say to agree; anything else, a condition too, is no yes.
_AGREES = (
    r"y|yes|yep|yeah|yup|sure|ok|okay|correct|right|that'?s (?:right|correct)|confirm(?:ed)?"
    r"|i (?:do )?(?:confirm|agree)|please do|do it|go ahead|of course|absolutely|definitely"
)
_AGREES_ELSE = r"👍[🏻-🏿]?|是的?|好的?|可以|确认|对|行"  # no space needs to stand around it
_BESIDE = r"please|thanks|thank you|do so|then|and|i am sure|i'm sure"
_APART = r"[\s,.!，。！]"  # each stands in front of one word alone: two ways to read it multiply
_YES = re.compile(
    rf"(?:{_AGREES_ELSE}|(?:{_AGREES})(?!\w))"
    rf"(?:{_APART}*(?:{_AGREES_ELSE}|谢谢|请)|{_APART}+(?:{_AGREES}|{_BESIDE})(?!\w))*{_APART}*",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\S*\d\S*")  # an identifier, and no reason that is one of a list
_LEAVES = (
    r"wait|stop|never ?mind|(?:leave|keep) (?:it|that)(?: as it is| alone)?"
    r"|forget (?:it|that|about it)|i changed my mind"
)
_NO = re.compile(
    rf"({_LEAVES}|no|nope|nah|don't|do not|please don't|rather not|better not"
    r"|不要?|不用|不行|算了|否)"
    rf"({_APART}+({_LEAVES}|no|thanks|thank you|please|don't|not now|谢谢))*{_APART}*",
    re.IGNORECASE,
)
LEFT = "All right, I leave it as it is. Is there anything else I can do?"
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
    doing, own = _names(call)
    said = own.sub("please", doing.sub("yes", text.strip().replace("’", "'")))
    return _YES.fullmatch(said) is not None


def _names(call: Call) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Match how a customer names the call: its deed with its object, and its identifiers alone.

    The deed is the first word of the tool's name, unless it is the object's: who says "order it"
    does not agree that `order_cancel` is called with an `order_id`.
    """
    deed, *rest = call.name.split("_")
    objects = {word for name in [*call.arguments, *rest] for word in re.findall("[a-z]+", name)}
    numbers = [str(value) for value in call.arguments.values() if _NUMBER.fullmatch(str(value))]
    own, nouns = _any_of(numbers), _any_of(objects)
    whose = r"(?:\s+(?:it|this|that|the|my))?"
    doing = rf"{_any_of({deed} - objects)}{whose}(?:\s+{nouns})?(?:\s+{own})?"
    return _whole(doing), _whole(own)


def _any_of(words: Iterable[str]) -> str:
    return rf"(?:{'|'.join(map(re.escape, words)) or '(?!)'})"


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!{WORD}){pattern}(?!{WORD})", re.IGNORECASE)


def says_no(text: str) -> bool:
    """Say whether the text declines and says nothing else."""
    return _NO.fullmatch(text.strip().replace("’", "'")) is not None


def question(tool: Tool, action: DialogueAction) -> DialogueAction:
    """Return the action that asks for the customer's yes instead of calling the tool.

    What its words don't name is added, so that the yes is to all that is sent.
    """
    given = {name: _worded(value) for name, value in action.arguments.items()}
    # In one pass: braces in what a customer wrote are no places to fill.
    words = _PLACE.sub(lambda place: given.get(place[1], place[0]), tool.confirmation)
    named = set(_PLACE.findall(tool.confirmation))
    rest = {name: value for name, value in given.items() if name not in named}
    if rest:
        asked, mark = (words[:-1], words[-1]) if words[-1:] in {"?", "？"} else (words, "")
        words = f"{asked} ({listed(rest)}){mark}"
    return DialogueAction(CLARIFY, words, action.thought, action.knowledge)


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
    return str(value)


def listed(given: dict[str, Any]) -> str:
    """Write arguments as people do: "order id: GW1009, reason: cold"."""
    return ", ".join(f"{name.replace('_', ' ')}: {_worded(value)}" for name, value in given.items())
