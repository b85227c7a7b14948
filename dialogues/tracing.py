"""Why a turn was answered as it was, in the words of the business."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.urls import reverse

from agents import confirming
from agents.budgeting import budget_of, dollars
from agents.calling import failed
from agents.models import ToolKind
from agents.subagents import REGISTRY
from dialogues.history import lines_for
from dialogues.jobs.subagents import CALL
from dialogues.loop.reviewing import spoken_action, step_action
from dialogues.models import (
    Event,
    EventKind,
    SubagentState,
    Turn,
    TurnStatus,
    TurnUnit,
    brings_news,
)
from dialogues.senses.looking import heard

MOST_FOUND = 10  # rules that a search shows an agent, whatever its settings
FAULTS = {
    "unreadable": "was no readable answer",
    "forbidden": "asked for what is not allowed",
    "unbacked": "said what has no source",
}
WROTE_ON = "The customer wrote on before it was finished: the next turn answers everything."
PARTS = ("search", "first_text", "engine", "tools", "subagents", "total")


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened, as a sentence, with what belongs to it."""

    text: str
    details: list[str] = field(default_factory=list)
    is_trouble: bool = False
    url: str = ""  # of the page about it


@dataclass(frozen=True, slots=True)
class Asked:
    """What a turn answers: what customers wrote, and what jobs brought."""

    said: list[
        str
    ]  # with what was written before, oldest first; empty where only jobs brought news
    jobs: list[Event]


@dataclass(frozen=True, slots=True)
class Latency:
    """A part of the turn's time beside what it should take; milliseconds."""

    label: str
    ms: int
    budget_ms: int | None
    percent: int  # of the budget or, without one, of the whole time; for the bar

    @property
    def is_over(self) -> bool:
        return self.budget_ms is not None and self.ms > self.budget_ms


def asked_of(turn: Turn) -> Asked:
    """Return what the turn answers."""
    after = turn.earlier.asked_seq if turn.earlier else 0
    events = turn.conversation.events.filter(seq__gt=after, seq__lte=turn.asked_seq)
    news = list(events.filter(brings_news()).order_by("seq"))
    jobs = [event for event in news if event.kind == EventKind.JOB and not heard(event)]
    if news and jobs == news:
        return Asked([], jobs)
    lines = lines_for(turn)
    return Asked([line.text for line in lines if line.role == "customer" and line.text], jobs)


def was_searched(turn: Turn) -> bool:
    """Say whether rules were searched for: not above a cap, say, or for a picture alone."""
    return "search_ms" in turn.timings


def found_for(turn: Turn, asked: Asked) -> list[TurnUnit]:
    """Return the rules the turn found, best first; none where a job's own words were told.

    The search is by what the customer wrote last, which may be the yes of a while ago.
    """
    found = list(turn.units.select_related("unit", "revision"))
    is_read = asked.said or not turn.is_worded_by_code or any(row.cited for row in found)
    return found if is_read else []


def story(turn: Turn, found: list[TurnUnit], asked: Asked) -> list[Moment]:
    """Return what happened, in order."""
    brought = [_brought(event) for event in asked.jobs]
    if not turn.output:  # what it found is stored with its end
        return [*brought, *_stepped(turn), _unfinished(turn)]
    return [*brought, _searched(turn, found, asked), *_stepped(turn), *_ended(turn)]


def _brought(event: Event) -> Moment:
    data = event.data
    told = str(data["result"].get("summary") or data["result"].get("error") or "")
    text = f"{data['name']}, a job of a sub-agent, ended: {data['state']}."
    is_trouble = data["state"] != SubagentState.DONE
    return Moment(text, [told] if told else [], is_trouble, _job_url(data["id"]))


def _job_url(job: str) -> str:
    return reverse("dialogues:job-detail", args=[job])


def _unfinished(turn: Turn) -> Moment:
    if turn.status == TurnStatus.RUNNING:
        return Moment("The answer is being written.")
    return Moment("No answer was given.", [turn.error or WROTE_ON], is_trouble=bool(turn.error))


def _searched(turn: Turn, found: list[TurnUnit], asked: Asked) -> Moment:
    if not was_searched(turn):
        return Moment("No rule was searched for.")
    if not found and not asked.said and turn.is_worded_by_code:
        return Moment("No rule was read.")
    by = "" if asked.said else " by what the customer had written before"
    how = f" in {turn.timings['search_ms']:.0f} ms{by}"
    if not found:
        return Moment(f"No rule was found{how}, so the model had none to rest on.")
    reads = rules_read(turn)
    details = [_matched(row, reads) for row in found]
    return Moment(f"{_count(len(found), 'rule')} found{how}, best first.", details)


def _matched(row: TurnUnit, reads: int) -> str:
    by = "by words" if row.similarity is None else f"similarity {row.similarity:.3f}"
    matched = f", by “{row.matched}”" if row.matched else ""
    unread = ", not read by this release" if row.rank > reads else ""
    cited = ", cited" if row.cited else ""
    return f"#{row.unit_id} {row.revision.title}: {by}{matched}{cited}{unread}"


def rules_read(turn: Turn) -> int:
    """Return how many of the rules that were found the turn's model was shown at most."""
    budget = budget_of(turn.release, None) if turn.release else None
    return (budget.rules if budget else None) or MOST_FOUND


def _stepped(turn: Turn) -> Iterator[Moment]:
    model = turn.release.version.name if turn.release else "The model"
    for step in turn.steps:
        if step.get("messages"):
            yield _asked(model, step)
        elif (step.get("action") or {}).get("thought") == confirming.AGREED:
            yield _agreed(step)
        if step.get("result") is not None:
            yield _called(step)


def _asked(model: str, step: dict[str, Any]) -> Moment:
    tokens = f"read {step.get('prompt_tokens', 0)} and wrote {step.get('completion_tokens', 0)}"
    about = "about " if step.get("is_estimate") else ""
    again = " once more" if step.get("is_retry") else ""
    said = f"{model} was asked{again}: {about}{tokens} tokens in {step.get('engine_ms', 0):.0f} ms."
    offers = [_offer(name, why) for name, why in step.get("offers", {}).items()]
    if fault := step.get("fault"):
        words = FAULTS.get(fault, fault)
        details = [*step.get("problems", []), *offers]
        return Moment(f"{said} What it wrote {words}.", details, is_trouble=True)
    if not step.get("output"):
        return Moment(f"{said} It did not answer.", offers, is_trouble=True)
    action = step_action(step)
    return Moment(f"{said} It chose: {action.get('name', 'nothing readable')}.", offers)


def _agreed(step: dict[str, Any]) -> Moment:
    action = step_action(step)
    given = confirming.listed(action["arguments"])
    return Moment(f"The customer agreed to {action['name']}.", [given] if given else [])


def _offer(name: str, why: str) -> str:
    if why:
        return f"{name}, which can't be undone, was offered: {why}."
    return f"{name}, which can't be undone, was withheld: nobody spoke of what it does."


def _called(step: dict[str, Any]) -> Moment:
    result = step["result"] if isinstance(step["result"], dict) else {}
    details = [f"Kept from the model: {text}" for text in step.get("removed", [])]
    took = f"{step.get('tool_ms', 0):.0f} ms"
    words = f"was called and answered, {took}"
    if failed(result):
        details = [str(result["error"]), *details]
        was_called = step.get("tool_ms") != 0
        words = f"was called and refused or failed, {took}" if was_called else "was not called"
    text = f"{step_action(step).get('name', 'A tool')} {words}."
    begun = result.get("job") if step.get("tool_kind") == ToolKind.SUBAGENT else None
    return Moment(text, details, is_trouble=bool(details), url=_job_url(begun) if begun else "")


def _ended(turn: Turn) -> Iterator[Moment]:
    if turn.degraded:
        action = spoken_action(turn)
        how = "A rule was said as written" if action.knowledge else "A person was called"
        yield Moment(f"{how} instead of the model's answer.", [turn.degraded], is_trouble=True)
    elif turn.error:
        yield Moment("The turn failed.", [turn.error], is_trouble=True)
    if turn.output.get("pending"):
        yield Moment("The customer was asked to agree before anything was done.")
    action = spoken_action(turn)
    if turn.release and turn.is_worded_by_code and not turn.degraded:
        yield Moment("What was said needed no model.", [f"{action.thought}."])
    yield Moment(f"The action was {action.name}.")


def latencies(turn: Turn) -> list[Latency]:
    """Return the parts of the turn's time beside their budgets, each sub-agent's among them."""
    by_subagent = sorted(
        name.removesuffix("_ms") for name in turn.timings if name.startswith("subagent_")
    )
    parts = [*PARTS[:-1], *by_subagent, PARTS[-1]]
    times = {part: turn.timings.get(f"{part}_ms") for part in parts}
    budgets: dict[str, Any] = dict.fromkeys(by_subagent, REGISTRY[CALL].budget_ms)  # of plans
    budgets |= {f"subagent_{name}": each.budget_ms for name, each in REGISTRY.items()}
    budgets |= settings.LATENCY_BUDGETS_MS
    total = times["total"] or 1
    return [
        Latency(
            part.replace("_", " ").capitalize(),
            round(ms),
            budgets.get(part),
            min(100, max(1, round(100 * ms / (budgets.get(part) or total)))),
        )
        for part, ms in times.items()
        if isinstance(ms, int | float)
    ]


def budget_rows(turn: Turn) -> list[tuple[str, str, str]]:
    """Return (what, how much was taken, how much was allowed) of the turn's budget."""
    if turn.release is None:
        return []
    budget = budget_of(turn.release, None)
    seconds = turn.timings.get("total_ms", 0) / 1000
    tokens = turn.prompt_tokens + turn.completion_tokens
    money = "no cap of the release" if budget.money is None else f"${budget.money:f}"
    return [
        ("Engine calls", str(turn.engine_calls), str(budget.steps)),
        ("Tokens", f"{tokens:,}", f"{budget.tokens:,}"),
        ("Seconds", f"{seconds:.1f}", f"{budget.seconds:g}"),
        ("Cost", dollars(turn.cost), money),
    ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
