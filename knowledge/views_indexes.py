"""Pages of embedding indexes: what searches use, what is being built, and the switch."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from knowledge import indexing, measuring, presenting, reindexing
from knowledge.forms_quality import IndexForm
from knowledge.models import EmbeddingIndex, LabelledSet
from wowconsole.errors import Invalid
from wowconsole.http import UserRequest
from wowconsole.roles import requires


@require_GET
@requires("knowledge.read")
def index_list(request: UserRequest) -> HttpResponse:
    indexing.live_index()  # made on first use
    return render(request, "knowledge/index_list.html", {"rows": reindexing.with_lacking()})


@require_http_methods(["GET", "POST"])
@requires("knowledge.approve")
def index_create(request: UserRequest) -> HttpResponse:
    form = IndexForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            index = reindexing.create_index(by=request.user, **form.asked())
        except Invalid as error:  # shown beside what was typed, not on a page of its own
            form.add_error(None, str(error))
        else:
            messages.success(request, f"{index} is being built.")
            return redirect("knowledge:index-detail", index.pk)
    status = 422 if request.method == "POST" else 200
    return render(request, "knowledge/index_create.html", {"form": form}, status=status)


@require_GET
@requires("knowledge.read")
def index_detail(request: UserRequest, pk: int) -> HttpResponse:
    index, live = _index(pk), indexing.live_index()
    context = {
        "index": index,
        "live": live,
        "rows": presenting.compared(request.user, live, index) if index != live else [],
    }
    return render(request, "knowledge/index_detail.html", context)


@require_POST
@requires("knowledge.approve")
def index_compare(request: UserRequest, pk: int) -> HttpResponse:
    """Ask every labelled set of this index and of the live one."""
    indexes = [indexing.live_index(), _index(pk)]
    sets = LabelledSet.objects.visible_to(request.user)
    started = measuring.start_all(sets=sets, indexes=indexes, by=request.user)
    messages.success(request, f"Measurements started: {len(started)}.")
    return redirect("knowledge:index-detail", pk)


@require_POST
@requires("knowledge.approve")
def index_fill(request: UserRequest, pk: int) -> HttpResponse:
    return _changed(request, pk, reindexing.fill_index, "{} is being filled.")


@require_POST
@requires("knowledge.approve")
def index_switch(request: UserRequest, pk: int) -> HttpResponse:
    return _changed(request, pk, reindexing.switch, "Searches use {} from now on.")


@require_POST
@requires("knowledge.approve")
def index_retire(request: UserRequest, pk: int) -> HttpResponse:
    return _changed(request, pk, reindexing.retire, "{} is retired.")


def _changed(
    request: UserRequest, pk: int, change: Callable[..., EmbeddingIndex], told: str
) -> HttpResponse:
    index = change(index=_index(pk), by=request.user)
    messages.success(request, told.format(index))
    return redirect("knowledge:index-detail", pk)


def _index(pk: int) -> EmbeddingIndex:
    index: EmbeddingIndex = get_object_or_404(reindexing.with_lacking(), pk=pk)
    return index
