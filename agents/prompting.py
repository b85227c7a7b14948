"""The one prompt builder: what the model is shown, when it serves and when it learns.

The static part comes first and is the same for every turn of a release, so that the
engine's prefix cache holds it; the rules found and the dialogue follow. The wording is in
templates/agents/prompts/<name>/.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from django.template import Context
from django.template.backends.django import Template as DjangoTemplate
from django.template.loader import select_template

from agents.screening import unmarked, without_orders

BUSINESS = "Greenway"
LINES_SHOWN = 8  # of the dialogue; older ones cost time and rarely matter
LONGEST_LINE = 600  # characters of one message that the model is shown

Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as the prompt shows it."""

    id: int  # of the unit
    condition: str
    content: str
    risk: str = "low"  # not shown: by it the release decides who words a reply
    similarity: float = 0.0  # cosine to the question, 0 where it is not known; not shown
    questions: tuple[str, ...] = ()  # other wordings of its condition; not shown


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the dialogue: something said, or a tool call and what came of it."""

    role: str  # "customer", "agent", or "tool"
    text: str = ""
    name: str = ""  # of the tool
    arguments: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    is_staff: bool = False  # an agent's line that a person wrote
    is_customers: bool = False  # a tool's line that tells what the customer's own file says
    is_hearsay: bool = False  # a tool's line that repeats what was said, the customer's words too
    is_summary: bool = False  # a tool's line that sums up what a person did; it is never cut
    is_jobs: bool = False  # a tool's line that tells how a sub-agent's job ended
    is_cancelled: bool = False  # one of these whose job somebody ended before it brought anything
    is_news: bool = False  # one of these that the customer has not been told yet
    rules: tuple[Rule, ...] = ()  # on which an agent's line rests; not shown

    @property
    def is_proof(self) -> bool:
        """Whether what a tool's line tells may be relied on: it is nobody's word but the tool's."""
        return not (self.is_customers or self.is_hearsay)

    def __str__(self) -> str:
        if self.role == "tool":
            call, result = _dumped(self.arguments), _dumped(without_orders(self.result))
            longest = None if self.is_summary else LONGEST_LINE
            return f"{self.name} {_one_line(call)} -> {_one_line(result, longest)}"[:longest]
        return f"{self.role}: {_one_line(self.text)}"


def build_messages(
    *,
    prompt: str,
    tools: Sequence[dict[str, Any]],
    rules: Sequence[Rule],
    lines: Sequence[Line],
) -> list[Message]:
    """Return the system and the user message of one engine call.

    `prompt` names the folder of templates; `tools` are {"name", "description",
    "parameters"}; `rules` best first; `lines` oldest first.
    """
    return [
        {"role": "system", "content": _render(prompt, "system", _static(tools))},
        {
            "role": "user",
            "content": _render(
                prompt,
                "turn",
                {"rules": [_flat(rule) for rule in rules], "lines": lines[-LINES_SHOWN:]},
            ),
        },
    ]


def ask_again(
    messages: Sequence[Message], output: str, *, prompt: str, part: str, problems: Sequence[str]
) -> list[Message]:
    """Return a turn's prompt with the model's refused output and why it was refused.

    `part` names the template: "unbacked" or "unreadable".
    """
    context = {"problems": [_one_line(problem) for problem in problems]}
    return [
        *messages[:2],
        {"role": "assistant", "content": output},
        {"role": "user", "content": _render(prompt, part, context)},
    ]


def _static(tools: Sequence[dict[str, Any]]) -> dict[str, Any]:
    shown = [
        {
            "name": tool["name"],
            "description": tool["description"],
            # `required` is a list: the database keeps its order, unlike that of an object's keys.
            "parameters": ", ".join(tool["parameters"].get("required", [])),
        }
        for tool in tools
    ]
    return {"business": BUSINESS, "tools": shown}


def _flat(rule: Rule) -> Rule:
    return Rule(rule.id, _one_line(rule.condition), _one_line(rule.content))


def _dumped(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False)  # as written: an escape takes six characters


def _one_line(text: str, longest: int | None = LONGEST_LINE) -> str:
    """Keep what people and programs wrote on its own line, without marks of other speakers."""
    return unmarked(" ".join(text.split())[:longest])


def _render(prompt: str, part: str, context: dict[str, Any]) -> str:
    # The model reads plain text: HTML escapes would be noise to it.
    names = [f"agents/prompts/{folder}/{part}.txt" for folder in (prompt, "default")]
    template = cast(DjangoTemplate, select_template(names)).template
    return str(template.render(Context(context, autoescape=False, use_l10n=False))).strip()
