"""The numbers of the overview: what is live, what waits and for whom. One query a question."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Func, Q
from django.urls import reverse
from django.utils import timezone

from agents.models import live_release
from dialogues.costs import costing
from dialogues.models import (
    Case,
    Channel,
    Control,
    Conversation,
    Event,
    EventKind,
    IssueType,
    Role,
    Turn,
    Verdict,
)
from knowledge import submitting
from knowledge.models import KnowledgeUnit, Scene, UnitStatus
from training.models import Run
from wowconsole.roles import AnyUser, can

LATEST = 6
MOST_STEPS = 5
LEAST_ASKED = 20  # answers, before a share of them is alarming
SATISFIED, DISSATISFIED = 4, 2  # stars: at least, at most


@dataclass(frozen=True)
class Step:
    """Something the user could do now."""

    title: str
    why: str
    url: str


def summary(user: AnyUser) -> dict[str, Any]:
    """Gather what the overview shows this user."""
    numbers = _units(user) | _conversations(user) | _cases(user)
    release = live_release()
    return {
        **numbers,
        **_faults(user),
        "alert": _alert(user),
        "release": release,
        "issues": _issues(user),
        "runs": list(Run.objects.select_related("version")[:5]),
        "conversations": _latest(user),
        "has_scenes": Scene.objects.visible_to(user).exists(),
        "steps": next_steps(user, numbers, has_release=release is not None),
    }


def _units(user: AnyUser) -> dict[str, int]:
    published = Q(status=UnitStatus.PUBLISHED)
    edited = published & ~Q(live=F("latest"))
    return KnowledgeUnit.objects.visible_to(user).aggregate(
        live_rules=Count("pk", filter=published),
        drafts=Count("pk", filter=Q(status=UnitStatus.DRAFT)),
        edits=Count("pk", filter=edited),
    )


def _conversations(user: AnyUser) -> dict[str, Any]:
    now = timezone.now()
    today = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    rated = Q(updated_at__gte=now - timedelta(days=7), rating__isnull=False)
    counts: dict[str, Any] = Conversation.objects.visible_to(user).aggregate(
        today=Count("pk", filter=Q(created_at__gte=today, channel=Channel.CHAT)),
        total=Count("pk"),
        waiting=Count("pk", filter=Q(control=Control.QUEUED, closed_at__isnull=True)),
        rated=Count("pk", filter=rated),
        satisfied=Count("pk", filter=rated & Q(rating__gte=SATISFIED)),
        dissatisfied=Count("pk", filter=rated & Q(rating__lte=DISSATISFIED)),
    )
    for name in ("satisfied", "dissatisfied"):
        counts[f"{name}_share"] = _percent(counts[name], counts["rated"])
    return counts


def _faults(user: AnyUser) -> dict[str, Any]:
    """Return how often the model wrote nothing readable of late, and how often that showed."""
    week = costing.whole(costing.spending_since(user, timezone.now() - timedelta(days=7)))
    return {"unreadable_percent": week.unreadable_percent, "degraded": week.degraded}


def _alert(user: AnyUser) -> dict[str, int] | None:
    """Return the model's answers of the last day if too many were unreadable at first."""
    lately = Turn.objects.visible_to(user).filter(
        created_at__gte=timezone.now() - timedelta(days=1), engine_calls__gt=0
    )
    unread = Count("pk", filter=Q(unreadable_calls__gt=0))
    counts = lately.order_by().aggregate(asked=Count("pk"), unread=unread)
    is_too_much = 100 * counts["unread"] > settings.UNREADABLE_ALERT_PERCENT * counts["asked"]
    return counts if counts["asked"] >= LEAST_ASKED and is_too_much else None


def _percent(part: int, whole: int) -> int | None:
    return round(100 * part / whole) if whole else None


def _cases(user: AnyUser) -> dict[str, int]:
    bad = Q(label=Verdict.BAD)
    return Case.objects.visible_to(user).aggregate(
        good=Count("pk", filter=Q(label=Verdict.GOOD)),
        bad=Count("pk", filter=bad),
        wrong=Count("pk", filter=Q(label=Verdict.WRONG)),
        pairs=Count("pk", filter=bad & ~Q(rewrite={})),
        unwritten=Count("pk", filter=bad & Q(rewrite={})),
    )


def _issues(user: AnyUser) -> list[dict[str, Any]]:
    """Count the issue types of the cases, most frequent first; `share` is of the top one."""
    found = (
        Case.objects.visible_to(user)
        .annotate(issue=Func(F("issue_types"), function="unnest"))
        .order_by()
        .values_list("issue")
        .annotate(count=Count("pk"))
        .order_by("-count", "issue")
    )
    rows = [(IssueType(issue).label, count) for issue, count in found]
    most = max((count for _, count in rows), default=1)
    return [{"label": i, "count": n, "share": round(100 * n / most)} for i, n in rows]


def _latest(user: AnyUser) -> list[dict[str, Any]]:
    """Return the conversations that changed last, with what their customers said last."""
    found = list(Conversation.objects.visible_to(user).select_related("scene")[:LATEST])
    said = Event.objects.filter(
        conversation__in=found, kind=EventKind.MESSAGE, role=Role.CUSTOMER
    ).order_by("conversation_id", "-seq")
    texts = dict(said.distinct("conversation_id").values_list("conversation_id", "text"))
    return [{"row": row, "said": texts.get(row.pk, "")} for row in found]


def next_steps(user: AnyUser, numbers: dict[str, Any], *, has_release: bool) -> list[Step]:
    """Name what waits for somebody with the user's roles, most urgent first."""
    found: list[Step] = []
    if can(user, "dialogues.judge"):
        found += _reviewing(numbers)
    if waiting := submitting.waiting_for(user).count() if can(user, "knowledge.approve") else 0:
        title = f"Approve {_of(waiting, 'high-risk rule')}"
        why = "Colleagues wait for a second pair of eyes."
        found.insert(0, Step(title, why, reverse("knowledge:submission-list")))
    if can(user, "knowledge.write"):
        found += _writing(numbers)
    if can(user, "training.write"):
        found += _training(numbers)
    if can(user, "agents.write") and not has_release:
        url = reverse("agents:release-list")
        found.insert(0, Step("Make a release live", "Until then no agent answers.", url))
    return found[:MOST_STEPS]


def _reviewing(numbers: dict[str, Any]) -> list[Step]:
    talks, cases = reverse("dialogues:conversation-list"), reverse("dialogues:case-list")
    found = []
    if waiting := numbers["waiting"]:
        title = f"Answer {_of(waiting, 'customer')} waiting for a person"
        found.append(Step(title, "The agent handed these over.", f"{talks}?control=queued"))
    if unwritten := numbers["unwritten"]:
        why = "With a better reply each becomes a preference pair."
        found.append(
            Step(f"Rewrite {_of(unwritten, 'bad case')}", why, f"{cases}?label=bad&rewrite=no")
        )
    if wrong := numbers["wrong"]:
        why = "The solution was wrong: say what would have been right."
        found.append(Step(f"Annotate {_of(wrong, 'wrong case')}", why, f"{cases}?label=wrong"))
    if numbers["total"]:
        why = "Mark replies good or bad; both teach the next model."
        found.append(Step("Review recent conversations", why, talks))
    return found


def _writing(numbers: dict[str, Any]) -> list[Step]:
    url = reverse("knowledge:unit-list")
    found = []
    if drafts := numbers["drafts"]:
        why = "Agents see a rule seconds after it is published."
        found.append(Step(f"Publish {_of(drafts, 'draft rule')}", why, f"{url}?status=draft"))
    if edits := numbers["edits"]:
        why = "Customers still get the earlier text."
        found.append(Step(f"Publish {_of(edits, 'edited rule')}", why, f"{url}?status=published"))
    found.append(Step("Write a rule", "A condition and what follows from it.", url))
    return found


def _training(numbers: dict[str, Any]) -> list[Step]:
    url = reverse("training:dataset-list")
    found = []
    if pairs := numbers["pairs"]:
        why = "A DPO run teaches the model to prefer the rewrites."
        found.append(Step(f"Train on {_of(pairs, 'preference pair')}", why, url))
    if good := numbers["good"]:
        found.append(Step(f"Train on {_of(good, 'good case')}", "An SFT run learns them.", url))
    return found


def _of(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
