"""What a judge model says of suspected conflicts between rules."""

import re
from time import monotonic
from typing import Any

from django.db.models import QuerySet

from agents import judging
from knowledge import conflicts
from knowledge.models import Conflict, ConflictKind, ConflictState, FoundBy, Revision

SECONDS = 25  # per round: beat begins the next one after 30
MOST_FAULTS = 2  # in a row; then the judge is down, not one question too hard
SCHEMA = {
    "type": "object",
    "properties": {
        "verdict": {"enum": [*ConflictKind.values, "none"]},
        "first": {"type": "string"},
        "second": {"type": "string"},
        "reason": {"type": "string", "maxLength": 300},
    },
    "required": ["verdict", "first", "second", "reason"],
    "additionalProperties": False,
}


def settle_some() -> int:
    """Ask about suspicions nobody has judged, for a while; return how many were settled.

    In no order, so that a question the judge chokes on does not hold up the others.
    """
    settled, faults, started = 0, 0, monotonic()
    if not judging.is_configured():
        return settled
    for conflict in _waiting().order_by("?").iterator(chunk_size=20):
        if monotonic() - started > SECONDS or faults >= MOST_FAULTS:
            break
        try:
            settled += settle(conflict)
            faults = 0
        except judging.JudgeUnavailable:
            faults += 1
    return settled


def settle(conflict: Conflict) -> bool:
    """Store what the judge says of one suspicion; False: it was settled meanwhile.

    A verdict without sentences that really stand in the rules proves nothing: the suspicion
    stays, for a person.

    Raises:
        JudgeUnavailable: ask again later.
    """
    left, right = conflict.left, conflict.right
    question = {
        "first": _shown(left),
        "second": _shown(right),
        "suspicion": f"{conflict.get_kind_display()}: {conflict.reason}",
    }
    answer = judging.ask("conflict.txt", question, SCHEMA)
    return bool(_waiting().filter(pk=conflict.pk).update(**_outcome(conflict, answer)))


def _waiting() -> QuerySet[Conflict]:
    rows = conflicts.current(Conflict.objects.filter(found_by=FoundBy.RULES))
    return rows.filter(state=ConflictState.SUSPECTED).select_related("left", "right")


def _outcome(conflict: Conflict, answer: dict[str, Any]) -> dict[str, Any]:
    judged: dict[str, Any] = {"found_by": FoundBy.JUDGE}
    kind = answer["verdict"]
    if kind == "none":
        return judged | {"state": ConflictState.DISMISSED}
    quotes = (answer["first"], answer["second"])
    if not all(map(_stands_in, quotes, (conflict.left, conflict.right))):
        return judged
    if kind != conflict.kind and _is_known(conflict, kind):
        return judged | {"state": ConflictState.RESOLVED}  # the row of that kind says it
    texts = {"left_text": quotes[0], "right_text": quotes[1]}
    reason = answer["reason"].strip() or conflict.reason
    return judged | texts | {"state": ConflictState.PROVEN, "kind": kind, "reason": reason}


def _is_known(conflict: Conflict, kind: str) -> bool:
    rows = Conflict.objects.filter(left=conflict.left_id, right=conflict.right_id, kind=kind)
    return rows.exists()


def _stands_in(quote: str, revision: Revision) -> bool:
    wanted = _plain(quote)
    return bool(wanted) and any(
        wanted in _plain(text) for text in (revision.condition, revision.content)
    )


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()


def _shown(revision: Revision) -> dict[str, str]:
    return {"condition": revision.condition, "answer": revision.content}
