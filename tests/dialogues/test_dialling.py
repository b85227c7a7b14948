"""A call over text from the delegation to the agent's next words, through the callee's page."""

from datetime import timedelta
from unittest.mock import patch

import pytest
from asgiref.sync import async_to_sync
from django.test import Client, TestCase
from django.urls import reverse
from django.utils import timezone

from agents.models import Tool
from dialogues import answering, services
from dialogues.jobs import delegating, dialling
from dialogues.jobs.registering import register_tools
from dialogues.models import CallLink, CallPlan, SubagentLine
from tests import factories
from tests.dialogues.calls import CARD, do, make_job, make_plan, spoken, told
from tests.engine import Answer, EngineMixin, calls, says
from tests.toolserver import business


class CallMixin:
    def setUp(self):
        super().setUp()
        make_plan(addresses={"*": "link:"})
        self.job = do(make_job())
        self.token = dialling.token_of(self.job)
        self.page = reverse("dialogues:call", args=[self.token])

    def post(self, what, client=None, **data):
        return (client or self.client).post(f"{self.page}{what}/", data)

    def answer(self):
        assert self.post("answer").status_code == 302
        self.job = do(self.job)

    def type(self, text, nonce="", client=None):
        response = self.post("say", client, text=text, nonce=nonce or text)
        self.job = do(self.job)
        return response

    def last(self):
        return spoken(self.job)[-1]


class TextCallTests(CallMixin, TestCase):
    def test_the_page_is_dark_where_the_system_is(self):
        page = self.client.get(self.page)
        self.assertContains(page, "wowconsole/theme.js")
        self.assertNotContains(page, 'data-bs-theme="light"')

    def test_the_whole_call(self):
        assert (self.job.state, told(self.job)[-1][1]) == (
            "waiting",
            "Dialled; nobody has answered yet",
        )
        self.assertContains(self.client.get(self.page), "order GW1001 is late")
        self.answer()
        assert self.last()[1].startswith("Hello, this is the automated assistant of Greenway")
        self.assertContains(self.client.get(self.page), "Hello, this is the automated assistant")
        for text in ("Yes, speaking", "25 minutes", "Yes, we can", "That is right"):
            assert self.job.state == "waiting"
            self.type(text)
        assert self.job.state == "done"
        result = self.job.result
        assert (result["outcome"], result["score"]) == ("goal_reached", 100)
        assert result["facts"]["ready_in"] == {"value": 1500, "said": "25 minutes", "line": 4}
        assert result["commitment"]["line"] == 8
        assert CallLink.objects.get().state == "ended"
        self.assertContains(self.client.get(self.page), "This call has ended")
        event = self.job.conversation.events.last()
        assert event.data["result"]["summary"] == (
            "Bangkok Corner answered “25 minutes” to “In how many minutes will the order be "
            "ready?” and “Yes, we can” to “Can you replace a missing dish?”."
        )

    def test_opening_the_link_is_not_answering(self):
        self.client.get(self.page)
        self.client.head(self.page)
        assert do(self.job).state == "waiting"
        assert not spoken(self.job)

    def test_reloading_keeps_the_call_and_sends_nothing_twice(self):
        self.answer()
        self.type("Yes", nonce="a")
        self.type("Yes", nonce="a")
        assert [text for who, text in spoken(self.job) if who == "callee"] == ["Yes"]
        self.assertContains(self.client.get(self.page), "In how many minutes")

    def test_a_longer_nonce_than_is_kept_is_still_the_same_one(self):
        self.answer()
        for _ in range(2):
            assert self.type("Yes", nonce="a" * 90).status_code == 302
        assert [text for who, text in spoken(self.job) if who == "callee"] == ["Yes"]

    def test_the_first_who_answers_has_the_call(self):
        self.answer()
        other = Client()
        self.assertContains(other.get(self.page), "answered on another device")
        assert self.post("answer", other).status_code == 403
        assert self.type("I am somebody else", client=other).status_code == 403
        assert self.post("end", other).status_code == 403
        self.assertNotContains(other.get(self.page), "automated assistant of Greenway")

    def test_a_link_that_we_never_gave_leads_nowhere(self):
        tampered = self.token[:-1] + ("0" if self.token[-1] != "0" else "1")
        for token in (tampered, "x", "0" * 64, self.token[:32]):
            url = reverse("dialogues:call", args=[token])
            assert self.client.get(url).status_code == 404
            assert self.client.post(f"{url}answer/").status_code == 404

    def test_a_link_is_good_for_one_call(self):
        self.answer()
        self.post("end")
        self.job = do(self.job)
        assert self.job.result["outcome"] == "hung_up"
        assert self.post("answer").status_code == 409
        assert self.post("say", text="Hello?").status_code == 409

    def test_declining_is_no_answer_and_tried_again_later(self):
        self.post("end")
        job = do(self.job)
        assert (job.state, job.attempts) == ("queued", 1)
        assert "does not answer" in job.progress

    def test_a_link_that_nobody_opens_expires(self):
        later = timezone.now() - timedelta(hours=2)
        CallLink.objects.update(dialled_at=later)
        delegating.wake(self.job.pk)
        assert do(self.job).state == "queued"
        assert CallLink.objects.get().ended_by == "agent"

    def test_silence_is_asked_about(self):
        self.answer()
        SubagentLine.objects.update(at=timezone.now() - timedelta(hours=1))
        delegating.wake(self.job.pk)
        self.job = do(self.job)
        assert self.last()[1].startswith("Hello, are you still there?")

    def test_a_cancelled_job_ends_the_call_for_the_callee(self):
        self.answer()
        delegating.cancel(conversation=self.job.conversation, job=self.job.public_id)
        self.assertContains(self.client.get(self.page), "This call has ended")
        assert self.type("Hello?").status_code == 409

    def test_what_is_too_long_empty_or_too_quick_is_refused(self):
        self.answer()
        assert self.type(" ").status_code == 422
        assert self.type("x" * 501).status_code == 422
        with patch.object(dialling, "LINES_A_MINUTE", 1):
            self.type("one")
            assert self.type("two").status_code == 429

    def test_the_page_looks_again_by_itself(self):
        response = self.client.get(f"{self.page}?state=dialled", headers={"HX-Request": "true"})
        self.assertNotContains(response, "<html")
        assert "HX-Refresh" not in response.headers
        self.answer()
        response = self.client.get(f"{self.page}?state=dialled", headers={"HX-Request": "true"})
        assert response.headers["HX-Refresh"] == "true"
        assert self.client.get(f"{self.page}answer/").status_code == 405

    def test_the_cookie_is_for_this_call_alone(self):
        cookie = self.post("answer").cookies["call"]
        assert (cookie["path"], cookie["samesite"], cookie["httponly"]) == (self.page, "Lax", True)

    def test_browsers_say_where_its_forms_come_from(self):
        # Under no-referrer they send "Origin: null", which the check of forms refuses.
        response = self.client.get(self.page)
        self.assertNotContains(response, "no-referrer")
        assert response.headers["Referrer-Policy"] == "same-origin"

    def test_few_queries(self):
        self.answer()
        for text in ("Yes", "25 minutes"):
            self.type(text)
        with self.assertNumQueries(2):
            self.client.get(self.page)

    def test_chinese(self):
        CallPlan.objects.update(card={**CARD, "language": "zh", "why": "订单晚了"})
        job = do(make_job(key="zh", order_id="GW1002"))
        page = reverse("dialogues:call", args=[dialling.token_of(job)])
        self.assertContains(self.client.get(page), 'lang="zh"')
        self.assertContains(self.client.get(page), "接听")


class PlanTests(TestCase):
    def setUp(self):
        self.enterContext(self.settings(TOOL_HOSTS=["127.0.0.1"]))

    def plan(self, url, **fields):
        Tool.objects.create(
            name="look_up", description="d", method="GET", url=url, parameters=CALL_PARAMETERS
        )
        card = {**CARD, "whom": {"name": "{shop}"}}
        return make_plan(look_up="look_up", card=card, **fields)

    def test_the_card_is_filled_from_the_look_up(self):
        with business() as shop:
            shop.answer = b'{"shop": "Burger Yard", "order_id": "evil"}'
            self.plan(f"{shop.url}/{{order_id}}/", addresses={"Burger Yard": "simulated:terse"})
            job = do(make_job())
        assert job.result["summary"].startswith("Burger Yard answered")
        card = job.memory["card"]
        assert card["why"] == "order GW1001 is late"
        assert card["whom"] == {"name": "Burger Yard", "address": "simulated:terse"}

    def test_an_unknown_order_calls_nobody(self):
        with business() as shop:
            shop.answer = b'{"error": "order not found"}'
            self.plan(f"{shop.url}/{{order_id}}/")
            job = do(make_job())
        assert (job.state, job.error) == ("failed", "Nobody was called: order not found.")

    def test_without_its_tool_it_fails(self):
        make_plan(look_up="gone")
        assert "gone is not there" in do(make_job()).error


CALL_PARAMETERS = {
    "type": "object",
    "properties": {"order_id": {"type": "string"}},
    "required": ["order_id"],
}


class CustomerAwayTests(EngineMixin, CallMixin, TestCase):
    """The customer leaves; the result is told when it comes, and is there when they return."""

    def test_the_agent_weaves_the_result_into_its_next_message(self):
        conversation = self.job.conversation
        factories.say(conversation, "When will it be ready?")
        factories.make_release(live=True)
        self.answer()
        self.engine.will(*["{}"] * 4)
        for text in ("Speaking", "25 minutes", "Yes", "Right"):
            self.type(text)
        assert self.job.state == "done"
        self.engine.will(says("The shop says it is ready in 25 minutes."))
        async_to_sync(answering.answer_conversation)(conversation.pk)
        event = conversation.events.last()
        assert (event.role, event.kind) == ("agent", "message")
        assert "25 minutes" in event.text
        prompt = self.engine.requests[-1]["messages"][-1]["content"]
        assert "call_merchant" in prompt
        assert "25 minutes" in prompt
        async_to_sync(answering.answer_conversation)(conversation.pk)
        assert conversation.events.last() == event, "told once"

    def test_a_model_that_fails_gives_way_to_the_summary(self):
        conversation = self.job.conversation
        register_tools()
        factories.say(conversation, "When will it be ready?")
        factories.make_release(live=True, tools=["call_merchant"])
        self.answer()
        for text in ("Speaking", "25 minutes", "Yes", "Right"):
            self.type(text)
        self.engine.always = Answer("{broken")
        async_to_sync(answering.answer_conversation)(conversation.pk)
        event = conversation.events.last()
        assert event.text.startswith("Bangkok Corner answered “25 minutes” to “In how many")
        assert conversation.__class__.objects.get().control == "bot"

    def test_where_nothing_may_be_spent_any_more_the_summary_is_still_told(self):
        conversation = self.job.conversation
        register_tools()
        release = factories.make_release(
            live=True, tools=["call_merchant"], limits={"quote_rules": True}
        )
        factories.make_turn(conversation, reply="It is begun.", release=release, cost=1)
        self.answer()
        for text in ("Speaking", "25 minutes", "Yes", "Right"):
            self.type(text)
        with self.settings(CONVERSATION_CAP_CENTS=5):
            async_to_sync(answering.answer_conversation)(conversation.pk)
        assert conversation.events.last().text.startswith("Bangkok Corner answered")
        assert conversation.__class__.objects.get().control == "bot"

    def test_so_it_does_when_the_job_has_just_begun(self):
        conversation = factories.make_conversation()
        plan = make_plan(name="call_shop", addresses={"*": "link:"})
        register_tools()
        factories.make_release(live=True, tools=[plan.name])
        factories.say(conversation, "Call the shop about GW1002.")
        self.engine.will(calls(plan.name, order_id="GW1002"))
        self.engine.always = Answer("{broken")
        async_to_sync(answering.answer_conversation)(conversation.pk)
        event = conversation.events.last()
        assert event.text == "I have started that. I will tell you here as soon as I know more."
        assert conversation.jobs.get().arguments == {"order_id": "GW1002"}

    def test_a_person_in_charge_reads_it_and_the_agent_is_silent(self):
        conversation = self.job.conversation
        person = factories.make_user("operator")
        services.reply_as_staff(conversation=conversation, by=person, text="I am on it.")
        self.post("end")
        self.job = do(self.job)
        self.job.due_at = timezone.now()
        delegating.cancel(conversation=conversation, job=self.job.public_id)
        async_to_sync(answering.answer_conversation)(conversation.pk)
        assert conversation.events.last().kind == "job"


class TokenTests(TestCase):
    def test_a_link_of_another_key_is_refused(self):
        make_plan(addresses={"*": "link:"})
        job = do(make_job())
        token = dialling.token_of(job)
        assert dialling.link_of(token).job == job
        with self.settings(SECRET_KEY="another"):
            assert dialling.link_of(token) is None

    def test_the_secret_is_stored_as_a_digest(self):
        make_plan(addresses={"*": "link:"})
        job = do(make_job())
        secret = dialling.answer(job.link)
        link = CallLink.objects.get()
        assert secret not in link.callee_sha256
        assert dialling.is_callee(link, secret)
        assert not dialling.is_callee(link, "")
        with pytest.raises(dialling.NotYourCall):
            dialling.answer(link)
