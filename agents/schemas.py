"""JSON schemas of arguments: checking one, checking arguments by one, a form made from one."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
from referencing import Registry
from referencing.exceptions import Unresolvable

LARGEST_SCHEMA = 16_384  # bytes; it stands in every prompt
DEEPEST = 12  # levels of references within references


class BadSchema(ValueError):
    """This is no schema of a tool's arguments; the message says why."""


def check_schema(parameters: Any) -> None:
    """Check a schema of arguments: an object of properties, nothing fetched from elsewhere.

    Raises:
        BadSchema: it is something else.
    """
    if not isinstance(parameters, dict) or parameters.get("type") != "object":
        raise BadSchema('The schema of arguments is an object with "type": "object".')
    if len(json.dumps(parameters)) > LARGEST_SCHEMA:
        raise BadSchema(f"A schema has at most {LARGEST_SCHEMA} bytes.")
    try:
        jsonschema.Draft202012Validator.check_schema(parameters)
    except jsonschema.SchemaError as error:
        raise BadSchema(f"Not a JSON schema: {error.message[:200]}") from None
    if any(not reference.startswith("#") for reference in _references(parameters)):
        raise BadSchema("References lead to the schema itself only.")
    properties = parameters.get("properties", {})
    if unknown := sorted(set(parameters.get("required", [])) - set(properties)):
        raise BadSchema(f"Required, but no property: {', '.join(unknown)}.")


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for item in schema:
            yield from _references(item)
    elif isinstance(schema, dict):
        for name, value in schema.items():
            if name in {"$ref", "$dynamicRef", "$schema", "$id"} and isinstance(value, str):
                yield "#" if name == "$schema" else value
            yield from _references(value)


def indented(value: Any) -> str:
    """Write JSON for people; nothing for None."""
    return "" if value is None else json.dumps(value, ensure_ascii=False, indent=2)


def fault(arguments: dict[str, Any], parameters: dict[str, Any]) -> str | None:
    """Say what is wrong with the arguments, or None.

    Raises:
        BadSchema: the schema can't be used.
    """
    try:
        jsonschema.Draft202012Validator.check_schema(parameters)
        # An empty registry: nothing is ever fetched.
        validator = jsonschema.Draft202012Validator(parameters, registry=Registry())
        error = jsonschema.exceptions.best_match(validator.iter_errors(arguments))
    except (jsonschema.SchemaError, Unresolvable) as broken:
        raise BadSchema(str(broken)[:200]) from None
    return str(error.message)[:200] if error else None


def flattened(schema: Any, root: dict[str, Any] | None = None, depth: int = 0) -> Any:
    """Return the schema with its own references written out, and without its titles.

    The action schema of a turn takes properties out of their document, where references
    would lead nowhere; titles made from names only lengthen the prompt.

    Raises:
        BadSchema: references go round in a circle, or lead elsewhere.
    """
    root = schema if root is None else root
    if depth > DEEPEST:
        raise BadSchema("References that go round in a circle can't be used.")
    if isinstance(schema, list):
        return [flattened(item, root, depth) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        return {**flattened(_target(root, schema["$ref"]), root, depth + 1), **rest}
    return {
        name: _properties(value, root, depth)
        if name == "properties" and isinstance(value, dict)
        else flattened(value, root, depth)
        for name, value in schema.items()
        if name not in {"$defs", "definitions", "title"}
    }


def _properties(properties: dict[str, Any], root: dict[str, Any], depth: int) -> dict[str, Any]:
    """Flatten each property; a property may itself be called title."""
    return {name: flattened(schema, root, depth) for name, schema in properties.items()}


def _target(root: dict[str, Any], reference: Any) -> dict[str, Any]:
    found: Any = root
    if not isinstance(reference, str) or not reference.startswith("#/"):
        raise BadSchema("References lead to the schema itself only.")
    for part in reference[2:].split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise BadSchema(f"{reference} is not in the schema.")
    return found
