"""What goes into the master agent and what comes out of it: plain data, no dialogue model."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from agents.actions import DialogueAction
from agents.calling import Delegate
from agents.confirming import Call
from agents.models import Release
from agents.prompting import Line, Message
from knowledge.models import Scene
from knowledge.searching import Found


@dataclass(frozen=True, slots=True)
class TurnContext:
    """All that the agent may know of the dialogue it answers."""

    turn_id: str
    release: Release
    scene: Scene | None
    lines: list[Line]  # oldest first; the last ones are what the customer just wrote
    # {"channel", "segment", "region"} as far as known: some rules are for some customers only.
    audience: Mapping[str, str] = field(default_factory=dict)
    confirmed: Call | None = None  # what the customer was asked about, and has just agreed to
    declined: bool = False  # the customer was asked about a call, and has just said no
    asked_about: Call | None = None  # what they were asked about last, or declined just before
    may_ask: bool = True  # False: a yes would reach nobody, so no tool that asks first is offered
    # Calls agreed to before, of which nobody knows yet what came: a person came in between.
    under_way: Sequence[Call] = ()
    at_work: Collection[str] = ()  # the jobs of sub-agents that go on; their news is told here
    delegate: Delegate | None = None  # None: no sub-agent can be reached from here
    customer: str = ""  # who they proved to be, by the id of their site; "": nobody knows
    money_left: Decimal | None = None  # dollars that the caps leave; None: no cap
    # Keeps the dollars that the turn will have taken with its next call, if the caps, which others
    # use up meanwhile, still leave them; None: no cap.
    reserve: Callable[[Decimal], Awaitable[bool]] | None = None
    done: Sequence[Line] = ()  # what calls of this turn told, before its process died


@dataclass(frozen=True, slots=True)
class Thinking:
    """The rules were found; the model is asked."""

    found: list[Found]
    search_ms: float


@dataclass(frozen=True, slots=True)
class Delta:
    """The reply gained characters. They may still be withdrawn: only Finished is final.

    `withdraws`: what was written so far is taken back first.
    """

    text: str
    withdraws: bool = False


@dataclass(frozen=True, slots=True)
class Calling:
    """A tool is about to be called; `detail` says so in the tool's own words.

    `agreed` is the call if it is the one that the customer has agreed to: it can't be undone.
    """

    name: str
    detail: str
    agreed: Call | None = None


@dataclass(frozen=True, slots=True)
class Called:
    """A tool was called; `shown` is what customers see of its result."""

    name: str
    arguments: dict[str, Any]
    result: dict[str, Any]
    shown: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Step:
    """One engine call and what followed; stored as it is. `action` is None if unreadable.

    `fault` says why the output was not taken ("" if it was): "unreadable", "forbidden" (a call
    that the turn does not allow), "unbacked" (said without a source); `problems` in words.
    A call without messages was made without asking the model: the customer had agreed to it, or
    had asked for it in so many words.
    """

    messages: list[Message]
    output: str = ""
    action: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    engine_ms: float = 0.0
    first_token_ms: float = 0.0
    tool_ms: float = 0.0
    tool_status: int | None = None  # of the tool's HTTP answer
    prompt_tokens: int = 0
    completion_tokens: int = 0
    is_estimate: bool = False  # of the tokens: the stream was cut, since the rest was known
    cost: float = 0.0  # dollars, engine and tool
    is_retry: bool = False  # it was asked with the problems of the step before
    fault: str = ""
    problems: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)  # of the result: orders to a model
    tool_kind: str = ""
    # Of each tool that asks first and could be called: why it was offered, "" if it was withheld.
    offers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finished:
    """The turn is over; `action` is what is said and done. `error` is empty if all went well.

    `pending` is the call that the customer is asked to agree to, if the reply asks that.
    `degraded` says why the reply is a rule as written or a hand-over instead of the model's.
    """

    action: DialogueAction
    error: str = ""
    pending: Call | None = None
    degraded: str = ""


Happening = Thinking | Delta | Calling | Called | Step | Finished
