"""Asking the customer before something is done that can't be undone.

A tool with a `confirmation` is called only after the customer has said yes to that very
call. The question is the tool's own words and the check of the answer is a list of words:
neither is left to a model, which can be talked into things.
"""

import re
from dataclasses import dataclass
from typing import Any

from agents.actions import CLARIFY, DialogueAction
from agents.models import Tool

CHOICES = ("Yes", "No")

# What a customer may say to agree; anything else, a condition too, is no yes.
_YES = re.compile(
    r"(yes|yep|yeah|yup|sure|ok|okay|correct|right|confirm(ed)?|please do|do it|go ahead|"
    r"of course|absolutely|definitely|是的?|好的?|可以|确认|对|行)"
    r"([\s,.!。！，]+(yes|please|thanks|thank you|sure|ok|do it|go ahead|do so|"
    r"that's right|i am sure|i'm sure|谢谢|请))*[\s,.!。！]*",
    re.IGNORECASE,
)
_DEED = re.compile(r"[\s,.!]+(\w+) (?:it|this|that)\b", re.IGNORECASE)
_NO = re.compile(
    r"(no|nope|nah|don't|do not|please don't|rather not|better not|不要?|不用|不行|算了|否)"
    r"([\s,.!。！，]+(no|thanks|thank you|please|don't|not now|谢谢))*[\s,.!。！]*",
    re.IGNORECASE,
)
LEFT = "All right, I leave it as it is. Is there anything else I can do?"
_PLACE = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Call:
    """A call that waits for the customer's yes."""

    name: str
    arguments: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "arguments": self.arguments}


def says_yes(text: str, tool: str) -> bool:
    """Say whether the text agrees to a call of this tool and says nothing else.

    It may name the deed ("yes, cancel it"): of `cancel_order`, never of `refund_order`.
    """
    agreed = _DEED.sub(lambda deed: "" if deed[1].lower() in tool.split("_") else deed[0], text)
    return _YES.fullmatch(agreed.strip()) is not None


def says_no(text: str) -> bool:
    """Say whether the text declines and says nothing else."""
    return _NO.fullmatch(text.strip().replace("’", "'")) is not None


def question(tool: Tool, action: DialogueAction) -> DialogueAction:
    """Return the action that asks for the customer's yes instead of calling the tool."""
    given = action.arguments
    # In one pass: braces in what a customer wrote are no places to fill.
    words = _PLACE.sub(lambda place: str(given.get(place[1], place[0])), tool.confirmation)
    return DialogueAction(CLARIFY, words, action.thought, action.knowledge)
