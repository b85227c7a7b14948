"""Pages of named snapshots: take one, compare two, fetch a text back."""

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from knowledge import snapshots
from knowledge.forms_publishing import SnapshotForm
from knowledge.models import Scene
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import requires, sees_every_scene

SNAPSHOTS_PER_PAGE = 25
CHANGES_PER_PAGE = 25  # each with its word diff
NOW = "now"
SNAPSHOTS_OFFERED = 100  # to compare with


@require_GET
@requires("knowledge.read")
def snapshot_list(request: UserRequest) -> HttpResponse:
    return _list(request, _form(request))


@require_POST
@requires("knowledge.write")
def snapshot_take(request: UserRequest) -> HttpResponse:
    form = _form(request)
    if not form.is_valid():
        return _list(request, form)
    asked = form.cleaned_data
    snapshot = snapshots.take(
        name=asked["name"], by=request.user, scene=asked["scene"], comment=asked["comment"]
    )
    count = snapshots.sizes([snapshot])[snapshot.pk]
    messages.success(request, f"Kept {count} live rule{'' if count == 1 else 's'}.")
    return redirect("knowledge:snapshot-list")


def _form(request: UserRequest) -> SnapshotForm:
    return SnapshotForm(
        request.POST or None,
        scenes=Scene.objects.visible_to(request.user),
        may_take_all=sees_every_scene(request.user),
    )


def _list(request: UserRequest, form: SnapshotForm) -> HttpResponse:
    rows = snapshots.visible_to(request.user)
    page = Paginator(rows, SNAPSHOTS_PER_PAGE).get_page(request.GET.get("page"))
    sizes = snapshots.sizes(page.object_list)
    context = {
        "form": form,
        "page": page,
        "rows": [(snapshot, sizes[snapshot.pk]) for snapshot in page],
    }
    status = 422 if form.errors else 200
    return render_page(request, "knowledge/snapshot_list.html", "snapshots", context, status=status)


@require_GET
@requires("knowledge.read")
def snapshot_detail(request: UserRequest, public_id: str) -> HttpResponse:
    """Compare a snapshot with a later one, or with what is live now."""
    visible = snapshots.visible_to(request.user)
    earlier = get_object_or_404(visible, public_id=public_id)
    wanted = request.GET.get("with", NOW)
    later = None if wanted in ("", NOW) else get_object_or_404(visible, public_id=_id(wanted))
    number = _page_number(request)
    found = snapshots.compare(
        earlier,
        later,
        user=request.user,
        start=(number - 1) * CHANGES_PER_PAGE,
        limit=CHANGES_PER_PAGE,
    )
    context = {
        "snapshot": earlier,
        "later": later,
        "others": visible.exclude(pk=earlier.pk)[:SNAPSHOTS_OFFERED],
        "found": found,
        "page": Paginator(range(found.total), CHANGES_PER_PAGE).get_page(number),
    }
    return render_page(request, "knowledge/snapshot_detail.html", "changes", context)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Http404 from None


def _page_number(request: UserRequest) -> int:
    text = request.GET.get("page", "")
    return max(1, int(text)) if text.isdecimal() and len(text) < 7 else 1
