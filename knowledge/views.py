"""Pages for the people who keep the rules."""

from time import perf_counter
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count, F, Q
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from knowledge import services
from knowledge.differing import differences
from knowledge.forms import ImportForm, SearchForm, UnitFilterForm, UnitForm
from knowledge.importing import Import, as_csv, as_jsonl, export_rows, read_few
from knowledge.models import KnowledgeUnit, Scene, SceneQuerySet, UnitQuerySet, UnitStatus
from knowledge.searching import MIN_SIMILARITY, Found, search
from wowconsole.errors import Invalid
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import requires

UNITS_PER_PAGE = 50
REVISIONS_SHOWN = 20
SEARCH_LIMIT = 10


def _scenes(request: UserRequest) -> SceneQuerySet:
    return Scene.objects.visible_to(request.user)


def _units(request: UserRequest) -> UnitQuerySet:
    return KnowledgeUnit.objects.visible_to(request.user).with_latest()


def _unit(request: UserRequest, pk: int) -> KnowledgeUnit:
    unit: KnowledgeUnit = get_object_or_404(_units(request), pk=pk)
    return unit


@require_GET
@requires("knowledge.read")
def unit_list(request: UserRequest) -> HttpResponse:
    form = UnitFilterForm(request.GET, scenes=_scenes(request))
    page = Paginator(form.narrow(_units(request)), UNITS_PER_PAGE).get_page(request.GET.get("page"))
    counts = KnowledgeUnit.objects.visible_to(request.user).aggregate(
        all=Count("pk"),
        published=Count("pk", filter=Q(status=UnitStatus.PUBLISHED)),
        drafts=Count("pk", filter=Q(status=UnitStatus.DRAFT)),
        edited=Count("pk", filter=Q(live__isnull=False) & ~Q(live=F("latest"))),
    )
    context = {"form": form, "page": page, "counts": counts, "filtered": bool(request.GET)}
    return render_page(request, "knowledge/unit_list.html", "table", context)


@require_GET
@requires("knowledge.read")
def unit_detail(request: UserRequest, pk: int) -> HttpResponse:
    return _detail(request, _unit(request, pk))


def _detail(request: UserRequest, unit: KnowledgeUnit) -> HttpResponse:
    revisions = list(unit.revisions.select_related("author")[: REVISIONS_SHOWN + 1])
    older = [*revisions[1:], None]
    refusal = services.why_not_publish(unit, request.user)
    context = {
        "unit": unit,
        "shown": unit.latest,
        "pending": differences(unit.live, unit.latest)
        if unit.live and unit.latest and unit.has_unpublished_edit
        else None,
        "history": [
            (revision, differences(before, revision) if before else None)
            for revision, before in zip(revisions, older, strict=True)
        ][:REVISIONS_SHOWN],
        "publications": unit.publications.select_related("by", "revision")[:REVISIONS_SHOWN],
        "refusal": refusal,
        "live_since": _live_since(unit),
        "expired": _is_expired(unit),
    }
    return render_page(request, "knowledge/unit_detail.html", "unit", context)


def _live_since(unit: KnowledgeUnit) -> Any:
    return unit.publications.values_list("at", flat=True).first() if unit.live_id else None


def _is_expired(unit: KnowledgeUnit) -> bool:
    until = unit.live.valid_until if unit.live else None
    return until is not None and until <= timezone.now()


@require_http_methods(["GET", "POST"])
@requires("knowledge.write")
def unit_create(request: UserRequest) -> HttpResponse:
    form = UnitForm(request.POST or None, scenes=_scenes(request))
    if request.method == "POST" and form.is_valid():
        unit = _saved(form, request, None)
        if unit:
            return _after_save(request, unit)
    return _form_page(request, form, None)


@require_http_methods(["GET", "POST"])
@requires("knowledge.write")
def unit_edit(request: UserRequest, pk: int) -> HttpResponse:
    unit = _unit(request, pk)
    form = UnitForm(request.POST or None, scenes=_scenes(request), unit=unit)
    if request.method == "POST" and form.is_valid() and _saved(form, request, unit):
        return _after_save(request, _unit(request, pk))
    return _form_page(request, form, unit)


def _saved(form: UnitForm, request: UserRequest, unit: KnowledgeUnit | None) -> Any:
    """Save the form; what the service refuses is shown on it, so that no typing is lost."""
    data = form.cleaned_data
    try:
        if unit is None:
            names = {"scene": data["scene"], "external_id": data["external_id"]}
            return services.draft_unit(author=request.user, **names, **form.revision_fields())
        return services.revise_unit(
            unit=unit,
            author=request.user,
            based_on=data["based_on"] or 0,
            **form.revision_fields(),
        )
    except ValidationError as error:
        form.add_error(None, error if not hasattr(error, "error_dict") else _known(form, error))
    except services.StaleEdit as error:
        form.add_error(None, str(error))
        form.stale = True  # type: ignore[attr-defined]  # read once, for the status code
        # The next save answers what they now read.
        newest = str(unit.latest.number) if unit and unit.latest else ""
        form.data = {**form.data.dict(), "based_on": newest}  # type: ignore[attr-defined]  # a QueryDict
    return None


def _known(form: UnitForm, error: ValidationError) -> Any:
    return {
        name if name in form.fields else None: texts
        for name, texts in error.message_dict.items()
        if name in form.fields
    } or error.messages


def _form_page(request: UserRequest, form: UnitForm, unit: KnowledgeUnit | None) -> HttpResponse:
    status = 409 if hasattr(form, "stale") else 422 if form.errors else 200
    context = {"form": form, "unit": unit, "preview": _preview_of(form, unit)}
    return render(request, "knowledge/unit_form.html", context, status=status)


def _preview_of(form: UnitForm, unit: KnowledgeUnit | None) -> dict[str, Any]:
    return {
        "number": unit.pk if unit else "new",
        "condition": form["condition"].value() or "",
        "content": form["content"].value() or "",
    }


def _after_save(request: UserRequest, unit: KnowledgeUnit) -> HttpResponse:
    if "publish" not in request.POST:
        messages.success(request, "Draft saved. Agents don't use it until it is published.")
    elif refusal := services.why_not_publish(unit, request.user):
        messages.warning(request, f"Draft saved, not published. {refusal}")
    else:
        _publish(request, unit)
    return redirect(unit)


def _publish(request: UserRequest, unit: KnowledgeUnit) -> None:
    services.publish_unit(unit=unit, by=request.user)
    messages.success(
        request,
        f"Live since {timezone.localtime():%H:%M:%S}: the next customer is answered by it.",
    )


@require_POST
@requires("knowledge.write")
def unit_preview(request: UserRequest) -> HttpResponse:
    number = request.POST.get("number", "")
    preview = {
        "number": number if number.isdecimal() else "new",
        "condition": request.POST.get("condition", "")[:4000].strip(),
        "content": request.POST.get("content", "")[:4000].strip(),
    }
    return render(request, "knowledge/unit_form.html#preview", {"preview": preview})


@require_POST
@requires("knowledge.write")
def unit_publish(request: UserRequest, pk: int) -> HttpResponse:
    unit = _unit(request, pk)
    seen = request.POST.get("revision", "")
    if unit.latest and seen != str(unit.latest.number):
        raise services.StaleEdit("This rule was edited meanwhile. Read the new text, then publish.")
    _publish(request, unit)
    return redirect(unit)


@require_POST
@requires("knowledge.write")
def unit_archive(request: UserRequest, pk: int) -> HttpResponse:
    unit = services.archive_unit(unit=_unit(request, pk), by=request.user)
    messages.success(request, "Archived. No agent uses it any more; its history stays.")
    return redirect(unit)


@require_POST
@requires("knowledge.write")
def unit_restore(request: UserRequest, pk: int) -> HttpResponse:
    unit = services.restore_unit(unit=_unit(request, pk))
    messages.success(request, "Restored as a draft. Publish it to make it live.")
    return redirect(unit)


@require_POST
@requires("knowledge.write")
def revision_restore(request: UserRequest, pk: int, number: int) -> HttpResponse:
    unit = _unit(request, pk)
    get_object_or_404(unit.revisions, number=number)
    based_on = request.POST.get("based_on", "")
    if not based_on.isdecimal():
        raise Invalid("The form did not say which revision you were looking at. Reload the page.")
    services.restore_revision(unit=unit, author=request.user, number=number, based_on=int(based_on))
    messages.success(request, f"The text of revision {number} is the latest again, as a draft.")
    return redirect(unit)


@require_GET
@requires("knowledge.read")
def search_test(request: UserRequest) -> HttpResponse:
    form = SearchForm(request.GET, scenes=_scenes(request))
    found: list[Found] = []
    asked = form.cleaned_data["q"].strip() if form.is_valid() else ""
    started = perf_counter()
    if asked:
        found = _visible(request, form, asked)
    context = {
        "form": form,
        "asked": asked,
        "passing": [hit for hit in found if hit.passes],
        "near_misses": [hit for hit in found if not hit.passes],
        "floor": MIN_SIMILARITY,
        "took_ms": round((perf_counter() - started) * 1000),
    }
    return render_page(request, "knowledge/search.html", "results", context)


def _visible(request: UserRequest, form: SearchForm, asked: str) -> list[Found]:
    [found] = search(
        [asked],
        scene=form.cleaned_data["scene"],
        limit=SEARCH_LIMIT,
        near_misses=True,
        visible_to=request.user,
    )
    return found


@require_http_methods(["GET", "POST"])
@requires("knowledge.write")
def unit_import(request: UserRequest) -> HttpResponse:
    form = ImportForm(request.POST or None, request.FILES or None, scenes=_scenes(request))
    if request.method == "GET" or not form.is_valid():
        context = {"form": form}
        return render(request, "knowledge/import.html", context, status=422 if form.errors else 200)
    dry_run = "import" not in request.POST
    file = form.cleaned_data["file"]
    job = Import(
        author=request.user,
        scenes={scene.slug: scene for scene in _scenes(request)},
        scene=form.cleaned_data["scene"],
        publisher=request.user if form.cleaned_data["publish"] else None,
    )
    report = job.run(read_few(file, file.name), dry_run=dry_run)
    result = {"report": report, "dry_run": dry_run, "summary": _summary(report)}
    return render(request, "knowledge/import.html", {"form": form, **result})


def _summary(report: list[Any]) -> dict[str, int]:
    actions = [line.action for line in report]
    return {action: actions.count(action) for action in dict.fromkeys(actions)}


@require_GET
@requires("knowledge.read")
def unit_export(request: UserRequest) -> Any:  # a StreamingHttpResponse
    form = UnitFilterForm(request.GET, scenes=_scenes(request))
    rows = export_rows(form.narrow(_units(request)).order_by("pk"))
    as_json = request.GET.get("format") == "jsonl"
    name, kind = ("rules.jsonl", "application/jsonl") if as_json else ("rules.csv", "text/csv")
    response = StreamingHttpResponse(
        (as_jsonl if as_json else as_csv)(rows), content_type=f"{kind}; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
