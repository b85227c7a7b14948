"""Calls over text where somebody writes, or hangs up, at a moment nobody reckoned with."""

import json
from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4

from asgiref.sync import sync_to_async
from django.test import Client, TestCase
from django.utils import timezone

from agents.subagents import outbound
from dialogues.jobs import delegating, dialling
from dialogues.models import CallLink
from tests import factories
from tests.dialogues.calls import bring_forward, do, spoken
from tests.dialogues.test_dialling import CallMixin
from tests.engine import Answer, EngineMixin


class WhileWordingTests(CallMixin, TestCase):
    """The callee types while the agent's next line is worded."""

    def type_while_wording(self, text, meanwhile):
        link, secret = CallLink.objects.get(), self.client.cookies["call"].value
        words_for, typed = outbound.words_for, []

        async def slow(*args, **fields):
            words = await words_for(*args, **fields)
            if not typed:
                typed.append(meanwhile)
                store = sync_to_async(dialling.type_line)
                await store(link, secret=secret, text=meanwhile, client_id="meanwhile")
            return words

        with patch.object(outbound, "words_for", slow):
            self.type(text)

    def test_it_is_heard_before_anything_is_said(self):
        self.answer()
        self.type_while_wording("Hello", "Sorry, wrong number, we are a pharmacy")
        assert [text for who, text in spoken(self.job) if who == "agent"][1:] == [
            "I am sorry, I have the wrong number. Goodbye."
        ]
        assert (self.job.state, self.job.result["outcome"]) == ("done", "wrong_number")

    def test_what_takes_an_answer_back_counts(self):
        self.answer()
        for text in ("Hello", "25 minutes"):
            self.type(text)
        self.type_while_wording("Yes we can", "No wait, wrong number! Never call me again")
        assert self.job.state == "done"
        assert self.job.result["facts"] == {}
        assert "25 minutes" not in self.job.result["summary"]

    def test_after_the_agreement_too(self):
        self.answer()
        for text in ("Hello", "25 minutes", "Yes we can"):
            self.type(text)
        self.type_while_wording("Right", "No, that's wrong, the oven broke")
        assert self.last()[1].startswith("Let me ask once more")
        assert self.job.memory["state"]["facts"] == {}

    def test_two_lines_are_one_answer(self):
        self.answer()
        self.type_while_wording("Hello", "It takes 25 minutes")
        assert self.job.memory["state"]["facts"]["ready_in"]["value"] == 1500
        assert self.last()[1].endswith("Can you replace a missing dish?")


class WordedInVainTests(EngineMixin, CallMixin, TestCase):
    def test_what_the_words_cost_is_counted_though_they_are_not_said(self):
        self.job.conversation.release = factories.make_release(live=True)
        self.answer()
        before = self.job.prompt_tokens
        WhileWordingTests.type_while_wording(self, "Hello", "Wrong number")
        assert self.engine.requests
        assert self.job.prompt_tokens > before

    def setUp(self):
        super().setUp()
        action = {"say": "x", "facts": {}, "offer": "", "stop": ""}
        self.engine.always = Answer(json.dumps(action))


class RedialMixin(CallMixin):
    def attempt(self):
        bring_forward(self.job)
        self.job = do(self.job)


class NextAttemptTests(RedialMixin, TestCase):
    def test_who_declined_is_dialled_again(self):
        self.post("end")
        self.job = do(self.job)
        self.attempt()
        assert (self.job.state, self.job.attempts) == ("waiting", 2)
        assert self.job.progress == "Dialled; nobody has answered yet"
        assert not spoken(self.job)[1:]
        self.answer()
        for text in ("Yes?", "25 minutes", "Yes", "Right"):
            self.type(text)
        assert self.job.result["outcome"] == "goal_reached"

    def test_who_declines_each_time_did_not_answer(self):
        for _ in range(3):
            self.post("end")
            self.attempt()
            self.attempt()
        assert (self.job.state, self.job.attempts) == ("done", 3)
        assert self.job.result["summary"] == "Bangkok Corner did not answer."
        assert [text for _, text in spoken(self.job)] == ["Busy"] * 3

    def test_who_asked_to_be_called_back_is_called_and_heard_anew(self):
        self.answer()
        for text in ("Hello", "25 minutes", "Sorry, I'm busy, call later"):
            self.type(text)
        assert (self.job.state, self.job.attempts) == ("queued", 1)
        assert self.post("say", text="Hello?").status_code == 409
        self.attempt()
        assert CallLink.objects.get().state == "dialled"
        other = Client()
        assert self.post("answer", other).status_code == 302, "whoever answers now has the call"
        self.job = do(self.job)
        assert self.last()[1].startswith("Hello, this is the automated assistant")
        for text in ("Yes?", "Yes, we can", "Right"):
            self.type(text, client=other)
        assert self.job.result["outcome"] == "goal_reached"
        assert "25 minutes" in self.job.result["summary"]

    def test_a_link_that_nobody_opens_rings_again(self):
        for _ in range(3):
            CallLink.objects.update(dialled_at=timezone.now() - timedelta(hours=2))
            delegating.wake(self.job.pk)
            self.job = do(self.job)
            self.attempt()
        assert (self.job.state, self.job.result["outcome"]) == ("done", "no_answer")

    def test_a_dead_worker_leaves_the_call_as_it_is(self):
        self.answer()
        lapsed = timezone.now() - timedelta(seconds=1)
        bring_forward(self.job, state="running", owner=uuid4(), leased_until=lapsed)
        self.job = do(self.job)
        assert self.job.attempts == 2
        assert CallLink.objects.get().state == "answered"


class UnwantedTests(CallMixin, TestCase):
    def notes(self):
        return [text for who, text in spoken(self.job) if who == "note"]

    def test_who_must_not_be_called_again_is_not(self):
        self.answer()
        self.type("You must not call us again")
        assert (self.job.state, self.job.result["outcome"]) == ("done", "refused")
        assert self.notes() == [outbound.UNWANTED]

    def test_in_doubt_there_is_no_next_attempt_and_people_decide(self):
        self.answer()
        self.type("Don't call back before noon")
        self.type("I'm busy, try later")
        assert (self.job.state, self.job.attempts) == ("done", 1)
        assert self.notes() == [outbound.UNWANTED]


class UpgradeTests(RedialMixin, TestCase):
    """A call that an older release began: its memory lacks the number of the last line heard."""

    def upgrade(self):
        memory = self.job.memory
        del memory["state"]["heard"]
        bring_forward(self.job, memory=memory)

    def test_answers_that_were_taken_are_not_heard_again(self):
        self.answer()
        for text in ("Hello", "25 minutes"):
            self.type(text)
        self.upgrade()
        for text in ("No, we can't", "Right"):
            self.type(text)
        result = self.job.result
        assert result["outcome"] == "goal_reached"
        assert result["facts"]["replace"]["said"] == "No, we can't"

    def test_who_was_to_be_called_back_is_greeted(self):
        self.answer()
        for text in ("Hello", "25 minutes", "Sorry, I'm busy, call later"):
            self.type(text)
        self.upgrade()
        self.attempt()
        self.answer()
        assert self.last()[1].startswith("Hello, this is the automated assistant")
        for text in ("Yes?", "Yes, we can", "Right"):
            self.type(text)
        assert self.job.result["facts"]["replace"]["said"] == "Yes, we can"
