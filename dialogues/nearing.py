"""The rules that nearly came up for a turn, and why they did not."""

from dataclasses import dataclass
from math import floor

from dialogues.models import Turn
from knowledge.explaining import FilteredOut, filtered_out
from knowledge.models import Publication, RetrievalSettings
from knowledge.searching import Found, current_settings, search
from wowconsole.roles import AnyUser

NEAR_LIMIT = 8  # rules nearly found that the page tells of


@dataclass(frozen=True, slots=True)
class Near:
    """A rule that was not read, and why not."""

    unit_id: int
    title: str
    reasons: list[str]


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
    best = max((hit.similarity for hit in hits), default=0.0)
    weak = [
        Near(hit.unit_id, hit.title, _why_not(hit, limits, best, hit.unit_id in later, len(known)))
        for hit in hits
        if hit.unit_id not in known
    ]
    taken = filtered_out(
        question, hits, scene=scene, audience=audience, visible_to=user, settings=limits
    )
    return [*weak, *(_filtered(item) for item in taken if item.unit_id not in known)]


def _why_not(
    hit: Found, limits: RetrievalSettings, best: float, is_later: bool, others: int
) -> list[str]:
    if hit.passes and is_later:
        return ["it fits today: it was published or edited after this answer"]
    if hit.passes and others:
        return [f"it fits, with similarity {hit.similarity:.3f}: {others} ranked before it came up"]
    if hit.passes:
        return ["it fits today: it was not in force then, or the limits were others"]
    return [_unlike(hit, limits, best), _too_few_words(hit, limits)]


def _unlike(hit: Found, limits: RetrievalSettings, best: float) -> str:
    """Say which limit of similarity the rule missed: beside one that fits, less is enough.

    Rounded down, as the words are: a number that misses a limit must not look like it.
    """
    is_beside = best >= limits.min_similarity
    least = limits.min_companion if is_beside else limits.min_similarity
    beside = " beside a rule that fits" if is_beside else ""
    has = floor(1000 * hit.similarity) / 1000
    return f"similarity {has:.3f} is below {least:.3f}, which is needed{beside}"


def _too_few_words(hit: Found, limits: RetrievalSettings) -> str:
    """Say which limit of words the rule missed: the share of the question's, or their number."""
    has = f"it has {floor(100 * hit.coverage)}% of the question's words"
    if hit.coverage < limits.min_coverage:
        return f"{has}, and {limits.min_coverage:.0%} are needed"
    return f"{has}, which are fewer than the {limits.min_matched_words} that have to agree"


def _filtered(item: FilteredOut) -> Near:
    return Near(item.unit_id, item.title, item.reasons)
