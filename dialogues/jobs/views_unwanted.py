"""The page of numbers that are never called again."""

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from agents.telephone.numbers import key_of
from dialogues.jobs import permitting
from dialogues.jobs.forms import UnwantedFilterForm
from dialogues.models import DoNotCall
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import AnyUser, requires

PER_PAGE = 25


def unwanted_of(user: AnyUser, address: str = "") -> QuerySet[DoNotCall]:
    """Return the listed numbers that the user may know of; those that begin as one is written."""
    rows = DoNotCall.objects.visible_to(user).select_related("by", "job")
    typed = address.replace(" ", "").lower().removeprefix("+").removeprefix("00")
    begins = key_of(address) or typed
    return rows.filter(address__startswith=begins) if begins else rows


@require_GET
@requires("dialogues.reply")
def unwanted_list(request: UserRequest) -> HttpResponse:
    form = UnwantedFilterForm(request.GET)
    found = unwanted_of(request.user, form.value("address") or "")
    page: Page[DoNotCall] = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    context = {"form": form, "page": page}
    return render_page(request, "dialogues/unwanted_list.html", "unwanted", context)


@require_POST
@requires("dialogues.reply")
def unwanted_add(request: UserRequest) -> HttpResponse:
    row = permitting.add(request.POST.get("address", ""), by=request.user)
    messages.success(request, f"{row} is never called again.")
    return redirect("dialogues:unwanted-list")
