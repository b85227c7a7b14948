"""How a tool changed, between two revisions or between what was approved and what is offered."""

from typing import Any

from agents.models import Tool, ToolRevision
from agents.recording import canonical
from agents.schemas import indented
from knowledge.differing import Piece, pieces

Changes = list[tuple[str, list[Piece]]]

LABELS = {
    "cost_per_call": "Cost per call",
    "is_active": "Switched on",
    "key_argument": "Argument for the idempotency key",
    "largest_answer": "Largest answer, bytes",
    "remote_name": "Name at the server",
    "timeout_seconds": "Timeout, seconds",
    "token_setting": "Variable with the token",
    "uses_fixtures": "Answers from fixtures",
}


def since_before(revision: ToolRevision) -> Changes:
    """Return what a revision changed, by field; all of it if it is the first."""
    before = revision.tool.revisions.filter(number__lt=revision.number).first()
    return differences(before.data if before else {}, revision.data)


def of_offer(tool: Tool) -> Changes:
    """Return what a server changed about a tool that is held back."""
    return differences(tool.approved or {}, tool.offered or {})


def differences(before: dict[str, Any], now: dict[str, Any]) -> Changes:
    """Compare two definitions word by word."""
    return [
        (_label(name), list(pieces(_shown(before.get(name)), _shown(now.get(name)))))
        for name in sorted(before.keys() | now.keys())
        if canonical(before.get(name)) != canonical(now.get(name))
    ]


def _label(name: str) -> str:
    return LABELS.get(name, name.replace("_", " ").capitalize())


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else indented(value)
