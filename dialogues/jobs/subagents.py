"""The sub-agents that are known here: those of `agents`, and those that read dialogues.

Importing this module registers them.
"""

from asgiref.sync import sync_to_async
from django.utils import timezone

from agents.subagents import (
    CostClass,
    Outcome,
    SubAgent,
    Work,
    callees,
    outbound,
    register,
)
from dialogues.jobs import phoning
from dialogues.models import Handover
from dialogues.senses import sensing

CALL = outbound.CALL
LOOK, HEAR = sensing.LOOK, sensing.HEAR  # registered there

__all__ = ["CALL", "HEAR", "LOOK", "callees", "phoning"]  # importing these makes lines known


async def read_queue(work: Work) -> Outcome:
    """Tell how many customers wait for a person, and for how long the first of them has."""
    return Outcome(await sync_to_async(_read_queue)())


def _read_queue() -> dict[str, int]:
    asked = list(Handover.objects.waiting().values_list("asked_at", flat=True))
    minutes = (timezone.now() - asked[0]).total_seconds() / 60 if asked else 0
    return {"waiting": len(asked), "longest_wait_minutes": round(minutes)}


register(
    SubAgent(
        name="read_queue",
        version=1,
        description="see how many customers wait for a person",
        inputs={"type": "object", "properties": {}, "additionalProperties": False},
        outputs={
            "type": "object",
            "properties": {
                "waiting": {"type": "integer", "minimum": 0},
                "longest_wait_minutes": {"type": "integer", "minimum": 0},
            },
            "required": ["waiting", "longest_wait_minutes"],
            "additionalProperties": False,
        },
        timeout_seconds=30,
        cost_class=CostClass.FREE,
        run=read_queue,
    )
)
