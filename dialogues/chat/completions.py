"""`/v1/chat/completions`: the deployed agent behind the OpenAI API, whole or streamed.

`model` is the name of a release, or "live". Each request becomes a conversation of its own, or
goes on with the one that it names: what programs are told is stored, judged and learnt from like
any chat. Keys need the scope dialogues.reply. Reference: the OpenAI API's completion objects.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from agents.models import Release, live_release
from agents.prompting import Line
from dialogues import answering
from dialogues.appending import ConversationClosed
from dialogues.chat import programs
from dialogues.chat.completion_requests import SPEAKERS, CompletionRequest
from dialogues.chat.frames import LONGEST_CLIENT_ID
from dialogues.models import Channel, Conversation, Turn, TurnStatus
from knowledge.models import Scene
from wowconsole.apikeys import ApiKeyAuthentication
from wowconsole.errors import Invalid, Refused, openai_error
from wowconsole.roles import can

SCOPE = "dialogues.reply"
LIVE = "live"
LARGEST_REQUEST = 262_144  # bytes


class NotAllowed(Refused):
    code = "invalid_api_key"
    status = 401


class NoSuchModel(Refused):
    code = "model_not_found"
    status = 404


class NoSuchConversation(Refused):
    code = "conversation_not_found"
    status = 404


@dataclass(slots=True)
class Answering:
    """A turn under way; `heard` gets the pieces of its reply, then None."""

    turn: Turn
    model: str
    heard: asyncio.Queue[str | None]
    tells_usage: bool  # after a stream


@csrf_exempt  # a key is no cookie
@require_POST
async def chat_completions(request: HttpRequest) -> HttpResponseBase:
    try:
        by = await sync_to_async(_holder)(request)
        asked = await sync_to_async(_read)(request)
        key = request.headers.get("Idempotency-Key", "")
        turn = await sync_to_async(_begin)(asked, by, key)
    except Refused as refused:
        return _error(refused)
    tells_usage = (asked.get("stream_options") or {}).get("include_usage") is True
    work = Answering(turn, asked["model"], asyncio.Queue(), tells_usage)
    if asked["stream"]:
        response = StreamingHttpResponse(_stream(work), content_type="text/event-stream")
        response["Cache-Control"] = "no-store"
        return response
    await _answer(work)
    try:
        return JsonResponse(await sync_to_async(_completion)(work))
    except Refused as refused:
        return _error(refused)


@csrf_exempt
@require_GET
def model_list(request: HttpRequest) -> HttpResponse:
    try:
        _holder(request)
    except Refused as refused:
        return _error(refused)
    names = [LIVE, *Release.objects.values_list("name", flat=True)]
    return JsonResponse({"object": "list", "data": [_model(name) for name in names]})


@csrf_exempt
@require_GET
def model_detail(request: HttpRequest, name: str) -> HttpResponse:
    try:
        _holder(request)
        if name != LIVE and not Release.objects.filter(name=name).exists():
            raise _no_such_model(name)
    except Refused as refused:
        return _error(refused)
    return JsonResponse(_model(name))


def _model(name: str) -> dict[str, str]:
    return {"id": name, "object": "model", "owned_by": "wowconsole"}


def _no_such_model(name: str) -> NoSuchModel:
    return NoSuchModel(f"No release is called {name}; GET /v1/models lists them.")


def _holder(request: HttpRequest) -> User:
    """Return for whom the key acts.

    Raises:
        NotAllowed: there is no key, or it is none for this.
    """
    try:
        signed_in = ApiKeyAuthentication().authenticate(Request(request))
    except AuthenticationFailed as error:
        raise NotAllowed(str(error.detail)) from None
    if signed_in is None or SCOPE not in signed_in[1].scopes or not can(signed_in[0], SCOPE):
        raise NotAllowed(f"Send an API key with the scope {SCOPE} as the bearer token.")
    return signed_in[0]


def _read(request: HttpRequest) -> dict[str, Any]:
    if int(request.headers.get("Content-Length") or 0) > LARGEST_REQUEST:
        raise Invalid(f"A request has at most {LARGEST_REQUEST:,} bytes.")
    try:
        data = json.loads(request.body)
    except (ValueError, RecursionError):
        raise Invalid("The body is not JSON.") from None
    asked = CompletionRequest(data=data)
    if not asked.is_valid():
        raise Invalid(json.dumps(asked.errors, ensure_ascii=False))
    return dict(asked.validated_data)


def _begin(asked: dict[str, Any], by: User, key: str) -> Turn:
    if len(key) > LONGEST_CLIENT_ID:
        raise Invalid(f"An Idempotency-Key has at most {LONGEST_CLIENT_ID} characters here.")
    metadata = asked["metadata"] or {}
    if named := metadata.get("conversation"):
        turn = _go_on(_named(named, by), asked, key)
    else:
        turn = _open(asked, metadata.get("scene"), by, key)
    return answering.with_parts(turn.pk)


def _named(public_id: str, by: User) -> Conversation:
    """Return the conversation, open or ended, that a program of this user has begun.

    Raises:
        NoSuchConversation: it is none of theirs.
    """
    theirs = Conversation.objects.visible_to(by).select_related("release")
    try:
        return theirs.get(opened_by=by, channel=Channel.API, public_id=public_id)
    except (Conversation.DoesNotExist, ValidationError):
        raise _none_open(public_id) from None


def _none_open(public_id: object) -> NoSuchConversation:
    return NoSuchConversation(f"You have no open conversation {public_id}.")


def _go_on(conversation: Conversation, asked: dict[str, Any], key: str) -> Turn:
    """Say the last message alone: the conversation remembers the others."""
    release = conversation.release
    if release and asked["model"] not in (LIVE, release.name):
        raise Invalid(f"{release.name} answers in this conversation to its end.")
    text = asked["messages"][-1]["content"]
    try:
        return programs.go_on(conversation=conversation, text=text, key=key or uuid4().hex)
    except ConversationClosed:
        raise _none_open(conversation.public_id) from None


def _open(asked: dict[str, Any], slug: str | None, by: User, key: str) -> Turn:
    name = asked["model"]
    scene = Scene.objects.visible_to(by).filter(slug=slug).first() if slug else None
    if slug and scene is None:
        raise Invalid(f"There is no scene {slug}.")
    named = Release.objects.filter(name=name)
    release = live_release(scene) if name == LIVE else named.first()
    if release is None:
        raise _no_such_model(name)
    lines = [Line(SPEAKERS[entry["role"]], entry["content"]) for entry in asked["messages"]]
    return programs.begin(
        release=release, scene=scene, customer=asked["user"] or "", lines=lines, by=by, key=key
    )


async def _stream(work: Answering) -> AsyncIterator[str]:
    """Yield server-sent events; a client that goes away takes nothing back: the turn ends."""
    task = answering.in_background(_answer(work))
    yield _chunk(work, {"role": "assistant", "content": ""})
    said = ""
    while (text := await work.heard.get()) is not None:
        said += text
        yield _chunk(work, {"content": text})
    await task
    try:
        whole = await sync_to_async(_completion)(work)
    except Refused as refused:  # the status is sent already
        yield f"data: {_error(refused).content.decode()}\n\ndata: [DONE]\n\n"
        return
    reply = whole["choices"][0]["message"]["content"]
    if reply != said:  # what was streamed was withdrawn: the stored reply follows it
        rest = reply.removeprefix(said) if said and reply.startswith(said) else f"\n\n{reply}"
        yield _chunk(work, {"content": rest if said else reply})
    yield _chunk(work, {}, finish_reason="stop", wowconsole=whole["wowconsole"])
    if work.tells_usage:
        yield _event(work, {"choices": [], "usage": whole["usage"]})
    yield "data: [DONE]\n\n"


async def _answer(work: Answering) -> None:
    try:
        if work.turn.status == TurnStatus.RUNNING:  # else it was answered before
            await answering.answer_turn(work.turn, hear=partial(_hear, work))
    finally:
        work.heard.put_nowait(None)


def _hear(work: Answering, text: str) -> None:
    if work.turn.status == TurnStatus.RUNNING:  # else a person has come first
        work.heard.put_nowait(text)


def _chunk(
    work: Answering, delta: dict[str, str], finish_reason: str | None = None, **more: Any
) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _event(work, {"choices": [choice], **more})


def _event(work: Answering, body: dict[str, Any]) -> str:
    body = _head(work) | {"object": "chat.completion.chunk"} | body
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


def _head(work: Answering) -> dict[str, Any]:
    created = int(work.turn.created_at.timestamp())
    return {"id": f"chatcmpl-{work.turn.public_id.hex}", "created": created, "model": work.model}


def _completion(work: Answering) -> dict[str, Any]:
    """Return the OpenAI object; what only this console knows stands under `wowconsole`.

    Raises:
        PersonAnswers, ConversationClosed, AnswerUnderWay: the agent has said nothing.
    """
    turn = Turn.objects.select_related("conversation").get(pk=work.turn.pk)
    spoken = turn.events.filter(kind="message").last()
    if spoken is None:
        raise programs.why_silent(turn.conversation)
    message = {"role": "assistant", "content": spoken.text}
    prompt = sum(step["prompt_tokens"] for step in turn.steps)
    completion = sum(step["completion_tokens"] for step in turn.steps)
    return _head(work) | {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
        "wowconsole": {
            "conversation": str(turn.conversation.public_id),
            "turn": str(turn.public_id),
            "action": turn.output.get("action"),
            "citations": spoken.data["citations"],
        },
    }


def _error(refused: Refused) -> JsonResponse:
    kind = "authentication_error" if refused.status == 401 else "invalid_request_error"
    status = 400 if refused.status == 422 else refused.status
    named = {}
    if isinstance(refused, programs.PersonAnswers):
        named["wowconsole"] = {"conversation": refused.conversation}
    answer = openai_error(status, kind, refused.code, str(refused), **named)
    # The clients of OpenAI repeat what is answered 409, and without a key they would say it twice.
    if status == 409 and not isinstance(refused, programs.AnswerUnderWay):
        answer["x-should-retry"] = "false"
    return answer
