"""What becomes of an event: told, held out, or why not. Without quiet hours but where named."""

from datetime import datetime, timedelta
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction
from django.test import TestCase, override_settings
from django.utils import timezone

from dialogues import services, tasks
from dialogues.desk.control import take_control
from dialogues.models import (
    BusinessEvent,
    Control,
    Conversation,
    EventKind,
    OptOut,
    Outcome,
    ProactiveDecision,
    ProactivePolicy,
    ProactiveVersion,
    Role,
    Site,
)
from dialogues.proactive import contact, deciding
from dialogues.proactive import policies as proactive_policies
from dialogues.proactive.sending import adopt
from tests.dialogues.policies import handled, make_chat, make_event, make_policy
from tests.factories import make_scene, make_user, say

NEVER_QUIET = override_settings(QUIET_FROM_HOUR=0, QUIET_UNTIL_HOUR=0)
TEXT = "Your order GW1002 is 45 minutes late."


def decided(event):
    decision = handled(event)
    tasks.decide_contact(decision.pk)
    decision.refresh_from_db()
    return decision


def said(conversation):
    agent = conversation.events.filter(kind=EventKind.MESSAGE, role=Role.AGENT)
    return list(agent.values_list("text", flat=True))


@NEVER_QUIET
class TellTests(TestCase):
    def test_the_newest_open_chat_hears_of_it(self):
        make_policy()
        make_chat(updated_at=timezone.now() - timedelta(hours=1))
        chat = make_chat()
        decision = decided(make_event())
        assert (decision.outcome, decision.conversation) == (Outcome.SENT, chat)
        assert said(chat) == [TEXT]
        assert decision.message.fence == chat.fence

    def test_two_deliveries_tell_it_once(self):
        make_policy()
        chat, event = make_chat(), make_event()
        for _ in range(2):
            tasks.handle_business_event(event.pk)
        for decision in ProactiveDecision.objects.all():
            tasks.decide_contact(decision.pk)
            tasks.decide_contact(decision.pk)
        tasks.sweep_proactive()
        assert said(chat) == [TEXT]

    def test_a_dead_worker_is_replaced(self):
        make_policy()
        chat = make_chat()
        decision = handled(make_event())
        assert deciding._claim(decision.pk)
        tasks.decide_contact(decision.pk)  # it is another's
        assert said(chat) == []
        lapsed = timezone.now() - timedelta(seconds=1)
        ProactiveDecision.objects.update(leased_until=lapsed)
        tasks.decide_contact(decision.pk)
        assert said(chat) == [TEXT]

    def test_a_slow_worker_says_nothing_after_its_lease(self):
        make_policy()
        chat = make_chat()
        slow = deciding._claim(handled(make_event()).pk)
        ProactiveDecision.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        tasks.decide_contact(slow.pk)
        deciding._settle(slow, "Again.")
        assert said(chat) == [TEXT]

    def decided_while(self, act):
        """A decision whose chat changes by `act` just after the last look at it."""
        make_policy()
        chat, decision = make_chat(), handled(make_event())
        look, looks = deciding.look, []

        def look_and_act(decision):
            looks.append(look(decision))
            if len(looks) == 2:
                act(chat)
            return looks[-1]

        with patch.object(deciding, "look", look_and_act):
            tasks.decide_contact(decision.pk)
        decision.refresh_from_db()
        return chat, decision

    def test_nothing_is_said_where_a_person_took_over_after_the_look(self):
        user = make_user("admin")
        chat, decision = self.decided_while(lambda chat: take_control(conversation=chat, by=user))
        assert said(chat) == []
        assert (decision.outcome, decision.owner) == (Outcome.WAITING, None)
        assert decision.due_at > timezone.now()

    def test_nor_in_a_chat_that_ended_after_it_but_in_a_new_one(self):
        chat, decision = self.decided_while(lambda chat: services.close(conversation=chat))
        assert decision.outcome == Outcome.WAITING
        tasks.decide_contact(decision.pk)
        decision.refresh_from_db()
        assert said(chat) == []
        assert said(decision.conversation) == [TEXT]

    def test_nor_beside_an_answer_that_was_begun_after_it(self):
        def ask(chat):
            say(chat, "Where is it?")
            services.begin_turn(chat.pk)

        chat, decision = self.decided_while(ask)
        assert (said(chat), decision.outcome) == ([], Outcome.WAITING)

    def test_without_an_open_chat_a_new_one_waits_for_the_customer(self):
        make_policy()
        make_chat(closed_at=timezone.now())
        decision = decided(make_event())
        chat = decision.conversation
        assert said(chat) == [TEXT]
        assert chat.customer_ref == "c-1"
        site = Site.objects.create(slug="shop", name="Shop")
        found, token = adopt(customer_ref="c-1", site=site)
        assert found == chat
        chat.refresh_from_db()
        assert services.opens(chat, token)
        assert adopt(customer_ref="c-1", site=site) is None

    def test_a_chat_that_was_left_is_not_spoken_in(self):
        make_policy(cooldown_hours=0)
        left = make_chat(token_sha256="x", updated_at=timezone.now() - timedelta(days=2))
        waiting = decided(make_event()).conversation
        assert waiting != left
        Conversation.objects.update(updated_at=timezone.now() - timedelta(days=3))
        assert decided(make_event()).conversation == waiting

    def test_nobody_else_gets_that_chat(self):
        make_policy()
        decided(make_event())
        site = Site.objects.create(slug="shop", name="Shop")
        assert adopt(customer_ref="c-2", site=site) is None

    def test_only_open_chats_where_the_policy_says_so(self):
        make_policy(reach="open")
        assert decided(make_event()).outcome == Outcome.NO_CHANNEL
        assert not Conversation.objects.exists()

    def test_a_message_waits_its_time(self):
        make_policy(delay_minutes=30)
        decision = decided(make_event())
        assert decision.outcome == Outcome.WAITING
        assert decision.due_at > timezone.now() + timedelta(minutes=29)

    def test_gone_rows_are_passed_over(self):
        tasks.handle_business_event(0)
        tasks.decide_contact(0)
        assert not Conversation.objects.exists()


@NEVER_QUIET
class RefuseTests(TestCase):
    def test_a_false_condition_is_noted(self):
        make_policy()
        decision = handled(make_event(data={"order_id": "GW1", "minutes_late": 5}))
        assert decision.outcome == Outcome.CONDITION
        assert "it is 5" in decision.reason

    def test_what_the_message_lacks_is_noted(self):
        make_policy()
        decision = decided(make_event(data={"minutes_late": 45}))
        assert (decision.outcome, decision.reason) == (
            Outcome.CONDITION, "The event does not tell order_id."
        )  # fmt: skip

    def test_other_events_scenes_and_paused_policies_decide_nothing(self):
        make_policy(event_type="refund_stuck")
        make_policy(scene=make_scene())
        make_policy(active=False)
        event = make_event()
        tasks.handle_business_event(event.pk)
        assert not ProactiveDecision.objects.exists()
        event.refresh_from_db()
        assert event.handled_at

    def test_who_opted_out_is_left_alone_for_ever(self):
        make_policy()
        chat = make_chat()
        for _ in range(2):
            proactive_policies.opt_out(chat)
        assert decided(make_event()).outcome == Outcome.OPTED_OUT
        assert said(chat) == []
        for change in (lambda rows: rows.delete(), lambda rows: rows.update(customer_ref="x")):
            with (
                self.assertRaisesMessage(IntegrityError, "opt_out_stays"),
                transaction.atomic(),
            ):
                change(OptOut.objects.all())

    def test_the_same_policy_keeps_its_cooldown(self):
        make_policy()
        make_chat()
        assert decided(make_event()).outcome == Outcome.SENT
        assert decided(make_event()).outcome == Outcome.COOLDOWN
        assert decided(make_event("c-2")).outcome == Outcome.SENT

    @override_settings(PROACTIVE_MOST=1)
    def test_all_policies_share_the_cap(self):
        make_policy()
        decided(make_event())
        ProactivePolicy.objects.update(is_active=False)
        make_policy()
        assert decided(make_event()).outcome == Outcome.CAPPED

    def test_a_person_is_not_talked_over(self):
        make_policy()
        for control in (Control.HUMAN, Control.QUEUED):
            chat = make_chat("c-" + control, control=control)
            decision = decided(make_event("c-" + control))
            assert decision.outcome == Outcome.WAITING
            assert "person" in decision.reason
            assert decision.due_at > timezone.now() + timedelta(minutes=4)
            assert said(chat) == []

    def test_what_is_stale_is_not_told(self):
        make_policy(stale_minutes=60)
        long_ago = timezone.now() - timedelta(hours=2)
        assert decided(make_event(occurred_at=long_ago)).outcome == Outcome.STALE

    def test_a_policy_paused_meanwhile_is_silent(self):
        policy = make_policy()
        decision = handled(make_event())
        proactive_policies.set_active(policy, active=False)
        tasks.decide_contact(decision.pk)
        decision.refresh_from_db()
        assert decision.outcome == Outcome.NOT_VALID

    def test_outside_its_validity_it_is_silent(self):
        make_policy(valid_from=timezone.now() + timedelta(days=1))
        assert decided(make_event()).outcome == Outcome.NOT_VALID


@NEVER_QUIET
class SiteTests(TestCase):
    """Two sites, whose customers c-1 are two people."""

    def setUp(self):
        self.shop, self.club = (
            Site.objects.create(slug=slug, name=slug) for slug in ("shop", "club")
        )
        make_policy()

    def test_nothing_is_said_in_the_chat_of_another_site(self):
        other, nobodys, mine = make_chat(site=self.club), make_chat(), make_chat(site=self.shop)
        assert decided(make_event(site=self.shop)).conversation == mine
        assert said(other) == said(nobodys) == []

    def test_a_new_chat_is_of_the_site(self):
        make_chat(site=self.club)
        assert decided(make_event(site=self.shop)).conversation.site == self.shop

    def test_they_do_not_opt_each_other_out(self):
        proactive_policies.opt_out(make_chat(site=self.club))
        assert decided(make_event(site=self.club)).outcome == Outcome.OPTED_OUT
        assert decided(make_event(site=self.shop)).outcome == Outcome.SENT

    def test_a_no_of_before_sites_were_told_apart_holds_at_each(self):
        OptOut.objects.create(customer_ref="c-1")
        for site in (self.shop, self.club):
            assert decided(make_event(site=site)).outcome == Outcome.OPTED_OUT

    def test_each_says_it_once_for_each_site(self):
        OptOut.objects.create(customer_ref="c-1")
        OptOut.objects.create(customer_ref="c-1", site=self.shop)
        for site in (None, self.shop):
            with (
                self.assertRaisesMessage(IntegrityError, "opt_out_customer_once"),
                transaction.atomic(),
            ):
                OptOut.objects.create(customer_ref="c-1", site=site)

    @override_settings(PROACTIVE_MOST=1)
    def test_they_do_not_use_up_each_others_cap(self):
        make_policy(name="Another")
        for site in (self.club, self.shop):
            event = make_event(site=site)
            tasks.handle_business_event(event.pk)
            for decision in event.decisions.all():
                tasks.decide_contact(decision.pk)
            outcomes = sorted(event.decisions.values_list("outcome", flat=True))
            assert outcomes == [Outcome.CAPPED, Outcome.SENT]

    def test_nor_each_others_cooldown(self):
        for site in (self.club, self.shop):
            assert decided(make_event(site=site)).outcome == Outcome.SENT
            assert decided(make_event(site=site)).outcome == Outcome.COOLDOWN


class QuietTests(TestCase):
    SHANGHAI = ZoneInfo("Asia/Shanghai")

    def test_the_customers_clock_counts(self):
        night = datetime(2026, 5, 1, 23, 30, tzinfo=self.SHANGHAI)
        assert contact.usual_rules().quiet_end(self.SHANGHAI, night) == datetime(
            2026, 5, 2, 8, tzinfo=self.SHANGHAI
        )
        assert contact.usual_rules().quiet_end(ZoneInfo("UTC"), night) is None

    def test_after_midnight_they_end_the_same_day(self):
        early = datetime(2026, 5, 1, 3, tzinfo=self.SHANGHAI)
        assert contact.usual_rules().quiet_end(self.SHANGHAI, early).day == 1

    @override_settings(QUIET_FROM_HOUR=12, QUIET_UNTIL_HOUR=14)
    def test_a_rest_at_noon(self):
        noon = datetime(2026, 5, 1, 12, 59, tzinfo=self.SHANGHAI)
        assert contact.usual_rules().quiet_end(self.SHANGHAI, noon).hour == 14

    def test_the_message_waits_until_they_end(self):
        hour = timezone.now().hour
        with self.settings(QUIET_FROM_HOUR=hour, QUIET_UNTIL_HOUR=(hour + 2) % 24):
            make_policy()
            decision = decided(make_event(time_zone="UTC"))
        assert decision.outcome == Outcome.WAITING
        assert "Quiet hours" in decision.reason
        assert decision.due_at > timezone.now()


@NEVER_QUIET
class HoldoutTests(TestCase):
    def test_a_customer_is_always_in_the_same_group(self):
        policy = make_policy(holdout_percent=20)
        refs = [f"c-{number}" for number in range(1000)]
        held = {ref for ref in refs if deciding.is_held_out(policy, policy.version, ref)}
        assert 150 < len(held) < 250
        other = make_policy(holdout_percent=20)
        theirs = {ref for ref in refs if deciding.is_held_out(other, other.version, ref)}
        assert held != theirs

    def test_the_held_out_are_noted_and_told_nothing(self):
        make_policy(holdout_percent=50)
        decisions = [decided(make_event(f"c-{number}")) for number in range(12)]
        held = [one for one in decisions if one.outcome == Outcome.HELD_OUT]
        assert 0 < len(held) < 12
        assert all(one.conversation is None for one in held)
        assert Conversation.objects.count() == 12 - len(held)


class ConstraintTests(TestCase):
    def refuses(self, name, change):
        with (
            self.assertRaisesMessage(IntegrityError, name),
            transaction.atomic(),
        ):
            change()

    def test_versions_and_events_never_change(self):
        policy = make_policy()
        event = make_event()
        versions = ProactiveVersion.objects.filter(policy=policy)
        with pytest.raises(Exception, match="never"), transaction.atomic():
            versions.update(template="x")
        self.refuses(
            "business_event_never_changes",
            lambda: BusinessEvent.objects.filter(pk=event.pk).update(data={}),
        )

    @NEVER_QUIET
    def test_what_was_decided_stays(self):
        make_policy()
        decision = decided(make_event())
        rows = ProactiveDecision.objects.filter(pk=decision.pk)
        self.refuses("proactive_decision_stays", lambda: rows.update(outcome=Outcome.HELD_OUT))
        decision.conversation.delete()  # which the ledger outlives
        rows.get(conversation=None, outcome=Outcome.SENT)

    def test_one_decision_of_a_policy_on_an_event(self):
        policy = make_policy()
        decision = handled(make_event())
        again = ProactiveDecision(
            event=decision.event, policy=policy, version=policy.version, customer_ref="c-1"
        )
        self.refuses("proactive_decided_once", again.save)

    def test_the_rest(self):
        policy = make_policy()
        other = ProactiveVersion.objects.filter(policy=policy).get()
        for name, fields in (
            ("proactive_holdout_at_most_half", {"holdout_percent": 51}),
            ("proactive_stale_after_delay", {"delay_minutes": 800}),
            ("proactive_promise_is_due", {"promise": "Soon."}),
            ("proactive_version_number_once", {"number": 1}),
            ("proactive_wording_known", {"wording": "sung"}),
            ("proactive_reach_known", {"reach": "post"}),
        ):
            values = {
                field.attname: getattr(other, field.attname)
                for field in other._meta.concrete_fields
                if field.name != "id"
            }
            row = ProactiveVersion(**values | {"number": 2} | fields)
            self.refuses(name, row.save)


def test_visible_policies(db):
    mine, other = make_scene(), make_scene()
    for scene in (mine, other, None):
        make_policy(scene=scene)
    user = make_user("operator", [mine])
    assert ProactivePolicy.objects.visible_to(user).count() == 2
