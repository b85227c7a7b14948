"""Calling tools of MCP servers, as long as they are what a person approved.

A server may change what a tool says of itself after it was approved ("rug pull"). The
approved definition is pinned: signed together with the server's address by this console's
secret key, and compared with what the server offers before each call. What differs is
held back, and no agent is told of it, until a person has seen the difference and approved.
"""

import json
from typing import Any

from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from agents import mcp_client
from agents.mcp_client import Definition, Endpoint
from agents.models import MCPServer, Tool
from agents.recording import canonical


def pin(server: MCPServer, definition: Definition) -> str:
    """Sign a definition together with the address of the server that offers it."""
    signed = canonical([server.url, definition])
    return salted_hmac("agents.mcp_calling", signed, algorithm="sha256").hexdigest()


def is_pinned(tool: Tool, server: MCPServer) -> bool:
    return tool.approved is not None and constant_time_compare(tool.pin, pin(server, tool.approved))


def endpoint(server: MCPServer, timeout_seconds: int | None = None) -> Endpoint:
    return Endpoint(server.url, server.token_setting, timeout_seconds or server.timeout_seconds)


async def call_on_server(
    tool: Tool, arguments: dict[str, Any], *, key: str, customer: str = ""
) -> dict[str, Any]:
    """Call a tool of an MCP server, if the server still offers what was approved.

    Raises:
        ServerUnavailable: it does not answer.
        ForbiddenAddress: tools, or the server's token, may not go there.
    """
    # Read anew: what was approved, and what is switched off, may have changed since.
    live = await Tool.objects.select_related("server").aget(pk=tool.pk)
    server = live.server
    if server is None or not server.is_active:
        return _switched_off(tool)
    if live.held_at or not is_pinned(live, server):
        await hold(live, live.offered)
        return _held(tool)
    try:
        async with mcp_client.connected(endpoint(server, tool.timeout_seconds)) as client:
            offered = (await mcp_client.listed(client)).get(tool.remote_name)
            if offered != live.approved:
                await hold(live, offered)
                return _held(tool)
            sent = {**arguments, tool.key_argument: key} if tool.key_argument else arguments
            name = tool.remote_name
            data = await mcp_client.call(client, name, sent, key=key, customer=customer)
    except mcp_client.AnswerTooLarge:
        return {"error": "the answer is too large"}
    return _bounded(tool, data)


def was_made(tool: Tool, data: dict[str, Any]) -> bool:
    """Say whether this came of a call, rather than of ours not to make it."""
    return data not in (_switched_off(tool), _held(tool))


def _switched_off(tool: Tool) -> dict[str, Any]:
    return {"error": f"{tool.name} is switched off"}


def _held(tool: Tool) -> dict[str, Any]:
    return {"error": f"{tool.name} is held back: its server changed it"}


def _bounded(tool: Tool, data: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(data, ensure_ascii=False).encode()) > tool.largest_answer:
        return {"error": "the answer is too large"}
    return data


async def hold(tool: Tool, offered: Definition | None) -> None:
    """Hold a tool back, with what its server offers now; None: nothing under that name."""
    rows = Tool.objects.filter(pk=tool.pk)
    await rows.filter(held_at__isnull=True).aupdate(held_at=timezone.now())
    await rows.aupdate(offered=offered)
