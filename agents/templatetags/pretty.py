"""Showing JSON to people."""

from typing import Any

from django import template

from agents.schemas import indented

register = template.Library()


@register.filter
def pretty(value: Any) -> str:
    return indented(value)
