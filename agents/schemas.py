"""JSON schemas of arguments: preparing one for use, and checking arguments by one."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import jsonschema
from referencing import Registry
from referencing.exceptions import Unresolvable

from agents import patterns

LARGEST_SCHEMA = 16_384  # bytes; it stands in every prompt
TOO_LARGE = f"A schema has at most {LARGEST_SCHEMA} bytes, its references written out."
TOO_DEEP = "The schema has too many levels."
LEFT_OUT = {"$defs", "definitions", "title"}  # titles made from names only lengthen the prompt
# Keywords whose values are schemas; those of others (enum, default) stay as they are.
BY_NAME = {"properties", "patternProperties", "dependentSchemas"}
CHOICES = {"anyOf", "oneOf"}
LISTS = {*CHOICES, "allOf", "prefixItems"}
REST = {
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
}  # true or false, mostly
SINGLE = {*REST, "items", "contains", "not", "if", "then", "else", "propertyNames"}


class BadSchema(ValueError):
    """This is no schema of a tool's arguments; the message says why."""


def prepared(parameters: Any) -> dict[str, Any]:
    """Return a schema of arguments as everything that reads one expects it, checked.

    Each property is an object, whatever JSON schema lets people write in its place, and no
    reference is left in it (see `flattened`). A prepared schema is prepared as itself.

    Raises:
        BadSchema: it can't be used.
    """
    try:
        written: dict[str, Any] = flattened(parameters)
        check_schema(written)
    except RecursionError:
        raise BadSchema(TOO_DEEP) from None
    return written


def check_schema(parameters: Any) -> None:
    """Check a schema of arguments: an object of properties, nothing fetched from elsewhere.

    Raises:
        BadSchema: it is something else.
    """
    if not isinstance(parameters, dict) or parameters.get("type") != "object":
        raise BadSchema('The schema of arguments is an object with "type": "object".')
    if len(json.dumps(parameters)) > LARGEST_SCHEMA:
        raise BadSchema(TOO_LARGE)
    try:
        jsonschema.Draft202012Validator.check_schema(parameters)
    except jsonschema.SchemaError as error:
        raise BadSchema(f"Not a JSON schema: {error.message[:200]}") from None
    if any(not reference.startswith("#") for reference in _references(parameters)):
        raise BadSchema("References lead to the schema itself only.")
    for pattern in patterns_of(parameters):
        _check_pattern(pattern)
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


def patterns_of(schema: Any) -> Iterator[str]:
    """Yield all patterns, however deep: agents look for what matches them in a dialogue."""
    if isinstance(schema, list):
        for item in schema:
            yield from patterns_of(item)
    elif isinstance(schema, dict):
        for name, value in schema.items():
            if name == "pattern" and isinstance(value, str):
                yield value
            yield from patterns_of(value)


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(rf"\b(?:{pattern.removeprefix('^').removesuffix('$')})\b")
        is_endless = patterns.runs_away(pattern)
    except re.error as error:
        raise BadSchema(f"The pattern {pattern} can't be read: {error}.") from None
    if is_endless:
        raise BadSchema(f"The pattern {pattern} repeats what repeats: a search may never end.")


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
    except (jsonschema.SchemaError, Unresolvable, re.error) as broken:
        raise BadSchema(str(broken)[:200]) from None
    except RecursionError:  # a reference to itself, too
        raise BadSchema(TOO_DEEP) from None
    return str(error.message)[:200] if error else None


def flattened(schema: Any) -> Any:
    """Return the schema with its own references written out, and without its titles.

    The action schema of a turn takes properties out of their document, where references
    would lead nowhere. `true` in a schema's place is written as {}; a property or a choice
    that is `false` is left out, since nothing can be given for it. What is no schema at all
    is returned as it is.

    Raises:
        BadSchema: references go round in a circle, or lead elsewhere, or it gets too large.
    """
    return _Writer(schema).write(schema, ())


class _Writer:
    """Writes out the references of one document, and no more of it than is usable.

    Its size is counted while it is written: a few references to references stand for millions.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._room = LARGEST_SCHEMA

    def write(self, schema: Any, within: tuple[str, ...]) -> Any:
        """Return a schema written out; `within` are the references that led to it."""
        self._room -= 1
        if self._room < 0:
            raise BadSchema(TOO_LARGE)
        if schema is True:
            return {}
        if not isinstance(schema, dict):
            return schema
        if "$dynamicRef" in schema:
            raise BadSchema("$dynamicRef can't be used.")
        own = {
            keyword: self._value(keyword, value, within)
            for keyword, value in schema.items()
            if keyword != "$ref" and keyword not in LEFT_OUT
        }
        if "$ref" not in schema:
            return own
        meant = self._target(schema["$ref"], within)
        return {**meant, **own} if isinstance(meant, dict) else meant

    def _value(self, keyword: str, value: Any, within: tuple[str, ...]) -> Any:
        if keyword in BY_NAME and isinstance(value, dict):
            written = {name: self.write(schema, within) for name, schema in value.items()}
            if keyword != "properties":
                return written
            return {name: schema for name, schema in written.items() if schema is not False}
        if keyword in LISTS and isinstance(value, list):
            choices = [self.write(schema, within) for schema in value]
            return [each for each in choices if each is not False or keyword not in CHOICES]
        if keyword in SINGLE and not (keyword in REST and value is True):
            return self.write(value, within)
        return value

    def _target(self, reference: Any, within: tuple[str, ...]) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise BadSchema("References lead to the schema itself only.")
        if reference in within or reference == "#":
            raise BadSchema(f"{reference} goes round in a circle, which can't be used.")
        found = self._root
        for part in reference[1:].split("/")[1:]:
            found = _step(found, unquote(part).replace("~1", "/").replace("~0", "~"))
        if not reference.startswith("#/") or not isinstance(found, dict | bool):
            raise BadSchema(f"{reference} is not in the schema.")
        return self.write(found, (*within, reference))


def _step(found: Any, part: str) -> Any:
    """Return what stands under a name or at a place, None for nothing."""
    if isinstance(found, list):
        return dict(enumerate(found)).get(int(part)) if part.isdecimal() else None
    return found.get(part) if isinstance(found, dict) else None
