"""Sub-agents and plans of calls as tools that a release can name."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from agents.cataloguing import save_tool
from agents.models import Tool, ToolKind
from agents.subagents import REGISTRY
from dialogues.jobs import subagents
from dialogues.models import CallPlan

__all__ = ["register_tools", "subagents"]  # importing subagents fills the registry

NOTE = "Registered from the sub-agents and plans of calls"


@dataclass(frozen=True, slots=True)
class Entry:
    """What the catalogue should hold of a sub-agent or a plan."""

    name: str
    fields: dict[str, Any]


@transaction.atomic
def register_tools() -> int:
    """Bring the catalogue up to the registry and the plans; return how many rows changed.

    A plan that is switched off switches its tool off. A second run changes nothing; a tool of
    another kind that has the name stays as it is.
    """
    known = {tool.name: tool for tool in Tool.objects.all()}
    return sum(_register(entry, known.get(entry.name)) for entry in _entries())


def _entries() -> list[Entry]:
    agents = [
        Entry(
            subagent.name,
            {
                "description": subagent.description,
                "parameters": subagent.inputs,
                "confirmation": "",
                "confirmation_zh": "",
                "is_active": True,
            },
        )
        for subagent in REGISTRY.values()
        if subagent.is_tool
    ]
    plans = [
        Entry(
            plan.name,
            {
                "description": plan.description,
                "parameters": plan.parameters,
                "confirmation": plan.confirmation,
                "confirmation_zh": plan.confirmation_zh,
                "is_active": plan.is_active,
            },
        )
        for plan in CallPlan.objects.all()
    ]
    return agents + plans


def _register(entry: Entry, tool: Tool | None) -> bool:
    if tool is None:
        fields = {**entry.fields, "kind": ToolKind.SUBAGENT}
        save_tool(tool=Tool(name=entry.name, **fields), by=None, note=NOTE)
        return True
    changed = {name: value for name, value in entry.fields.items() if getattr(tool, name) != value}
    if tool.kind != ToolKind.SUBAGENT or not changed:
        return False
    for name, value in changed.items():
        setattr(tool, name, value)
    save_tool(tool=tool, by=None, note=NOTE)
    return True
