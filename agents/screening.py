"""Keeping data from passing for instructions: results of tools, and marks of the dialogue.

What comes from outside is shown to the model as data. Sentences of a tool's result (read from
a page, an image, another company's system) that give orders to a model are taken out; marks
by which the prompt tells who speaks are broken up wherever people or programs wrote them.
"""

import re
from collections.abc import Iterator
from typing import Any

REMOVED = "[removed: reads like an instruction]"
# Orders to a model or about its prompt. What tells customers or staff something stays: "You are now
# eligible", "Do not tell my wife", "Reply STOP only if you want to unsubscribe".
_MODEL = r"(assistant|ai|chatbot|llm|(language|ai) model)"
_ORDERS = re.compile(
    r"(?<!n't )(?<!not )(?<!never )\b(ignore|disregard|forget|override|bypass|skip)\b[^.!?\n]{0,40}"
    r"\b(instructions?|prompts?|rules?|guidelines?)\b"
    r"|\b(ignore|disregard|forget) (all|everything|anything)\b[^.!?\n]{0,30}"
    r"\b(above|before|previous|prior|said|told)"
    r"|\b(ignore|disregard|forget) (the )?(above|previous|prior)( (text|messages?))? and\b"
    r"|\b(system|developer) (prompt|instruction)|\bsecret instructions?\b"
    rf"|\b(new|updated|additional) (system )?instructions? (for|to) (the |you,? )?{_MODEL}\b"
    rf"|\byou (are|act)( as)? (now|from now on)( an?| as an?| the)? (\w+ )?"
    rf"({_MODEL}|dan|jailbroken|unrestricted|free (of|from))\b"
    r"|\bfrom now on,? you( will| must| should| only){0,2} (answer|reply|respond|obey|speak|act)\b"
    r"|\bpretend (to be|you are|that)\b"
    rf"|\b{_MODEL}[,:]? (must|should|please|has to|needs to)\b|\bagent[,:] (please|you must)\b"
    r"|\b(reply|respond|answer|output)( \w+){0,2} (verbatim|in base64|(with )?(only|exactly|nothing"
    r" but) (the|with|this|:|\")|with the following)"
    r"|\btell the (user|customer)\b[^.!?\n]{0,30}\b(only|exactly|the following|verbatim)\b"
    r"|\b(print|say|write|repeat)\b[^.!?\n]{0,30}\b(exactly|the following (text|words|sentence)"
    r"|verbatim|in base64)\b"
    r"|\bdo not (tell|inform) (the )?(user|customer)|\bdo not mention\b[^.!?\n]{0,30}"
    r"\bto (the )?(user|customer)"
    r"|\b(call|invoke|run) (the )?(tool|function)\b|\buse the (tool|function) \w+_\w"
    r"|\[/?INST\]|###\s*(instruction|system|response)|<\/?(system|assistant|user)>"
    r"|(忽略|无视|忘记|不要理会)[^。！？\n]{0,20}(指令|规则|提示|之前的|以上|上面的|前面的)"
    r"|系统(提示|指令)|(从现在起|现在开始)[,，]?你|请?(回复|输出|告诉(用户|客户))[:：]",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？\n]*")
# "agent:" or "DIALOGUE" where a person wrote it; "Agent - " says the same and marks nothing.
_MARKS = re.compile(
    r"\b(customer|agent|assistant|user|system|tool|rules|dialogue)(\s*)[:：]", re.IGNORECASE
)


def without_orders(value: Any) -> Any:
    """Return a tool's result without sentences that give orders to a model."""
    match value:
        case str():
            return _screened(value)
        case list():
            return [without_orders(item) for item in value]
        case dict():
            return {without_orders(name): without_orders(item) for name, item in value.items()}
    return value


def orders_in(value: Any) -> list[str]:
    """Return the sentences that `without_orders` takes out of a tool's result."""
    return list(_orders(value))


def _orders(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield from (part.strip() for part in _SENTENCE.findall(value) if _ORDERS.search(part))
        case list():
            for item in value:
                yield from _orders(item)
        case dict():
            for name, item in value.items():
                yield from _orders(name)
                yield from _orders(item)


def _screened(text: str) -> str:
    if not _ORDERS.search(text):
        return text
    # Whole again and still an order: it was spread over sentences.
    kept = _SENTENCE.sub(lambda part: f"{REMOVED} " if _ORDERS.search(part[0]) else part[0], text)
    return REMOVED if _ORDERS.search(kept.replace(REMOVED, "")) else kept.strip()


def unmarked(text: str) -> str:
    """Return a text that can't pass for another speaker's line, a tool's result or a rule.

    Marks of chat templates are broken up too.
    """
    text = _MARKS.sub(r"\1\2 -", text)
    return text.replace("->", "- >").replace("<|", "< |").replace("|>", "| >")
