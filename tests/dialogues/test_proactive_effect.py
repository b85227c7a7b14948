"""What speaking first changed, and the dry run."""

from datetime import timedelta
from unittest.mock import patch

import pytest
from django.test import TestCase, override_settings
from django.utils import timezone

from dialogues.desk import control
from dialogues.models import (
    EventKind,
    FollowUp,
    OptOut,
    Outcome,
    ProactiveDecision,
    ProactiveVersion,
    Role,
    Site,
)
from dialogues.proactive import charts, promises
from dialogues.proactive import policies as proactive_policies
from dialogues.proactive.effect import Measure, Share, effect_of
from dialogues.proactive.rehearsing import rehearse
from tests.dialogues.policies import make_chat, make_event, make_policy
from tests.factories import make_scene, make_user, say


class TestIntervals:
    def test_wilson_as_published(self):
        """Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3."""
        for hits, total, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605),
                                       (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)):  # fmt: skip
            assert Share(hits, total).interval == pytest.approx((low, high), abs=5e-5)

    def test_newcombe_as_published(self):
        """Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10."""
        for a, m, b, n, low, high in ((56, 70, 48, 80, 0.0524, 0.3339),
                                      (9, 10, 3, 10, 0.1705, 0.8090)):  # fmt: skip
            measure = Measure("m", Share(a, m), Share(b, n))
            assert measure.interval == pytest.approx((low, high), abs=5e-5)

    def test_words_say_what_is_proven_and_no_more(self):
        assert "fewer" in Measure("m", Share(5, 100), Share(40, 100)).in_words
        assert "more" in Measure("m", Share(40, 100), Share(5, 100)).in_words
        assert "no difference" in Measure("m", Share(5, 20), Share(6, 20)).in_words
        assert "Not enough" in Measure("m", Share(0, 0), Share(6, 20)).in_words


@override_settings(QUIET_FROM_HOUR=0, QUIET_UNTIL_HOUR=0)
class EffectTests(TestCase):
    def setUp(self):
        self.policy = make_policy()

    def decision(self, customer, outcome, hours_ago=48, site=None):
        at = timezone.now() - timedelta(hours=hours_ago)
        return ProactiveDecision.objects.create(
            event=make_event(customer, site=site), policy=self.policy, version=self.policy.version,
            customer_ref=customer, outcome=outcome, decided_at=at,
        )  # fmt: skip

    def test_each_group_is_counted_within_its_hours(self):
        after = timezone.now() - timedelta(hours=47)
        for number in range(3):
            self.decision(f"told-{number}", Outcome.SENT)
            self.decision(f"held-{number}", Outcome.HELD_OUT)
        self.decision("told-0", Outcome.SENT, hours_ago=40)  # counts once
        self.decision("new", Outcome.SENT, hours_ago=1)  # not over yet
        self.decision("late", Outcome.CAPPED)
        for ref in ("held-0", "held-1", "told-0"):
            say(make_chat(ref), "Where is it?", at=after)
        say(make_chat("held-2"), "Hello", at=timezone.now())  # after the hours
        chat = make_chat("held-2", rating=2)
        chat.events.create(kind=EventKind.RATING, role=Role.CUSTOMER, seq=0, at=after)
        chat.events.create(
            kind=EventKind.CONTROL, role=Role.SYSTEM, seq=0, at=after,
            data={"state": "queued", "by_customer": True},
        )  # fmt: skip

        wrote, person, satisfied = effect_of(self.policy)

        assert (wrote.told, wrote.held) == (Share(1, 3), Share(2, 3))
        assert (person.told, person.held) == (Share(0, 3), Share(1, 3))
        assert (satisfied.told, satisfied.held) == (Share(0, 0), Share(0, 1))

    def test_who_was_passed_to_a_person_for_our_own_reasons_asked_for_none(self):
        for outcome in (Outcome.SENT, Outcome.HELD_OUT):
            self.decision(outcome, outcome, hours_ago=23)
        promise = FollowUp.objects.create(
            source="tool 1", conversation=make_chat(Outcome.SENT), promise="Soon.",
            due_at=timezone.now(),
        )  # fmt: skip
        promises.escalate(promise.pk)
        control.ask_for_person(conversation=make_chat(Outcome.HELD_OUT), by_customer=True)
        over = timezone.now() + timedelta(hours=2)
        with patch.object(timezone, "now", return_value=over):
            _, person, _ = effect_of(self.policy)
        assert (person.told, person.held) == (Share(0, 1), Share(1, 1))

    def test_another_sites_customer_of_the_same_id_is_counted_apart(self):
        sites = shop, club = [Site.objects.create(slug=slug, name=slug) for slug in ("a", "b")]
        for site in sites:
            self.decision("c-1", Outcome.SENT, site=site)
        after = timezone.now() - timedelta(hours=47)
        say(make_chat(site=shop), "Where is it?", at=after)
        chat = make_chat(site=club, rating=5)
        chat.events.create(kind=EventKind.RATING, role=Role.CUSTOMER, seq=0, at=after)
        wrote, _, satisfied = effect_of(self.policy)
        assert (wrote.told, satisfied.told) == (Share(1, 2), Share(1, 1))

    def test_the_chart_tells_the_numbers_to_who_cannot_see_it(self):
        assert charts.effect(effect_of(self.policy)) == ""
        self.decision("a", Outcome.SENT)
        self.decision("b", Outcome.HELD_OUT)
        chart = charts.effect(effect_of(self.policy))
        assert chart.startswith("<svg")
        assert "0% of 1 told" in chart


@override_settings(QUIET_FROM_HOUR=0, QUIET_UNTIL_HOUR=0)
class RehearsalTests(TestCase):
    def draft(self, **fields):
        values = {"event_type": "order_late", "template": "{order_id} is late", "number": 1}
        return ProactiveVersion(**values | {"holdout_percent": 0} | fields)

    def outcomes(self, policy=None, by=None, **fields):
        by = by or make_user("admin")
        rehearsal = rehearse(policy, self.draft(**fields), visible_to=by)
        return [row.outcome for row in rehearsal.rows], rehearsal

    def test_past_events_are_decided_and_nothing_is_stored(self):
        make_event("c-1")
        make_event("c-1")
        make_event("c-2", data={"minutes_late": 1})
        make_event("c-3", type="refund_stuck")
        outcomes, rehearsal = self.outcomes()
        assert outcomes == [Outcome.CONDITION, Outcome.COOLDOWN, Outcome.SENT]
        assert rehearsal.reached == 1
        assert rehearsal.rows[-1].text == "GW1002 is late"
        assert dict(rehearsal.counts)["Sent"] == 1
        assert not ProactiveDecision.objects.exists()

    def test_conditions_scenes_and_opt_outs_count(self):
        scene = make_scene()
        make_event("c-1", scene=scene)
        proactive_policies.opt_out(make_chat("c-2"))
        make_event("c-2")
        late = [{"field": "minutes_late", "op": "gt", "value": 60}]
        assert self.outcomes(conditions=late)[0] == [Outcome.CONDITION] * 2
        assert self.outcomes()[0] == [Outcome.OPTED_OUT, Outcome.SENT]
        assert self.outcomes(scene=scene)[0] == [Outcome.SENT]

    def test_each_site_has_its_customers(self):
        shop, club = (Site.objects.create(slug=slug, name=slug) for slug in ("shop", "club"))
        for site in (shop, club):
            make_event("c-1", site=site)
            make_event("c-2", site=site)
        OptOut.objects.create(customer_ref="c-1")
        proactive_policies.opt_out(make_chat("c-2", site=club))
        opted_out, sent = Outcome.OPTED_OUT, Outcome.SENT
        assert self.outcomes()[0] == [opted_out, opted_out, sent, opted_out]

    def test_events_of_scenes_that_are_not_ones_own_are_left_out(self):
        mine, other = make_scene(), make_scene()
        for scene in (mine, other, None):
            make_event(f"c-{scene}", scene=scene)
        site = Site.objects.create(slug="shop", name="Shop", scene=other)
        make_event("c-4", site=site)
        assert len(self.outcomes()[0]) == 4
        assert len(self.outcomes(by=make_user("approver", [mine]))[0]) == 2

    @override_settings(PROACTIVE_MOST=1)
    def test_the_cap_counts(self):
        make_event("c-1")
        make_event("c-1")
        assert self.outcomes(cooldown_hours=0)[0] == [Outcome.CAPPED, Outcome.SENT]

    def test_quiet_hours_delay_or_outlast_it(self):
        make_event()
        hour = timezone.now().hour
        with self.settings(QUIET_FROM_HOUR=hour, QUIET_UNTIL_HOUR=(hour + 3) % 24):
            _, rehearsal = self.outcomes()
            assert rehearsal.rows[0].reason == "After the quiet hours."
            assert self.outcomes(stale_minutes=10)[0] == [Outcome.STALE]

    def test_the_held_out_are_those_of_the_policy(self):
        policy = make_policy(holdout_percent=50)
        for number in range(10):
            make_event(f"c-{number}")
        outcomes, _ = self.outcomes(policy, holdout_percent=50)
        assert {Outcome.SENT, Outcome.HELD_OUT} == set(outcomes)
