"""The long poll: what the socket does, for browsers whose network lets no socket through.

Bare ASGI applications rather than views: a request that waits must not hold a thread, as it
would behind Django's synchronous middleware.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qs

from channels.db import aclose_old_connections
from django.db import Error

from dialogues.chat import frames
from dialogues.chat.windows import Window, opened
from dialogues.models import Conversation
from wowconsole.errors import Invalid, Refused, problem

logger = logging.getLogger(__name__)

LONGEST_WAIT = 25  # seconds; proxies cut a silent request after 30 to 60
EVENTS_AT_ONCE = 200
GATHERING_SECONDS = 0.05  # after the first news: what comes together goes together
LARGEST_BODY = 4 * frames.LARGEST_FRAME  # bytes

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Answer = tuple[int, dict[str, Any]]  # status, JSON
Read = TypeVar("Read")


class NoSession(Refused):
    code = "no_such_session"
    status = 404


class WrongMethod(Refused):
    code = "method_not_allowed"
    status = 405


class TooLarge(Refused):
    code = "too_large"
    status = 413


class Unavailable(Refused):
    code = "unavailable"
    status = 503


class Hangup(Exception):
    """The client is gone."""


async def events(scope: Scope, receive: Receive, send: Send) -> None:
    """`GET …/events/?after=SEQ&wait=25`: what is newer, or what comes within `wait` seconds.

    Passing events come with it, but the pieces of a reply being written do not: between two
    polls some would get lost. The whole message follows.
    """
    await _serve(scope, receive, send, "GET", _events)


async def take_frame(scope: Scope, receive: Receive, send: Send) -> None:
    """`POST …/frames/`: one frame, as the socket takes it; the answer is what a socket is told."""
    await _serve(scope, receive, send, "POST", _take_frame)


async def _serve(
    scope: Scope,
    receive: Receive,
    send: Send,
    method: str,
    answer: Callable[[Conversation, Scope, bytes], Awaitable[Answer]],
) -> None:
    """Let in by the session's token, answer, and stop when the client hangs up."""
    try:
        if scope["method"] != method:
            raise WrongMethod(f"Use {method}.")
        body = await _body(receive)
        conversation = await _unless_cut_off(partial(_session, scope))
        status, content = await _unless_gone(answer(conversation, scope, body), receive)
    except Refused as refused:
        content = problem(refused.status, refused.code, str(refused)).data
        await _send_json(send, refused.status, content, b"application/problem+json")
    except Hangup:
        return
    else:
        await _send_json(send, status, content, b"application/json")
    finally:
        await aclose_old_connections()


async def _unless_cut_off(read: Callable[[], Awaitable[Read]]) -> Read:
    """Read from the database, once more if it has cut our connection off, as its restart does.

    Raises:
        Unavailable: it is not back yet.
    """
    try:
        return await read()
    except Error:
        await aclose_old_connections()
    try:
        return await read()
    except Error:
        logger.warning("The database does not answer", exc_info=True)
        raise Unavailable("That did not work on our side. Try again.") from None


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Hangup
        body += bytes(message.get("body", b""))
        if len(body) > LARGEST_BODY:
            raise TooLarge("A frame is smaller.")
        if not message.get("more_body"):
            return body


async def _session(scope: Scope) -> Conversation:
    """Return the conversation whose token stands in Authorization."""
    header = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
    scheme, _, token = header.partition(" ")
    public_id = scope["url_route"]["kwargs"]["conversation_id"]
    conversation = await opened(public_id, token.strip())
    if scheme.lower() != "bearer" or conversation is None:
        raise NoSession("There is no such session, or its token is another.")
    return conversation


async def _unless_gone(work: Awaitable[Answer], receive: Receive) -> Answer:
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(receive())
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Hangup
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
        with suppress(asyncio.CancelledError):  # it leaves the conversation's group
            await asyncio.wait({task})


async def _send_json(send: Send, status: int, content: dict[str, Any], kind: bytes) -> None:
    headers = [
        (b"content-type", kind),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})


async def _events(conversation: Conversation, scope: Scope, body: bytes) -> Answer:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    until = time.monotonic() + min(_whole(query, "wait"), LONGEST_WAIT)
    return await _unless_cut_off(partial(_news, conversation, _whole(query, "after"), until))


async def _news(conversation: Conversation, after: int, until: float) -> Answer:
    window = Window(conversation, after)
    await window.listener.start()
    try:
        found = [event async for event in window.newer(EVENTS_AT_ONCE)]
        if not found and time.monotonic() < until:
            found = await _awaited(window, until)
        elif standing := await window.standing():  # who waits on has been told before
            found.append(standing)
    finally:
        await window.listener.stop()
    return 200, {"events": found, "after": window.listener.position}


async def _awaited(window: Window, until: float) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while not found and (left := until - time.monotonic()) > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(window.listener.rang(), left)
            await asyncio.sleep(GATHERING_SECONDS)
            found = [event async for event in window.news() if event["type"] != "delta"]
    return found


async def _take_frame(conversation: Conversation, scope: Scope, body: bytes) -> Answer:
    outcome = await frames.take(conversation, body.decode("utf-8", "replace"))
    return outcome.status, outcome.tell or {}


def _whole(query: dict[str, list[str]], name: str) -> int:
    text = query.get(name, ["0"])[0]
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Invalid(f"{name} is a whole number, 0 or more.")
    return int(text)
