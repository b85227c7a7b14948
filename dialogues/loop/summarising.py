"""What a replay says: counts with their intervals, what to do, and its turns for the page."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agents.actions import DialogueAction
from dialogues.loop import weighing
from dialogues.loop.replaying import SAME_RULES
from dialogues.models import Event, Replay, ReplayTurn, ReplayVerdict
from knowledge.differing import Piece, pieces
from knowledge.models import JobState
from knowledge.shares import wilson


@dataclass(frozen=True)
class Summary:
    """A replay in numbers."""

    looked_at: int
    affected: int
    entered: int  # turns that find the rule only with the edit
    left: int  # turns that find it only without
    answered: int  # turns whose answers were compared
    unanswered: int  # turns that read other rules, and were not asked again
    same: int
    win: int
    loss: int
    tie: int
    open: int
    harmful: int

    @property
    def judged(self) -> int:
        return self.win + self.loss + self.tie

    @property
    def percentages(self) -> list[tuple[str, int, int, int]]:
        """Return (verdict, how many, low, high): the 95 % interval of its share, in percent."""
        counts = {"Better": self.win, "Worse": self.loss, "As good": self.tie}
        return [(name, count, *self._interval(count)) for name, count in counts.items()]

    def _interval(self, count: int) -> tuple[int, int]:
        low, high = wilson(count, self.judged)
        return round(100 * low), round(100 * high)


def summarise(replay: Replay) -> Summary:
    """Count a replay's turns, in one query."""
    rows = list(replay.turns.order_by("pk"))
    asked = [row for row in rows if row.after["action"]]
    verdicts = [row.verdict for row in asked]
    found = [_finds(row, replay.revision.unit_id) for row in rows]
    return Summary(
        looked_at=replay.looked_at,
        affected=len(rows),
        entered=found.count((False, True)),
        left=found.count((True, False)),
        answered=len(asked),
        unanswered=sum(not row.after["action"] and row.reason != SAME_RULES for row in rows),
        same=sum(row.verdict == ReplayVerdict.SAME for row in rows),
        win=verdicts.count(ReplayVerdict.WIN),
        loss=verdicts.count(ReplayVerdict.LOSS),
        tie=verdicts.count(ReplayVerdict.TIE),
        open=verdicts.count(ReplayVerdict.OPEN),
        harmful=sum(row.harm >= weighing.HARMFUL for row in asked),
    )


def _finds(row: ReplayTurn, unit_id: int) -> tuple[bool, bool]:
    return unit_id in _places(row.before), unit_id in _places(row.after)


def advice(summary: Summary, replay: Replay) -> str:
    """Say in a sentence or two what to do now."""
    act = "archive" if replay.is_removal else "publish"
    if summary.harmful:
        return f"Read the replies that get worse first. Mend the rule before you {act} it."
    if replay.job.state != JobState.DONE:
        return f"Wait for the answers before you {act} it, or read what the search finds."
    if summary.open:
        return f"Judge the {summary.open} replies that differ, then {act} it or mend it."
    if not summary.affected:
        return f"No past question finds anything else: you can {act} it."
    return f"No reply gets worse: you can {act} it."


@dataclass(frozen=True, slots=True)
class Place:
    """Where a search found a rule: its rank from 1, and the cosine of its best hook."""

    rank: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Moved:
    """A rule that is found without the edit or with it; None where it is not found."""

    unit_id: int
    title: str
    before: Place | None
    after: Place | None
    is_edited: bool

    @property
    def change(self) -> str:
        if self.before is None:
            return "enters"
        if self.after is None:
            return "leaves"
        return "stays" if self.before.rank == self.after.rank else "moves"

    @property
    def places(self) -> tuple[Place | None, Place | None]:
        return self.before, self.after


@dataclass(frozen=True)
class Compared:
    """One turn of a replay as the page shows it."""

    row: ReplayTurn
    unit_id: int
    question: str

    @property
    def rules(self) -> list[Moved]:
        return moved(self.row, self.unit_id)

    @cached_property
    def before(self) -> DialogueAction | None:
        return weighing.stored_action(self.row.before)

    @cached_property
    def after(self) -> DialogueAction | None:
        return weighing.stored_action(self.row.after)

    @property
    def pieces(self) -> list[Piece]:
        """The two replies, word by word."""
        return (
            list(pieces(self.before.reply, self.after.reply)) if self.before and self.after else []
        )

    @property
    def acts_differently(self) -> bool:
        before, after = self.before, self.after
        return bool(before and after) and _acts(before) != _acts(after)

    @property
    def faults(self) -> list[str]:
        """What makes the new answer count as harm."""
        if self.row.harm < weighing.HARMFUL:
            return []
        said = {
            "Judged worse": self.row.verdict == ReplayVerdict.LOSS,
            "Cites no rule any more": weighing.loses_its_citation(self.row),
            "Does something else than what a reviewer called good": (
                weighing.changes_a_good_action(self.row)
            ),
        }
        return [text for text, is_so in said.items() if is_so]

    @property
    def can_be_judged(self) -> bool:
        return self.after is not None and self.row.verdict != ReplayVerdict.SAME


def _acts(action: DialogueAction | None) -> Any:
    return (action.name, action.arguments) if action else None


def moved(row: ReplayTurn, unit_id: int) -> list[Moved]:
    """Return the rules of both searches, those found with the edit first."""
    before, after = _places(row.before), _places(row.after)
    titles = {rule["unit_id"]: rule["title"] for rule in row.after["rules"] + row.before["rules"]}
    return [
        Moved(key, title, before.get(key), after.get(key), is_edited=key == unit_id)
        for key, title in titles.items()
    ]


def _places(side: dict[str, Any]) -> dict[int, Place]:
    return {
        rule["unit_id"]: Place(rank, rule["similarity"])
        for rank, rule in enumerate(side["rules"], start=1)
    }


def compared(rows: Iterable[ReplayTurn], unit_id: int) -> list[Compared]:
    """Return turns as the page shows them, with what was asked, in one query."""
    rows = list(rows)
    said = Event.objects.filter(
        conversation__in={row.turn.conversation_id for row in rows},
        seq__in={row.turn.asked_seq for row in rows},
    ).order_by()
    texts = {(event.conversation_id, event.seq): event.text for event in said}
    return [
        Compared(row, unit_id, texts.get((row.turn.conversation_id, row.turn.asked_seq), ""))
        for row in rows
    ]
