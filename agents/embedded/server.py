"""The engine's HTTP: OpenAI's chat completions, and vLLM's calls to load and unload adapters."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from agents.embedded.pool import Native, Pool, Refused

logger = logging.getLogger(__name__)

# A long prompt is silent until its first token, so reading has no limit of its own.
TIMEOUT = httpx.Timeout(None, connect=5.0)
ERROR_TYPES = {400: "invalid_request_error", 403: "permission_error", 404: "not_found_error"}

Body = dict[str, Any]  # Any: JSON of OpenAI's API, passed through


def create_app(pool: Pool, preload: dict[str, Path]) -> Starlette:
    """Return the ASGI app. `preload` adapters (name → PEFT folder) are loaded at start."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=TIMEOUT, limits=httpx.Limits()) as client:
            app.state.client = client
            try:
                await warm_up(pool, preload)
                yield
            finally:
                await pool.close()

    routes = [
        Route("/health", health),
        Route("/v1/models", list_models),
        Route("/v1/chat/completions", ChatCompletions(), methods=["POST"]),
        Route("/v1/load_lora_adapter", load_lora_adapter, methods=["POST"]),
        Route("/v1/unload_lora_adapter", unload_lora_adapter, methods=["POST"]),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={Refused: show_refusal})
    app.state.pool = pool
    return app


async def warm_up(pool: Pool, preload: dict[str, Path]) -> None:
    """Load the adapters to start with, and one model, so that the first request is quick.

    A broken adapter is logged and left out; a base model that doesn't load ends the start.
    """
    for name, directory in preload.items():
        try:
            await pool.load_adapter(name, str(directory))
        except Refused as refusal:
            logger.error("adapter %s is left out: %s", name, refusal.message)
    async with pool.lease(pool.names[-1]):
        logger.info("serving %s", ", ".join(pool.names))


async def health(request: Request) -> Response:
    pool: Pool = request.app.state.pool
    return JSONResponse({"status": "ok", "models": pool.names, "resident": list(pool.resident)})


async def list_models(request: Request) -> Response:
    pool: Pool = request.app.state.pool
    base = pool.places.base_name
    models = [
        {
            "id": name,
            "object": "model",
            "owned_by": "local",
            "parent": base if name != base else None,
        }
        for name in pool.names
    ]
    return JSONResponse({"object": "list", "data": models})


async def load_lora_adapter(request: Request) -> Response:
    """Load or swap an adapter; doing it twice is one. Takes lora_name and lora_path."""
    body = await read_body(request)
    name, path = text_of(body, "lora_name"), text_of(body, "lora_path")
    changed = await request.app.state.pool.load_adapter(name, path)
    done = "added successfully" if changed else "is loaded already"
    return PlainTextResponse(f"Success: LoRA adapter '{name}' {done}.")


async def unload_lora_adapter(request: Request) -> Response:
    name = text_of(await read_body(request), "lora_name")
    request.app.state.pool.unload_adapter(name)
    return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")


class ChatCompletions:
    """An ASGI app, not a view: the model stays leased until the last byte is sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = prepared(await read_body(request))
        async with request.app.state.pool.lease(text_of(body, "model")) as native:
            await until_disconnected(receive, lambda: self._answer(request, native, body, send))

    async def _answer(self, request: Request, native: Native, body: Body, send: Send) -> None:
        async with AsyncExitStack() as stack:
            try:
                upstream = await stack.enter_async_context(open_upstream(request, native, body))
                response = await respond(upstream)
            except httpx.HTTPError as error:
                raise Refused(503, "engine_failed", "The model stopped; try again.") from error
            await response(request.scope, never, send)


def prepared(body: Body) -> Body:
    """Add the engine's defaults to a request: reuse cached prefixes, report usage at the end."""
    defaults: Body = {"cache_prompt": True}
    if body.get("stream"):
        defaults["stream_options"] = {"include_usage": True}
    return {**defaults, **body}


def open_upstream(
    request: Request, native: Native, body: Body
) -> AbstractAsyncContextManager[httpx.Response]:
    client: httpx.AsyncClient = request.app.state.client
    return client.stream(
        "POST",
        f"{native.address}/v1/chat/completions",
        json=body,
        headers={"Authorization": f"Bearer {native.key}"},
    )


async def respond(upstream: httpx.Response) -> Response:
    """Answer as the native server did: its events as they come, or its JSON at once."""
    if upstream.headers.get("content-type", "").startswith("text/event-stream"):
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        return StreamingResponse(events(upstream), media_type="text/event-stream", headers=headers)
    content = await upstream.aread()
    return Response(content, upstream.status_code, media_type="application/json")


async def events(upstream: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the native server's events; if it dies, end with an error event."""
    try:
        async for chunk in upstream.aiter_raw():
            yield chunk
    except httpx.HTTPError:
        error = error_body(503, "engine_failed", "The model stopped; try again.")
        yield f"data: {json.dumps(error)}\n\n".encode()


async def until_disconnected(receive: Receive, work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` to its end, or cancel it when the client goes: generation stops with it."""
    working = asyncio.ensure_future(work())
    watching = asyncio.ensure_future(disconnected(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watching.cancel()
        if not working.done():
            working.cancel()
        await asyncio.gather(watching, working, return_exceptions=True)
    if not working.cancelled():
        working.result()


async def disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def never() -> Any:
    """Stand in for `receive`: until_disconnected alone listens for the client."""
    await asyncio.Event().wait()


async def read_body(request: Request) -> Body:
    try:
        body = await request.json()
    except (ValueError, UnicodeDecodeError) as error:
        raise Refused(400, "invalid_json", "The body is not JSON.") from error
    if not isinstance(body, dict):
        raise Refused(400, "invalid_json", "The body must be a JSON object.")
    return body


def text_of(body: Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(400, "missing_parameter", f"{name} must be a text.")
    return value


async def show_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101 - registered for Refused only
    return JSONResponse(error_body(error.status, error.code, error.message), error.status)


def error_body(status: int, code: str, message: str) -> Body:
    """Return an error as OpenAI's clients expect it."""
    kind = ERROR_TYPES.get(status, "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
