"""Which of two policies speaks where a customer may be told only one thing."""

from datetime import timedelta

from django.test import TestCase, override_settings
from django.utils import timezone

from dialogues import tasks
from dialogues.models import Outcome, ProactiveDecision
from dialogues.proactive import deciding, policies
from tests.dialogues.policies import make_event, make_policy


@override_settings(QUIET_FROM_HOUR=0, QUIET_UNTIL_HOUR=0, PROACTIVE_MOST=1)
class PriorityTests(TestCase):
    def setUp(self):
        self.low, self.high = make_policy(priority=0), make_policy(priority=10)

    def waiting(self):
        event = make_event()
        tasks.handle_business_event(event.pk)
        return [event.decisions.get(policy=policy) for policy in (self.low, self.high)]

    def decide(self, *decisions):
        for decision in decisions:
            ProactiveDecision.objects.filter(pk=decision.pk, outcome=Outcome.WAITING).update(
                due_at=timezone.now()
            )
            tasks.decide_contact(decision.pk)
            decision.refresh_from_db()

    def test_the_weightier_one_is_told_whoever_is_quicker(self):
        low, high = self.waiting()
        self.decide(low)
        assert low.outcome == Outcome.WAITING
        assert low.due_at > timezone.now()
        self.decide(high, low)
        assert (high.outcome, low.outcome) == (Outcome.SENT, Outcome.CAPPED)

    def test_also_while_another_worker_words_it(self):
        low, high = self.waiting()
        assert deciding._claim(high.pk)
        self.decide(low)
        assert low.outcome == Outcome.WAITING

    def test_one_that_is_refused_leaves_its_place(self):
        low, high = self.waiting()
        policies.set_active(self.high, active=False)
        self.decide(low, high, low)
        assert (high.outcome, low.outcome) == (Outcome.NOT_VALID, Outcome.SENT)

    def test_one_that_nobody_gets_done_is_not_waited_for(self):
        low, high = self.waiting()
        long_ago = timezone.now() - deciding.PATIENCE - timedelta(minutes=1)
        ProactiveDecision.objects.filter(pk=high.pk).update(due_at=long_ago)
        self.decide(low)
        assert low.outcome == Outcome.SENT

    def test_one_that_is_not_due_is_not_waited_for(self):
        low, high = self.waiting()
        later = timezone.now() + timedelta(hours=1)
        ProactiveDecision.objects.filter(pk=high.pk).update(due_at=later)
        self.decide(low)
        assert low.outcome == Outcome.SENT

    def test_nor_is_another_customers(self):
        low, high = self.waiting()
        other = make_event("c-2")
        tasks.handle_business_event(other.pk)
        self.decide(high)
        theirs = other.decisions.get(policy=self.low)
        self.decide(low)
        assert low.outcome == Outcome.CAPPED
        self.decide(other.decisions.get(policy=self.high), theirs)
        assert theirs.outcome == Outcome.CAPPED
