"""What pages show of runs and data sets, gathered in a fixed number of queries."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils.safestring import SafeString, mark_safe

from training import charts, evaluating, jobs
from training.models import (
    Dataset,
    Evaluation,
    Example,
    Run,
    RunEventKind,
    RunStatus,
    Split,
)

STEPS_SHOWN = 5
NOTES_SHOWN = 12
MEASURES = {
    "repaired": "Repaired: nearer to the rewrite than to the bad reply",
    "valid_json": "Valid JSON",
    "valid_action": "Valid dialogue action",
    "action": "Right action",
    "arguments": "Right action and arguments",
    "knowledge": "Cites exactly the right rules",
    "reply_overlap": "Words shared with the expected reply",
    "repeats": "Repeats itself (less is better)",
}


def with_counts(datasets: QuerySet[Dataset]) -> QuerySet[Dataset]:
    """Add `train` and `held_out`, the examples on each side of the fence."""
    counted = datasets.annotate(
        train=Count("examples", filter=Q(examples__split=Split.TRAIN)),
        held_out=Count("examples", filter=Q(examples__split=Split.HELD_OUT)),
    )
    return counted.order_by("-created_at", "-pk")  # grouping forgets the model's own order


def progress(run: Run) -> dict[str, Any]:
    """Return everything of a run's page that changes while it trains."""
    events = list(run.events.all())
    steps = [event.data for event in events if event.kind == RunEventKind.METRICS]
    notes = [event for event in events if event.kind == RunEventKind.NOTE]
    points = [(row["step"], row["loss"]) for row in steps if row.get("loss") is not None]
    return {
        "run": run,
        "percent": round(100 * run.step / run.total_steps) if run.total_steps else 0,
        "seconds_left": _seconds_left(run, steps),
        "speed": _speed(steps),
        "chart": _trusted(charts.loss_curve(points, run.total_steps)),
        "first_loss": points[0][1] if points else None,
        "last_loss": points[-1][1] if points else None,
        "steps": steps[: -STEPS_SHOWN - 1 : -1],
        "notes": notes[-NOTES_SHOWN:],
        "log": jobs.log_tail(run),
        "comparison": comparison(run) if run.version else [],
        "measuring": is_being_measured(run),
        "can_resume": run.status in (RunStatus.CANCELLED, RunStatus.FAILED),
    }


def is_being_measured(run: Run) -> bool:
    """Say whether the evaluation after a run may still bring figures."""
    if run.status != RunStatus.SUCCEEDED or run.version is None:
        return False
    if not evaluating.held_out(run.dataset).exists():
        return False
    done = run.dataset.evaluations.filter(version=run.version).exists()
    return not done and not run.events.filter(data__gave_up=True).exists()


def _trusted(svg: str) -> SafeString:
    # Drawn from numbers alone.
    return mark_safe(svg)  # noqa: S308


def _speed(steps: Sequence[dict[str, Any]]) -> float | None:
    """Return seconds a step over the whole training, resumed parts included."""
    if not steps or not steps[-1].get("seconds"):
        return None
    return float(steps[-1]["seconds"] / steps[-1]["step"])


def _seconds_left(run: Run, steps: Sequence[dict[str, Any]]) -> timedelta | None:
    speed = _speed(steps)
    if speed is None or run.status != RunStatus.RUNNING:
        return None
    return timedelta(seconds=round(speed * (run.total_steps - run.step)))


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure before and after a run."""

    label: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def change(self) -> float | None:
        """Percentage points."""
        if not self.before or not self.after:
            return None
        return round(100 * (float(self.after["share"]) - float(self.before["share"])), 1)

    @property
    def is_clear(self) -> bool:
        """Whether the intervals stand apart."""
        if not self.before or not self.after:
            return False
        low, high = sorted((self.before, self.after), key=lambda share: float(share["share"]))
        return bool(low["high"] < high["low"])


def comparison(run: Run) -> list[Compared]:
    """Return the measures of what a run started from and of what it made."""
    versions = [run.base_id, run.version_id]
    found: dict[int, Evaluation] = {}
    for evaluation in run.dataset.evaluations.filter(version__in=versions).order_by("pk"):
        found[evaluation.version_id] = evaluation  # the newest wins
    before, after = (found[pk].metrics if pk is not None and pk in found else {} for pk in versions)
    names = [*MEASURES, *(f"kept_{name}" for name in MEASURES)]
    return [
        Compared(_label(name), before.get(name), after.get(name))
        for name in names
        if name in before or name in after
    ]


def _label(name: str) -> str:
    plain = MEASURES[name.removeprefix("kept_")]
    return f"Other answers: {plain}" if name.startswith("kept_") else plain


@dataclass(frozen=True, slots=True)
class Shown:
    """An example made readable."""

    example: Example
    rules: str
    dialogue: list[str]
    answers: list[tuple[str, dict[str, Any]]]


def shown(examples: Sequence[Example]) -> list[Shown]:
    return [_shown(example) for example in examples]


def _shown(example: Example) -> Shown:
    text = example.data["prompt"][-1]["content"]
    rules, _, dialogue = text.removeprefix("RULES\n").partition("\nDIALOGUE\n")
    parts = {"completion": "Learns to say", "chosen": "Prefers", "rejected": "Over"}
    answers = [
        (label, _action(example.data[name][0]["content"]))
        for name, label in parts.items()
        if name in example.data
    ]
    return Shown(example, rules, dialogue.splitlines(), answers)


def _action(text: str) -> dict[str, Any]:
    try:
        action = json.loads(text)
    except ValueError:
        return {"reply": text}
    return action if isinstance(action, dict) else {"reply": text}
