"""What customers see: the chat page, the widget that embeds it, and a page that shows how."""

from pathlib import Path
from uuid import UUID

from csp.decorators import csp_replace
from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import condition, require_GET, require_POST, require_safe

from agents.prompting import BUSINESS
from dialogues.chat import writing
from dialogues.chat.words import WORDS, language_of
from dialogues.desk import handing
from dialogues.models import Conversation, Role, Site
from wowconsole.http import UserRequest
from wowconsole.roles import requires

WIDGET_SECONDS = 300  # that browsers keep the widget's script; then they ask whether it changed


@require_safe
@ensure_csrf_cookie
@xframe_options_exempt  # frame-ancestors says who may embed it
def chat(request: HttpRequest) -> HttpResponseBase:
    """The customer's page; nobody signs in."""
    asked, accepted = request.GET.get("lang", ""), request.headers.get("Accept-Language", "")
    language = language_of(asked, accepted)
    origins = _origins(request.GET.get("site", ""))
    context = {
        "business": BUSINESS,
        "language": language,
        "words": WORDS[language],
        "page_title": WORDS[language]["title"].format(business=BUSINESS),
        "embedded": request.GET.get("embed") == "1",
        "origins": " ".join(origins),
    }
    policy = {**settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]}
    policy["frame-ancestors"] = ["'self'", *origins]
    policy["style-src"] = ["'self'"]
    page = csp_replace(policy)(lambda request: render(request, "dialogues/chat.html", context))
    response = page(request)
    response["Vary"] = "Accept-Language, Cookie"
    return response


def _origins(slug: str) -> list[str]:
    """Return the foreign pages that may embed the chat: everybody's, and those of one site."""
    site = Site.objects.filter(slug=slug).first() if slug and "\0" not in slug else None
    return [*settings.CHAT_ORIGINS, *(site.origins if site else [])]


def _widget_path() -> Path:
    found = finders.find("wowconsole/widget.js")
    assert isinstance(found, str)  # noqa: S101 (it is in this checkout)
    return Path(found)


def _widget_tag(request: HttpRequest) -> str:
    status = _widget_path().stat()
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'


@require_safe
@condition(etag_func=_widget_tag)
def widget(request: HttpRequest) -> HttpResponse:
    """The script that other sites load; it may be read from anywhere."""
    response = HttpResponse(_widget_path().read_bytes(), content_type="text/javascript")
    response["Cache-Control"] = f"public, max-age={WIDGET_SECONDS}"
    response["Access-Control-Allow-Origin"] = "*"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@require_POST
@requires("dialogues.reply")
def staff_typing(request: UserRequest, public_id: UUID) -> HttpResponse:
    """Tell the customer that the person they talk to writes; nothing is stored."""
    visible = Conversation.objects.visible_to(request.user)
    conversation = get_object_or_404(visible, public_id=public_id)
    handing.note_writing(conversation=conversation, by=request.user)
    return HttpResponse(status=204)


@require_GET
@requires("dialogues.read")
def customer_typing(request: UserRequest, public_id: UUID) -> HttpResponse:
    """Say whether the customer writes just now: a line for the open conversation.

    A page that names in `shown` what it shows gets 204 if that holds: nothing is read out twice.
    """
    visible = Conversation.objects.visible_to(request.user)
    conversation = get_object_or_404(visible, public_id=public_id)
    typing = writing.is_writing(conversation.public_id, Role.CUSTOMER)
    if request.GET.get("shown") == ("yes" if typing else "no"):
        return HttpResponse(status=204)
    context = {"conversation": conversation, "typing": typing}
    return render(request, "dialogues/customer_typing.html", context)
