"""The callee's page: a call over text, for whoever opens the link first. No login."""

import secrets
from typing import Any

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from agents.prompting import BUSINESS
from dialogues.jobs import dialling
from dialogues.models import CallLink, Speaker
from wowconsole.http import HtmxRequest, render_page

COOKIE = "call"
COOKIE_SECONDS = 24 * 3600
WORDS = {
    "en": {
        "calls": "is calling",
        "about": "It is about this:",
        "answer": "Answer",
        "decline": "Decline",
        "yours": "Your answer",
        "send": "Send",
        "hang_up": "Hang up",
        "ended": "This call has ended. Thank you.",
        "elsewhere": "This call was answered on another device.",
        "robot": "You are writing with an automated assistant. What you write is kept.",
        "wait": "One moment…",
        "you": "You",
        "them": "Assistant",
        "log": "The call",
    },
    "zh": {
        "calls": "来电",
        "about": "事由:",
        "answer": "接听",
        "decline": "拒接",
        "yours": "您的回答",
        "send": "发送",
        "hang_up": "挂断",
        "ended": "通话已结束,谢谢。",
        "elsewhere": "此通话已在另一台设备上接听。",
        "robot": "与您对话的是自动助手,对话会被保存。",
        "wait": "请稍候…",
        "you": "您",
        "them": "助手",
        "log": "通话",
    },
}


@require_GET
@never_cache
def call(request: HtmxRequest, token: str) -> HttpResponse:
    """Show the call as it stands; the log asks again every two seconds."""
    link = _link(token)
    state = _state(link, request)
    card = link.job.memory.get("card", {})
    language = card.get("language", "en")
    lines = link.job.lines.exclude(speaker=Speaker.NOTE) if state == "answered" else []
    context: dict[str, Any] = {
        "token": token,
        "state": state,
        "card": card,
        "caller": card.get("for_whom", BUSINESS),
        "language": language,
        "words": WORDS[language],
        "lines": list(lines),
        "nonce": secrets.token_hex(16),
    }
    context["waits"] = not context["lines"] or context["lines"][-1].speaker == Speaker.CALLEE
    response = render_page(request, "dialogues/call.html", "log", context)
    if request.GET.get("state", state) != state:  # the page shows another one
        response["HX-Refresh"] = "true"
    return response


@require_POST
def call_answer(request: HtmxRequest, token: str) -> HttpResponse:
    secret = dialling.answer(_link(token))
    response = redirect("dialogues:call", token)
    response.set_cookie(
        COOKIE,
        secret,
        max_age=COOKIE_SECONDS,
        path=response.url,
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )
    return response


@require_POST
def call_say(request: HtmxRequest, token: str) -> HttpResponse:
    dialling.type_line(
        _link(token),
        secret=request.COOKIES.get(COOKIE, ""),
        text=request.POST.get("text", ""),
        client_id=request.POST.get("nonce", "") or secrets.token_hex(16),
    )
    return redirect("dialogues:call", token)


@require_POST
def call_end(request: HtmxRequest, token: str) -> HttpResponse:
    """Hang up, or decline a call that nobody has answered."""
    link = _link(token)
    if link.answered_at and not dialling.is_callee(link, request.COOKIES.get(COOKIE, "")):
        raise dialling.NotYourCall(WORDS["en"]["elsewhere"])
    dialling.end(link, by=Speaker.CALLEE)
    return redirect("dialogues:call", token)


def _link(token: str) -> CallLink:
    link = dialling.link_of(token)
    if link is None:
        raise Http404
    return link


def _state(link: CallLink, request: HtmxRequest) -> str:
    """Return dialled, answered, ended, or elsewhere for who did not answer it."""
    if link.job.is_finished or link.ended_at:
        return "ended"
    if link.answered_at and not dialling.is_callee(link, request.COOKIES.get(COOKIE, "")):
        return "elsewhere"
    return link.state
