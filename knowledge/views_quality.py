"""Pages of search quality: labelled sets, how well they are answered, and what went wrong."""

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from knowledge import labelling, measuring, presenting
from knowledge.forms_quality import LabelledSetForm
from knowledge.models import UNFINISHED, LabelledSet
from wowconsole.http import UserRequest
from wowconsole.roles import requires

MISSES_PER_PAGE = 25
MEASUREMENTS_SHOWN = 20


@require_GET
@requires("knowledge.read")
def quality(request: UserRequest) -> HttpResponse:
    return render(request, "knowledge/quality.html", {"rows": presenting.set_rows(request.user)})


@require_http_methods(["GET", "POST"])
@requires("knowledge.write")
def quality_upload(request: UserRequest) -> HttpResponse:
    form = LabelledSetForm(request.POST or None, request.FILES or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        fields = ("name", "scene", "source", "labels")
        asked = {name: form.cleaned_data[name] for name in fields}
        labelled_set = labelling.make_set(by=request.user, **asked)
        messages.success(request, f"{len(asked['labels'])} questions stored.")
        return redirect("knowledge:quality-detail", labelled_set.public_id)
    status = 422 if request.method == "POST" else 200
    return render(request, "knowledge/quality_upload.html", {"form": form}, status=status)


@require_GET
@requires("knowledge.read")
def quality_detail(request: UserRequest, public_id: UUID) -> HttpResponse:
    """Show a set's newest measurement on the live index, or another one by `?measured=`."""
    labelled_set = _set(request, public_id)
    history = list(presenting.measured(labelled_set)[:MEASUREMENTS_SHOWN])
    shown = presenting.chosen(history, request.GET.get("measured"))
    page = Paginator(shown.misses if shown else [], MISSES_PER_PAGE).get_page(
        request.GET.get("page")
    )
    context = {
        "set": labelled_set,
        "history": [(row, presenting.shares_of(row)) for row in history],
        "shown": shown,
        "figures": measuring.figures(shown) if shown else [],
        "page": page,
        "misses": presenting.misses(page, request.user),
        "running": labelled_set.evaluations.filter(job__state__in=UNFINISHED)
        .select_related("job", "index")
        .first(),
    }
    return render(request, "knowledge/quality_detail.html", context)


@require_GET
@requires("knowledge.read")
def quality_trend(request: UserRequest, public_id: UUID) -> HttpResponse:
    """Answer the chart alone: drawing takes longer than a page may."""
    chart = presenting.trend_of(_set(request, public_id))
    return render(request, "knowledge/quality_trend.html", {"chart": chart})


@require_POST
@requires("knowledge.write")
def quality_measure(request: UserRequest, public_id: UUID) -> HttpResponse:
    measuring.start(labelled_set=_set(request, public_id), by=request.user)
    messages.success(request, "The questions are being asked.")
    return redirect("knowledge:quality-detail", public_id)


def _set(request: UserRequest, public_id: UUID) -> LabelledSet:
    sets = presenting.with_counts(LabelledSet.objects.visible_to(request.user))
    labelled_set: LabelledSet = get_object_or_404(sets, public_id=public_id)
    return labelled_set
