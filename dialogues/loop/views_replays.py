"""Pages of replays: what publishing an edit of a rule would change in past turns."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dialogues.loop import replaying
from dialogues.loop.summarising import advice, compared, summarise
from dialogues.models import Replay, ReplayTurn, ReplayVerdict
from knowledge.models import JobState, KnowledgeUnit
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import requires

REPLAYS_SHOWN = 5
TURNS_PER_PAGE = 20
LIST = "dialogues/replay_list.html"
DETAIL = "dialogues/replay_detail.html"
BROKEN_OFF = (JobState.FAILED, JobState.CANCELLED)


def _unit(request: UserRequest, pk: int) -> KnowledgeUnit:
    visible = KnowledgeUnit.objects.visible_to(request.user).with_latest()
    unit: KnowledgeUnit = get_object_or_404(visible, pk=pk)
    return unit


def _replay(request: UserRequest, public_id: UUID) -> Replay:
    visible = Replay.objects.visible_to(request.user)
    parts = ("job__by", "revision__unit__latest", "revision__unit__scene")
    return get_object_or_404(visible.select_related(*parts), public_id=public_id)


@require_http_methods(["GET", "POST"])
@requires("knowledge.write")
def replay_start(request: UserRequest, pk: int) -> HttpResponse:
    """Start a replay; a GET (a link) leads to where it is started."""
    unit = _unit(request, pk)
    if request.method == "GET":
        return redirect("dialogues:replay-list", unit.pk)
    is_removal = "removal" in request.POST
    replay = replaying.start_replay(unit=unit, by=request.user, is_removal=is_removal)
    return redirect(replay)


@require_GET
@requires("knowledge.read")
def replay_list(request: UserRequest, pk: int) -> HttpResponse:
    """The replays of a rule: a page, and the box on the rule's own page."""
    unit = _unit(request, pk)
    found = Replay.objects.filter(revision__unit=unit).select_related("job__by", "revision__unit")
    replays = list(found[:REPLAYS_SHOWN])
    newest = replays[0] if replays else None
    context = {
        "unit": unit,
        "older": replays[1:],
        "has_edit": unit.live_id != unit.latest_id and unit.status != "archived",
        "newest": _told(newest, unit) if newest else None,
    }
    return render_page(request, LIST, "box", context)


def _told(replay: Replay, unit: KnowledgeUnit) -> dict[str, Any]:
    summary = summarise(replay)
    current = unit.live_id if replay.is_removal else unit.latest_id
    return {
        "replay": replay,
        "summary": summary,
        "advice": advice(summary, replay),
        "is_outdated": replay.revision_id != current,
    }


@require_GET
@requires("dialogues.read")
def replay_detail(request: UserRequest, public_id: UUID) -> HttpResponse:
    replay = _replay(request, public_id)
    unit = replay.revision.unit
    rows = replay.turns.select_related("turn__conversation", "turn__release")
    rows = rows.prefetch_related("turn__judgements")
    page = Paginator(rows, TURNS_PER_PAGE).get_page(request.GET.get("page"))
    turns = compared(page, unit.pk)
    waiting = [turn.row.pk for turn in turns if turn.can_be_judged]
    still_open = [turn.row.pk for turn in turns if turn.row.verdict == ReplayVerdict.OPEN]
    context = {
        **_told(replay, unit),
        "unit": unit,
        "page": page,
        "turns": turns,
        # The keys work on one turn: the first that nobody has judged.
        "keyed": next((pk for pk in waiting if pk in still_open), None),
        "can_resume": replay.job.state in BROKEN_OFF,
        "sees_job": replay.job.by_id == request.user.pk,
    }
    return render_page(request, DETAIL, "results", context)


@require_POST
@requires("knowledge.write")
def replay_resume(request: UserRequest, public_id: UUID) -> HttpResponse:
    replay = replaying.resume_replay(replay=_replay(request, public_id), by=request.user)
    return redirect(replay)


@require_POST
@requires("knowledge.write")
def replay_judge(request: UserRequest, public_id: UUID, turn: UUID) -> HttpResponse:
    replay = _replay(request, public_id)
    row: ReplayTurn = get_object_or_404(replay.turns, turn__public_id=turn)
    verdict = request.POST.get("verdict", "")
    row = replaying.judge_turn(row=row, by=request.user, verdict=verdict)
    messages.success(request, f"Judged: {row.get_verdict_display().lower()}.")
    number = request.POST.get("page", "")
    query = f"?page={number}" if number.isdecimal() else ""
    return redirect(f"{replay.get_absolute_url()}{query}#turns")
