"""Plans of calls as people write them: saved with their tools, shown as the agent sees them."""

from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from agents.models import Tool, ToolKind
from agents.schemas import indented
from agents.subagents import REGISTRY, GaveUp, callees, cards, previewing, sip, wording
from agents.subagents.cards import Card, Fact
from agents.subagents.previewing import Step
from agents.subagents.transports import FACTORIES, LINK, scheme_of
from agents.telephone import numbers
from dialogues import arranging
from dialogues.jobs import registering
from dialogues.models import CallPlan

OTHERS = "*"  # whoever is not named
LINES = {
    LINK: "a page that they open from a link",
    callees.SCHEME: "somebody simulated",
    "tel": "a telephone",
    "sip": "a telephone, by its SIP address",
}


@dataclass(frozen=True, slots=True)
class Callee:
    """Whom a plan may call, and over which line."""

    whom: str
    address: str
    line: str
    obstacle: str  # why it would not be called now; "" if it would


@dataclass(frozen=True, slots=True)
class Preview:
    """A plan as the agent, the calling model and the callee meet it; or why none could."""

    tool: str = ""  # as the agent is offered it
    card: Card | None = None
    system: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)  # question, how it is read
    script: list[Step] = field(default_factory=list)
    blanks: list[tuple[str, str]] = field(default_factory=list)  # name, what fills it
    problem: str = ""


@transaction.atomic
def save_plan(plan: CallPlan, *, by: User, based_on: int | None = None, note: str = "") -> None:
    """Save a plan and bring its tool up to it.

    Raises:
        ChangedMeanwhile: somebody saved it since; ValidationError: a field is wrong.
    """
    check(plan)
    arranging.save(plan, by=by, based_on=based_on, note=note)
    registering.register_tools()


def check(plan: CallPlan) -> None:
    """Refuse what the model itself can't: names that are taken, tools and lines not there.

    Raises:
        ValidationError: a field is wrong.
    """
    wrong: dict[str, str] = {}
    taken = Tool.objects.filter(name=plan.name).exclude(kind=ToolKind.SUBAGENT).exists()
    if taken or plan.name in REGISTRY:
        wrong["name"] = "A tool or a sub-agent has this name."
    if plan.look_up and not Tool.objects.filter(name=plan.look_up, is_active=True).exists():
        wrong["look_up"] = f"There is no tool {plan.look_up}, or it is switched off."
    for whom, address in plan.addresses.items():
        if why := wrong_address(address):
            wrong["addresses"] = f"{whom}: {why}"
    if wrong:
        raise ValidationError(wrong)


def wrong_address(address: Any) -> str:
    """Return why nobody can be reached at an address here, "" if they can."""
    if not isinstance(address, str) or len(address) > 200:
        return "An address is text of at most 200 characters."
    scheme = scheme_of(address)
    if scheme not in FACTORIES:
        return f"There is no line for {scheme}: here."
    temper = address.partition(":")[2].partition("?")[0]
    if scheme == callees.SCHEME and temper not in set(callees.Temper):
        return f"Nobody simulated is {temper or 'without a temper'}."
    return ""


def callees_of(plan: CallPlan) -> list[Callee]:
    """Return whom a plan reaches, by name; the others last."""
    addresses = {OTHERS: "", **plan.addresses}
    named = sorted(addresses, key=lambda whom: (whom == OTHERS, whom))
    return [_callee(whom, addresses[whom]) for whom in named]


def _callee(whom: str, address: str) -> Callee:
    scheme = scheme_of(address)
    line = LINES.get(scheme, f"a line for {scheme}:")
    return Callee(whom, address, line, wrong_address(address) or _not_called(address))


def _not_called(address: str) -> str:
    """Return why the telephone would not ring there; a {number} is known only when it is filled."""
    if scheme_of(address) not in numbers.SCHEMES:
        return ""
    try:
        if not cards.blanks(address):
            numbers.target_of(address)
    except numbers.Forbidden as refused:
        return str(refused)
    return "There is no telephone here." if sip.missing() else ""


def preview(plan: CallPlan) -> Preview:
    """Show a plan as it would be used, its blanks named in brackets. Stores nothing."""
    names = sorted(cards.blanks(plan.card))
    try:
        plan.clean()
        card = cards.read_card(cards.fill(plan.card, {name: f"[{name}]" for name in names}))
    except (ValidationError, GaveUp) as error:
        return Preview(problem=" ".join(getattr(error, "messages", [str(error)])))
    shown = {"name": plan.name, "description": plan.description, "parameters": plan.parameters}
    return Preview(
        tool=indented(shown),
        card=card,
        system=wording.system_words(card),
        facts=[(fact.question, _read_as(fact)) for fact in card.facts],
        script=previewing.script_of(card),
        blanks=[(name, _filled_from(plan, name)) for name in names],
    )


def _read_as(fact: Fact) -> str:
    choices = f": {' / '.join(fact.choices)}" if fact.choices else ""
    needed = "" if fact.required else ", if they will"
    return f"{fact.name}, {fact.kind.replace('_', ' or ')}{choices}{needed}"


def _filled_from(plan: CallPlan, name: str) -> str:
    """Say what fills a blank; "" if nothing does."""
    if name in plan.parameters.get("properties", {}):
        return "what the agent passes"
    return f"the answer of {plan.look_up}" if plan.look_up else ""
