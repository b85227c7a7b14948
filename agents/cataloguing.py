"""What people do to the tool catalogue: save a tool, try it, keep a call as a fixture."""

import uuid
from collections.abc import Iterable
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from agents import vetting
from agents.calling import call_tool, fill_url
from agents.models import Tool, ToolCall, ToolFixture, ToolKind, ToolRevision
from agents.models.tools import DEFINITION
from agents.recording import digest
from knowledge.models import Scene
from wowconsole.errors import Refused
from wowconsole.roles import sees_every_scene

OPERATION = (
    *("token_setting", "timeout_seconds", "confirmation", "confirmation_zh", "occasions"),
    *("result_template", "result_template_zh", "personal"),
    *("largest_answer", "cost_per_call", "is_active", "uses_fixtures"),
)
WHOSE_SCENES = "Only who sees every scene puts a tool into all of them, or takes it out of them."
LARGEST_FIXTURE = 65_536  # characters of arguments and result


class ToolChanged(Refused):
    code = "tool_changed"


class NotConfirmed(Refused):
    code = "not_confirmed"


@transaction.atomic
def save_tool(
    *,
    tool: Tool,
    scenes: Iterable[Scene] | None = None,
    by: User | None,
    based_on: int | None = None,
    note: str = "",
) -> Tool:
    """Save a new or changed tool, and what it is now as a revision.

    `scenes`: None leaves them; else those that `by` doesn't see stay besides. `by`: None is the
    console itself; `based_on` is the revision that the change was made from.

    Raises:
        ValidationError: a field is wrong, or `by` doesn't see all scenes that it is about.
        ToolChanged: somebody else has saved it since `based_on`.
    """
    is_new = tool.pk is None
    if not is_new:
        _lock(tool, based_on)
    vetting.check_tool(tool)
    tool.full_clean()
    # What a server's listing changes meanwhile is not this edit's business.
    tool.save(update_fields=None if is_new else (*DEFINITION, *OPERATION))
    if scenes is not None:
        tool.scenes.set(_allowed_scenes(tool, set(scenes), by, is_new))
    return _note_revision(tool, by=by, note=note)


def _allowed_scenes(tool: Tool, wanted: set[Scene], by: User | None, is_new: bool) -> set[Scene]:
    """Return the scenes wanted, and those of the tool that `by` does not see.

    A tool without scenes is one of every scene: who does not see them all turns no tool of some
    scenes into one of all, nor the other way round.
    """
    if by is None or sees_every_scene(by):
        return wanted
    before = set(tool.scenes.all())
    allowed = wanted | before - set(Scene.objects.visible_to(by))
    if not is_new and bool(allowed) != bool(before):
        raise ValidationError({"scenes": WHOSE_SCENES})
    return allowed


def _lock(tool: Tool, based_on: int | None) -> None:
    stored = Tool.objects.select_for_update().get(pk=tool.pk)
    if based_on is not None and stored.revision != based_on:
        raise ToolChanged(f"{tool} was changed meanwhile. Open it again and repeat your change.")
    if (stored.name, stored.kind) != (tool.name, tool.kind):
        raise ValidationError("Name and kind of a tool never change: make a new tool.")


def _note_revision(tool: Tool, *, by: User | None, note: str) -> Tool:
    data = snapshot(tool)
    newest = tool.revisions.first()
    if newest is None or newest.data != data:
        highest = tool.revisions.aggregate(highest=Max("number"))["highest"] or 0
        tool.revisions.create(number=highest + 1, data=data, note=note[:200], by=by)
        tool.revision = highest + 1
        tool.save(update_fields=["revision"])
    return tool


def snapshot(tool: Tool) -> dict[str, Any]:
    """Return what a revision keeps of a tool."""
    data = {name: getattr(tool, name) for name in (*DEFINITION, *OPERATION)}
    data["cost_per_call"] = str(tool.cost_per_call.normalize() + 0)
    data["server"] = tool.server.name if tool.server else ""
    data["approved"] = tool.approved
    data["scenes"] = sorted(tool.scenes.values_list("slug", flat=True))
    return data


@transaction.atomic
def switch_tool(
    *, tool: Tool, on: bool, by: User, based_on: int | None = None, note: str = ""
) -> Tool:
    """Switch a tool on or off, for every release at once. Off goes always, whatever it is.

    Raises:
        ValidationError: switched on, and something about it is wrong by now.
        ToolChanged: somebody else has saved it since `based_on`.
    """
    tool = Tool.objects.select_for_update().get(pk=tool.pk)
    tool.is_active = on
    if on:
        return save_tool(tool=tool, by=by, based_on=based_on, note=note or "Switched on")
    _lock(tool, based_on)
    tool.save(update_fields=["is_active"])
    return _note_revision(tool, by=by, note=note or "Switched off")


def try_tool(*, tool: Tool, arguments: dict[str, Any], by: User, sure: bool = False) -> ToolCall:
    """Call a tool as an agent would for an identified customer, and keep what came of it.

    Raises:
        NotConfirmed: it may not be undone, and nobody said that it shall be called.
    """
    if tool.is_irreversible and not tool.uses_fixtures and not sure:
        raise NotConfirmed(f"{tool} does what can't be undone. Say that it shall be called.")
    key = f"test-{uuid.uuid4()}"
    answered = async_to_sync(call_tool)(tool, arguments, key=key, identified=True)
    return ToolCall.objects.create(
        tool=tool,
        revision=tool.revision,
        request={
            "to": _where(tool, arguments),
            "method": tool.method,
            "arguments": arguments,
            "key": key,
        },
        result=answered.data,
        status=answered.status,
        milliseconds=answered.milliseconds,
        by=by,
    )


def _where(tool: Tool, arguments: dict[str, Any]) -> str:
    """Say where a call goes: the address with its arguments, where they fit into it."""
    if tool.uses_fixtures:
        return "fixtures"
    if tool.kind == ToolKind.MCP and tool.server:
        return f"{tool.remote_name} at {tool.server.url}"
    if tool.kind == ToolKind.SUBAGENT:
        return "a job"
    try:
        return fill_url(tool.url, arguments)
    except ValueError:
        return tool.url


def record_fixture(*, call: ToolCall, by: User) -> ToolFixture:
    """Keep a test call: a tool that uses fixtures answers these arguments so."""
    arguments = call.request["arguments"]
    return write_fixture(tool=call.tool, arguments=arguments, result=call.result, by=by, call=call)


@transaction.atomic
def write_fixture(
    *,
    tool: Tool,
    arguments: dict[str, Any],
    result: dict[str, Any],
    by: User,
    call: ToolCall | None = None,
) -> ToolFixture:
    """Write what a tool answers to exactly these arguments; an earlier answer gives way.

    Raises:
        ValidationError: it is too large.
    """
    if len(str(arguments)) + len(str(result)) > LARGEST_FIXTURE:
        raise ValidationError(f"A fixture has at most {LARGEST_FIXTURE} characters.")
    Tool.objects.select_for_update().get(pk=tool.pk)
    key = digest(arguments)
    ToolFixture.objects.filter(tool=tool, digest=key).delete()
    return ToolFixture.objects.create(
        tool=tool, arguments=arguments, digest=key, result=result, call=call, created_by=by
    )


def pins(tools: Iterable[str]) -> dict[str, int]:
    """Return the newest revision of each tool that has one: what a release keeps."""
    rows = ToolRevision.objects.filter(tool__name__in=list(tools))
    newest = rows.values("tool__name").annotate(newest=Max("number")).order_by("tool__name")
    return {row["tool__name"]: row["newest"] for row in newest}
