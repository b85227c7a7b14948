"""What one turn may take: engine calls, tokens, seconds, money and rules to read.

A turn that would pass its budget ends in a hand-over, never in silence.
"""

import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.conf import settings

from agents.models import ModelVersion, Release

STEPS = 4  # engine calls; each costs the customer a second or two
TOKENS = 12_000  # read and written in all: some four prompts of the longest kind
MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Budget:
    """What one turn may take at most. `money` in dollars; None: no cap."""

    steps: int = STEPS
    tokens: int = TOKENS
    seconds: float = 60.0
    first_token_seconds: float = 30.0
    money: Decimal | None = None
    rules: int | None = None  # of those found, best first; None: all of them


def budget_of(release: Release, money_left: Decimal | None) -> Budget:
    """Return a release's budget, its money no more than what the caps leave.

    `Release.limits["budget"]` holds {"steps", "tokens", "seconds", "money", "rules"}; what it
    does not name is as the installation has it.
    """
    limits: dict[str, Any] = release.limits.get("budget", {})
    caps = [Decimal(str(limits["money"]))] if limits.get("money") is not None else []
    caps += [money_left] if money_left is not None else []
    return Budget(
        steps=int(limits.get("steps") or STEPS),
        tokens=int(limits.get("tokens") or TOKENS),
        seconds=float(limits.get("seconds") or settings.TURN_SECONDS),
        first_token_seconds=float(settings.ENGINE_FIRST_TOKEN_SECONDS),
        money=min(caps) if caps else None,
        rules=int(limits["rules"]) if limits.get("rules") else None,
    )


@dataclass(slots=True)
class Spent:
    """What a turn has taken so far."""

    started: float = field(default_factory=time.perf_counter)
    steps: int = 0
    tokens: int = 0
    money: Decimal = Decimal(0)
    delegated: Decimal = Decimal(0)  # of the money: it stands on jobs, not on the turn
    too_dear: str = ""  # the call that was not made, since its price was more than what was left

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def over(self, budget: Budget) -> str:
        """Say in a sentence what leaves nothing for another engine call; empty: nothing does."""
        if self.too_dear:
            return self.too_dear
        if self.steps >= budget.steps:
            return f"More than {budget.steps} steps."
        if self.tokens >= budget.tokens:
            return f"More than {budget.tokens} tokens."
        if self.seconds >= budget.seconds:
            return f"More than {budget.seconds:g} seconds."
        if budget.money is not None and self.money >= budget.money:
            return f"Its budget of ${budget.money:f} is used up."
        return ""

    def affords(self, name: str, price: Decimal, budget: Budget) -> bool:
        """Say whether a call's price is left; if it is not, the turn is over its budget."""
        left = price if budget.money is None else budget.money - self.money
        if price <= max(left, Decimal(0)):
            return True
        self.too_dear = f"{name} costs {dollars(price)}, and the budget leaves {dollars(left)}."
        return False


def cost_of(version: ModelVersion, prompt_tokens: int, completion_tokens: int) -> Decimal:
    """Return what an engine call costs in dollars, by the prices of its model."""
    read, written = version.input_price * prompt_tokens, version.output_price * completion_tokens
    return (read + written) / MILLION


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has; for streams that were cut before they said."""
    return -(-len(text.encode()) // 4)


def dollars(amount: Decimal | float) -> str:
    """Return an amount with the digits that it needs: "$0", "$0.000034", "$1.50"."""
    text = f"{amount:.6f}".rstrip("0").rstrip(".")
    whole, _, rest = text.partition(".")
    return f"${whole}.{rest.ljust(2, '0')}" if rest else f"${whole}"
