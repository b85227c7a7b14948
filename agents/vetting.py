"""What a tool must be before it is saved: words by field, for forms and the API alike."""

import re

from django.core.exceptions import ValidationError

from agents import reaching, schemas
from agents.actions import BUILT_IN
from agents.calling import PLACE
from agents.models import MCPServer, Tool, ToolKind

TAKEN = {*BUILT_IN, "new", "servers"}  # actions of every agent, and addresses of the catalogue
LONGEST_TIMEOUT = 60  # seconds; the customer waits
SMALLEST_ANSWER, GREATEST_ANSWER = 256, 262_144  # bytes
TOKEN_HELP = "Name a variable that begins with TOOL_, such as TOOL_SHOP_TOKEN."  # noqa: S105


def check_tool(tool: Tool) -> None:
    """Check what no constraint can say.

    Raises:
        ValidationError: by field.
    """
    size = _range_fault(tool.largest_answer, SMALLEST_ANSWER, GREATEST_ANSWER, "bytes")
    _refuse(
        name=_name_fault(tool),
        parameters=_schema_fault(tool),
        url=_url_fault(tool),
        token_setting=_token_fault(tool.token_setting),
        confirmation=_confirmation_fault(tool),
        timeout_seconds=_range_fault(tool.timeout_seconds, 1, LONGEST_TIMEOUT, "seconds"),
        largest_answer=size,
    )


def _refuse(**faults: str) -> None:
    if found := {field: fault for field, fault in faults.items() if fault}:
        raise ValidationError(found)


def check_server(server: MCPServer) -> None:
    """Check a server's address and the name of its token.

    Raises:
        ValidationError: by field.
    """
    _refuse(
        name=f"Take another name than {server.name}." if server.name in TAKEN else "",
        url=_placeless(server.url) or _address_fault(server.url),
        token_setting=_token_fault(server.token_setting),
        timeout_seconds=_range_fault(server.timeout_seconds, 1, LONGEST_TIMEOUT, "seconds"),
    )


def _placeless(url: str) -> str:
    if url.startswith("/") or PLACE.search(url):
        return "Give the whole address of the server, without braces."
    return ""


def _name_fault(tool: Tool) -> str:
    return f"{tool.name} means something else already." if tool.name in TAKEN else ""


def _schema_fault(tool: Tool) -> str:
    try:
        schemas.check_schema(tool.parameters)
    except schemas.BadSchema as error:
        return str(error)
    return ""


def _address_fault(url: str) -> str:
    try:
        reaching.check_url(url)
    except reaching.ForbiddenAddress as error:
        return str(error)
    return ""


def _url_fault(tool: Tool) -> str:
    if tool.kind != ToolKind.HTTP:
        return "Only an HTTP endpoint has an address." if tool.url else ""
    return _address_fault(tool.url) or _places_fault(tool)


def _places_fault(tool: Tool) -> str:
    """Hold the braces of an address and the arguments to each other."""
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


def _confirmation_fault(tool: Tool) -> str:
    unknown = sorted(set(places(tool.confirmation)) - set(_part(tool, "properties", {})))
    return f"In braces, but no argument: {', '.join(unknown)}." if unknown else ""


def _range_fault(value: int, least: int, most: int, unit: str) -> str:
    return "" if least <= value <= most else f"Between {least} and {most} {unit}."
