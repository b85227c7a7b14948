"""Pages that merge rules and split them, and the box that says what became of a rule."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from knowledge import conflicts, lineage
from knowledge.comparing import sentences
from knowledge.forms_conflicts import (
    MergeForm,
    PartFormSet,
    SplitForm,
    merged_initial,
    numbers_in,
)
from knowledge.models import KnowledgeUnit
from knowledge.publishing import latest_of
from wowconsole.errors import Invalid, Refused
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import requires

SUGGESTIONS = 10
MOST_SENTENCES = 10  # more parts than that nobody wants prefilled
MAY_BE_EMPTY = {"empty_permitted": True, "use_required_attribute": False}  # left out, then


def _unit(request: UserRequest, pk: int) -> KnowledgeUnit:
    unit: KnowledgeUnit = get_object_or_404(
        KnowledgeUnit.objects.visible_to(request.user).with_latest(), pk=pk
    )
    return unit


@require_GET
@requires("knowledge.read")
def unit_lineage(request: UserRequest, pk: int) -> HttpResponse:
    unit = _unit(request, pk)
    context = {
        "unit": unit,
        "came_from": unit.came_from.select_related("source__latest", "by"),
        "became": unit.became.select_related("target__latest", "by"),
        "before": len(lineage.ancestors(unit.pk)),
    }
    return render_page(request, "knowledge/unit_lineage.html", "box", context)


@require_http_methods(["GET", "POST"])
@requires("knowledge.write")
def unit_merge(request: UserRequest, pk: int) -> HttpResponse:
    unit = _unit(request, pk)
    if request.method == "GET":
        asked = ",".join(request.GET.getlist("others"))
        others = _others(request, numbers_in(asked))
        form = MergeForm(initial=merged_initial([unit, *others]))
        return _merge_page(request, unit, form, others, asked=asked)
    form = MergeForm(request.POST)
    if not form.is_valid():
        return _merge_page(request, unit, form, [], status=422)
    others = _others(request, form.cleaned_data["others"])
    try:
        _merge(request, unit, others, form)
    except (Refused, ValidationError) as refusal:  # shown beside what was typed
        form.add_error(None, _words(refusal))
        return _merge_page(request, unit, form, others, status=getattr(refusal, "status", 422))
    return redirect(unit)


def _merge(
    request: UserRequest, unit: KnowledgeUnit, others: list[KnowledgeUnit], form: MergeForm
) -> None:
    wanted = form.cleaned_data["others"]
    if missing := set(wanted) - {other.pk for other in others}:
        raise Invalid(f"There is no rule {', '.join(str(pk) for pk in sorted(missing))}.")
    merged = lineage.merge_units(
        survivor=unit,
        others=others,
        fields=form.fields_of_revision(),
        by=request.user,
        based_on=form.cleaned_data["based_on"],
    )
    conflicts.check_soon(merged)
    messages.success(
        request, "Merged. The other rules are archived; publish this one to put its text in use."
    )


def _words(refusal: Exception) -> str:
    return " ".join(refusal.messages) if isinstance(refusal, ValidationError) else str(refusal)


def _others(request: UserRequest, pks: list[int]) -> list[KnowledgeUnit]:
    units = KnowledgeUnit.objects.visible_to(request.user).with_latest().in_bulk(pks)
    return [units[pk] for pk in pks if pk in units]


def _merge_page(
    request: UserRequest,
    unit: KnowledgeUnit,
    form: MergeForm,
    others: list[KnowledgeUnit],
    status: int = 200,
    asked: str = "",
) -> HttpResponse:
    context = {"unit": unit, "form": form, "others": others, "suggestions": _suggestions(unit)}
    context |= {"asked": asked}
    return render(request, "knowledge/unit_merge.html", context, status=status)


def _suggestions(unit: KnowledgeUnit) -> list[KnowledgeUnit]:
    """Return the rules in conflict with this one, those that say the same first."""
    rows = conflicts.open_of(unit).values_list("left__unit", "right__unit", "kind")
    ranked = sorted(rows[:SUGGESTIONS], key=lambda row: row[2] != "duplicate")
    pks = [left if right == unit.pk else right for left, right, _ in ranked]
    units = KnowledgeUnit.objects.with_latest().in_bulk(pks)
    return [units[pk] for pk in dict.fromkeys(pks)]


@require_http_methods(["GET", "POST"])
@requires("knowledge.write")
def unit_split(request: UserRequest, pk: int) -> HttpResponse:
    unit = _unit(request, pk)
    if request.method == "GET":
        form = SplitForm(initial={"keep": True, "based_on": latest_of(unit).number})
        parts = PartFormSet(initial=_by_sentence(unit), form_kwargs=MAY_BE_EMPTY)
        return _split_page(request, unit, form, parts)
    form, parts = SplitForm(request.POST), PartFormSet(request.POST, form_kwargs=MAY_BE_EMPTY)
    if not (form.is_valid() and parts.is_valid()):
        return _split_page(request, unit, form, parts, status=422)
    try:
        new = _split(request, unit, form, parts)
    except (Refused, ValidationError) as refusal:  # shown beside what was typed
        form.add_error(None, _words(refusal))
        status = getattr(refusal, "status", 422)
        return _split_page(request, unit, form, parts, status=status)
    numbers = ", ".join(str(part.pk) for part in new)
    messages.success(request, f"Split into the rules {numbers}. Read and publish each of them.")
    return redirect(new[0])


def _split(
    request: UserRequest, unit: KnowledgeUnit, form: SplitForm, parts: Any
) -> list[KnowledgeUnit]:
    new = lineage.split_unit(
        unit=unit,
        parts=[part.fields_of_revision() for part in parts if part.has_changed()],
        by=request.user,
        based_on=form.cleaned_data["based_on"],
        keep=form.cleaned_data["keep"],
    )
    for part in new:
        conflicts.check_soon(part)
    return new


def _by_sentence(unit: KnowledgeUnit) -> list[dict[str, str]]:
    """Return a part per sentence; the wordings stand in the first, to be shared out."""
    latest = latest_of(unit)
    common = {"title": latest.title, "condition": latest.condition}
    first, *rest = sentences(latest.content)[:MOST_SENTENCES]
    return [
        {**common, "content": first, "questions": "\n".join(latest.questions)},
        *({**common, "content": text} for text in rest),
    ]


def _split_page(
    request: UserRequest, unit: KnowledgeUnit, form: SplitForm, parts: Any, status: int = 200
) -> HttpResponse:
    context = {"unit": unit, "form": form, "parts": parts}
    return render(request, "knowledge/unit_split.html", context, status=status)
