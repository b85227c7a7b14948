"""What answers cost: by turn, conversation, release and day, with caps and a page."""

from datetime import timedelta
from decimal import Decimal

from asgiref.sync import sync_to_async
from django.db import IntegrityError, connection, transaction
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.master import SORRY
from dialogues import answering, services
from dialogues.costs import capping, costing
from dialogues.models import Control, Turn, TurnStatus
from tests.engine import Answer, EngineMixin, says
from tests.factories import (
    make_conversation,
    make_release,
    make_scene,
    make_turn,
    make_user,
    make_version,
)


def make_talk(**version):
    release = make_release(live=True, version=make_version(**version))
    conversation = make_conversation(scene=None, release=release)
    services.say(conversation=conversation, text="Hi", client_id="a")
    return conversation


class TurnTests(EngineMixin, TestCase):
    async def answered(self, conversation=None, **version):
        conversation = conversation or await sync_to_async(make_talk)(**version)
        await answering.answer_conversation(conversation.pk)
        await conversation.arefresh_from_db()
        return conversation, await Turn.objects.alatest("pk")

    async def test_tokens_and_dollars_are_stored(self):
        _, turn = await self.answered(input_price=1000, output_price=2000)
        assert (turn.prompt_tokens, turn.completion_tokens, turn.engine_calls) == (7, 5, 1)
        assert turn.cost == Decimal("0.017")
        assert turn.steps[0]["cost"] == 0.017

    async def test_one_s_own_hardware_costs_nothing(self):
        _, turn = await self.answered()
        assert turn.cost == 0

    async def test_faults_are_counted(self):
        self.engine.will(Answer("no json"), says("It is $99."), says("Hello."))
        _, turn = await self.answered()
        faults = (turn.engine_calls, turn.unreadable_calls, turn.unbacked_calls)
        assert faults == (3, 1, 1)
        assert turn.status == TurnStatus.DONE

    async def test_what_was_said_instead_is_marked(self):
        self.engine.always = Answer("no json")
        conversation, turn = await self.answered()
        assert "no readable action" in turn.degraded
        message = await conversation.events.aget(role="agent")
        assert (message.text, message.data["degraded"]) == (SORRY, True)

    async def test_above_its_cap_a_conversation_goes_to_a_person(self):
        with self.settings(CONVERSATION_CAP_CENTS=1):
            conversation, _ = await self.answered(input_price=10_000)
            asked = len(self.engine.requests)
            await sync_to_async(services.say)(conversation=conversation, text="And?", client_id="b")
            conversation, turn = await self.answered(conversation)
        assert len(self.engine.requests) == asked
        assert conversation.control == Control.QUEUED
        assert (turn.output["reply"], turn.status) == (capping.CAPPED, TurnStatus.DONE)
        assert turn.degraded == answering.OVER_CAP

    async def test_a_day_has_a_cap_too(self):
        await self.answered(input_price=10_000)
        with self.settings(DAY_CAP_CENTS=7):
            _, turn = await self.answered(await sync_to_async(make_talk)())
        assert turn.output["reply"] == capping.CAPPED
        with self.settings(DAY_CAP_CENTS=8):
            _, turn = await self.answered(await sync_to_async(make_talk)())
        assert turn.output["reply"] == "Hello from the engine."

    def test_constraints(self):
        turn = make_turn()
        for name, fields in (
            ("turn_cost_not_negative", {"cost": -1}),
            ("turn_faults_among_its_calls", {"unreadable_calls": 1}),
        ):
            with self.assertRaisesMessage(IntegrityError, name), transaction.atomic():
                Turn.objects.filter(pk=turn.pk).update(**fields)


class SumTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene, cls.strange = make_scene(name="Food"), make_scene()
        cls.reviewer = make_user("reviewer", [cls.scene])
        cls.dear, cls.cheap = make_release(name="dear"), make_release(name="cheap")
        figures = {"engine_calls": 4, "unreadable_calls": 1, "prompt_tokens": 100}
        for release, cost, segment in (
            (cls.dear, 3, "vip"),
            (cls.cheap, 1, ""),
            (cls.cheap, 0, ""),
        ):
            talk = make_conversation(scene=cls.scene, audience={"segment": segment})
            make_turn(talk, release=release, cost=cost, **figures)
        make_turn(make_conversation(scene=cls.strange), release=cls.dear, cost=9)

    def setUp(self):
        self.client.force_login(self.reviewer)

    def turns(self, days=1):
        return costing.turns_since(self.reviewer, timezone.now() - timedelta(days=days))

    def test_in_all(self):
        whole = costing.whole(self.turns())
        assert (whole.cost, whole.conversations, whole.turns) == (4, 3, 3)
        assert whole.unreadable_percent == 25
        assert costing.whole(self.turns(days=-1)).per_conversation == 0

    def test_by_group(self):
        def named(group):
            return {row.name: row.cost for row in costing.by_group(self.turns(), group)}

        assert named("release") == {"dear": 3, "cheap": 1}
        assert named("segment") == {"vip": 3, costing.UNKNOWN: 1}
        assert named("channel") == {"Chat": 4}
        assert named("scene") == {"Food": 4}
        assert len(named("model")) == 2

    def test_the_page(self):
        page = self.client.get("/costs/?by=segment&days_back=7").content.decode()
        assert "By segment" in page
        assert page.count('class="form-select"') == 2
        assert "vip" in page
        assert "25.0 %" in page
        assert (
            "<html"
            not in self.client.get("/costs/?by=x", headers={"HX-Request": "true"}).content.decode()
        )

    def test_the_api(self):
        found = self.client.get("/api/costs/?by=release").json()
        assert found["whole"]["cost"] == "4.000000"
        assert [row["name"] for row in found["groups"]] == ["dear", "cheap"]
        assert self.client.get("/api/costs/?by=apples").status_code in (400, 422)

    def test_refusals(self):
        self.client.logout()
        assert self.client.get("/costs/").status_code == 302
        self.client.force_login(make_user())
        assert self.client.get("/costs/").status_code == 403
        assert self.client.post("/costs/").status_code == 405

    def test_an_empty_page_says_so(self):
        self.client.force_login(make_user("reviewer", [make_scene()]))
        assert "No answers in this time" in self.client.get("/costs/").content.decode()

    def test_queries_do_not_grow(self):
        with CaptureQueriesContext(connection) as before:
            self.client.get("/costs/")
        for _ in range(3):
            make_turn(make_conversation(scene=self.scene), release=make_release(), cost=1)
        with CaptureQueriesContext(connection) as after:
            self.client.get("/costs/")
        assert len(after) == len(before) < 16
