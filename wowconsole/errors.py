"""What the domain says no to, and how each interface shows it."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from django.core.exceptions import PermissionDenied, RequestDataTooBig, ValidationError
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views import defaults
from django_htmx.http import reswap, retarget
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from wowconsole.http import HtmxRequest, wants_partial

# A NUL byte or a number beyond its column, in a value that no form or serializer looked at.
NOT_STORABLE = "A value holds something that can't be stored."
BROKE = "Something broke here; the log says what."


class Refused(Exception):
    """A request that is well formed but that a rule of the domain forbids.

    Services raise it; views, consumers and viewsets let it pass. `code` is for
    programs and never changes; the message is for people.
    """

    code = "refused"
    status = 409


class Invalid(Refused):
    code = "invalid"
    status = 422


class TooMany(Refused):
    code = "rate_limited"
    status = 429


class RefusedMiddleware:
    """Show what a service refused to a browser: a notice for htmx, a page otherwise."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, ValidationError):
            error = Invalid(" ".join(error.messages))
        if isinstance(error, DataError):
            error = Invalid(NOT_STORABLE)
        if not isinstance(error, Refused):
            return None  # a bug: the 500 page and the log
        context = {"error": error}
        if not wants_partial(cast(HtmxRequest, request)):
            return render(request, "errors/refused.html", context, status=error.status)
        response = render(request, "errors/refused.html#notice", context, status=error.status)
        return reswap(retarget(response, "#notices"), "beforeend")


def problem(status: int, code: str, detail: str, **extra: Any) -> Response:
    """Build an RFC 9457 problem document."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    return Response(
        {**body, "code": code, "detail": detail, **extra},
        status=status,
        content_type="application/problem+json",
    )


def api_exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer API clients with problem JSON; `errors` lists what is wrong per field."""
    if isinstance(error, Refused):
        return problem(error.status, error.code, str(error))
    if isinstance(error, DataError):
        return problem(422, "invalid", NOT_STORABLE)
    if isinstance(error, RequestDataTooBig):
        return problem(413, "too_large", "This is more than is read at once.")
    if isinstance(error, ValidationError):
        fields = error.message_dict if hasattr(error, "error_dict") else {"__all__": error.messages}
        return problem(422, "invalid", " ".join(error.messages), errors=fields)
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied(*error.args)
    response = exception_handler(error, context)
    if response is None:
        return None
    return _problem_of(cast(exceptions.APIException, error), response)


def _problem_of(error: exceptions.APIException, response: Response) -> Response:
    if isinstance(error, exceptions.ValidationError):
        answer = problem(400, "invalid", "Correct the fields listed.", errors=response.data)
    else:
        code = error.get_codes()
        answer = problem(
            response.status_code, code if isinstance(code, str) else "error", str(error.detail)
        )
    for name in ("WWW-Authenticate", "Retry-After"):
        if name in response:
            answer[name] = response[name]
    return answer


def server_error(request: HttpRequest) -> HttpResponse:
    """Show that something broke, to programs in the form of their API, without what it was."""
    if request.path.startswith("/v1/"):
        return openai_error(500, "server_error", "server_error", BROKE)
    if not request.path.startswith("/api/"):
        return defaults.server_error(request)
    answer = problem(500, "server_error", BROKE)
    return JsonResponse(answer.data, status=500, content_type=answer.content_type)


def openai_error(
    status: int, kind: str, code: str, message: str, **more: dict[str, str]
) -> JsonResponse:
    """Build the error object of the OpenAI API, by which its clients choose their exception."""
    error = {"message": message, "type": kind, "code": code, "param": None, **more}
    return JsonResponse({"error": error}, status=status)


class NothingThere(APIView):
    """What an address of the API that leads nowhere answers, by whatever method."""

    authentication_classes = ()
    permission_classes = ()
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise exceptions.NotFound("The API has no such address; GET /api/schema/ lists them.")
