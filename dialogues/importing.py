"""Storing dialogues that were held elsewhere as conversations, turns and judgements."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from django.contrib.auth.models import User
from django.db import transaction

from agents.masking import masked
from dialogues.exchanges import Exchange, Units, acts_of, rewrite_of, step_of, times_of
from dialogues.models import (
    Case,
    Channel,
    Conversation,
    Event,
    EventKind,
    Judgement,
    JudgementSource,
    Role,
    Turn,
    TurnStatus,
    TurnUnit,
    Verdict,
)
from dialogues.reading import Row, Said, Transcript, UnreadableRow, read_transcript
from knowledge.models import KnowledgeUnit, Scene

RATED_AFTER = timedelta(seconds=20)
BATCH = 100  # dialogues in one transaction
SceneOf = Callable[[Row], Scene | None] | Scene | None


@dataclass(slots=True)
class Summary:
    """What an import did."""

    dialogues: int = 0
    skipped: int = 0  # stored by an earlier import
    events: int = 0
    turns: int = 0
    cases: int = 0
    unknown_units: set[str] = field(default_factory=set)  # cited, but not in the knowledge base
    errors: list[tuple[int, str]] = field(default_factory=list)  # (line, why)


@dataclass(slots=True)
class Rows:
    """What one batch stores, in the order of foreign keys."""

    turns: list[Turn] = field(default_factory=list)
    units: list[TurnUnit] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)

    def save(self) -> None:
        Turn.objects.bulk_create(self.turns, batch_size=1000)
        TurnUnit.objects.bulk_create(self.units, batch_size=1000)
        # The trigger numbers events in the order of the statement.
        Event.objects.bulk_create(self.events, batch_size=1000)
        Judgement.objects.bulk_create(self.judgements, batch_size=1000)
        Case.objects.bulk_create(_case(judgement) for judgement in self.judgements)


def import_rows(
    rows: Iterable[Row],
    *,
    scene_of: SceneOf = None,
    by: User | None = None,
    channel: str = Channel.IMPORT,
) -> Summary:
    """Store dialogues, each once by its id, and class the turns they judge.

    `rows` are as `dialogues.reading.read_transcript` takes them; `scene_of` is a scene for
    all or gives a row's own; `by` is the author of their judgements. Each hundred is a
    transaction, so what was stored stays when a later line fails.
    """
    summary = Summary()
    readable = iter(_readable(rows, scene_of, summary))
    while batch := list(islice(readable, BATCH)):
        _store(batch, by=by, channel=channel, summary=summary)
    return summary


Item = tuple[Transcript, Scene | None]


def _readable(rows: Iterable[Row], scene_of: SceneOf, summary: Summary) -> Iterable[Item]:
    for number, row in enumerate(rows, start=1):
        try:
            scene = scene_of(row) if callable(scene_of) else scene_of
            yield read_transcript(row), scene
        except UnreadableRow as error:
            summary.errors.append((row.get("line", number), str(error)))


@transaction.atomic
def _store(items: Sequence[Item], *, by: User | None, channel: str, summary: Summary) -> None:
    fresh = _not_stored(items)
    summary.skipped += len(items) - len(fresh)
    units = _cited_units(fresh)
    conversations = Conversation.objects.bulk_create(
        _conversation(transcript, scene, channel) for transcript, scene in fresh
    )
    rows = Rows()
    for conversation, (transcript, _) in zip(conversations, fresh, strict=True):
        exchanges = _add_events(rows, conversation, transcript, units)
        for exchange in exchanges:
            summary.unknown_units |= _add_turn(rows, conversation, exchange, units)
        rows.judgements += _judgements(exchanges, transcript.label, by)
    rows.save()
    summary.dialogues += len(fresh)
    summary.events += len(rows.events)
    summary.turns += len(rows.turns)
    summary.cases += len(rows.judgements)


def _not_stored(items: Sequence[Item]) -> list[Item]:
    by_name = {transcript.external_id: (transcript, scene) for transcript, scene in items}
    known = Conversation.objects.filter(external_id__in=by_name)
    stored = set(known.values_list("external_id", flat=True))
    return [item for name, item in by_name.items() if name not in stored]


def _cited_units(items: Sequence[Item]) -> Units:
    """Return the units that the transcripts cite, by external id and by key."""
    cited = {name for item in items for said in item[0].said for name in said.knowledge}
    units = KnowledgeUnit.objects.select_related("latest", "live").order_by("pk")
    named = units.filter(external_id__in=[name for name in cited if isinstance(name, str)])
    numbered = units.filter(pk__in=[key for key in cited if isinstance(key, int)])
    return {unit.external_id or "": unit for unit in named} | {unit.pk: unit for unit in numbered}


def _conversation(transcript: Transcript, scene: Scene | None, channel: str) -> Conversation:
    times = times_of(transcript)
    return Conversation(
        channel=channel,
        external_id=transcript.external_id,
        scene=scene,
        customer=masked(transcript.customer),
        rating=transcript.rating,
        created_at=times[0],
        closed_at=times[-1],
    )


def _add_events(
    rows: Rows, conversation: Conversation, transcript: Transcript, units: Units
) -> list[Exchange]:
    """Append the log of a conversation and return the agent's exchanges in it."""
    exchanges: list[Exchange] = []
    asked_seq = 0
    times = times_of(transcript)
    for seq, (said, at) in enumerate(zip(transcript.said, times, strict=True), start=1):
        if said.role == "customer":
            asked_seq = seq
        by_agent = said.role in ("agent", "action") and asked_seq
        if by_agent and (not exchanges or exchanges[-1].asked_seq != asked_seq):
            exchanges.append(Exchange(asked_seq=asked_seq, turn=Turn(created_at=at)))
        turn = exchanges[-1].turn if by_agent else None
        if turn:
            exchanges[-1].said.append(said)
            turn.finished_at = at
        rows.events.append(_event(conversation, said, turn, at, units))
    if transcript.rating:
        rows.events.append(_rating_event(conversation, transcript.rating, times[-1]))
    return exchanges


def _event(
    conversation: Conversation, said: Said, turn: Turn | None, at: datetime, units: Units
) -> Event:
    event = Event(
        conversation=conversation, turn=turn, at=at, text=masked(said.text), kind=EventKind.MESSAGE
    )
    if said.role in ("customer", "staff"):
        event.role = Role(said.role)
        return event
    event.role, event.fence = Role.AGENT, 0
    if said.role == "action":
        # What the agent said while calling is no message of its own: prompts do not show it.
        event.kind = EventKind.ACTION
        event.data = {"name": said.name, "arguments": said.arguments, "result": said.result}
    elif turn:
        event.data = {
            "citations": [_citation(units[name]) for name in said.knowledge if name in units],
            "release": None,
            "turn": str(turn.public_id),
        }
    return event


def _rating_event(conversation: Conversation, score: int, at: datetime) -> Event:
    return Event(
        conversation=conversation,
        kind=EventKind.RATING,
        role=Role.CUSTOMER,
        data={"score": score, "comment": ""},
        at=at + RATED_AFTER,
    )


def _add_turn(rows: Rows, conversation: Conversation, exchange: Exchange, units: Units) -> set[str]:
    """Append the turn of an exchange with its cited rules; return the citations not known."""
    cited = list(dict.fromkeys(name for said in exchange.said for name in said.knowledge))
    *calls, (last, _) = acts_of(exchange.said, units)
    turn = exchange.turn
    turn.conversation = conversation
    turn.asked_seq = exchange.asked_seq
    turn.status = TurnStatus.DONE
    turn.output = last.as_dict()
    turn.steps = [step_of(action, result) for action, result in calls]
    rows.turns.append(turn)
    found = dict.fromkeys(units[name] for name in cited if name in units)
    rows.units += [_turn_unit(turn, unit, rank) for rank, unit in enumerate(found, start=1)]
    return {str(name) for name in cited if name not in units}


def _citation(unit: KnowledgeUnit) -> Row:
    """Name a cited rule as the chat shows it."""
    revision = unit.live or unit.latest
    return {"unit": unit.pk, "title": revision.title if revision else ""}


def _turn_unit(turn: Turn, unit: KnowledgeUnit, rank: int) -> TurnUnit:
    # No search found it, so it has no scores.
    revision = unit.live or unit.latest
    return TurnUnit(turn=turn, unit=unit, revision=revision, rank=rank, score=0.0, cited=True)


def _judgements(exchanges: Sequence[Exchange], label: str, by: User | None) -> list[Judgement]:
    """Return a verdict per faulty exchange, or one on the last that matters."""
    faulty = [exchange for exchange in exchanges if exchange.issues]
    if faulty:
        verdict = Verdict.WRONG if label == Verdict.WRONG else Verdict.BAD
        return [_judgement(exchange, verdict, by) for exchange in faulty]
    if label not in (Verdict.GOOD, Verdict.NEUTRAL) or not exchanges:
        return []
    substantive = [exchange for exchange in exchanges if exchange.is_substantive]
    return [_judgement((substantive or exchanges)[-1], Verdict(label), by)]


def _judgement(exchange: Exchange, verdict: Verdict, by: User | None) -> Judgement:
    return Judgement(
        turn=exchange.turn,
        source=JudgementSource.IMPORT,
        author=by,
        verdict=verdict,
        issue_types=exchange.issues,
        rewrite=rewrite_of(exchange),
        at=exchange.turn.finished_at or exchange.turn.created_at,
    )


def _case(judgement: Judgement) -> Case:
    return Case(
        turn=judgement.turn,
        label=judgement.verdict,
        issue_types=judgement.issue_types,
        rewrite=judgement.rewrite,
        updated_at=judgement.at,
    )
