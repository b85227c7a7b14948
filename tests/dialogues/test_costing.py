"""What answers cost: by turn, conversation, release and day, with caps and a page."""

from datetime import timedelta
from decimal import Decimal
from unittest.mock import patch

from asgiref.sync import sync_to_async
from django.db import IntegrityError, connection, transaction
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents import breaking
from agents.master import SORRY
from agents.models import Tool, ToolKind
from agents.subagents import Outcome, outbound, wording
from agents.subagents.wording import Words
from dialogues import answering, services
from dialogues.costs import capping, costing
from dialogues.models import (
    Control,
    Conversation,
    SubagentJob,
    SubagentState,
    Turn,
    TurnStatus,
)
from tests.dialogues.calls import SubAgentMixin, do, make_job, make_plan, result_of
from tests.dialogues.test_answering import ORDER_ID
from tests.engine import Answer, EngineMixin, calls, says
from tests.factories import (
    make_conversation,
    make_release,
    make_scene,
    make_tool,
    make_turn,
    make_user,
    make_version,
)
from tests.toolserver import business


def make_costly_job(conversation, cost, **fields):
    job = make_job(conversation, key=f"job-{conversation.pk}")
    SubagentJob.objects.filter(pk=job.pk).update(cost=cost, **fields)
    return job


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

    async def test_what_jobs_cost_is_part_of_both_caps(self):
        conversation, _ = await self.answered()
        await sync_to_async(make_costly_job)(conversation, Decimal("0.05"))
        with self.settings(CONVERSATION_CAP_CENTS=6, DAY_CAP_CENTS=7):
            left = await sync_to_async(capping.money_left)(conversation)
            other = await sync_to_async(make_conversation)()
            assert left == Decimal("0.01")
            assert await sync_to_async(capping.money_left)(other) == Decimal("0.02")
        with self.settings(CONVERSATION_CAP_CENTS=5):
            await sync_to_async(services.say)(conversation=conversation, text="And?", client_id="b")
            _, turn = await self.answered(conversation)
        assert turn.output["reply"] == capping.CAPPED

    def test_constraints(self):
        turn = make_turn()
        for name, fields in (
            ("turn_cost_not_negative", {"cost": -1}),
            ("turn_faults_among_its_calls", {"unreadable_calls": 1}),
        ):
            with self.assertRaisesMessage(IntegrityError, name), transaction.atomic():
                Turn.objects.filter(pk=turn.pk).update(**fields)
        job = make_job(turn.conversation)
        negative = self.assertRaisesMessage(IntegrityError, "subagent_cost_not_negative")
        with negative, transaction.atomic():
            SubagentJob.objects.filter(pk=job.pk).update(cost=-1)


class ToolCapTests(EngineMixin, TestCase):
    """A tool whose price is more than what is left is not called."""

    def setUp(self):
        super().setUp()
        self.shop = self.enterContext(business())
        self.enterContext(self.settings(PUBLIC_URL=self.shop.url, CONVERSATION_CAP_CENTS=1))
        self.tool = make_tool(
            name="look_up",
            url="/orders/{order_id}/",
            parameters=ORDER_ID,
            cost_per_call=Decimal("0.02"),
        )
        self.release = make_release(live=True, tools=["look_up"])
        self.conversation = make_conversation(scene=None, release=self.release)
        self.engine.will(calls("look_up", order_id="GW1001"), says("It is on the way."))

    async def answered(self):
        say = sync_to_async(services.say)
        await say(conversation=self.conversation, text="Where is GW1001?", client_id="a")
        await answering.answer_conversation(self.conversation.pk)
        await self.conversation.arefresh_from_db()
        return await Turn.objects.alatest("pk")

    async def test_it_is_not_called_and_a_person_goes_on(self):
        turn = await self.answered()
        assert self.shop.requests == []
        assert (turn.output["reply"], self.conversation.control) == (SORRY, Control.QUEUED)
        assert turn.degraded == "look_up costs $0.02, and the budget leaves $0.01."
        assert (turn.cost, len(self.engine.requests)) == (0, 1)

    async def test_what_is_left_to_the_cent_is_enough(self):
        with self.settings(CONVERSATION_CAP_CENTS=2):
            turn = await self.answered()
        assert len(self.shop.requests) == 1
        assert turn.cost == Decimal("0.02")

    async def test_what_costs_nothing_is_called_whatever_is_left(self):
        self.tool.cost_per_call = 0
        await self.tool.asave()
        turn = await self.answered()
        assert turn.output["reply"] == "It is on the way."

    async def test_three_turns_at_once_share_what_a_day_leaves(self):
        turns = []
        for number in range(3):
            talk = await sync_to_async(make_conversation)(scene=None, release=self.release)
            say = sync_to_async(services.say)
            await say(conversation=talk, text="Where is GW1001?", client_id=str(number))
            turn = await sync_to_async(services.begin_turn)(talk.pk)
            turns.append(await sync_to_async(answering.with_parts)(turn.pk))
        self.engine.will(*[calls("look_up", order_id="GW1001")] * 3)
        with self.settings(CONVERSATION_CAP_CENTS=0, DAY_CAP_CENTS=2):
            contexts = [
                await sync_to_async(answering.context_of)(turn, self.release) for turn in turns
            ]
            reserved = [await context.reserve(Decimal("0.02")) for context in contexts]
            assert reserved == [True, False, False]
            again = await sync_to_async(answering.context_of)(turns[0], self.release)
            assert again.money_left == Decimal("0.02")  # its own reservation is its own
            with patch.object(answering, "context_of", side_effect=contexts):
                for turn in turns:
                    await answering.answer_turn(turn)
        assert len(self.shop.requests) == 1
        costs = [turn.cost async for turn in Turn.objects.order_by("pk")]
        assert costs == [Decimal("0.02"), 0, 0]
        degraded = [turn.degraded async for turn in Turn.objects.order_by("pk")]
        assert degraded[1] == "look_up costs $0.02, and the caps leave less."

    async def test_a_call_that_was_not_made_costs_nothing(self):
        async def look(name):
            return "open" if name.startswith("tool") else "closed"

        with self.settings(CONVERSATION_CAP_CENTS=2):
            with patch.object(breaking, "_look", look):
                turn = await self.answered()
            assert (self.shop.requests, turn.cost) == ([], 0)
            await Tool.objects.aupdate(uses_fixtures=True)
            self.engine.will(calls("look_up", order_id="GW1001"), says("It is on the way."))
            say = sync_to_async(services.say)
            await say(conversation=self.conversation, text="And now?", client_id="b")
            await answering.answer_conversation(self.conversation.pk)
        turn = await Turn.objects.alatest("pk")
        assert (self.shop.requests, turn.cost, len(turn.steps)) == ([], 0, 2)

    async def test_a_sub_agent_s_price_stands_on_its_job_once(self):
        await sync_to_async(make_plan)()
        fields = {"kind": ToolKind.SUBAGENT, "parameters": ORDER_ID, "cost_per_call": "0.01"}
        await sync_to_async(make_tool)(name="call_merchant", url="", **fields)
        release = await sync_to_async(make_release)(tools=["call_merchant"])
        await Conversation.objects.filter(pk=self.conversation.pk).aupdate(release=release)
        self.engine.will(calls("call_merchant", order_id="GW1001"), says("I have begun."))
        with self.settings(CONVERSATION_CAP_CENTS=0, DAY_CAP_CENTS=2):
            turn = await self.answered()
        job = await SubagentJob.objects.aget()
        assert (turn.cost, job.cost) == (0, Decimal("0.01"))


class JobCostTests(SubAgentMixin, TestCase):
    """A job's tokens have the price of its release's model, its tools have their own."""

    def kept(self, *times, **version):
        async def run(work):
            for fields in times:
                await work.keep(memory={}, **fields)
            return Outcome({"said": "done"})

        self.register(run)
        release = make_release(live=True, version=make_version(**version))
        talk = make_conversation(scene=None, release=release)
        return do(make_job(talk, "tested"))

    def test_each_is_added_as_it_comes(self):
        once = {"tokens": (500, 20), "paid": Decimal("0.3")}
        job = self.kept(once, {"tokens": (78, 0)}, input_price=1000, output_price=2000)
        assert (job.prompt_tokens, job.completion_tokens) == (578, 20)
        assert job.cost == Decimal("0.918")

    def test_one_s_own_hardware_costs_nothing(self):
        assert self.kept({"tokens": (500, 20)}).cost == 0

    def test_a_call_s_look_up_is_paid_for_even_if_nobody_is_called(self):
        make_tool(
            name="look_up", url="/orders/{order_id}/", parameters=ORDER_ID, cost_per_call="0.25"
        )
        make_plan(look_up="look_up")
        with business() as shop, self.settings(PUBLIC_URL=shop.url):
            shop.answer = b'{"error": "no such order"}'
            job = do(make_job())
        assert (job.state, job.cost) == (SubagentState.FAILED, Decimal("0.25"))

    def test_a_tool_s_price_is_the_job_s_whoever_starts_it(self):
        make_tool(name="tested", kind=ToolKind.SUBAGENT, url="", cost_per_call="0.05")
        assert self.kept({"paid": Decimal("0.3")}).cost == Decimal("0.35")
        assert make_job(SubagentJob.objects.get().conversation, "tested", "b").cost == Decimal(
            "0.05"
        )

    def test_a_job_that_staff_start_before_anybody_was_answered_is_of_the_live_release(self):
        make_tool(name="tested", kind=ToolKind.SUBAGENT, url="", cost_per_call="0.05")
        self.register(result_of(said="done"))
        release = make_release(live=True)
        job = do(make_job(make_conversation(), "tested"))
        assert job.release == release
        make_release(live=True)  # another one goes live: what it cost stays where it was
        spending = costing.spending_since(make_user("admin"), job.created_at)
        for group, name in (("release", release.name), ("model", release.version.name)):
            assert [row.name for row in costing.by_group(spending, group)] == [name]

    def test_words_that_need_not_be_said_any_more_have_cost_their_tokens(self):
        make_plan()
        answered = {"value": 600, "said": "ten minutes", "line": 1}
        settled = []

        def hear_it_in_time(work, card, state, claimed):
            if state.move and not settled:  # the greeting was said, the first question worded
                settled.append(card.facts[0].name)
                state.facts[card.facts[0].name] = answered

        words = Words("Yes?", tokens=(10, 1))
        with (
            patch.object(outbound, "words_for", return_value=words) as asked,
            patch.object(outbound, "_believe", side_effect=hear_it_in_time),
        ):
            job = do(make_job())
        said = [line for line in job.lines.all() if line.speaker == "agent"]
        assert settled
        assert len(said) < asked.await_count
        assert job.prompt_tokens == 10 * asked.await_count


class JobCapTests(EngineMixin, TestCase):
    """Above a cap a job goes on, with what costs nothing: the words as they are written."""

    def setUp(self):
        super().setUp()
        version = make_version(input_price=1000, output_price=1000)
        release = make_release(live=True, version=version)
        self.talk = make_conversation(scene=None, release=release)
        self.enterContext(self.settings(CONVERSATION_CAP_CENTS=100))

    def spend(self, dollars):
        make_turn(self.talk, release=self.talk.release, cost=dollars)

    def test_the_model_is_asked_for_no_words(self):
        self.spend(1)
        job = do(make_job(self.talk))
        assert (job.state, job.cost) == (SubagentState.DONE, 0)
        assert self.engine.requests == []
        assert job.lines.filter(speaker="agent").first().data["why"] == wording.USED_UP

    def test_nor_once_it_is_used_up_on_the_way(self):
        job = do(make_job(self.talk))
        assert job.state == SubagentState.DONE
        dollars = Decimal("0.012")  # of one wording
        assert job.cost == dollars * len(self.engine.requests) > 0
        self.engine.requests.clear()
        self.spend(Decimal("0.99") - job.cost)
        more = do(make_job(self.talk, key="key-2", order_id="GW1002"))
        assert (more.cost, len(self.engine.requests)) == (dollars, 1)

    def test_a_look_up_is_made_only_if_its_price_is_left(self):
        make_tool(
            name="look_up", url="/orders/{order_id}/", parameters=ORDER_ID, cost_per_call="0.25"
        )
        make_plan(look_up="look_up")
        with business() as shop, self.settings(PUBLIC_URL=shop.url):
            self.spend(Decimal("0.80"))
            job = do(make_job(self.talk))
            assert shop.requests == []
        assert (job.state, job.cost) == (SubagentState.FAILED, 0)
        assert job.error == "Nobody was called: look_up costs more than the caps leave."

    def test_without_a_cap_nothing_is_held_back(self):
        self.spend(1)
        with self.settings(CONVERSATION_CAP_CENTS=0):
            assert do(make_job(self.talk)).cost > 0


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

    def spending(self, days=1):
        return costing.spending_since(self.reviewer, timezone.now() - timedelta(days=days))

    def test_in_all(self):
        whole = costing.whole(self.spending())
        assert (whole.cost, whole.conversations, whole.turns) == (4, 3, 3)
        assert whole.unreadable_percent == 25
        assert costing.whole(self.spending(days=-1)).per_conversation == 0

    def test_by_group(self):
        def named(group):
            return {row.name: row.cost for row in costing.by_group(self.spending(), group)}

        assert named("release") == {"dear": 3, "cheap": 1}
        assert named("segment") == {"vip": 3, costing.UNKNOWN: 1}
        assert named("channel") == {"Chat": 4}
        assert named("scene") == {"Food": 4}
        assert len(named("model")) == 2

    def test_jobs_are_added(self):
        talk = Turn.objects.filter(release=self.dear).first().conversation
        Conversation.objects.filter(pk=talk.pk).update(release=self.dear)
        make_costly_job(talk, 2, prompt_tokens=578)
        lone = make_conversation(scene=self.scene, release=self.cheap)
        make_costly_job(lone, 7)
        make_costly_job(make_conversation(scene=self.strange), 9)
        whole = costing.whole(self.spending())
        assert (whole.cost, whole.conversations, whole.turns, whole.jobs) == (13, 4, 3, 2)
        assert (whole.tokens, whole.engine_calls) == (878, 12)
        found = {row.name: row for row in costing.by_group(self.spending(), "subagent")}
        assert {name: row.cost for name, row in found.items()} == {
            "outbound_call": 9,
            costing.NO_SUBAGENT: 4,
        }
        assert found["outbound_call"].conversations == 2
        releases = {row.name: row for row in costing.by_group(self.spending(), "release")}
        assert (releases["dear"].cost, releases["dear"].conversations) == (5, 1)
        assert (releases["cheap"].cost, releases["cheap"].conversations) == (8, 3)
        dearest = [(each.pk, cost) for each, cost in costing.dearest(self.spending())]
        assert dearest[:2] == [(lone.pk, 7), (talk.pk, 5)]

    def test_by_sub_agent_on_the_page_and_in_the_api(self):
        make_costly_job(make_conversation(scene=self.scene), 7)
        page = self.client.get("/costs/?by=subagent").content.decode()
        assert "By sub-agent" in page
        assert "outbound_call" in page
        [first, *_] = self.client.get("/api/costs/?by=subagent").json()["groups"]
        assert (first["name"], first["jobs"], first["cost"]) == ("outbound_call", 1, "7.000000")

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
