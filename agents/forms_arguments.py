"""A form made from a JSON schema: each argument of a tool is a field."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from agents import schemas
from agents.models import Tool

PREFIX = "argument-"
Schema = dict[str, Any]


class ArgumentsForm(forms.Form):
    """What a person gives a tool to try it; `arguments()` is what the tool gets.

    Lists of texts are written one a line, other lists and objects as JSON; what is left
    empty is left out.
    """

    def __init__(self, *args: Any, tool: Tool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tool = tool
        properties = tool.parameters.get("properties", {})
        self.properties = {name: _plain(schema) for name, schema in properties.items()}
        required = tool.parameters.get("required", [])
        for name, schema in self.properties.items():
            self.fields[PREFIX + name] = _field(name, schema, name in required)
        if tool.is_irreversible and not tool.uses_fixtures:
            self.fields["sure"] = forms.BooleanField(
                label="Yes, call it: what it does can't be undone",
                error_messages={"required": "Tick this to make the call."},
            )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors:
            try:
                fault = schemas.fault(self.arguments(), self.tool.parameters)
            except schemas.BadSchema as error:
                raise ValidationError(f"The schema can't be used: {error}") from None
            if fault:
                raise ValidationError(fault)
        return data

    def arguments(self) -> dict[str, Any]:
        given = {name: self.cleaned_data.get(PREFIX + name) for name in self.properties}
        return {
            name: _value(value, self.properties[name])
            for name, value in given.items()
            if value not in (None, "")
        }


def _plain(schema: Any) -> Schema:
    """Return what a field is made of: one type or none, and of a value or null the value.

    Schemas of tools that were saved long ago may be true or false, or hold references.
    """
    if not isinstance(schema, dict):
        return {}
    choices = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    if len(choices) == 1 and isinstance(choices[0], dict):
        schema = {**schema, **choices[0]}
    plain: Schema = dict(schema)
    if isinstance(plain.get("type"), list):
        types = [each for each in plain.pop("type") if each != "null"]
        plain |= {"type": types[0]} if len(types) == 1 else {}
    return plain


def _field(name: str, schema: Schema, required: bool) -> forms.Field:
    common: dict[str, Any] = {
        "label": name,
        "required": required,
        "help_text": _help(schema),
        "initial": _initial(schema.get("default")),
    }
    if "enum" in schema:
        choices = [(json.dumps(value), str(value)) for value in schema["enum"]]
        return forms.ChoiceField(choices=choices if required else [("", "–"), *choices], **common)
    match schema.get("type"):
        case "integer":
            return forms.IntegerField(**common)
        case "number":
            return forms.FloatField(**common)
        case "boolean":
            choices = [("true", "yes"), ("false", "no")]
            return forms.ChoiceField(
                choices=choices if required else [("", "–"), *choices], **common
            )
        case "string":
            return forms.CharField(max_length=schema.get("maxLength", 2000), **common)
    return forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), **common)


def _initial(default: Any) -> Any:
    return default if default is None or isinstance(default, str | int | float) else None


def _help(schema: Schema) -> str:
    texts = [str(schema.get("description", ""))]
    if _is_lines(schema):
        texts.append("One a line.")
    elif schema.get("type") not in {"string", "integer", "number", "boolean"}:
        texts.append("" if "enum" in schema else "JSON.")
    if "pattern" in schema:
        texts.append(f"Pattern: {schema['pattern']}")
    return " ".join(text for text in texts if text)


def _is_lines(schema: Schema) -> bool:
    items = schema.get("items")
    return (
        schema.get("type") == "array" and isinstance(items, dict) and items.get("type") == "string"
    )


def _value(value: Any, schema: Schema) -> Any:
    if "enum" in schema or schema.get("type") == "boolean":
        return json.loads(value)
    if _is_lines(schema):
        return [line.strip() for line in value.splitlines() if line.strip()]
    if schema.get("type") in {"string", "integer", "number"}:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValidationError("Give lists and objects as JSON.") from None
