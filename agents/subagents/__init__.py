"""Sub-agents: what they are to the agent, and what their work is given. No dialogue model.

A sub-agent is a coroutine function that may take hours and outlive its process: it keeps what
it needs in `Work.memory`, and another process calls it again with what was kept last. The
app above stores the jobs and does the work (a row, a lease, a worker).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

import jsonschema

from agents.models import Release

Data = dict[str, Any]


class CostClass(StrEnum):
    """What a job costs, roughly: for people who choose, and for caps."""

    FREE = "free"  # reads what is there
    LOW = "low"  # a few engine calls
    HIGH = "high"  # a telephone line, a large model, somebody's time


class Parked(Exception):
    """The work waits for somebody outside: wake it when they act, or after `seconds`."""

    def __init__(self, seconds: float, progress: str = "") -> None:
        super().__init__(f"Waits up to {seconds:.0f} s")
        self.seconds = seconds
        self.progress = progress


class TryAgain(Exception):
    """This attempt came to nothing; another one may not. The message is for people."""

    def __init__(self, reason: str, *, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds  # None: the usual back-off


class Overtaken(Exception):
    """Somebody has said something that was not taken yet; nothing was stored."""


class GaveUp(Exception):
    """It can't be done, and trying again would not help. The message is for people."""


@dataclass(frozen=True, slots=True)
class Said:
    """A line of a job's transcript. `number` is given by whoever stores it."""

    speaker: str  # "agent", "callee" or "note"
    text: str
    data: Data = field(default_factory=dict)
    number: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job: `result` fits the output schema, `report` is for staff alone."""

    result: Data
    report: Data = field(default_factory=dict)


class Work(Protocol):
    """A job as the sub-agent sees it, in whichever process does it now."""

    @property
    def job(self) -> UUID: ...

    @property
    def key(self) -> str:
        """The same for every attempt: for whatever must act once."""

    @property
    def arguments(self) -> Data: ...

    @property
    def memory(self) -> Data:
        """What was kept last."""

    @property
    def attempt(self) -> int:
        """1, 2, …"""

    @property
    def most_attempts(self) -> int: ...

    @property
    def lines(self) -> list[Said]:
        """The transcript so far; what is kept is added to it."""

    @property
    def customer(self) -> str:
        """For whom it is done, if they proved who they are; else ""."""

    @property
    def release(self) -> Release | None:
        """Whose model words things; None: no release is live."""

    async def money_left(self) -> Decimal | None:
        """Return the dollars that the caps leave now; None: no cap is set."""

    async def keep(
        self,
        *,
        memory: Data,
        lines: Sequence[Said] = (),
        progress: str | None = None,
        tokens: tuple[int, int] = (0, 0),
        paid: Decimal = Decimal(0),
        heard: int | None = None,
    ) -> None:
        """Store at once, in one transaction, where the work stands and what was said.

        Args:
            heard: the callee's last line that was taken, by its number, where a later one matters.
            progress: in words for the customer, who is shown it.
            tokens: of prompts and completions, that came on top; the release's model has prices.
            paid: dollars for tools, that came on top.

        Raises:
            Overtaken: there is a later line of the callee than `heard`.
            Exception: the job is no longer this process's; let it pass.
        """


@dataclass(frozen=True, slots=True)
class SubAgent:
    """An entry of the registry.

    `inputs` and `outputs` are JSON schemas; both are enforced. `timeout_seconds` is from
    delegation to result; `budget_ms` is what it should take of a turn: to hand a job over or,
    where a turn waits for the result, to wait. `tell` makes of a result what the agent and the
    customer read.
    """

    name: str
    version: int
    description: str
    inputs: Data
    outputs: Data
    timeout_seconds: int
    cost_class: CostClass
    run: Callable[[Work], Awaitable[Outcome]]
    most_attempts: int = 3
    budget_ms: int = 150
    is_tool: bool = True  # False: only plans of people lead to it, never a model directly
    tell: Callable[[Data], Data] = dict

    def wrong_result(self, result: Data) -> str:
        """Return why `result` breaks the output schema, "" if it fits."""
        try:
            jsonschema.validate(result, self.outputs)
        except jsonschema.ValidationError as error:
            return str(error.message)[:300]
        return ""


REGISTRY: dict[str, SubAgent] = {}


def register(subagent: SubAgent) -> SubAgent:
    """Make a sub-agent known under its name; called once, when its module is imported."""
    jsonschema.Draft202012Validator.check_schema(subagent.inputs)
    jsonschema.Draft202012Validator.check_schema(subagent.outputs)
    REGISTRY[subagent.name] = subagent
    return subagent
