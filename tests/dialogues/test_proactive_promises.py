"""Promises: kept by events in whatever order they come, or passed to a person in time."""

from dataclasses import asdict, replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from django.test import TestCase, override_settings
from django.urls import reverse
from django.utils import timezone

from agents.master import Called
from dialogues import recording, services, tasks
from dialogues.desk import control, presenting
from dialogues.models import (
    ContactRules,
    Control,
    EventKind,
    FollowUp,
    OptOut,
    Outcome,
    ProactiveDecision,
    PromiseState,
    Role,
)
from dialogues.proactive import contact, policies, promises
from tests.dialogues.policies import handled, make_chat, make_event, make_policy
from tests.dialogues.test_identifying import make_site
from tests.factories import make_conversation, make_scene, make_turn, make_user

NEVER_QUIET = {"QUIET_FROM_HOUR": 0, "QUIET_UNTIL_HOUR": 0}


def make_promising(**fields):
    return make_policy(
        promise="Order {order_id} is there by 19:00.",
        promise_minutes=60,
        kept_by="order_delivered",
        kept_field="order_id",
        over_by=["order_cancelled", "order_refused"],
        **fields,
    )


def deliver(order="GW1002", **fields):
    event = make_event(type="order_delivered", data={"order_id": order}, **fields)
    tasks.handle_business_event(event.pk)


def cancel(order="GW1002", **fields):
    event = make_event(type="order_cancelled", data={"order_id": order}, **fields)
    tasks.handle_business_event(event.pk)


def late(promise):
    FollowUp.objects.filter(pk=promise.pk).update(due_at=timezone.now())
    for _ in range(2):
        tasks.sweep_proactive()
    promise.refresh_from_db()
    return promise


@override_settings(**NEVER_QUIET)
class PromiseTests(TestCase):
    def promised(self, at=None, **chat):
        make_promising()
        make_chat(**chat)
        tasks.decide_contact(handled(make_event(site=at)).pk)
        return FollowUp.objects.get()

    def test_an_event_keeps_it(self):
        promise = self.promised()
        for order, state in (("GW9", PromiseState.OPEN), ("GW1002", PromiseState.KEPT)):
            event = make_event(type="order_delivered", data={"order_id": order})
            for _ in range(2):
                tasks.handle_business_event(event.pk)
            promise.refresh_from_db()
            assert promise.state == state
        assert late(promise).state == PromiseState.KEPT

    def test_another_sites_customer_of_the_same_id_keeps_nothing(self):
        shop, club = (make_site(slug=slug) for slug in ("shop", "club"))
        promise = self.promised(shop, site=shop)
        for site, state in ((club, PromiseState.OPEN), (shop, PromiseState.KEPT)):
            event = make_event(type="order_delivered", data={"order_id": "GW1002"}, site=site)
            tasks.handle_business_event(event.pk)
            promise.refresh_from_db()
            assert promise.state == state

    def test_an_event_that_ends_the_matter_makes_it_void(self):
        promise = self.promised()
        cancel("GW9")
        promise.refresh_from_db()
        assert promise.state == PromiseState.OPEN
        cancel()
        promise.refresh_from_db()
        assert promise.state == PromiseState.VOID
        assert late(promise).state == PromiseState.VOID
        said = promise.conversation.events.filter(kind=EventKind.MESSAGE, role=Role.AGENT)
        assert said.count() == 1  # what was late is not said to be broken
        assert promise.conversation.control == Control.BOT

    def test_what_is_not_kept_in_time_goes_to_a_person(self):
        promise = late(self.promised())
        assert promise.state == PromiseState.ESCALATED
        conversation = promise.conversation
        assert conversation.control == Control.QUEUED
        said = conversation.events.filter(kind=EventKind.MESSAGE, role=Role.AGENT)
        assert said.count() == 2
        assert "Order GW1002 is there by 19:00. That has not happened yet" in said.last().text

    def test_a_person_who_talks_is_not_interrupted_but_told(self):
        promise = self.promised()
        conversation, ana = promise.conversation, make_user("admin")
        control.take_control(conversation=conversation, by=ana)
        stamp = presenting.stamp(conversation)
        assert late(promise).state == PromiseState.ESCALATED
        assert conversation.events.filter(role=Role.AGENT).count() == 1
        assert presenting.stamp(conversation) != stamp
        self.client.force_login(ana)
        page = self.client.get(reverse("dialogues:desk", args=[conversation.public_id]))
        self.assertContains(page, "Order GW1002 is there by 19:00.")
        self.assertContains(page, "Please see to it.")
        inbox = reverse("dialogues:inbox")
        self.assertContains(self.client.get(inbox, {"view": "mine"}), "Promise not kept")
        services.hand_back(conversation=conversation, by=ana)
        self.assertNotContains(self.client.get(inbox, {"view": "all"}), "Promise not kept")

    def test_with_the_conversation_the_promise_ends(self):
        promise = self.promised()
        services.close(conversation=promise.conversation)
        assert late(promise).state == PromiseState.VOID

    def test_a_tool_promises_too(self):
        turn = make_turn(make_conversation())
        due = timezone.now() + timedelta(hours=2)
        told = {"status": "ok", "promise": {"text": "Refunded today.", "due_at": due.isoformat()}}
        for _ in range(2):
            recording.store_call(turn, Called("refund_order", {}, told))
        promise = FollowUp.objects.get()
        assert (promise.promise, promise.due_at) == ("Refunded today.", due)

    def test_a_tool_says_what_ends_it(self):
        chat = make_chat()
        due = (timezone.now() + timedelta(hours=2)).isoformat()
        promise = {"text": "There by 7.", "due_at": due, "field": "order_id", "value": "GW1002"}
        for source, types in (("1", "order_cancelled"), ("2", ["order_cancelled", "x"]), ("3", 7)):
            promises.note_from_tool(chat, source, {"promise": {**promise, "over_by": types}})
        cancel()
        states = dict(FollowUp.objects.values_list("source", "state"))
        assert states == {"tool 1": "void", "tool 2": "void", "tool 3": "open"}

    def test_what_no_one_can_read_is_no_promise(self):
        conversation = make_conversation()
        for promise in ("soon", {}, {"text": "x"}, {"text": "x", "due_at": "tomorrow"},
                        {"text": "x", "due_at": "2026-01-01T10:00:00"},
                        {"text": "x", "due_at": "2026-99-01T10:00:00Z"}):  # fmt: skip
            promises.note_from_tool(conversation, "s", {"promise": promise})
        assert not FollowUp.objects.exists()

    def test_a_promise_that_is_gone_is_passed_over(self):
        promises.escalate(0)
        assert not ProactiveDecision.objects.exists()


@override_settings(**NEVER_QUIET)
class BrokenTests(TestCase):
    """What a customer reads of a promise that was not kept, who is not to be spoken to now."""

    def promised(self, **event):
        make_promising()
        self.chat = make_chat()
        tasks.decide_contact(handled(make_event(**event)).pk)
        return FollowUp.objects.get()

    def said(self):
        return self.chat.events.filter(kind=EventKind.MESSAGE, role=Role.AGENT).count()

    def passed_silently(self, promise):
        assert late(promise).state == PromiseState.ESCALATED
        self.chat.refresh_from_db()
        assert (self.said(), self.chat.control) == (1, Control.QUEUED)
        assert promise in FollowUp.objects.broken()

    def test_who_opted_out_is_told_nothing(self):
        promise = self.promised()
        policies.opt_out(self.chat)
        self.passed_silently(promise)

    def test_nor_who_did_so_before_they_were_known(self):
        promise = self.promised()
        OptOut.objects.create(conversation=self.chat)
        self.passed_silently(promise)

    def test_the_no_of_another_who_is_not_known_is_not_theirs(self):
        OptOut.objects.create(conversation=make_conversation())
        chat = self.chat = make_conversation()
        promise = FollowUp.objects.create(
            source="tool 1", conversation=chat, promise="Soon.", due_at=timezone.now()
        )
        late(promise)
        assert self.said() == 1

    def test_while_nobody_is_to_be_disturbed_a_person_sees_to_it(self):
        scene = make_scene()
        promise = self.promised(scene=scene)  # in a chat of no scene
        until = timezone.now() + timedelta(hours=1)
        rules = replace(contact.usual_rules(), silent_until=until)
        ContactRules.objects.create(scene=scene, **asdict(rules))
        self.passed_silently(promise)

    def test_quiet_hours_are_waited_for(self):
        promise = self.promised(time_zone="Asia/Tokyo")
        hour = timezone.now().astimezone(ZoneInfo("Asia/Tokyo")).hour
        quiet = self.settings(QUIET_FROM_HOUR=hour, QUIET_UNTIL_HOUR=(hour + 2) % 24)
        with quiet:
            assert late(promise).state == PromiseState.OPEN
            assert promise.due_at > timezone.now() + timedelta(minutes=59)
            self.chat.refresh_from_db()
            assert (self.said(), self.chat.control) == (1, Control.BOT)
        assert late(promise).state == PromiseState.ESCALATED
        assert self.said() == 2


@override_settings(**NEVER_QUIET)
class OrderTests(TestCase):
    """The event that keeps a promise is told before the one it answers, or while that waits."""

    def decided(self, decision):
        tasks.decide_contact(decision.pk)
        decision.refresh_from_db()
        return decision

    def test_what_is_over_when_it_is_told_of_is_no_news(self):
        make_promising()
        chat = make_chat()
        deliver()
        before = timezone.now() - timedelta(minutes=10)
        decision = self.decided(handled(make_event(occurred_at=before)))
        assert decision.outcome == Outcome.STALE
        assert decision.reason == "order_delivered came for it."
        assert not chat.events.exists()
        assert not FollowUp.objects.exists()

    def test_nor_what_was_ended_by_then(self):
        make_policy(kept_field="order_id", over_by=["order_refused", "order_cancelled"])
        chat = make_chat()
        decision = handled(make_event())
        cancel("GW9")
        cancel()
        assert self.decided(decision).outcome == Outcome.STALE
        assert decision.reason == "order_cancelled came for it."
        assert not chat.events.exists()

    def test_nor_what_ended_in_the_quiet_hours(self):
        make_promising()
        decision = handled(make_event(time_zone="Asia/Tokyo"))
        hour = timezone.now().astimezone(ZoneInfo("Asia/Tokyo")).hour
        with self.settings(QUIET_FROM_HOUR=hour, QUIET_UNTIL_HOUR=(hour + 2) % 24):
            assert self.decided(decision).outcome == Outcome.WAITING
            cancel()
        ProactiveDecision.objects.update(due_at=timezone.now())
        assert self.decided(decision).outcome == Outcome.STALE
        assert not FollowUp.objects.exists()

    def test_nor_what_is_over_when_its_time_comes(self):
        make_promising()
        decision = handled(make_event())
        deliver()
        assert self.decided(decision).outcome == Outcome.STALE

    def test_other_orders_customers_and_what_came_before_it_change_nothing(self):
        make_promising()
        shop, club = (make_site(slug=slug) for slug in ("shop", "club"))
        deliver(occurred_at=timezone.now() - timedelta(hours=1), site=shop)
        decision = handled(make_event(site=shop))
        deliver("GW9", site=shop)
        deliver(customer="c-2", site=shop)
        deliver(site=club)
        assert self.decided(decision).outcome == Outcome.SENT

    def test_an_event_of_a_promise_without_a_field_is_any(self):
        make_policy(promise="Soon.", promise_minutes=5, kept_by="order_delivered")
        decision = handled(make_event())
        deliver("GW9")
        assert self.decided(decision).outcome == Outcome.STALE
