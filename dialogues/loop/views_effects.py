"""Pages of what came of rules: the list, and the box on a rule's own page."""

from typing import Any

from django.core.paginator import Page, Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_GET

from dialogues import charts
from dialogues.loop import effects
from dialogues.loop.effects import Effect
from dialogues.loop.forms import PERIOD, PERIODS, EffectFilterForm, since_of
from knowledge.models import KnowledgeUnit
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import requires

RULES_PER_PAGE = 50
COLUMNS = [  # what sorts it, its heading
    ("found", "Found"),
    ("cited", "Cited"),
    ("conversations", "Conversations"),
    ("likes", "Likes"),
    ("rating", "Rating after"),
    ("bad", "Judged"),
    ("handed_share", "To a person after"),
    ("last_used", "Last found"),
]


@require_GET
@requires("knowledge.read")
def effect_list(request: UserRequest) -> HttpResponse:
    form = EffectFilterForm(request.GET, user=request.user)
    page = Paginator(form.ranked(), RULES_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "form": form,
        "page": page,
        "rows": _rows(request, page, form),
        "columns": _columns(form),
    }
    return render_page(request, "dialogues/effect_list.html", "table", context)


def _rows(
    request: UserRequest, page: Page[int], form: EffectFilterForm
) -> list[tuple[Effect, KnowledgeUnit]]:
    """Return the figures of the rules of one page, each with its rule."""
    keys = list(page)
    found = effects.effects(visible_to=request.user, since=form.since, units=keys)
    figures = {effect.unit_id: effect for effect in found}
    units = KnowledgeUnit.objects.with_latest().in_bulk(list(figures))
    return [(figures[key], units[key]) for key in keys if key in units]


def _columns(form: EffectFilterForm) -> list[dict[str, Any]]:
    """Return the headings, each with the order that a click on it asks for."""
    column, descending = form.order
    return [
        {
            "label": label,
            "sort": name if name == column and descending else f"-{name}",
            "order": ("descending" if descending else "ascending") if name == column else "none",
        }
        for name, label in COLUMNS
    ]


@require_GET
@requires("knowledge.read")
def unit_effect(request: UserRequest, pk: int) -> HttpResponse:
    """The effect of one rule: a page, and the box on the rule's own page."""
    visible = KnowledgeUnit.objects.visible_to(request.user).with_latest()
    unit: KnowledgeUnit = get_object_or_404(visible, pk=pk)
    period = request.GET.get("period", PERIOD)
    period = period if period in dict(PERIODS) else PERIOD
    [effect] = effects.effects(visible_to=request.user, since=since_of(period), units=[unit.pk])
    # Drawn from numbers and dates alone.
    chart = mark_safe(charts.use_by_week(effects.by_week(effects.family(unit))))  # noqa: S308
    context = {
        "unit": unit,
        "effect": effect,
        "period": period,
        "periods": PERIODS,
        "chart": chart,
        "proof": effects.proof_of(unit),
    }
    return render_page(request, "dialogues/unit_effect.html", "box", context)
