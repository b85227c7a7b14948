"""The tables of dialogues, by subject; import them from here."""

from dialogues.models.conversations import (
    Channel,
    Control,
    Conversation,
    ConversationQuerySet,
    Event,
    EventKind,
    Role,
)
from dialogues.models.judgements import (
    Case,
    CaseQuerySet,
    IssueType,
    Judgement,
    JudgementSource,
    Verdict,
)
from dialogues.models.learning import (
    Gap,
    GapQuerySet,
    GapState,
    GapTurn,
    Replay,
    ReplayTurn,
    ReplayVerdict,
)
from dialogues.models.turns import (
    Turn,
    TurnQuerySet,
    TurnQuestion,
    TurnStatus,
    TurnUnit,
)

__all__ = [
    "Case",
    "CaseQuerySet",
    "Channel",
    "Control",
    "Conversation",
    "ConversationQuerySet",
    "Event",
    "EventKind",
    "Gap",
    "GapQuerySet",
    "GapState",
    "GapTurn",
    "IssueType",
    "Judgement",
    "JudgementSource",
    "Replay",
    "ReplayTurn",
    "ReplayVerdict",
    "Role",
    "Turn",
    "TurnQuerySet",
    "TurnQuestion",
    "TurnStatus",
    "TurnUnit",
    "Verdict",
]
