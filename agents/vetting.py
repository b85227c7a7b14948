"""What a tool must be before it is saved: words by field, for forms and the API alike."""

import re
from collections.abc import Callable
from functools import partial

from django.core.exceptions import ValidationError

from agents import reaching, schemas
from agents.actions import BUILT_IN
from agents.calling import PLACE
from agents.composing import FIELD
from agents.models import MCPServer, Tool, ToolKind

TAKEN = {*BUILT_IN, "new", "servers"}  # actions of every agent, and addresses of the catalogue
LONGEST_TIMEOUT = 60  # seconds; the customer waits
SMALLEST_ANSWER, GREATEST_ANSWER = 256, 262_144  # bytes
TOKEN_HELP = "Name a variable that begins with TOOL_, such as TOOL_SHOP_TOKEN."  # noqa: S105


def check_tool(tool: Tool) -> None:
    """Check what no constraint can say, and write the schema as agents read it.

    Raises:
        ValidationError: by field.
    """
    schema_fault = _prepare_schema(tool)  # before the faults that look into the schema
    address_fault, sending_fault = _way_faults(tool) if tool.kind == ToolKind.HTTP else ("", "")
    size = _range_fault(tool.largest_answer, SMALLEST_ANSWER, GREATEST_ANSWER, "bytes")
    _refuse(
        name=_name_fault(tool),
        parameters=schema_fault,
        url=address_fault or _url_fault(tool),
        token_setting=_token_fault(tool.token_setting) or sending_fault,
        confirmation=_places_fault(tool.confirmation, _part(tool, "properties", {})),
        confirmation_zh=_second_fault(
            tool.confirmation_zh, tool.confirmation, _part(tool, "properties", {})
        ),
        result_template_zh=_second_fault(
            tool.result_template_zh, tool.result_template, FIELD.findall(tool.result_template)
        ),
        timeout_seconds=_range_fault(tool.timeout_seconds, 1, LONGEST_TIMEOUT, "seconds"),
        largest_answer=size,
    )


def _refuse(**faults: str) -> None:
    if found := {field: fault for field, fault in faults.items() if fault}:
        raise ValidationError(found)


def check_server(server: MCPServer) -> None:
    """Check a server's address, and its token's name and way.

    Raises:
        ValidationError: by field.
    """
    address_fault, sending_fault = _way_faults(server)
    _refuse(
        name=f"Take another name than {server.name}." if server.name in TAKEN else "",
        url=_placeless(server.url) or address_fault,
        token_setting=_token_fault(server.token_setting) or sending_fault,
        timeout_seconds=_range_fault(server.timeout_seconds, 1, LONGEST_TIMEOUT, "seconds"),
    )


def _way_faults(saved: Tool | MCPServer) -> tuple[str, str]:
    """Return what is wrong with an address, and with sending the token there.

    Nothing where calls went before: what leads to an address that is not allowed any more can
    so be changed and switched off. It isn't called there, whatever is stored.
    """
    if not _leads_anew(saved):
        return "", ""
    if fault := _forbidden(partial(reaching.check_url, saved.url)):
        return fault, ""
    return "", _forbidden(partial(reaching.check_token, saved.token_setting, saved.url))


def _leads_anew(saved: Tool | MCPServer) -> bool:
    """Say whether calls may go from now on where they did not go before."""
    stored: Tool | MCPServer | None = type(saved).objects.filter(pk=saved.pk).first()
    if stored is None or (saved.url, saved.token_setting) != (stored.url, stored.token_setting):
        return True
    return saved.is_active and not stored.is_active


def _forbidden(check: Callable[[], None]) -> str:
    try:
        check()
    except reaching.ForbiddenAddress as error:
        return str(error)
    return ""


def _placeless(url: str) -> str:
    if url.startswith("/") or PLACE.search(url):
        return "Give the whole address of the server, without braces."
    return ""


def _name_fault(tool: Tool) -> str:
    return f"{tool.name} means something else already." if tool.name in TAKEN else ""


def _prepare_schema(tool: Tool) -> str:
    try:
        tool.parameters = schemas.prepared(tool.parameters)
    except schemas.BadSchema as error:
        return str(error)
    return ""


def _url_fault(tool: Tool) -> str:
    """Hold the braces of an address and the arguments to each other."""
    if tool.kind != ToolKind.HTTP:
        return "Only an HTTP endpoint has an address." if tool.url else ""
    path, _, query = tool.url.partition("?")
    in_path, in_query = set(places(path)), set(places(query))
    required = set(_part(tool, "required", []))
    known = set(_part(tool, "properties", {}))
    if unknown := sorted((in_path | in_query) - known):
        return f"In braces, but no argument: {', '.join(unknown)}."
    if loose := sorted(in_path - required):
        return f"In the path, so it must be required: {', '.join(loose)}."
    lost = sorted(known - in_path - in_query)
    if tool.method == "GET" and lost:
        return f"GET sends only what stands in braces; missing: {', '.join(lost)}."
    return ""


def places(text: str) -> list[str]:
    return [mark[1:-1] for mark in re.findall(PLACE, text)]


def _part(tool: Tool, name: str, default: object) -> list[str]:
    """Return property names of a schema that may be broken in itself."""
    schema = tool.parameters if isinstance(tool.parameters, dict) else {}
    found = schema.get(name, default)
    return [str(each) for each in found] if isinstance(found, list | dict) else []


def _token_fault(name: str) -> str:
    return TOKEN_HELP if name and not reaching.TOKEN_NAME.fullmatch(name) else ""


def _places_fault(words: str, known: list[str]) -> str:
    unknown = sorted(set(places(words)) - set(known))
    return f"In braces, but no argument: {', '.join(unknown)}." if unknown else ""


def _second_fault(words: str, first: str, known: list[str]) -> str:
    """Hold what is said in Chinese to what it is another wording of."""
    if words and not first:
        return "This only says the field above in Chinese: fill that in first."
    unknown = sorted(set(places(words)) - set(known))
    return f"In braces, but not known above: {', '.join(unknown)}." if unknown else ""


def _range_fault(value: int, least: int, most: int, unit: str) -> str:
    return "" if least <= value <= most else f"Between {least} and {most} {unit}."
