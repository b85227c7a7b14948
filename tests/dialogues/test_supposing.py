"""What if: a turn asked again with one thing changed, as a job, on a page and in the API."""

from dataclasses import replace
from unittest import mock

from asgiref.sync import async_to_sync
from django.db import IntegrityError, connection, transaction
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agents.actions import REPLY, DialogueAction
from agents.confirming import Call
from agents.subagents import GaveUp
from dialogues import answering, nearing, supposing, tasks
from dialogues.costs.capping import CAPPED
from dialogues.models import Turn, TurnStatus, TurnUnit, WhatIf, WhatIfKind
from dialogues.senses import looking
from knowledge import jobs
from knowledge.models import JobState
from knowledge.searching import Found
from tests.dialogues.calls import SubAgentMixin, do, make_job, result_of
from tests.dialogues.replays import edited
from tests.dialogues.test_answering import ORDER_ID, make_talk
from tests.engine import Answer, EngineMixin, calls, says
from tests.factories import (
    make_conversation,
    make_published_unit,
    make_release,
    make_scene,
    make_tool,
    make_turn,
    make_user,
    say,
)
from tests.toolserver import business
from wowconsole.errors import Invalid

ASKED = "What do I get for cold soup?"


class WhatIfTestCase(EngineMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.reviewer = make_user("reviewer", [cls.scene])
        cls.unit = make_published_unit(scene=cls.scene, condition=ASKED, content="A $5 voucher.")
        cls.other = make_published_unit(scene=cls.scene, content="A spoon.")
        cls.release = make_release(live=True)
        talk = make_conversation(scene=cls.scene)
        cls.turn = make_turn(talk, question=ASKED, reply="A $5 voucher.", release=cls.release)
        for rank, unit in enumerate((cls.unit, cls.other), start=1):
            TurnUnit.objects.create(
                turn=cls.turn, unit=unit, revision=unit.live, rank=rank, score=0.03, similarity=0.9
            )
        cls.url = reverse("dialogues:turn-why", args=[cls.turn.public_id])
        cls.start_url = reverse("dialogues:what-if-start", args=[cls.turn.public_id])

    def supposed(self, **change):
        row = supposing.suppose(turn=self.turn, by=self.reviewer, **change)
        tasks.suppose(row.job_id)
        row.refresh_from_db()
        return row

    def rules_asked(self):
        prompt = self.engine.requests[-1]["messages"][1]["content"]
        return prompt.partition("DIALOGUE")[0]


class JobTests(WhatIfTestCase):
    def test_without_a_rule(self):
        self.engine.will(says("I don't know."))
        row = self.supposed(revision=self.unit.live)
        assert (row.kind, row.output["reply"]) == (WhatIfKind.WITHOUT, "I don't know.")
        assert [rule["unit_id"] for rule in row.shown] == [self.other.pk]
        assert "A $5 voucher." not in self.rules_asked()
        row.job.refresh_from_db()
        assert (row.job.state, row.job.done) == (JobState.DONE, 1)

    def test_with_another_version(self):
        unit = edited(self.unit, self.unit.owner, content="A $7 voucher.")
        self.engine.will(says("A $7 voucher.", knowledge=[self.unit.pk]))
        row = self.supposed(revision=unit.latest)
        assert (row.kind, row.output["reply"]) == (WhatIfKind.REVISION, "A $7 voucher.")
        assert "A $7 voucher." in self.rules_asked()

    def test_by_another_release(self):
        other = make_release()
        self.engine.will(says("A $5 voucher!", knowledge=[self.unit.pk]))
        row = self.supposed(release=other)
        assert (row.kind, row.output["reply"]) == (WhatIfKind.RELEASE, "A $5 voucher!")
        assert self.engine.requests[-1]["model"] == other.version.name

    def test_what_the_release_does_not_read_is_not_shown(self):
        row = self.supposed(release=make_release(limits={"budget": {"rules": 1}}))
        assert len(row.shown) == 1 < self.turn.units.count()
        assert self.rules_asked().count("[") == 1

    def test_what_tools_told_stays_told(self):
        action = {"name": "look_up", "arguments": {}}
        call = {"action": {"action": action}, "result": {"eta": 5}, "messages": []}
        self.turn.steps = [call, *self.turn.steps]
        self.turn.save(update_fields=["steps"])
        self.supposed(revision=self.unit.live)
        assert 'look_up {} -> {"eta": 5}' in self.engine.requests[-1]["messages"][1]["content"]

    def test_delivered_twice_it_asks_once(self):
        row = self.supposed(revision=self.unit.live)
        tasks.suppose(row.job_id)
        assert len(self.engine.requests) == 1

    def test_the_same_is_not_started_twice(self):
        first = supposing.suppose(turn=self.turn, by=self.reviewer, revision=self.unit.live)
        again = supposing.suppose(turn=self.turn, by=self.reviewer, revision=self.unit.live)
        assert first == again

    def test_without_an_engine_it_fails_in_words(self):
        self.engine.always = Answer(status=400)
        row = self.supposed(revision=self.unit.live)
        row.job.refresh_from_db()
        assert row.job.state == JobState.FAILED
        assert "does not answer" in row.job.error

    def test_cancelled_it_asks_nothing(self):
        row = supposing.suppose(turn=self.turn, by=self.reviewer, revision=self.unit.live)
        jobs.cancel(row.job)
        tasks.suppose(row.job_id)
        assert self.engine.requests == []

    def test_nonsense_is_refused(self):
        stranger = make_published_unit(scene=self.scene)
        for change in (
            {},
            {"revision": self.unit.live, "release": make_release()},
            {"revision": stranger.live},
            {"release": self.release},
        ):
            with self.assertRaises(Invalid):
                supposing.suppose(turn=self.turn, by=self.reviewer, **change)

    def test_one_thing_is_changed(self):
        job = jobs.start(task="none", title="x", by=self.reviewer)
        with (
            self.assertRaisesMessage(IntegrityError, "what_if_changes_one_thing"),
            transaction.atomic(),
        ):
            WhatIf.objects.create(turn=self.turn, kind=WhatIfKind.WITHOUT, job=job)


class FixedAnswerTests(EngineMixin, TestCase):
    """Answers that no rule had to do with, and one after a yes."""

    def setUp(self):
        super().setUp()
        self.shop = self.enterContext(business())
        self.enterContext(self.settings(PUBLIC_URL=self.shop.url))
        asks = "Shall I cancel order {order_id}?"
        make_tool(name="cancel", url="/orders/{order_id}/", parameters=ORDER_ID, confirmation=asks)
        self.talk = make_talk(
            "Cancel GW1001", tools=["cancel"], customer_ref="c-1", identified_at=timezone.now()
        )
        self.reviewer = make_user("admin")
        self.client.force_login(self.reviewer)

    def answered(self, *said):
        for text in said:
            say(self.talk, text)
        async_to_sync(answering.answer_conversation)(self.talk.pk)
        return Turn.objects.latest("pk")

    def refuses(self, turn, why):
        with self.assertRaisesMessage(supposing.NoRule, why):
            supposing.suppose(turn=turn, by=self.reviewer, release=make_release())
        page = self.client.get(reverse("dialogues:turn-why", args=[turn.public_id]))
        self.assertContains(page, why)
        self.assertNotContains(page, "Ask this release")
        assert not WhatIf.objects.exists()

    def test_after_a_no(self):
        self.engine.will(calls("cancel", order_id="GW1001"))
        self.answered()
        self.refuses(self.answered("No, thanks."), "the customer said no")

    def test_above_a_cap(self):
        Turn.objects.create(
            conversation=self.talk,
            asked_seq=0,
            status=TurnStatus.DONE,
            finished_at=timezone.now(),
            cost=1,
        )
        with self.settings(CONVERSATION_CAP_CENTS=1):
            turn = self.answered()
        assert turn.output["reply"] == CAPPED
        self.refuses(turn, "none was searched for")

    def test_a_picture_that_nobody_can_make_out(self):
        with mock.patch.object(looking, "answer_for") as answer:
            answer.return_value = DialogueAction(REPLY, looking.UNCLEAR)
            turn = self.answered()
        self.refuses(turn, "none was searched for")

    def test_after_a_yes_the_agent_knows_all_that_it_knew(self):
        self.engine.will(calls("cancel", order_id="GW1001"), says("It is cancelled."))
        self.answered()
        turn = self.answered("Yes")
        with mock.patch.object(supposing, "rehearsed") as rehearsed:
            rehearsed.return_value = DialogueAction(REPLY, "Done.")
            row = supposing.suppose(turn=turn, by=self.reviewer, release=make_release())
            tasks.suppose(row.job_id)
        [(context, _, told)] = [call.args for call in rehearsed.call_args_list]
        then = answering.context_of(answering.with_parts(turn.pk), row.release)
        assert context == replace(then, delegate=None)
        assert context.confirmed == Call("cancel", {"order_id": "GW1001"})
        assert context.customer == "c-1"
        assert [(line.name, line.result) for line in told] == [("cancel", {"status": "on the way"})]
        assert len(self.shop.requests) == 1, "a what-if calls nothing"


class PageTests(WhatIfTestCase):
    def page(self):
        return self.client.get(self.url).content.decode()

    def test_it_tells_the_story(self):
        self.client.force_login(self.reviewer)
        near = make_published_unit(scene=self.scene, condition="When somebody asks about spoons")
        page = self.page()
        assert f"#{self.unit.pk} {self.unit.live.title}" in page
        assert "2 rules found" in page
        assert "It chose: reply." in page
        assert near.live.title in page or "No other rule comes near" in page
        assert "Engine calls" in page

    def test_a_rule_that_fits_is_told_with_why_it_did_not_come_up(self):
        self.client.force_login(self.reviewer)
        make_published_unit(scene=self.scene, condition=ASKED)
        assert "it was published or edited after this answer" in self.page()
        Turn.objects.update(created_at=timezone.now())
        assert "2 ranked before it came up" in self.page()
        TurnUnit.objects.all().delete()
        assert "it was not in force then" in self.page()

    def why_not(self, *hits):
        fields = {"revision_id": 0, "scene": "", "external_id": None, "title": "Soup", "score": 0}
        fields |= {"condition": "", "content": "", "matched": ""}
        fields |= {"vector_rank": 1, "text_rank": None, "passes": False}
        found = [Found(unit_id=-number, **fields | hit) for number, hit in enumerate(hits, 1)]
        with (
            mock.patch.object(nearing, "search", return_value=[found]),
            mock.patch.object(nearing, "filtered_out", return_value=[]),
        ):
            return nearing.near_misses(self.turn, ASKED, self.reviewer)[-1].reasons

    def test_a_near_miss_names_the_limits_that_it_missed(self):
        assert self.why_not({"similarity": 0.8497, "coverage": 0.596}) == [
            "similarity 0.849 is below 0.850, which is needed",
            "it has 59% of the question's words, and 60% are needed",
        ]
        passing = {"similarity": 0.9, "coverage": 0, "passes": True}
        assert self.why_not(passing, {"similarity": 0.8, "coverage": 2 / 3}) == [
            "similarity 0.800 is below 0.810, which is needed beside a rule that fits",
            "it has 66% of the question's words, which are fewer than the 3 that have to agree",
        ]

    def test_where_nothing_was_searched_for_no_rule_is_missed(self):
        self.client.force_login(self.reviewer)
        TurnUnit.objects.all().delete()
        Turn.objects.update(timings={"total_ms": 3.0}, degraded="Its cap.", steps=[])
        page = self.page()
        assert "No rule was searched for." in page
        assert "No rule was found" not in page
        assert "Rules it found" not in page
        assert "nearly came up" not in page

    def test_a_call_that_was_not_made_is_not_said_to_have_been(self):
        output = {"action": {"name": "look_up", "arguments": {}}}
        result = {"error": "look_up was not called: the budget leaves too little"}
        step = {"messages": [], "action": output, "result": result, "tool_ms": 0.0}
        Turn.objects.update(steps=[step])
        self.client.force_login(self.reviewer)
        assert "look_up was not called." in self.page()

    def test_offers_are_told_with_their_reason(self):
        offers = {"refund": "the customer said “money back”", "cancel": ""}
        self.turn.steps = [{**self.turn.steps[0], "offers": offers}]
        self.turn.save()
        self.client.force_login(self.reviewer)
        page = self.page()
        assert "was offered: the customer said “money back”" in page
        assert "was withheld: nobody spoke of what it does" in page

    def test_a_reply_that_needed_no_model_says_so(self):
        said = {**self.turn.output, "thought": "A rule fits almost word for word"}
        Turn.objects.filter(pk=self.turn.pk).update(steps=[], output=said)
        self.client.force_login(self.reviewer)
        page = self.page()
        assert "What was said needed no model." in page
        assert "A rule fits almost word for word." in page

    def test_trouble_is_told(self):
        step = {**self.turn.steps[0], "fault": "unbacked", "problems": ["$50"]}
        self.turn.steps = [step]
        self.turn.degraded = "The model said twice what has no source."
        self.turn.save()
        self.client.force_login(self.reviewer)
        page = self.page()
        assert "said what has no source" in page
        assert "$50" in page
        assert "Degraded" in page

    def test_an_answer_that_was_never_finished_is_not_explained(self):
        self.client.force_login(self.reviewer)
        ends = {"status": TurnStatus.DROPPED, "steps": [], "output": {}, "timings": {}}
        Turn.objects.filter(pk=self.turn.pk).update(**ends)
        TurnUnit.objects.all().delete()
        page = self.page()
        assert "The customer wrote on before it was finished" in page
        assert "No rule was found" not in page
        assert "The action was" not in page
        assert "nearly came up" not in page
        Turn.objects.filter(pk=self.turn.pk).update(status=TurnStatus.FAILED, error="Control gone")
        assert "Control gone" in self.page()

    def test_starting_from_the_page(self):
        self.client.force_login(self.reviewer)
        answer = self.client.post(self.start_url, {"revision": self.unit.live_id})
        assert answer.headers["Location"] == f"{self.url}#what-ifs"
        assert "Without rule" in self.page()
        row = WhatIf.objects.get()
        tasks.suppose(row.job_id)
        assert "Hello from the engine." in self.page()
        assert self.client.get(row.get_absolute_url()).status_code == 302
        release = make_release()
        self.client.post(self.start_url, {"release": str(release.public_id)})
        assert WhatIf.objects.filter(release=release).exists()

    def test_refusals(self):
        assert self.client.get(self.url).status_code == 302
        self.client.force_login(make_user("reviewer", [make_scene()]))
        assert self.client.get(self.url).status_code == 404
        assert self.client.post(self.start_url).status_code == 404
        self.client.force_login(make_user("auditor", [self.scene]))
        assert self.client.get(self.url).status_code == 200
        assert self.client.post(self.start_url).status_code == 403
        self.client.force_login(self.reviewer)
        assert self.client.post(self.start_url, {"revision": 0}).status_code == 422
        assert self.client.get(self.start_url).status_code == 405

    def queries(self):
        with CaptureQueriesContext(connection) as queries:
            self.page()
        return len(queries)

    def test_queries_do_not_grow_with_what_ifs(self):
        self.client.force_login(self.reviewer)
        self.supposed(revision=self.unit.live)
        once = self.queries()
        for revision in (self.other.live, edited(self.unit, self.unit.owner).latest):
            self.supposed(revision=revision)
        assert self.queries() == once < 40


class TurnOfAJobTests(EngineMixin, SubAgentMixin, TestCase):
    """A turn that speaks of what a job brought."""

    def setUp(self):
        super().setUp()
        self.register(result_of(summary="The shop says: ready in 15 minutes."))
        make_tool(name="tested", kind="subagent", url="", parameters={"type": "object"})
        self.scene = make_scene()
        rule = make_published_unit(scene=self.scene, condition="Yes, please.", content="A spoon.")
        self.rule = rule.live.title
        release = make_release(live=True, tools=["tested"], limits={"quote_rules": True})
        self.talk = make_conversation(scene=self.scene, release=release)
        make_turn(self.talk, question="Yes, please.", reply="I have started that.")
        self.job = make_job(self.talk, "tested")
        self.client.force_login(make_user("reviewer", [self.scene]))

    def page(self):
        async_to_sync(answering.answer_conversation)(self.talk.pk)
        turn = Turn.objects.latest("pk")
        return self.client.get(reverse("dialogues:turn-why", args=[turn.public_id]))

    def test_the_job_is_what_it_answers(self):
        do(self.job)
        page = self.page()
        self.assertContains(page, "The shop says: ready in 15 minutes.", count=2)
        self.assertContains(page, "tested, a job of a sub-agent, ended: done.")
        self.assertContains(page, f'href="{self.job.get_absolute_url()}"')
        self.assertContains(page, "No rule was read.")
        self.assertContains(page, "As told by the job.")
        for text in ("Yes, please.", self.rule, "Rules it found", "nearly came up"):
            self.assertNotContains(page, text)

    def test_beside_a_message_both_are_told(self):
        do(self.job)
        say(self.talk, "Yes, please.")
        page = self.page()
        self.assertContains(page, "Yes, please.")
        self.assertContains(page, "tested, a job of a sub-agent, ended: done.")
        self.assertContains(page, self.rule)

    def test_a_job_that_failed_says_why(self):
        async def run(work):
            raise GaveUp("Nobody was called.")

        self.register(run, name="other")
        do(make_job(self.talk, "other", key="other"))
        page = self.page()
        self.assertContains(page, "other, a job of a sub-agent, ended: failed.")
        self.assertContains(page, "Nobody was called.")

    def test_the_turn_that_began_it_leads_to_it(self):
        result = {"job": str(self.job.public_id), "note": "I have started that."}
        action = {"action": {"name": "tested", "arguments": {}}}
        step = {"messages": [], "action": action, "result": result, "tool_kind": "subagent"}
        Turn.objects.update(steps=[step])
        self.assertContains(self.page(), f'href="{self.job.get_absolute_url()}"')


class ApiTests(WhatIfTestCase):
    def test_start_and_read(self):
        self.client.force_login(self.reviewer)
        new = {"turn": str(self.turn.public_id), "unit": self.unit.pk}
        answer = self.client.post("/api/what-ifs/", new, "application/json")
        assert (answer.status_code, answer.json()["state"]) == (201, "queued")
        assert answer.json()["kind"] == "without"
        tasks.suppose(WhatIf.objects.get().job_id)
        found = self.client.get(f"/api/what-ifs/{answer.json()['id']}/").json()
        assert (found["state"], found["output"]["reply"]) == ("done", "Hello from the engine.")
        assert len(self.client.get("/api/what-ifs/").json()["results"]) == 1

    def test_strangers_find_nothing(self):
        self.client.force_login(make_user("reviewer", [make_scene()]))
        new = {"turn": str(self.turn.public_id), "unit": self.unit.pk}
        assert self.client.post("/api/what-ifs/", new, "application/json").status_code == 404
