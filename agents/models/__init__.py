"""The tables of agents, by subject; import them from here."""

from agents.models.releases import (
    Composition,
    ModelVersion,
    Promotion,
    Release,
    WeightsKind,
    live_release,
    own_release,
    own_releases,
)
from agents.models.tools import (
    MCPServer,
    Tool,
    ToolCall,
    ToolFixture,
    ToolKind,
    ToolQuerySet,
    ToolRevision,
    as_json,
    released,
)

__all__ = [
    "Composition",
    "MCPServer",
    "ModelVersion",
    "Promotion",
    "Release",
    "Tool",
    "ToolCall",
    "ToolFixture",
    "ToolKind",
    "ToolQuerySet",
    "ToolRevision",
    "WeightsKind",
    "as_json",
    "live_release",
    "own_release",
    "own_releases",
    "released",
]
