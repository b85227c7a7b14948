"""What came of each rule: found, cited, how customers and reviewers took it, hand-offs.

What was found as a rule that later became part of another, or was split, counts for both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Q
from django.db.models.functions import TruncWeek
from django.utils import timezone

from dialogues.models import TurnUnit
from knowledge.lineage import ancestors
from knowledge.models import KnowledgeUnit, Publication, Scene
from knowledge.shares import wilson
from wowconsole.roles import AnyUser

UNUSED_DAYS = 90
WEEKS_DRAWN = 26


@dataclass(frozen=True, slots=True)
class Use:
    """How often one rule was used in a period."""

    unit_id: int
    found: int  # turns
    cited: int  # turns
    last_used: datetime | None  # found in the period


@dataclass(frozen=True, slots=True)
class Effect(Use):
    """All figures of one rule in a period. What nobody said is None or 0, never "bad"."""

    conversations: int  # in which it was cited
    likes: int  # of replies that cite it
    dislikes: int
    rating: float | None  # mean stars of those conversations, 1 to 5
    rated: int  # how many of them have a rating
    good: int  # turns that cite it, as they are classed now
    bad: int
    handed: int  # conversations that went to a person at the citing turn or later
    unused: bool  # live for UNUSED_DAYS and not found once in them

    @property
    def handed_share(self) -> float | None:
        return self.handed / self.conversations if self.conversations else None

    @property
    def handed_between(self) -> tuple[float, float]:
        """The 95 % interval of the share."""
        return wilson(self.handed, self.conversations)

    @property
    def handed_percent(self) -> str:
        """The share and its interval as people read it; "" where it was never cited."""
        if self.handed_share is None:
            return ""
        low, high = self.handed_between
        return f"{self.handed_share:.0%} ({low:.0%} to {high:.0%})"


def uses(
    *, visible_to: AnyUser, since: datetime | None = None, scene: Scene | None = None
) -> list[Use]:
    """Return the use alone of each rule, for putting many in order: several times as fast.

    A turn in which two rules were found that became one counts twice here.
    """
    return [Use(*row) for row in _rows(USES, visible_to, since, scene, None)]


def unused(*, visible_to: AnyUser, scene: Scene | None = None) -> list[int]:
    """Return the keys of rules that are live for UNUSED_DAYS and were not found once in them."""
    return [pk for (pk,) in _rows(UNUSED, visible_to, None, scene, None)]


def effects(
    *,
    visible_to: AnyUser,
    since: datetime | None = None,
    scene: Scene | None = None,
    units: Sequence[int] | None = None,
) -> list[Effect]:
    """Return the figures of each rule that is not archived, in the order of their keys.

    Args:
        since: what happened before is left out; None leaves out nothing.
        scene: only its rules. Without it: the rules of every scene the user works in.
        units: keys; only these rules, archived or not.
    """
    return [Effect(*row) for row in _rows(EFFECTS, visible_to, since, scene, units)]


def _rows(
    sql: str,
    visible_to: AnyUser,
    since: datetime | None,
    scene: Scene | None,
    units: Sequence[int] | None,
) -> list[tuple[Any, ...]]:
    scenes = Scene.objects.visible_to(visible_to).order_by()
    parameters = {
        "scenes": [scene.pk] if scene else list(scenes.values_list("pk", flat=True)),
        "units": None if units is None else list(units),
        "since": since,
        "unused_since": timezone.now() - timedelta(days=UNUSED_DAYS),
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


SCOPE = """
WITH RECURSIVE scope AS (
    SELECT id, status FROM knowledge_knowledgeunit
    WHERE scene_id = ANY(%(scenes)s::bigint[])
      AND CASE WHEN %(units)s::bigint[] IS NULL THEN status <> 'archived'
               ELSE id = ANY(%(units)s::bigint[]) END
),
family AS (
    SELECT id AS unit_id, id AS member_id FROM scope
    UNION
    SELECT family.unit_id, lineage.source_id
    FROM family JOIN knowledge_lineage AS lineage ON lineage.target_id = family.member_id
)
"""
USES = f"""
{SCOPE},
uses AS (
    SELECT family.unit_id, count(*) AS found, count(*) FILTER (WHERE found.cited) AS cited,
           max(turn.created_at) AS last_used
    FROM family
    JOIN dialogues_turnunit AS found ON found.unit_id = family.member_id
    JOIN dialogues_turn AS turn ON turn.id = found.turn_id
    WHERE %(since)s::timestamptz IS NULL OR turn.created_at >= %(since)s::timestamptz
    GROUP BY family.unit_id
)
SELECT scope.id, coalesce(found, 0), coalesce(cited, 0), last_used
FROM scope LEFT JOIN uses ON uses.unit_id = scope.id
ORDER BY scope.id
"""  # noqa: S608 (constants alone)
IS_UNUSED = """
scope.status = 'published' AND EXISTS (
    SELECT FROM knowledge_publication AS publication
    WHERE publication.unit_id = scope.id AND publication.revision_id IS NOT NULL
      AND publication.at < %(unused_since)s
) AND scope.id NOT IN (
    SELECT family.unit_id FROM family
    JOIN dialogues_turnunit AS found ON found.unit_id = family.member_id
    JOIN dialogues_turn AS turn ON turn.id = found.turn_id
    WHERE turn.created_at >= %(unused_since)s
)
"""
UNUSED = f"{SCOPE} SELECT id FROM scope WHERE {IS_UNUSED} ORDER BY id"  # noqa: S608 (likewise)

# A turn counts once for a rule, however many of the rules it was made of were found in it.
# What customers did after the rule is looked for from its first citation in a conversation on.
EFFECTS = f"""
{SCOPE},
used AS (
    SELECT family.unit_id, turn.id AS turn_id, turn.conversation_id, turn.asked_seq,
           turn.created_at, bool_or(found.cited) AS cited
    FROM family
    JOIN dialogues_turnunit AS found ON found.unit_id = family.member_id
    JOIN dialogues_turn AS turn ON turn.id = found.turn_id
    WHERE %(since)s::timestamptz IS NULL OR turn.created_at >= %(since)s::timestamptz
    GROUP BY family.unit_id, turn.id
),
uses AS (
    SELECT unit_id, count(*) AS found, count(*) FILTER (WHERE cited) AS cited,
           max(created_at) AS last_used
    FROM used GROUP BY unit_id
),
opinions AS (
    SELECT used.unit_id,
           count(*) FILTER (WHERE judgement.verdict = 'good') AS likes,
           count(*) FILTER (WHERE judgement.verdict IN ('bad', 'wrong')) AS dislikes
    FROM used JOIN dialogues_judgement AS judgement
        ON judgement.turn_id = used.turn_id AND judgement.source = 'customer'
    WHERE used.cited GROUP BY used.unit_id
),
classes AS (
    SELECT used.unit_id,
           count(*) FILTER (WHERE class.label = 'good') AS good,
           count(*) FILTER (WHERE class.label IN ('bad', 'wrong')) AS bad
    FROM used JOIN dialogues_case AS class ON class.turn_id = used.turn_id
    WHERE used.cited GROUP BY used.unit_id
),
talks AS (
    SELECT unit_id, conversation_id, min(asked_seq) AS asked_seq
    FROM used WHERE cited GROUP BY unit_id, conversation_id
),
after AS (
    SELECT talks.unit_id, count(*) AS conversations,
           avg(conversation.rating)::float8 AS rating, count(conversation.rating) AS rated,
           count(*) FILTER (WHERE EXISTS (
               SELECT FROM dialogues_event AS event
               WHERE event.conversation_id = talks.conversation_id
                 AND event.seq > talks.asked_seq AND event.kind = 'control'
                 AND event.data ->> 'state' IN ('queued', 'human')
           ) OR EXISTS (
               SELECT FROM dialogues_turn AS later
               WHERE later.conversation_id = talks.conversation_id
                 AND later.asked_seq >= talks.asked_seq
                 AND later.output -> 'action' ->> 'name' = 'handoff'
           )) AS handed
    FROM talks JOIN dialogues_conversation AS conversation
        ON conversation.id = talks.conversation_id
    GROUP BY talks.unit_id
)
SELECT scope.id, coalesce(found, 0), coalesce(cited, 0), last_used, coalesce(conversations, 0),
       coalesce(likes, 0), coalesce(dislikes, 0), rating, coalesce(rated, 0), coalesce(good, 0),
       coalesce(bad, 0), coalesce(handed, 0), {IS_UNUSED}
FROM scope
LEFT JOIN uses ON uses.unit_id = scope.id
LEFT JOIN opinions ON opinions.unit_id = scope.id
LEFT JOIN classes ON classes.unit_id = scope.id
LEFT JOIN after ON after.unit_id = scope.id
ORDER BY scope.id
"""  # noqa: S608 (constants alone)


def family(unit: KnowledgeUnit) -> list[int]:
    """Return the keys of a rule and of those it was made of."""
    return sorted({unit.pk, *ancestors(unit.pk)})


@dataclass(frozen=True, slots=True)
class Week:
    """How often a rule was found and cited in the week that begins on `day`."""

    day: date
    found: int
    cited: int


def by_week(members: Iterable[int]) -> list[Week]:
    """Return the last weeks in which a rule of these keys was found, without gaps."""
    now = timezone.localtime()
    this_week = now.date() - timedelta(days=now.weekday())
    since = now - timedelta(weeks=WEEKS_DRAWN)
    counted = (
        TurnUnit.objects.filter(unit__in=members, turn__created_at__gte=since)
        .annotate(week=TruncWeek("turn__created_at"))
        .values("week")
        .annotate(
            times=Count("turn", distinct=True),
            cites=Count("turn", distinct=True, filter=Q(cited=True)),
        )
        .order_by("week")
    )
    known = {row["week"].date(): (row["times"], row["cites"]) for row in counted}
    if not known:
        return []
    weeks = (this_week - min(known)).days // 7 + 1
    days = [min(known) + timedelta(weeks=number) for number in range(weeks)]
    return [Week(day, *known.get(day, (0, 0))) for day in days]


@dataclass(frozen=True, slots=True)
class Proof:
    """That the text which is live now is in use."""

    live_since: datetime
    first_use: TurnUnit | None  # the first citation, or else the first time it was found


def proof_of(unit: KnowledgeUnit) -> Proof | None:
    """Return since when the live revision is live and where it was first used; None: not live."""
    published = Publication.objects.filter(unit=unit, revision=unit.live_id).first()
    if unit.live_id is None or published is None:
        return None
    # Dialogues that were imported name the revision too, but were held before.
    uses = TurnUnit.objects.filter(revision=unit.live_id, turn__created_at__gte=published.at)
    uses = uses.select_related("turn__conversation").defer("turn__steps", "turn__timings")
    return Proof(published.at, uses.order_by("-cited", "turn_id").first())
