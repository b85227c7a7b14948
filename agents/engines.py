"""The one way to a language model: any server that speaks the OpenAI API.

The embedded engine, vLLM, SGLang or a hosted API stand behind ENGINE_URL. Adapters are
loaded on first use by the calls that vLLM and the embedded engine share.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakKeyDictionary

import httpx2
from django.conf import settings
from openai import APIError, APIStatusError, AsyncOpenAI, AsyncStream, NotFoundError

from agents import breaking
from agents.cleaning import storable
from agents.models import ModelVersion
from agents.prompting import Message

LONGEST_OUTPUT = 320  # tokens of one dialogue action
BUSY = (408, 409, 429)  # statuses by which a server says: later


class EngineUnavailable(Exception):
    """The engine can't be reached, is too slow, or answered with an error."""


class EngineRefused(EngineUnavailable):
    """The engine lives, but does not take this request: another one may succeed."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer of the engine, and what it cost."""

    text: str
    engine_ms: float
    first_token_ms: float
    prompt_tokens: int
    completion_tokens: int
    was_cut: bool = False  # it reached the most tokens that one answer may have


# A client's connections belong to the event loop that opened them.
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = WeakKeyDictionary()


def _client() -> AsyncOpenAI:
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = AsyncOpenAI(
            base_url=settings.ENGINE_URL,
            api_key=settings.ENGINE_API_KEY,
            timeout=settings.ENGINE_TIMEOUT_SECONDS,
            max_retries=1,
        )
    return _clients[loop]


async def stream(
    version: ModelVersion, messages: Sequence[Message], schema: dict[str, Any] | None
) -> AsyncGenerator[str | Completion]:
    """Yield pieces of text as they come, then one Completion.

    Raises:
        EngineUnavailable: no answer, or not a whole one.
    """
    started = time.perf_counter()
    pieces: list[str] = []
    first_token_ms = 0.0
    usage: Any = None
    was_cut = False
    try:
        async with await _open(version, messages, schema) as chunks:  # closed when cut short
            async for chunk in chunks:
                usage = chunk.usage or usage
                was_cut |= any(choice.finish_reason == "length" for choice in chunk.choices)
                piece = chunk.choices[0].delta.content if chunk.choices else None
                if piece := storable(piece):
                    first_token_ms = first_token_ms or _milliseconds_since(started)
                    pieces.append(piece)
                    yield piece
    except APIStatusError as error:
        refused = error.status_code < 500 and error.status_code not in BUSY
        raise (EngineRefused if refused else EngineUnavailable)(str(error)) from error
    except (APIError, httpx2.HTTPError, ValueError) as error:  # ValueError: chunks are not JSON
        raise EngineUnavailable(str(error)) from error
    yield Completion(
        text="".join(pieces),
        engine_ms=_milliseconds_since(started),
        first_token_ms=first_token_ms,
        prompt_tokens=usage.prompt_tokens if usage else 0,
        completion_tokens=usage.completion_tokens if usage else 0,
        was_cut=was_cut,
    )


async def _open(
    version: ModelVersion, messages: Sequence[Message], schema: dict[str, Any] | None
) -> AsyncStream[Any]:
    try:
        return await _request(version, messages, schema)
    except NotFoundError:  # an adapter that this engine process has not loaded yet
        await load(version)
        return await _request(version, messages, schema)


async def _request(
    version: ModelVersion, messages: Sequence[Message], schema: dict[str, Any] | None
) -> AsyncStream[Any]:
    extra: dict[str, Any] = {}
    if schema is not None:
        wrapped = {"name": "dialogue_action", "schema": schema, "strict": True}
        extra["response_format"] = {"type": "json_schema", "json_schema": wrapped}
    answer = await _client().chat.completions.create(
        model=version.name,
        messages=cast(Any, list(messages)),
        temperature=0,
        max_tokens=LONGEST_OUTPUT,
        stream=True,
        stream_options={"include_usage": True},
        **extra,
    )
    return cast(AsyncStream[Any], answer)


def _milliseconds_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)


async def load(version: ModelVersion) -> None:
    """Make the engine serve an adapter under its name. Loading it twice changes nothing.

    Raises:
        EngineUnavailable: the engine refuses it, or has no such call.
    """
    if not version.folder:
        raise EngineUnavailable(f"The engine does not serve {version.name}.")
    body = {"lora_name": version.name, "lora_path": version.folder}
    headers = {"Authorization": f"Bearer {settings.ENGINE_API_KEY}"}
    try:
        async with httpx2.AsyncClient(timeout=settings.ENGINE_TIMEOUT_SECONDS) as client:
            url = f"{settings.ENGINE_URL}/load_lora_adapter"
            answer = await client.post(url, json=body, headers=headers)
    except httpx2.HTTPError as error:
        raise EngineUnavailable(f"The engine is not reachable: {error}") from error
    if answer.is_error:
        raise EngineUnavailable(f"The engine can't load {version.name}: {answer.text[:300]}")


async def close() -> None:
    """Close this event loop's connections; for whoever ends the loop after a few calls."""
    await breaking.close()
    if client := _clients.pop(asyncio.get_running_loop(), None):
        await client.close()


def complete_text(
    version: ModelVersion, messages: Sequence[Message], schema: dict[str, Any] | None
) -> str:
    """Return a whole answer; for workers and commands, not for an event loop.

    Raises:
        EngineUnavailable: no answer.
    """

    async def whole() -> str:
        text = ""
        try:
            async for piece in stream(version, messages, schema):
                if isinstance(piece, Completion):
                    text = piece.text
        finally:
            await close()
        return text

    return asyncio.run(whole())
