"""Pages of what was said. Each view: read the request, call, render."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from dialogues.forms import CaseFilterForm, ConversationFilterForm, JudgementForm
from dialogues.loop import reviewing
from dialogues.models import Case, CaseQuerySet, Conversation, JudgementSource, Turn, Verdict
from dialogues.presenting import in_words, listed, panel, transcript
from wowconsole.http import UserRequest, render_page, wants_partial
from wowconsole.roles import requires

PAGE_SIZE = 25
LIST = "dialogues/conversation_list.html"
DETAIL = "dialogues/conversation_detail.html"
CASES = "dialogues/case_list.html"


@require_GET
@requires("dialogues.read")
def conversation_list(request: UserRequest) -> HttpResponse:
    form = ConversationFilterForm(request.GET, user=request.user)
    visible = Conversation.objects.visible_to(request.user)
    conversations = form.filter(visible).select_related("scene")
    page = Paginator(conversations, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "rows": listed(list(page))}
    return render_page(request, LIST, "conversation-table", context)


@require_GET
@requires("dialogues.read")
def conversation_detail(request: UserRequest, public_id: UUID) -> HttpResponse:
    visible = Conversation.objects.visible_to(request.user).select_related("scene", "release")
    conversation = get_object_or_404(visible, public_id=public_id)
    return render(request, DETAIL, _page_of(conversation, request.GET.get("turn")))


def _page_of(
    conversation: Conversation, wanted: str | None, form: JudgementForm | None = None
) -> dict[str, Any]:
    """Return the page's context with the turn that is asked for, or the first, in the panel."""
    entries = transcript(conversation)
    turns = [entry.turn for entry in entries if entry.turn]
    chosen = [turn for turn in turns if str(turn.public_id) == wanted]
    context = {"conversation": conversation, "entries": entries, "selected": None}
    if any(entry.event.data.get("attachments") for entry in entries):
        context["evidence"] = conversation.attachments.exclude(evidence=None)
    if turn := next(iter(chosen or turns), None):
        turn.conversation = conversation
        context |= {"selected": turn, **panel(turn, form)}
    return context


@require_GET
@requires("dialogues.read")
def turn_detail(request: UserRequest, public_id: UUID) -> HttpResponse:
    turn = _visible_turn(request, public_id)
    if wants_partial(request):
        return render(request, f"{DETAIL}#turn-panel", panel(turn))
    return redirect(_page_url(turn))


@require_POST
@requires("dialogues.judge")
def turn_judge(request: UserRequest, public_id: UUID) -> HttpResponse:
    turn = _visible_turn(request, public_id)
    found = list(turn.units.select_related("revision"))
    form = JudgementForm(request.POST, turn=turn, found=found)
    if not form.is_valid():
        return _show_errors(request, turn, form)
    fields = ("verdict", "issue_types", "rewrite", "comment")
    said = {name: form.cleaned_data[name] for name in fields}
    reviewing.judge_turn(turn=turn, by=request.user, source=JudgementSource.REVIEWER, **said)
    if not wants_partial(request):
        messages.success(request, "Judged.")
        return redirect(_page_url(turn))
    context = panel(_visible_turn(request, public_id)) | {"just_judged": True}
    return render(request, f"{DETAIL}#turn-panel", context)


def _show_errors(request: UserRequest, turn: Turn, form: JudgementForm) -> HttpResponse:
    if wants_partial(request):
        return render(request, f"{DETAIL}#turn-panel", panel(turn, form), status=422)
    page = _page_of(turn.conversation, str(turn.public_id), form)
    return render(request, DETAIL, page, status=422)


def _visible_turn(request: UserRequest, public_id: UUID) -> Turn:
    visible = Turn.objects.visible_to(request.user)
    related = visible.select_related("conversation__scene", "release__version", "case")
    return get_object_or_404(related, public_id=public_id)


def _page_url(turn: Turn) -> str:
    return f"{turn.conversation.get_absolute_url()}?turn={turn.public_id}#turn-panel"


@require_GET
@requires("dialogues.read")
def case_list(request: UserRequest) -> HttpResponse:
    form = CaseFilterForm(request.GET)
    visible = Case.objects.visible_to(request.user)
    cases = form.filter(visible).select_related("turn__conversation__scene")
    page = Paginator(cases, PAGE_SIZE).get_page(request.GET.get("page"))
    counts = _counts(form.filter_any_label(visible))
    context = {"form": form, "page": page, "rows": in_words(page), "counts": counts}
    return render_page(request, CASES, "case-table", context)


def _counts(cases: CaseQuerySet) -> list[tuple[str, str, int]]:
    """Return (class, its name, how many) of each class."""
    counted = cases.order_by().values_list("label").annotate(Count("pk"))
    found = dict(counted)
    return [(value, name, found.get(value, 0)) for value, name in Verdict.choices]
