"""What operators arrange for the desk: when people are there, and their canned replies."""

from typing import Any, TypeVar
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import Model
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from dialogues.desk.forms import (
    CannedReplyForm,
    DeskForm,
    HolidayForm,
    PeriodForm,
)
from dialogues.desk.queueing import hours_of
from dialogues.models import (
    CannedReply,
    Desk,
    Holiday,
    OpenPeriod,
)
from wowconsole.http import UserRequest
from wowconsole.roles import requires

_Row = TypeVar("_Row", bound=Model)


def _stored(form: forms.ModelForm[_Row], **fields: Any) -> _Row:
    """Save what a valid form holds, with what the page knows.

    Raises:
        ValidationError: a constraint that needs those fields does not hold.
    """
    row = form.save(commit=False)
    for name, value in fields.items():
        setattr(row, name, value)
    row.full_clean()
    row.save()
    return row


def _form(kind: type[Any], request: UserRequest, row: Model | None = None) -> Any:
    data = request.POST if request.method == "POST" else None
    return kind(data, instance=row, user=request.user)


@require_http_methods(["GET", "POST"])
@requires("dialogues.manage")
def desk_list(request: UserRequest) -> HttpResponse:
    form = _form(DeskForm, request)
    if form.is_valid():
        return redirect(_stored(form))
    desks = Desk.objects.visible_to(request.user).select_related("scene")
    now = timezone.now()
    shown = [
        (desk, hours_of(desk).next_opening(now))
        for desk in desks.prefetch_related("periods", "holidays")
    ]
    mine = set(Desk.objects.editable_by(request.user).values_list("pk", flat=True))
    context = {"form": form, "desks": shown, "now": now, "mine": mine}
    return render(request, "dialogues/desk_hours.html", context, status=_status(form))


def _status(form: forms.Form) -> int:
    return 422 if form.is_bound else 200


def _desk(request: UserRequest, public_id: UUID) -> Desk:
    desks = Desk.objects.editable_by(request.user).select_related("scene")
    return get_object_or_404(desks.prefetch_related("periods", "holidays"), public_id=public_id)


@require_http_methods(["GET", "POST"])
@requires("dialogues.manage")
def desk_detail(request: UserRequest, public_id: UUID) -> HttpResponse:
    desk = _desk(request, public_id)
    form = _form(DeskForm, request, desk)
    if form.is_valid():
        _stored(form)
        messages.success(request, "Saved.")
        return redirect(desk)
    return _desk_page(request, desk, form=form, status=_status(form))


def _desk_page(
    request: UserRequest, desk: Desk, *, status: int = 200, **forms_shown: Any
) -> HttpResponse:
    now = timezone.now()
    context = {
        "desk": desk,
        "form": DeskForm(instance=desk, user=request.user),
        "period_form": PeriodForm(label_suffix=""),
        "holiday_form": HolidayForm(label_suffix=""),
        "opening": hours_of(desk).next_opening(now),
        "now": now,
        **forms_shown,
    }
    return render(request, "dialogues/desk_detail.html", context, status=status)


@require_POST
@requires("dialogues.manage")
def period_add(request: UserRequest, public_id: UUID) -> HttpResponse:
    desk = _desk(request, public_id)
    form = PeriodForm(request.POST, label_suffix="")
    if not form.is_valid():
        return _desk_page(request, desk, period_form=form, status=422)
    _stored(form, desk=desk)
    return redirect(f"{desk.get_absolute_url()}#periods")


@require_POST
@requires("dialogues.manage")
def period_remove(request: UserRequest, public_id: UUID, pk: int) -> HttpResponse:
    desk = _desk(request, public_id)
    get_object_or_404(OpenPeriod, desk=desk, pk=pk).delete()
    return redirect(f"{desk.get_absolute_url()}#periods")


@require_POST
@requires("dialogues.manage")
def holiday_add(request: UserRequest, public_id: UUID) -> HttpResponse:
    desk = _desk(request, public_id)
    form = HolidayForm(request.POST, label_suffix="")
    if not form.is_valid():
        return _desk_page(request, desk, holiday_form=form, status=422)
    _stored(form, desk=desk)
    return redirect(f"{desk.get_absolute_url()}#holidays")


@require_POST
@requires("dialogues.manage")
def holiday_remove(request: UserRequest, public_id: UUID, pk: int) -> HttpResponse:
    desk = _desk(request, public_id)
    get_object_or_404(Holiday, desk=desk, pk=pk).delete()
    return redirect(f"{desk.get_absolute_url()}#holidays")


@require_POST
@requires("dialogues.manage")
def desk_remove(request: UserRequest, public_id: UUID) -> HttpResponse:
    _desk(request, public_id).delete()
    messages.success(request, "Removed. People count as always there, unless another desk says.")
    return redirect("dialogues:desk-list")


@require_http_methods(["GET", "POST"])
@requires("dialogues.manage")
def canned_list(request: UserRequest) -> HttpResponse:
    form = _form(CannedReplyForm, request)
    if form.is_valid():
        reply = _stored(form, updated_by=request.user)
        messages.success(request, f"Added {reply}.")
        return redirect("dialogues:canned-list")
    replies = CannedReply.objects.visible_to(request.user)
    mine = set(CannedReply.objects.editable_by(request.user).values_list("pk", flat=True))
    related = replies.select_related("scene", "updated_by")
    context = {"form": form, "replies": related, "mine": mine}
    return render(request, "dialogues/desk_canned.html", context, status=_status(form))


def _canned(request: UserRequest, public_id: UUID) -> CannedReply:
    return get_object_or_404(CannedReply.objects.editable_by(request.user), public_id=public_id)


@require_http_methods(["GET", "POST"])
@requires("dialogues.manage")
def canned_edit(request: UserRequest, public_id: UUID) -> HttpResponse:
    reply = _canned(request, public_id)
    form = _form(CannedReplyForm, request, reply)
    if form.is_valid():
        _stored(form, updated_by=request.user, updated_at=timezone.now())
        messages.success(request, "Saved.")
        return redirect("dialogues:canned-list")
    context = {"form": form, "reply": reply}
    return render(request, "dialogues/desk_canned_edit.html", context, status=_status(form))


@require_POST
@requires("dialogues.manage")
def canned_remove(request: UserRequest, public_id: UUID) -> HttpResponse:
    _canned(request, public_id).delete()
    messages.success(request, "Removed.")
    return redirect("dialogues:canned-list")
