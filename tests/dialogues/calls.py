"""Rows for tests of jobs and calls: a plan, its job, and a worker that does what is due."""

from django.utils import timezone

from agents.subagents import REGISTRY, CostClass, Outcome, SubAgent
from dialogues.jobs import delegating, undertaking
from dialogues.models import CallPlan, SubagentJob, SubagentLine
from tests import factories

CARD = {
    "whom": {"name": "Bangkok Corner"},
    "why": "order {order_id} is late",
    "facts": [
        {
            "name": "ready_in",
            "question": "In how many minutes will the order be ready?",
            "kind": "duration",
        },
        {"name": "replace", "question": "Can you replace a missing dish?", "kind": "yes_no"},
    ],
    "offers": [{"name": "wait", "words": "We can ask the customer to wait a little longer."}],
}
NUMBER = {
    "type": "object",
    "properties": {"order_id": {"type": "string", "pattern": "^GW[0-9]{4}$"}},
    "required": ["order_id"],
}


def make_plan(**fields):
    defaults = {
        "name": "call_merchant",
        "description": "call the shop",
        "parameters": NUMBER,
        "card": CARD,
        "addresses": {"*": "simulated:cooperative"},
    }
    return CallPlan.objects.create(**{**defaults, **fields})


def make_job(conversation=None, name="call_merchant", key="key-1", **arguments):
    """A job as the agent's turn starts it, of a plan that exists."""
    if name == "call_merchant" and not CallPlan.objects.filter(name=name).exists():
        make_plan()
    return delegating.start(
        conversation=conversation or factories.make_conversation(),
        name=name,
        arguments=arguments or {"order_id": "GW1001"},
        key=key,
    )


def do(job):
    """Do a job as a worker would, as far as it goes, and return its row."""
    undertaking.do_job(job.pk)
    return SubagentJob.objects.get(pk=job.pk)


def bring_forward(job, **fields):
    """Let a job's time have come."""
    SubagentJob.objects.filter(pk=job.pk).update(**{"due_at": timezone.now(), **fields})


def told(job):
    """What the chat was told of a job: (state, detail)."""
    events = job.conversation.events.filter(kind="job", data__id=str(job.public_id))
    return [(event.data["state"], event.data["detail"]) for event in events]


def spoken(job):
    return [
        (row.speaker, row.text) for row in SubagentLine.objects.filter(job=job).order_by("number")
    ]


class SubAgentMixin:
    """Lets a test class register a sub-agent of its own for the length of a test."""

    def register(self, run, name="tested", **fields):
        anything = {"type": "object"}
        subagent = SubAgent(
            **{
                "name": name,
                "version": 1,
                "description": "made for a test",
                "inputs": anything,
                "outputs": anything,
                "timeout_seconds": 60,
                "cost_class": CostClass.FREE,
                "run": run,
                **fields,
            }
        )
        REGISTRY[name] = subagent
        self.addCleanup(REGISTRY.pop, name)
        return subagent


def result_of(**result):
    """A sub-agent's work that brings `result` at once."""

    async def run(work):
        return Outcome(result)

    return run
