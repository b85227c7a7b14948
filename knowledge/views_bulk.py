"""Pages to change many rules at once: choose, read what would happen, do it, undo it."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from knowledge import bulk_applying, bulk_undoing
from knowledge.bulk import MAX_UNITS, Change, Operation, preview, told_to
from knowledge.differing import Piece, differences, pieces
from knowledge.forms import UnitFilterForm
from knowledge.forms_bulk import ChoiceForm, OperationForm, form_for, seen_of
from knowledge.models import (
    BulkChange,
    BulkEdit,
    KnowledgeUnit,
    Scene,
    UnitQuerySet,
    UnitStatus,
)
from wowconsole.errors import Invalid
from wowconsole.http import UserRequest
from wowconsole.roles import can, requires

EDITS_PER_PAGE = 25
CHANGES_PER_PAGE = 50


@require_GET
@requires("knowledge.read")
def bulk_list(request: UserRequest) -> HttpResponse:
    edits = BulkEdit.objects.visible_to(request.user).select_related("by", "undone_by", "job")
    edits = edits.defer("planned", "skipped", "undo_skipped").annotate(changed=Count("changes"))
    edits = edits.order_by("-pk")
    page = Paginator(edits, EDITS_PER_PAGE).get_page(request.GET.get("page"))
    rows = [(edit, _label(edit)) for edit in page]
    return render(request, "knowledge/bulk_list.html", {"page": page, "rows": rows})


def _label(edit: BulkEdit) -> str:
    return Operation(edit.operation).label


@require_http_methods(["GET", "POST"])
@requires("knowledge.write")
def bulk_new(request: UserRequest) -> HttpResponse:
    """The query string holds the rules and what is wanted; posting does what was shown."""
    asked = request.GET
    units = _chosen(request, asked)
    operation = _operation(asked)
    form = form_for(operation, asked if "preview" in asked else None) if operation else None
    if request.method == "POST":
        return _apply(request, form)
    count = units.count()
    choice = ChoiceForm(asked if operation else None)
    context = {"count": count, "most": MAX_UNITS, "kept": _kept(asked)}
    context |= {"choice": choice, "operation": operation, "form": form}
    if form and form.is_bound and count <= MAX_UNITS:
        context |= _previewed(request, form, units)
    status = 422 if form and form.is_bound and form.errors else 200
    return render(request, "knowledge/bulk_new.html", context, status=status)


def _chosen(request: UserRequest, asked: QueryDict) -> UnitQuerySet:
    """Return the ticked rules, or all that the list's filter finds."""
    units = KnowledgeUnit.objects.visible_to(request.user)
    if "all" in asked:
        scenes = Scene.objects.visible_to(request.user)
        return UnitFilterForm(asked, scenes=scenes).narrow(units)
    pks = [int(pk) for pk in asked.getlist("unit") if pk.isdecimal() and len(pk) < 10]
    return units.filter(pk__in=pks)


def _operation(asked: Mapping[str, Any]) -> Operation | None:
    wanted = asked.get("operation", "")
    return Operation(wanted) if wanted in Operation.values else None


def _kept(asked: QueryDict) -> list[tuple[str, str]]:
    """What a step's form hands on to the next: the rules that were chosen."""
    own = {"operation", "preview", "page", *_fields_of(_operation(asked))}
    return [(name, value) for name, values in asked.lists() if name not in own for value in values]


def _fields_of(operation: Operation | None) -> set[str]:
    return set(form_for(operation).fields) if operation else set()


def _previewed(request: UserRequest, form: OperationForm, units: UnitQuerySet) -> dict[str, Any]:
    if not form.is_valid():
        return {}
    changes = _changes(request, form, units)
    allowed = [change for change in changes if not change.refusal]
    page = Paginator(allowed, CHANGES_PER_PAGE).get_page(request.GET.get("page"))
    return {
        "previewed": form.is_valid(),
        "page": page,
        "shown": [(change.unit, change.differences()) for change in page],
        "refused": [change for change in changes if change.refusal],
        "seen": ",".join(f"{change.unit.pk}:{change.before.number}" for change in allowed),
    }


def _changes(request: UserRequest, form: OperationForm, units: UnitQuerySet) -> list[Change]:
    try:
        return preview(list(units.with_latest().order_by("pk")), form.wanted(), request.user)
    except ValidationError as error:
        form.add_error(None, " ".join(error.messages))
        return []


def _apply(request: UserRequest, form: OperationForm | None) -> HttpResponse:
    if form is None or not form.is_bound or not form.is_valid():
        raise Invalid("The page did not say what is wanted. Look at the preview again.")
    try:
        seen = seen_of(request.POST.get("seen", ""))
    except ValueError:
        raise Invalid("The page did not say which rules were shown. Reload it.") from None
    edit = bulk_applying.apply(wanted=form.wanted(), seen=seen, by=request.user)
    _report(request, len(edit.skipped), "changed")
    return redirect("knowledge:bulk-detail", edit.public_id)


def _report(request: UserRequest, left: int, state: str) -> None:
    if left:
        messages.warning(request, f"Not every rule is {state}: see below which {left}, and why.")
    else:
        messages.success(request, f"Done: the rules are {state}.")


@require_GET
@requires("knowledge.read")
def bulk_detail(request: UserRequest, public_id: str) -> HttpResponse:
    edit = _edit(request, public_id)
    mine = KnowledgeUnit.objects.visible_to(request.user).order_by().values("pk")
    changes = edit.changes.filter(unit__in=mine).order_by("unit")
    rows = changes.select_related(
        *("before", "after", "live_before", "owner_before", "unit__latest"),
    )
    page = Paginator(rows, CHANGES_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "edit": edit,
        "label": _label(edit),
        "wanted": _wanted(edit),
        "page": page,
        "shown": [(change.unit, _told(change, edit)) for change in page],
        "skipped": told_to(request.user, edit.skipped),
        "undo_skipped": told_to(request.user, edit.undo_skipped),
        "may_undo": can(request.user, "knowledge.write") and _undoable(edit, page.paginator.count),
    }
    return render(request, "knowledge/bulk_detail.html", context)


def _wanted(edit: BulkEdit) -> list[tuple[str, str]]:
    """Return what was asked for, in the words of the form."""
    form = form_for(Operation(edit.operation))
    return [(str(form[name].label), _worded(value)) for name, value in edit.parameters.items()]


def _worded(value: Any) -> str:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return "none" if value is None or not text else text


def _undoable(edit: BulkEdit, changed: int) -> bool:
    running = edit.job is not None and not edit.job.is_finished
    return bool(changed) and edit.undone_at is None and not running


def _told(change: BulkChange, edit: BulkEdit) -> list[tuple[str, list[Piece]]]:
    """Return what became of one rule, word by word."""
    published = edit.operation == Operation.PUBLISH
    old = change.live_before if published and change.live_before else change.before
    shown = differences(old, change.after)
    if change.status_before != change.status_after:
        before, after = UnitStatus(change.status_before), UnitStatus(change.status_after)
        shown.append(("Status", list(pieces(before.label, after.label))))
    if change.owner_before:
        owners = pieces(str(change.owner_before), edit.parameters["owner"])
        shown.append(("Owner", list(owners)))
    return shown


@require_POST
@requires("knowledge.write")
def bulk_undo(request: UserRequest, public_id: str) -> HttpResponse:
    edit = bulk_undoing.undo(edit=_edit(request, public_id), by=request.user)
    _report(request, len(edit.undo_skipped), "as before")
    return redirect("knowledge:bulk-detail", edit.public_id)


def _edit(request: UserRequest, public_id: str) -> BulkEdit:
    edits = BulkEdit.objects.visible_to(request.user).defer("planned")
    edits = edits.select_related("by", "undone_by", "job", "undo_job")
    edit: BulkEdit = get_object_or_404(edits, public_id=public_id)
    return edit
