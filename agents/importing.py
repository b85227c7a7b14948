"""What people do to MCP servers: add them, take their tools over, approve changes."""

import re
from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.text import slugify

from agents import cataloguing, mcp_calling, schemas, vetting
from agents.mcp_client import Definition
from agents.models import MCPServer, Tool, ToolKind
from agents.recording import digest
from wowconsole.errors import Invalid, Refused

KEY_ARGUMENTS = ("idempotency_key", "idempotencyKey")
SERVER_FIELDS = ("url", "token_setting", "timeout_seconds", "is_active")


class NotOffered(Refused):
    code = "not_offered"


class OfferChanged(Refused):
    code = "offer_changed"


@transaction.atomic
def save_server(*, server: MCPServer, by: User) -> MCPServer:
    """Save a new or changed server. Another address holds its tools back until approved.

    Raises:
        ValidationError: a field is wrong.
    """
    vetting.check_server(server)
    server.changed_by = by
    server.full_clean(exclude={"listing", "listed_at"})
    is_new = server.pk is None
    server.save(update_fields=None if is_new else [*SERVER_FIELDS, "changed_by"])
    return server


@transaction.atomic
def switch_server(*, server: MCPServer, on: bool, by: User) -> MCPServer:
    """Let agents call a server's tools, or none of them. Off goes always, whatever it is.

    Raises:
        ValidationError: switched on, and something about it is wrong by now.
    """
    server = MCPServer.objects.select_for_update().get(pk=server.pk)
    server.is_active = on
    if on:
        return save_server(server=server, by=by)
    server.changed_by = by
    server.save(update_fields=["is_active", "changed_by"])
    return server


@transaction.atomic
def import_tools(
    *, server: MCPServer, names: Iterable[str], by: User, personal: bool = True
) -> list[Tool]:
    """Take tools that a server offers into the catalogue, as it describes them now.

    `personal`: they read or change what belongs to one customer.

    Raises:
        NotOffered: the last listing does not have the name.
        Invalid: a tool's schema can't be used.
    """
    offers = {offer["name"]: offer for offer in server.listing}
    known = set(server.tools.values_list("remote_name", flat=True))
    tools = []
    for name in names:
        if name not in offers:
            raise NotOffered(f"{server} does not offer {name}.")
        if name not in known:
            tool = Tool(
                kind=ToolKind.MCP,
                name=_free_name(server, name),
                server=server,
                remote_name=name,
                personal=personal,
                timeout_seconds=server.timeout_seconds,
            )
            note = f"Taken over from {server}"
            tools.append(_adopt(tool, server, offers[name], by=by, note=note))
    return tools


@transaction.atomic
def approve(*, tool: Tool, shown: str, by: User) -> Tool:
    """Approve what the server offers now in place of what was approved before.

    `shown` is the `offer_id` of what the person has read.

    Raises:
        NotOffered: the server offers nothing under the name, or the tool isn't held back.
        OfferChanged: the server offers something else by now.
        Invalid: the schema can't be used.
    """
    tool = Tool.objects.select_for_update().get(pk=tool.pk)
    offered = tool.offered
    if tool.server is None or tool.held_at is None or offered is None:
        raise NotOffered(f"There is nothing to approve of {tool}.")
    if offer_id(offered) != shown:
        raise OfferChanged(f"{tool.server} has changed {tool} again. Look at it once more.")
    note = f"Approved what {tool.server} offers now"
    return _adopt(tool, tool.server, offered, by=by, note=note)


def offer_id(offered: Definition) -> str:
    return digest(offered)


def _adopt(tool: Tool, server: MCPServer, offered: Definition, *, by: User, note: str) -> Tool:
    earlier = _description(tool.approved) if tool.approved else ""
    if tool.description in {"", earlier}:  # a person's own words stay
        tool.description = _description(offered)
    tool.parameters, tool.key_argument = _parameters(tool, offered)
    tool.confirmation = tool.confirmation or _question(offered)
    tool.approved, tool.pin = offered, mcp_calling.pin(server, offered)
    tool.held_at, tool.offered = None, None
    if tool.pk:
        tool.save(update_fields=["approved", "pin", "held_at", "offered"])
    return cataloguing.save_tool(tool=tool, by=by, note=note)


def _description(offered: Definition) -> str:
    """Return the beginning of what the server says, to a sentence's end where one fits."""
    words = re.sub(r"\s+", " ", offered.get("description") or offered["name"]).strip()
    if len(words) <= 200:
        return words
    return words[:200].rpartition(". ")[0] or words[:199] + "…"


def _parameters(tool: Tool, offered: Definition) -> tuple[dict[str, Any], str]:
    """Return the schema that agents see, and the argument that takes the key instead."""
    try:
        schema = schemas.prepared(offered.get("inputSchema", {}))
    except schemas.BadSchema as error:
        raise Invalid(f"{tool.name} can't be used: {error}") from None
    properties = schema.get("properties", {})
    key = next((name for name in KEY_ARGUMENTS if name in properties), "")
    if not key:
        return schema, ""
    rest = {name: value for name, value in properties.items() if name != key}
    required = [name for name in schema.get("required", []) if name != key]
    return {**schema, "properties": rest, "required": required}, key


def _question(offered: Definition) -> str:
    """Ask before whatever the server does not call read-only; a person may word it better.

    Whatever is sent is added to it when it is asked.
    """
    annotations = offered.get("annotations") or {}
    if annotations.get("readOnlyHint") is True:
        return ""
    title = offered.get("title") or annotations.get("title") or offered["name"].replace("_", " ")
    title = re.sub(r"[{}\s]+", " ", title).strip()
    return f"Shall I do this, {title[:150]}?"


def _free_name(server: MCPServer, name: str) -> str:
    plain = slugify(name.replace(".", "_").replace("/", "_"))[:40] or "tool"
    for candidate in (plain, f"{server.name}_{plain}"[:40]):
        if candidate not in vetting.TAKEN and not Tool.objects.filter(name=candidate).exists():
            return candidate
    raise Invalid(f"There are tools called {plain} already.")
