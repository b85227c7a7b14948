"""Showing JSON and money to people."""

from decimal import Decimal
from typing import Any

from django import template

from agents import budgeting
from agents.schemas import indented

register = template.Library()


@register.filter
def pretty(value: Any) -> str:
    return indented(value)


@register.filter
def dollars(amount: Decimal | float | None) -> str:
    return "–" if amount is None else budgeting.dollars(amount)
