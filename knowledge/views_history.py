"""Pages on what a rule said before, and who wrote what it says now."""

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from knowledge.differing import blame, differences
from knowledge.models import KnowledgeUnit, Revision
from knowledge.views import get_unit
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import requires

BLAMED = {
    "title": "Title",
    "condition": "When does it apply?",
    "content": "Answer or action",
    "questions": "Other wordings",
}
REVISIONS_OFFERED = 200  # to choose from
REVISIONS_BLAMED = 50  # older ones count as one: comparing hundreds takes seconds


@require_GET
@requires("knowledge.read")
def revision_diff(request: UserRequest, pk: int) -> HttpResponse:
    """Compare two revisions; without a choice, the newest and the one before it."""
    unit = get_unit(request, pk)
    newest = unit.latest.number if unit.latest else 1
    older = _revision(unit, request.GET.get("from", ""), max(newest - 1, 1))
    newer = _revision(unit, request.GET.get("to", ""), newest)
    context = {
        "unit": unit,
        "older": older,
        "newer": newer,
        "changes": differences(older, newer),
        "revisions": unit.revisions.select_related("author")[:REVISIONS_OFFERED],
    }
    return render_page(request, "knowledge/revision_diff.html", "comparison", context)


def _revision(unit: KnowledgeUnit, number: str, default: int) -> Revision:
    if number and not (number.isdecimal() and len(number) < 10):
        raise Http404
    revisions = unit.revisions.select_related("author")
    revision: Revision = get_object_or_404(revisions, number=int(number or default))
    return revision


@require_GET
@requires("knowledge.read")
def unit_blame(request: UserRequest, pk: int) -> HttpResponse:
    """Show who wrote which words of the latest text."""
    unit = get_unit(request, pk)
    newest_first = list(unit.revisions.select_related("author")[:REVISIONS_BLAMED])
    revisions = newest_first[::-1]
    fields = [(label, blame(revisions, name)) for name, label in BLAMED.items()]
    used = {origin.revision for _, origins in fields for origin in origins}
    context = {
        "unit": unit,
        "fields": [(label, origins) for label, origins in fields if origins],
        "used": [revision for revision in newest_first if revision in used],
        "is_cut": revisions[0].number > 1,
    }
    return render(request, "knowledge/unit_blame.html", context)
