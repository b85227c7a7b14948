"""Why a turn was answered as it was, in the words of the business."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from agents.budgeting import budget_of, dollars
from dialogues.history import lines_for
from dialogues.loop.reviewing import spoken_action, step_action
from dialogues.models import Turn, TurnStatus, TurnUnit
from knowledge.explaining import FilteredOut, filtered_out
from knowledge.models import Publication, RetrievalSettings
from knowledge.searching import Found, current_settings, search
from wowconsole.roles import AnyUser

NEAR_LIMIT = 8  # rules nearly found that the page tells of
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


@dataclass(frozen=True, slots=True)
class Near:
    """A rule that was not read, and why not."""

    unit_id: int
    title: str
    reasons: list[str]


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


def customer_words(turn: Turn) -> list[str]:
    """Return what the customer wrote up to the turn, oldest first."""
    return [line.text for line in lines_for(turn) if line.role == "customer" and line.text]


def story(turn: Turn, found: list[TurnUnit]) -> list[Moment]:
    """Return what happened, in order."""
    if not turn.output:  # what it found is stored with its end
        return [*_stepped(turn), _unfinished(turn)]
    return [*_searched(turn, found), *_stepped(turn), *_ended(turn)]


def _unfinished(turn: Turn) -> Moment:
    if turn.status == TurnStatus.RUNNING:
        return Moment("The answer is being written.")
    return Moment("No answer was given.", [turn.error or WROTE_ON], is_trouble=bool(turn.error))


def _searched(turn: Turn, found: list[TurnUnit]) -> Iterator[Moment]:
    took = turn.timings.get("search_ms")
    how = f" in {took:.0f} ms" if isinstance(took, int | float) else ""
    if not found:
        yield Moment(f"No rule was found{how}, so the model had none to rest on.")
        return
    reads = rules_read(turn)
    details = [_matched(row, reads) for row in found]
    yield Moment(f"{_count(len(found), 'rule')} found{how}, best first.", details)


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


def _offer(name: str, why: str) -> str:
    if why:
        return f"{name}, which can't be undone, was offered: {why}."
    return f"{name}, which can't be undone, was withheld: nobody spoke of what it does."


def _called(step: dict[str, Any]) -> Moment:
    name = step_action(step).get("name", "A tool")
    failed = isinstance(step["result"], dict) and "error" in step["result"]
    details = [f"Kept from the model: {text}" for text in step.get("removed", [])]
    if failed:
        details = [str(step["result"]["error"]), *details]
    words = "was called and refused or failed" if failed else "was called and answered"
    text = f"{name} {words}, {step.get('tool_ms', 0):.0f} ms."
    return Moment(text, details, is_trouble=bool(details))


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


def near_misses(turn: Turn, question: str, user: AnyUser) -> list[Near]:
    """Return the rules that nearly came up for a question, as the rules are today, and why not."""
    if not question:
        return []
    scene, audience = turn.conversation.scene, turn.conversation.audience
    limits = current_settings()
    [hits] = search(
        [question],
        scene=scene,
        audience=audience,
        limit=NEAR_LIMIT,
        near_misses=True,
        visible_to=user,
        settings=limits,
    )
    known = set(turn.units.values_list("unit_id", flat=True))
    published = Publication.objects.filter(unit__in=[hit.unit_id for hit in hits])
    later = set(published.filter(at__gt=turn.created_at).values_list("unit_id", flat=True))
    weak = [
        Near(hit.unit_id, hit.title, _why_not(hit, limits, hit.unit_id in later, len(known)))
        for hit in hits
        if hit.unit_id not in known
    ]
    taken = filtered_out(
        question, hits, scene=scene, audience=audience, visible_to=user, settings=limits
    )
    return [*weak, *(_filtered(item) for item in taken if item.unit_id not in known)]


def _why_not(hit: Found, limits: RetrievalSettings, is_later: bool, others: int) -> list[str]:
    if hit.passes and is_later:
        return ["it fits today: it was published or edited after this answer"]
    if hit.passes and others:
        return [f"it fits, with similarity {hit.similarity:.3f}: {others} ranked before it came up"]
    if hit.passes:
        return ["it fits today: it was not in force then, or the limits were others"]
    words = f"{hit.coverage:.0%} of the question's words"
    return [
        f"similarity {hit.similarity:.3f} is below {limits.min_similarity:.3f}",
        f"it has {words}, and {limits.min_coverage:.0%} are needed",
    ]


def _filtered(item: FilteredOut) -> Near:
    return Near(item.unit_id, item.title, item.reasons)


def latencies(turn: Turn) -> list[Latency]:
    """Return the parts of the turn's time beside their budgets."""
    times = {part: turn.timings.get(f"{part}_ms") for part in PARTS}
    budgets: dict[str, Any] = settings.LATENCY_BUDGETS_MS
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
