"""The desk: where people find who needs them, and answer."""

import re
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dialogues.chat import surveying
from dialogues.desk import annotating, control, drafting, handing
from dialogues.desk.presenting import (
    MINE,
    NOTHING,
    VIEWS,
    WAITING,
    controls,
    following,
    inbox,
    live,
    newest_draft,
    page,
    rows,
)
from dialogues.models import Attachment, Conversation, Draft, DraftKind
from wowconsole.errors import Refused
from wowconsole.http import UserRequest, render_page, wants_partial
from wowconsole.roles import requires

ROWS_PER_PAGE = 50
INBOX = "dialogues/desk_inbox.html"
DESK = "dialogues/desk_conversation.html"
SEQ = re.compile(r"[0-9]{1,9}")
NO_ID = UUID(int=0)


@require_GET
@requires("dialogues.reply")
def inbox_view(request: UserRequest) -> HttpResponse:
    wanted = request.GET.get("view", WAITING)
    view = wanted if wanted in VIEWS else WAITING
    shown = Paginator(inbox(request.user, view), ROWS_PER_PAGE).get_page(request.GET.get("page"))
    counts = {name: inbox(request.user, name).count() for name in (MINE, WAITING)}
    context = {
        "view": view,
        "tabs": [(name, label, counts.get(name)) for name, label in VIEWS.items()],
        "page": shown,
        "rows": rows(list(shown)),
        "nothing": NOTHING[view],
        "now": timezone.now(),
    }
    return render_page(request, INBOX, "table", context)


def _conversation(request: UserRequest, public_id: UUID) -> Conversation:
    visible = Conversation.objects.visible_to(request.user).select_related("scene", "release")
    return get_object_or_404(visible, public_id=public_id)


def _desk_url(conversation: Conversation) -> str:
    return reverse("dialogues:desk", args=[conversation.public_id])


def _back(conversation: Conversation) -> HttpResponse:
    return redirect(f"{_desk_url(conversation)}#reply-text")


@require_GET
@never_cache  # going back shows no form that was sent
@requires("dialogues.reply")
def desk(request: UserRequest, public_id: UUID) -> HttpResponse:
    """One conversation; an open page asks with the stamp it shows and gets 204 if that holds."""
    conversation = _conversation(request, public_id)
    if wants_partial(request):
        return _news(request, conversation)
    context = page(conversation, request.user)
    return render(request, DESK, context | _prefilled(request, context))


def _news(request: UserRequest, conversation: Conversation) -> HttpResponse:
    """Return what has changed; what people may do only with its change, as they write in it."""
    context = live(conversation, request.user) | {"swaps": True}
    if context["stamp"] == request.GET.get("seen"):
        return HttpResponse(status=204)
    if context["held"] != request.GET.get("held"):
        context |= controls(conversation, request.user) | {"swaps_control": True}
    return render(request, f"{DESK}#live", context)


def _prefilled(request: UserRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return what the forms begin with: a draft or a canned reply that was chosen by its link."""
    drafts: dict[str, Draft] = context["drafts"]
    chosen = {kind: row for kind, row in drafts.items() if _is_chosen(request, row)}
    shortcut = request.GET.get("canned", "")
    canned = next((row.text for row in context["canned"] if row.shortcut == shortcut), "")
    reply, summary = chosen.get(DraftKind.REPLY), chosen.get(DraftKind.SUMMARY)
    return {
        "text": reply.text if reply else canned,
        "draft_used": reply,
        "summary": summary.text if summary else context["summary"],
        "summary_draft": summary,
    }


def _is_chosen(request: UserRequest, draft: Draft) -> bool:
    return bool(draft.text) and str(draft.public_id) == request.GET.get("draft")


@require_GET
@requires("dialogues.reply")
def next_waiting(request: UserRequest) -> HttpResponse:
    """Open the conversation that has waited longest, other than the one named in `after`."""
    visible = Conversation.objects.visible_to(request.user)
    known = visible.filter(public_id=_uuid(request.GET.get("after"))).first()
    found = following(request.user, known)
    if found is None:
        messages.info(request, "Nobody else waits for a person.")
        return redirect("dialogues:inbox")
    return redirect(_desk_url(found))


def _uuid(text: str | None) -> UUID:
    """Read an id; what is none stands for no row."""
    try:
        return UUID(text or "")
    except ValueError:
        return NO_ID


@require_POST
@requires("dialogues.reply")
def take(request: UserRequest, public_id: UUID) -> HttpResponse:
    conversation = _conversation(request, public_id)
    force = request.POST.get("force") == "yes"
    control.take_control(conversation=conversation, by=request.user, force=force)
    return _back(conversation)


@require_POST
@requires("dialogues.reply")
def release(request: UserRequest, public_id: UUID) -> HttpResponse:
    conversation = _conversation(request, public_id)
    control.release(conversation=conversation, by=request.user)
    messages.success(request, "Back in the queue, at its old place.")
    return redirect("dialogues:inbox")


@require_POST
@requires("dialogues.reply")
def assign(request: UserRequest, public_id: UUID) -> HttpResponse:
    conversation = _conversation(request, public_id)
    to = get_object_or_404(User, username=request.POST.get("to", ""), is_active=True)
    control.assign(conversation=conversation, to=to, by=request.user)
    messages.success(request, f"{to} holds this conversation now.")
    return redirect(_desk_url(conversation))


@require_POST
@requires("dialogues.reply")
def staff_reply(request: UserRequest, public_id: UUID) -> HttpResponse:
    """Answer the customer as a person; the agent is silent from then on."""
    conversation = _conversation(request, public_id)
    text = request.POST.get("text", "")
    draft = _draft_of(request, conversation)
    try:
        sent = [_uploaded(request, conversation).public_id] if request.FILES else []
        control.reply_as_staff(
            conversation=conversation,
            by=request.user,
            text=text,
            attachments=sent,
            form=_form_of(request),
        )
    except Refused as refusal:  # an error page would lose what was written
        return _not_sent(request, public_id, refusal, {"text": text, "draft_used": draft})
    if draft:
        drafting.note_use(draft, text)
    return _back(conversation)


def _not_sent(
    request: UserRequest, public_id: UUID, refusal: Refused, written: dict[str, Any]
) -> HttpResponse:
    """Show the page as it is now, with why an answer was refused and with what was written."""
    context = page(_conversation(request, public_id), request.user)
    context |= _prefilled(request, context) | written | {"refusal": refusal}
    return render(request, DESK, context, status=refusal.status)


def _uploaded(request: UserRequest, conversation: Conversation) -> Attachment:
    file = request.FILES.get("file")
    description = request.POST.get("description", "")
    return handing.upload(
        conversation=conversation, by=request.user, file=file, description=description
    )


def _form_of(request: UserRequest) -> UUID | None:
    form = _uuid(request.POST.get("form_id"))
    return None if form == NO_ID else form


def _draft_of(request: UserRequest, conversation: Conversation) -> Draft | None:
    return drafting.draft_of(conversation, _uuid(request.POST.get("draft")), request.user)


@require_POST
@requires("dialogues.reply")
def hand_back(request: UserRequest, public_id: UUID) -> HttpResponse:
    """Give the conversation back to the agent with a summary of what the person did."""
    conversation = _conversation(request, public_id)
    text = request.POST.get("summary", "")
    draft = _draft_of(request, conversation)
    seen = request.POST.get("seen", "")
    event = control.hand_back(
        conversation=conversation,
        by=request.user,
        summary=text,
        source=drafting.source_of(conversation, text),
        seen=int(seen) if SEQ.fullmatch(seen) else None,
    )
    if event is None:
        messages.info(request, "The agent answered already: nothing was changed.")
        return redirect(_desk_url(conversation))
    if draft:
        drafting.note_use(draft, text)
    messages.success(request, "The agent answers again.")
    return redirect(_desk_url(conversation))


@require_POST
@requires("dialogues.reply")
def close(request: UserRequest, public_id: UUID) -> HttpResponse:
    conversation = _conversation(request, public_id)
    control.close(conversation=conversation, by=request.user)
    messages.success(request, "The conversation has ended.")
    return redirect("dialogues:inbox")


@require_POST
@requires("dialogues.reply")
def ask_survey(request: UserRequest, public_id: UUID) -> HttpResponse:
    conversation = _conversation(request, public_id)
    surveying.ask(conversation=conversation)
    messages.success(request, "The customer was asked.")
    return redirect(_desk_url(conversation))


@require_POST
@requires("dialogues.reply")
def note_add(request: UserRequest, public_id: UUID) -> HttpResponse:
    """Add a private note; the page shows the list anew, a browser without scripts the page."""
    conversation = _conversation(request, public_id)
    text = request.POST.get("text", "")
    annotating.add_note(conversation=conversation, by=request.user, text=text)
    if not wants_partial(request):
        return redirect(f"{_desk_url(conversation)}#notes")
    notes = conversation.notes.select_related("author")
    return render(request, f"{DESK}#notes", {"conversation": conversation, "notes": notes})


@require_POST
@requires("dialogues.reply")
def draft_start(request: UserRequest, public_id: UUID, kind: str) -> HttpResponse:
    """Have an answer or a summary drafted; the page watches it being written."""
    conversation = _conversation(request, public_id)
    _check_kind(kind)
    draft = drafting.start(conversation=conversation, kind=kind, by=request.user)
    if not wants_partial(request):
        return redirect(f"{_desk_url(conversation)}#draft-{kind}")
    return _draft_partial(request, conversation, draft, kind)


@require_GET
@requires("dialogues.reply")
def draft_show(request: UserRequest, public_id: UUID, kind: str) -> HttpResponse:
    conversation = _conversation(request, public_id)
    _check_kind(kind)
    draft = newest_draft(conversation, request.user, kind)
    return _draft_partial(request, conversation, draft, kind)


def _check_kind(kind: str) -> None:
    if kind not in DraftKind.values:
        raise Http404


def _draft_partial(
    request: UserRequest, conversation: Conversation, draft: Draft | None, kind: str
) -> HttpResponse:
    context = {"conversation": conversation, "draft": draft, "kind": kind}
    return render(request, "dialogues/desk_draft.html", context)
