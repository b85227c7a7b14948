"""Replay before publishing: past turns asked again, without an edit of a rule and with it.

First the search is compared, which takes seconds, then the answers, one engine call at a
time. Nothing is published, no tool is called, and customers notice nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connection, transaction

from agents import engines
from agents.actions import DialogueAction
from agents.master import TurnContext
from agents.models import Release, live_release
from agents.prompting import Line, Rule
from agents.rehearsing import rehearse
from agents.turning import rule_of
from dialogues.history import lines_for
from dialogues.loop import weighing
from dialogues.loop.affecting import Affected, affected_turns
from dialogues.models import Replay, ReplayTurn, ReplayVerdict, Turn
from knowledge import jobs
from knowledge.models import UNFINISHED, Job, JobState, KnowledgeUnit, Revision, UnitStatus
from knowledge.searching import Found
from wowconsole.errors import Invalid, Refused

TASK = "dialogues.tasks.replay"
MOST_ANSWERS = 30  # turns that are answered again; each costs two engine calls
ENGINE_LOCK = 0x7265706C  # any number that nothing else locks by
SAME_RULES = "The model reads the same rules."
JUDGED = (ReplayVerdict.WIN, ReplayVerdict.LOSS, ReplayVerdict.TIE)


class NothingToReplay(Refused):
    code = "nothing_to_replay"


class NotFinished(Refused):
    code = "replay_running"


class NothingToJudge(Refused):
    code = "nothing_to_judge"


class EngineDown(Refused):
    code = "engine_unavailable"
    status = 503


@transaction.atomic
def start_replay(*, unit: KnowledgeUnit, by: User, is_removal: bool = False) -> Replay:
    """Replay the unit's unpublished revision, or its archiving; one that runs is returned.

    Raises:
        NothingToReplay: nothing is unpublished, or nothing is live that could be archived.
    """
    units = KnowledgeUnit.objects.filter(pk=unit.pk)
    unit = units.select_related("latest", "live").locked().get()
    revision = _revision_of(unit, is_removal)
    running = Replay.objects.filter(
        revision=revision, is_removal=is_removal, job__state__in=UNFINISHED
    )
    if replay := running.select_related("job").first():
        return replay
    title = f"Replay of rule {unit.pk}, revision {revision.number}"
    job = jobs.start(task=TASK, title=title, by=by)
    return Replay.objects.create(revision=revision, is_removal=is_removal, job=job)


def _revision_of(unit: KnowledgeUnit, is_removal: bool) -> Revision:
    if is_removal and unit.live is None:
        raise NothingToReplay("No revision of this rule is live: archiving it changes nothing.")
    if unit.status == UnitStatus.ARCHIVED:
        raise NothingToReplay("This rule is archived. Restore it, then replay it.")
    if not is_removal and unit.live_id == unit.latest_id:
        raise NothingToReplay("What agents use is the latest text. Edit the rule, then replay it.")
    revision = unit.live if is_removal else unit.latest
    assert revision is not None  # noqa: S101  # null only while the unit is being created
    return revision


@transaction.atomic
def resume_replay(*, replay: Replay, by: User) -> Replay:
    """Go on with a replay that failed or was cancelled; what it has found stays.

    Raises:
        NotFinished: it runs, or it is done.
    """
    replay = Replay.objects.select_for_update().get(pk=replay.pk)
    if replay.job.state not in (JobState.FAILED, JobState.CANCELLED):
        raise NotFinished("This replay runs or is done: there is nothing to resume.")
    replay.job = jobs.start(task=TASK, title=replay.job.title, by=by)
    replay.save(update_fields=["job"])
    return replay


@transaction.atomic
def judge_turn(*, row: ReplayTurn, by: User, verdict: str) -> ReplayTurn:
    """Store what a person thinks of the new answer; it counts more than the judge's verdict.

    Raises:
        NothingToJudge: the answers are the same, or not there yet.
        Invalid: not one of win, loss, tie.
    """
    if verdict not in JUDGED:
        raise Invalid("Judge with win, loss or tie.")
    row = ReplayTurn.objects.select_for_update(of=("self",)).select_related("turn").get(pk=row.pk)
    if row.verdict == ReplayVerdict.SAME or not row.after["action"]:
        raise NothingToJudge("There are no two answers that differ.")
    row.verdict, row.judged_by = verdict, by.get_username()[:40]
    row.reason, row.harm = "", weighing.harm_of(row)
    row.save(update_fields=["verdict", "judged_by", "reason", "harm"])
    return row


def run(job: Job) -> None:
    """Do a replay, or go on with it; called by the worker that holds the job.

    Raises:
        Refused: it can't be done now, and why; what was found until then stays.
    """
    parts = "revision__unit__scene"
    replay = Replay.objects.select_related(parts).filter(job=job).first()
    if replay is None:  # resumed under another job
        return
    if not replay.turns.exists():
        _find(replay, job)
    _answer(replay, job)


def _find(replay: Replay, job: Job) -> None:
    def tell(note: str) -> None:
        jobs.advance(job, done=0, note=note)

    looked_at, affected = affected_turns(replay.revision, is_removal=replay.is_removal, tell=tell)
    with transaction.atomic():
        ReplayTurn.objects.bulk_create(_row(replay, each) for each in affected)
        Replay.objects.filter(pk=replay.pk).update(looked_at=looked_at)


def _row(replay: Replay, each: Affected) -> ReplayTurn:
    row = ReplayTurn(
        replay=replay,
        turn=each.turn,
        before={"rules": _as_json(each.before), "action": None},
        after={"rules": _as_json(each.after), "action": None},
    )
    if each.shows_the_same:
        row.verdict, row.reason = ReplayVerdict.SAME, SAME_RULES
    row.harm = weighing.harm_of(row)
    return row


def _as_json(found: list[Found]) -> list[dict[str, Any]]:
    return [
        {
            "unit_id": item.unit_id,
            "revision_id": item.revision_id,
            "title": item.title,
            "similarity": round(item.similarity, 4),
        }
        for item in found
    ]


def to_answer(rows: Iterable[ReplayTurn]) -> list[ReplayTurn]:
    """Return the rows whose answers are compared: the first of those that read other rules."""
    return [row for row in rows if row.reason != SAME_RULES][:MOST_ANSWERS]


def _answer(replay: Replay, job: Job) -> None:
    parts = ("turn__conversation__scene", "turn__release__version")
    rows = to_answer(replay.turns.select_related(*parts).order_by("pk"))
    waiting = [row for row in rows if not row.after["action"]]
    for done, row in enumerate(waiting, start=len(rows) - len(waiting)):
        jobs.advance(job, done=done, total=len(rows), note="Answering again without and with it")
        _answer_turn(row, job)


def _answer_turn(row: ReplayTurn, job: Job) -> None:
    release = row.turn.release or live_release(row.turn.conversation.scene)
    context = _context(row.turn, release)
    old, new = _rules(row.before), _rules(row.after)
    before = rehearsed(context, old)
    jobs.advance(job, done=job.done, note=job.note)  # engines may take most of a lease
    after = rehearsed(context, new)
    jobs.advance(job, done=job.done, note=job.note)
    weighed = weighing.weigh(before, after, lines=context.lines, rules=new)
    row.before["action"], row.after["action"] = before.as_dict(), after.as_dict()
    row.verdict, row.reason, row.judged_by = weighed.verdict, weighed.reason, weighed.by
    row.harm = weighing.harm_of(row)
    row.save(update_fields=["before", "after", "verdict", "reason", "judged_by", "harm"])


def _context(turn: Turn, release: Release | None) -> TurnContext:
    if release is None:
        raise EngineDown("No release is live, so nothing can answer. Promote one, then resume.")
    scene, audience = turn.conversation.scene, turn.conversation.audience
    return TurnContext(str(turn.public_id), release, scene, lines_for(turn), audience=audience)


def _rules(side: dict[str, Any]) -> list[Rule]:
    """Return the texts of the rules that were found, best first."""
    texts = Revision.objects.in_bulk([rule["revision_id"] for rule in side["rules"]])
    return [rule_of(texts[rule["revision_id"]], rule["similarity"]) for rule in side["rules"]]


def rehearsed(context: TurnContext, rules: list[Rule], told: Sequence[Line] = ()) -> DialogueAction:
    try:
        with _alone():
            return async_to_sync(_rehearse)(context, rules, told)
    except engines.EngineUnavailable as error:
        raise EngineDown(
            f"The engine does not answer: {error}. What the search finds is below. Resume the "
            "replay when the engine is back."
        ) from error


async def _rehearse(
    context: TurnContext, rules: list[Rule], told: Sequence[Line]
) -> DialogueAction:
    try:
        return await rehearse(context, rules, told)
    finally:
        await engines.close()


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other replay asks the engine, which customers wait for too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [ENGINE_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [ENGINE_LOCK])
