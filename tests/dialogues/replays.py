"""What the tests of replays share: a rule with an unpublished edit, and turns that it affects."""

from unittest import mock

from dialogues import tasks
from dialogues.loop import replaying
from dialogues.models import Replay, TurnUnit
from knowledge import jobs, services
from knowledge.models import Hook, HookVector, KnowledgeUnit, Publication
from tests.engine import EngineMixin
from tests.factories import (
    make_conversation,
    make_published_unit,
    make_release,
    make_scene,
    make_turn,
)

COLD = "My soup arrived cold, do I get money back?"
LATE = "Can I pick my groceries up at the warehouse?"


def edited(unit, by, **fields):
    """The unit with an edit that nobody has published."""
    unit = KnowledgeUnit.objects.select_related("latest").get(pk=unit.pk)
    return services.revise_unit(unit=unit, author=by, based_on=unit.latest.number, **fields)


def base_as_it_is():
    """Everything that a publication would change."""
    return (
        list(KnowledgeUnit.objects.order_by("pk").values()),
        list(Hook.objects.order_by("pk").values("pk", "unit_id", "text")),
        list(HookVector.objects.order_by("pk").values_list("pk", "hook_id")),
        Publication.objects.count(),
    )


class ReplayMixin(EngineMixin):
    """A rule about cold soup whose edit is about the warehouse too."""

    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.release = make_release(live=True, tools=["refund"])
        cls.unit = make_published_unit(scene=cls.scene, condition=COLD, content="We pay $5.")
        cls.other = make_published_unit(
            scene=cls.scene, condition="How do I close my account?", content="In the settings."
        )
        cls.by = cls.unit.owner
        cls.unit = edited(cls.unit, cls.by, content="We pay $9.", questions=[LATE])
        cls.cold, cls.late, cls.account = (
            cls.asked(text) for text in (COLD, LATE, "How do I close my account?")
        )
        TurnUnit.objects.create(
            turn=cls.cold, unit=cls.unit, revision_id=cls.unit.live_id, rank=1, score=0.03
        )

    @classmethod
    def asked(cls, text, **fields):
        conversation = make_conversation(scene=cls.scene)
        return make_turn(conversation, text, release=cls.release, **fields)

    def start(self, **fields):
        with mock.patch.object(jobs, "send"), self.captureOnCommitCallbacks(execute=True):
            return replaying.start_replay(unit=self.unit, by=self.by, **fields)

    def run_replay(self, **fields):
        replay = self.start(**fields)
        tasks.replay(replay.job_id)
        return Replay.objects.select_related("job", "revision").get(pk=replay.pk)

    def rows(self, replay):
        return {row.turn_id: row for row in replay.turns.select_related("turn")}
