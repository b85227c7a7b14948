"""Whole calls by voice, as jobs in the database: what `bench calls` makes and measures."""

from django.conf import settings
from django.test import TestCase

from agents.subagents.callees import Temper
from dialogues.models import SubagentJob, SubagentState
from tests import factories
from tests.dialogues.calls import do, make_job, make_plan
from tests.telephone import SipCase
from wowconsole import benchmark_calls


class CallsTests(SipCase, TestCase):
    def test_a_call_goes_from_card_to_score_and_is_measured(self):
        self.words.pace = 0.0
        before = settings.SIP_ALLOW
        figures = benchmark_calls.calls(1)
        [call] = figures["calls"]
        assert call["temper"] == "cooperative"
        assert call["outcome"] == "goal_reached"
        assert call["score"] >= 90
        assert figures["word_error_rate"] < 0.3  # a "Hello?" may count as a line
        assert 0 < figures["from_their_last_word_to_our_first"]["p50_ms"] < 5000
        job = SubagentJob.objects.get()
        assert job.state == SubagentState.DONE
        assert job.result["facts"]["complete"]["value"] in (True, False)
        assert job.lines.filter(speaker="callee").count() >= 3
        assert job.conversation.closed_at
        assert before == settings.SIP_ALLOW

    def test_a_forbidden_number_fails_the_job_before_anything_is_sent(self):
        make_plan(addresses={"*": "tel:+19005550100"})
        job = do(make_job(factories.make_conversation()))
        assert job.state == SubagentState.FAILED
        assert "Nobody was called" in job.error

    def test_word_errors_are_of_the_words_said(self):
        said = ["The oven broke.", "25 minutes"]
        assert benchmark_calls._word_errors([(said, ["the oven broke", "25 minutes."])]) == 0
        assert benchmark_calls._word_errors([(said, ["an oven", "25 minutes please"])]) == 0.6
        assert benchmark_calls._word_errors([([], ["hello"])]) is None

    def test_every_temper_has_its_turn(self):
        assert len(Temper) == benchmark_calls.CALLS
