"""A repeated POST acts once: `Idempotency-Key` on every POST of the API.

As in the IETF draft "The Idempotency-Key HTTP Header Field": the first request with a key is
carried out and its answer kept for a day; a repetition gets that answer, with
`Idempotency-Replayed: true`. Keys belong to the API key or the user that sends them; a caller
who is not signed in has none.
"""

import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from wowconsole.apikeys import ApiKeyAuthentication
from wowconsole.errors import problem
from wowconsole.models import IdempotentRequest

KEPT = timedelta(days=1)
LONGEST_KEY = 200  # characters
LARGEST_ANSWER = 1_000_000  # bytes; a larger one is not kept, and a repetition is refused


class IdempotencyMiddleware:
    """Stands around the API only; pages repeat nothing by themselves."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = request.headers.get("Idempotency-Key", "")
        if not key or request.method != "POST" or not request.path.startswith("/api/"):
            return self.get_response(request)
        caller = _caller(request)
        if caller is None:
            return self.get_response(request)
        if len(key) > LONGEST_KEY or not key.isprintable():
            return _refuse(422, "idempotency_key", f"A key has 1 to {LONGEST_KEY} characters.")
        return self._once(request, IdempotentRequest(caller=caller, key=key))

    def _once(self, request: HttpRequest, asked: IdempotentRequest) -> HttpResponse:
        asked.fingerprint = _fingerprint(request)
        try:
            with transaction.atomic():
                asked.save(force_insert=True)
        except IntegrityError:
            earlier = IdempotentRequest.objects.filter(caller=asked.caller, key=asked.key).first()
            return _again(earlier, asked) if earlier else self._once(request, asked)
        response = self.get_response(request)
        _keep(asked, response)
        return response


def forget_old() -> None:
    """Delete what is older than a day; from beat."""
    IdempotentRequest.objects.filter(at__lt=timezone.now() - KEPT).delete()


def _caller(request: HttpRequest) -> str | None:
    if "Authorization" in request.headers:
        try:
            signed_in = ApiKeyAuthentication().authenticate(Request(request))
        except AuthenticationFailed:
            return None  # the view says so
        return f"key {signed_in[1].pk}" if signed_in else None
    return f"user {request.user.pk}" if request.user.is_authenticated else None


def _fingerprint(request: HttpRequest) -> str:
    digest = hashlib.sha256(request.get_full_path().encode() + b"\0")
    if (request.content_type or "").startswith("multipart/"):
        for part in _parts(request):  # not the body: its boundaries differ each time
            digest.update(part)
    else:
        digest.update(request.body)
    return digest.hexdigest()


def _parts(request: HttpRequest) -> Iterator[bytes]:
    """Yield what an upload says: its fields, then its files piece by piece."""
    yield repr(sorted(request.POST.lists())).encode()
    for name, files in sorted(request.FILES.lists()):
        for file in files:
            yield repr((name, file.name, file.size)).encode()
            yield from file.chunks()
            file.seek(0)


def _again(earlier: IdempotentRequest, asked: IdempotentRequest) -> HttpResponse:
    if earlier.fingerprint != asked.fingerprint:
        detail = "This key was used for another request. Take a new key."
        return _refuse(422, "idempotency_key", detail)
    if earlier.status is None:
        detail = (
            "A request with this key is under way, or broke off. Look whether it took effect "
            "before you send it with a new key."
        )
        return _refuse(409, "idempotency_unfinished", detail)
    response = HttpResponse(
        bytes(earlier.body), status=earlier.status, content_type=earlier.content_type
    )
    response["Idempotency-Replayed"] = "true"
    return response


def _keep(asked: IdempotentRequest, response: HttpResponse) -> None:
    """Store the answer; a failure of ours, or of the limit, may be tried again with the key."""
    if response.status_code >= 500 or response.status_code == 429:
        asked.delete()
    elif not response.streaming and _may_be_kept(response):
        asked.status, asked.body = response.status_code, response.content
        asked.content_type = response.headers.get("Content-Type", "")
        asked.save(update_fields=["status", "body", "content_type"])


def _may_be_kept(response: HttpResponse) -> bool:
    secret = "no-store" in response.headers.get("Cache-Control", "")  # a key that is told once
    return not secret and len(response.content) <= LARGEST_ANSWER


def _refuse(status: int, code: str, detail: str) -> HttpResponse:
    answer = problem(status, code, detail)
    return JsonResponse(answer.data, status=status, content_type="application/problem+json")
