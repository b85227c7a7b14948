"""The form in which rules are written, and what happens after it is sent."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from knowledge import conflicts, services, submitting
from knowledge.differing import differences
from knowledge.flagging import flags
from knowledge.forms import UnitForm
from knowledge.models import TEXT_LENGTH, KnowledgeUnit, Revision, Scene, SubmissionState
from knowledge.views import get_unit
from wowconsole.errors import Invalid, Refused
from wowconsole.http import UserRequest
from wowconsole.roles import requires


@require_http_methods(["GET", "POST"])
@requires("knowledge.write")
def unit_create(request: UserRequest) -> HttpResponse:
    form = UnitForm(request.POST or None, scenes=Scene.objects.visible_to(request.user))
    if request.method == "POST" and form.is_valid():
        unit = _saved(form, request, None)
        if unit:
            return _after_save(request, unit, form)
    return _form_page(request, form, None)


@require_http_methods(["GET", "POST"])
@requires("knowledge.write")
def unit_edit(request: UserRequest, pk: int) -> HttpResponse:
    unit = get_unit(request, pk)
    scenes = Scene.objects.visible_to(request.user)
    form = UnitForm(request.POST or None, scenes=scenes, unit=unit)
    if request.method == "POST" and form.is_valid() and _saved(form, request, unit):
        return _after_save(request, get_unit(request, pk), form)
    return _form_page(request, form, unit)


@require_POST
@requires("knowledge.write")
def unit_preview(request: UserRequest) -> HttpResponse:
    number = request.POST.get("number", "")
    texts = {name: request.POST.get(name, "")[:TEXT_LENGTH] for name in ("condition", "content")}
    shown = {name: text.strip() for name, text in texts.items()}
    preview = {"number": number if number.isdecimal() else "new", **shown}
    context = {"preview": preview, "flags": flags("\n".join(texts.values()))}
    return render(request, "knowledge/unit_form.html#preview", context)


@require_POST
@requires("knowledge.write")
def revision_restore(request: UserRequest, pk: int, number: int) -> HttpResponse:
    unit = get_unit(request, pk)
    get_object_or_404(unit.revisions, number=number)
    based_on = request.POST.get("based_on", "")
    if not (based_on.isdecimal() and len(based_on) < 10):
        raise Invalid("The form did not say which revision you were looking at. Reload the page.")
    restored = services.restore_revision(
        unit=unit, author=request.user, number=number, based_on=int(based_on)
    )
    conflicts.check_soon(restored)
    messages.success(request, f"The text of revision {number} is the latest again, as a draft.")
    return redirect(unit)


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
        _show_theirs(form, unit)
    return None


def _known(form: UnitForm, error: ValidationError) -> Any:
    return {
        name if name in form.fields else None: texts
        for name, texts in error.message_dict.items()
        if name in form.fields
    } or error.messages


def _show_theirs(form: UnitForm, unit: KnowledgeUnit | None) -> None:
    """Let the form show what the first editor changed; the next save answers that."""
    if unit is None:
        return
    newest = unit.revisions.select_related("author")[0]
    seen = unit.revisions.filter(number=form.cleaned_data["based_on"] or 0).first()
    form.theirs = {  # type: ignore[attr-defined]  # read once, by the page
        "revision": newest,
        "changes": differences(seen, newest) if seen else [],
    }
    form.data = {**form.data.dict(), "based_on": str(newest.number)}  # type: ignore[attr-defined]  # a QueryDict


def _form_page(request: UserRequest, form: UnitForm, unit: KnowledgeUnit | None) -> HttpResponse:
    theirs = getattr(form, "theirs", None)
    status = 409 if theirs else 422 if form.errors else 200
    preview = {
        "number": unit.pk if unit else "new",
        "condition": form["condition"].value() or "",
        "content": form["content"].value() or "",
    }
    context = {
        "form": form,
        "unit": unit,
        "preview": preview,
        "theirs": theirs,
        "flags": flags(f"{preview['condition']}\n{preview['content']}"[: 2 * TEXT_LENGTH]),
    }
    return render(request, "knowledge/unit_form.html", context, status=status)


def _after_save(request: UserRequest, unit: KnowledgeUnit, form: UnitForm) -> HttpResponse:
    conflicts.check_soon(unit)  # first: what it proves stops the publication
    if "publish" not in request.POST:
        messages.success(request, "Draft saved. Agents don't use it until it is published.")
        return redirect(unit)
    latest: Revision = services.latest_of(unit)
    try:
        submission = submitting.publish_or_submit(
            unit=unit,
            by=request.user,
            seen=latest.number,
            publish_at=form.cleaned_data["publish_at"],
            comment=form.cleaned_data["comment"],
        )
    except Refused as refusal:  # the edit stands, so this is no error page
        messages.warning(request, f"Draft saved, not published. {refusal}")
    else:
        messages.success(request, said_of(submission.state if submission else ""))
    return redirect(unit)


def said_of(state: str) -> str:
    """Say what came of the wish to publish; no state: it was published directly."""
    if state == SubmissionState.WAITING:
        return "Sent to review: a high-risk rule is published by an approver, who now sees it."
    if state == SubmissionState.SCHEDULED:
        return "Scheduled: it goes live by itself at that time."
    return "Live now: the next customer is answered by it."
