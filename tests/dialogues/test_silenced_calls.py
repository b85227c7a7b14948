"""A person takes over while a call that can't be undone is under way: it is made once, and told."""

import asyncio
import threading
from contextlib import suppress
from datetime import timedelta
from unittest import mock

from asgiref.sync import sync_to_async
from django.test import TransactionTestCase
from django.utils import timezone

from agents.telling import UNSURE
from dialogues import answering, services, tasks
from dialogues.desk import control, presenting
from dialogues.models import Conversation, EventKind, Role, Turn, TurnStatus
from dialogues.presenting import Entry
from tests.dialogues.test_answering import ORDER_ID, make_talk, texts
from tests.engine import Answer, EngineMixin, calls, says
from tests.factories import make_conversation, make_release, make_tool, make_user, say
from tests.toolserver import business

REFUND = calls("refund", order_id="GW1001")
QUESTION = "Shall I refund order GW1001?"
UNKNOWN = {"error": "refund was under way: what came of it is not known yet"}


class SilencedCallTests(EngineMixin, TransactionTestCase):
    def setUp(self):
        super().setUp()
        self.shop = self.enterContext(business())
        self.enterContext(self.settings(PUBLIC_URL=self.shop.url))
        self.shop.answer = b'{"refunded": "$16.50"}'
        make_tool(
            name="refund",
            description="refund the order",
            method="POST",
            url="/orders/{order_id}/",
            parameters=ORDER_ID,
            confirmation="Shall I refund order {order_id}?",
            result_template="You get {refunded} back.",
            timeout_seconds=10,
        )
        self.person = make_user("admin")
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.addCleanup(self.go_on.set)
        self.shop.before = self.hold

    def hold(self):
        self.reached.set()
        self.go_on.wait(8)

    def conversation(self):
        return Conversation.objects.get()

    def keys(self):
        return [key for _, _, key, *_ in self.shop.requests]

    def facts(self):
        made = self.conversation().events.filter(kind=EventKind.ACTION).order_by("seq")
        return [(event.role, event.data["result"]) for event in made]

    async def asked(self, **limits):
        self.engine.will(REFUND)
        release = await sync_to_async(make_release)(tools=["refund"], limits=limits)
        conversation = await sync_to_async(make_conversation)(scene=None, release=release)
        await sync_to_async(say)(conversation, "Refund GW1001")
        await answering.answer_conversation(conversation.pk)
        assert await sync_to_async(texts)(conversation) == [QUESTION]

    async def says(self, text):
        conversation = await sync_to_async(self.conversation)()
        await sync_to_async(say)(conversation, text)
        await answering.answer_conversation(conversation.pk)

    async def calling(self, **limits):
        """A process that is in the middle of the refund to which the customer has said yes."""
        await self.asked(**limits)
        work = asyncio.create_task(self.says("Yes"))
        assert await asyncio.to_thread(self.reached.wait, 8)
        return work

    async def killed(self):
        """The process that made the call is gone, and knows nothing of what came of it."""
        work = await self.calling()
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
        self.shop.before = None
        self.go_on.set()

    async def taken_over(self, then=None):
        await sync_to_async(self._take_over)(then)

    def _take_over(self, then):
        conversation = self.conversation()
        control.take_control(conversation=conversation, by=self.person)
        if then:
            then(conversation=conversation, by=self.person)

    def sweep(self):
        """What the beat does a minute later."""
        running = Turn.objects.exclude(leased_until=None)
        running.update(leased_until=timezone.now() - timedelta(seconds=1))
        with mock.patch.object(tasks.finish_turn, "apply_async") as sent:
            tasks.finish_abandoned_turns()
        for call in sent.call_args_list:
            tasks.finish_turn(*call.args[0])
        return len(sent.call_args_list)

    async def test_staff_see_at_once_that_it_is_under_way_and_then_what_came_of_it(self):
        work = await self.calling()
        await self.taken_over()
        assert await sync_to_async(self.facts)() == [(Role.SYSTEM, UNKNOWN)]
        conversation = await sync_to_async(self.conversation)()
        said = [line.text for line in await sync_to_async(presenting.said)(conversation)]
        assert said[-2:] == ["refund: under way", "Now in charge: Person"]
        event = await conversation.events.aget(kind=EventKind.ACTION)
        assert Entry(event).is_unknown
        self.go_on.set()
        await work
        told = [(Role.SYSTEM, UNKNOWN), (Role.SYSTEM, {"refunded": "$16.50"})]
        assert await sync_to_async(self.facts)() == told
        assert (await Turn.objects.alatest("pk")).under_way is None
        assert await sync_to_async(self.sweep)() == 0

    async def test_after_a_hand_back_it_is_not_asked_about_or_made_again_while_it_is_under_way(
        self,
    ):
        work = await self.calling()
        await self.taken_over(control.hand_back)
        self.engine.always = REFUND
        conversation = await sync_to_async(self.conversation)()
        await answering.answer_conversation(conversation.pk)
        await self.says("Yes")
        await self.says("Refund GW1001!")
        await self.says("Yes")
        self.go_on.set()
        await work
        said = await sync_to_async(texts)(conversation)
        assert said.count(QUESTION) == 1
        assert said[-1] == UNSURE
        assert len(self.shop.requests) == 1

    async def test_another_order_may_be_asked_about_meanwhile(self):
        work = await self.calling()
        await self.taken_over(control.hand_back)
        self.engine.always = calls("refund", order_id="GW1002")
        await self.says("Refund GW1002")
        said = await sync_to_async(texts)(await sync_to_async(self.conversation)())
        assert said[-1] == "Shall I refund order GW1002?"
        self.go_on.set()
        await work

    async def test_what_it_brought_is_told_after_the_hand_back_and_not_done_again(self):
        work = await self.calling()
        await self.taken_over()
        self.go_on.set()
        await work
        conversation = await sync_to_async(self.conversation)()
        await sync_to_async(control.hand_back)(conversation=conversation, by=self.person)
        self.engine.will(REFUND, says("It is done."))
        await answering.answer_conversation(conversation.pk)
        assert await sync_to_async(texts)(conversation) == [QUESTION, "It is done."]
        assert len(self.shop.requests) == 1

    async def test_a_release_that_speaks_by_templates_tells_it_in_the_tools_words(self):
        work = await self.calling(quote_rules=True)
        await self.taken_over()
        self.go_on.set()
        await work
        conversation = await sync_to_async(self.conversation)()
        await sync_to_async(control.hand_back)(conversation=conversation, by=self.person)
        requests = len(self.engine.requests)
        await answering.answer_conversation(conversation.pk)
        assert (await sync_to_async(texts)(conversation))[-1] == "You get $16.50 back."
        assert len(self.engine.requests) == requests

    async def test_a_call_whose_process_died_is_found_out_by_its_own_key_and_nothing_is_said(self):
        await self.killed()
        await self.taken_over()
        assert await sync_to_async(self.facts)() == [(Role.SYSTEM, UNKNOWN)]
        assert await sync_to_async(self.sweep)() == 1
        assert len(set(self.keys())) == 1
        assert len(self.keys()) == 2
        told = [(Role.SYSTEM, UNKNOWN), (Role.SYSTEM, {"refunded": "$16.50"})]
        assert await sync_to_async(self.facts)() == told
        conversation = await sync_to_async(self.conversation)()
        assert await sync_to_async(texts)(conversation) == [QUESTION]
        turn = await Turn.objects.alatest("pk")
        assert (turn.status, turn.under_way) == (TurnStatus.FAILED, None)
        assert turn.steps[0]["result"] == {"refunded": "$16.50"}
        assert await sync_to_async(self.sweep)() == 0

    async def test_nothing_is_tried_long_after_a_person_was_told_that_it_is_not_known(self):
        await self.killed()
        await self.taken_over()
        earlier = timezone.now() - timedelta(hours=1)
        await Turn.objects.filter(status=TurnStatus.FAILED).aupdate(finished_at=earlier)
        await sync_to_async(self.sweep)()
        assert len(self.keys()) == 1
        assert await sync_to_async(self.facts)() == [(Role.SYSTEM, UNKNOWN)]
        assert (await Turn.objects.alatest("pk")).under_way is None

    async def test_the_end_of_the_conversation_tells_it_too(self):
        await self.killed()
        await sync_to_async(services.close)(conversation=await Conversation.objects.aget())
        kinds = await sync_to_async(
            lambda: list(self.conversation().events.order_by("seq").values_list("kind", flat=True))
        )()
        assert kinds[-2:] == [EventKind.ACTION, EventKind.CLOSED]

    async def test_a_living_process_keeps_its_call(self):
        with (
            mock.patch.object(answering, "LOOK_SECONDS", 0.01),
            mock.patch.object(services, "LEASE_SECONDS", 0.3),
        ):
            work = await self.calling()
            await self.taken_over()
            await asyncio.sleep(0.6)
            assert not await Turn.objects.unsettled().aexists()
            self.go_on.set()
            await work
        assert len(self.shop.requests) == 1

    async def test_where_it_is_not_known_what_came_of_it_a_second_yes_has_the_same_key(self):
        self.shop.before, self.shop.status = None, 503
        await self.asked()
        self.engine.will(says("I can't tell."))
        await self.says("Yes")
        self.shop.status = 200
        self.engine.will(REFUND)
        await self.says("Refund GW1001, please")
        await self.says("Yes")
        self.engine.will(REFUND)
        await self.says("Refund GW1001 once more")
        await self.says("Yes")
        first, second, third = self.keys()
        assert first == second
        assert third != second, "what came of the second is known"

    async def test_a_turn_that_breaks_down_over_it_says_that_it_is_not_known(self):
        self.shop.before = None
        await self.asked()
        broken = mock.patch.object(answering.recording, "store_call", side_effect=RuntimeError)
        with broken, self.assertLogs(answering.logger, "ERROR"):
            await self.says("Yes")
        assert await sync_to_async(self.facts)() == [(Role.SYSTEM, UNKNOWN)]
        self.engine.will(REFUND)
        await self.says("Refund GW1001!")
        await self.says("Yes")
        assert len(set(self.keys())) == 1

    async def test_a_look_up_under_way_is_nothing_to_worry_about(self):
        await sync_to_async(make_tool)(name="look", url="/o/{order_id}/", parameters=ORDER_ID)
        self.engine.will(calls("look", order_id="GW1001"))
        conversation = await sync_to_async(make_talk)("Where is GW1001?", tools=["look"])
        work = asyncio.create_task(answering.answer_conversation(conversation.pk))
        assert await asyncio.to_thread(self.reached.wait, 8)
        await self.taken_over()
        assert await sync_to_async(self.facts)() == []
        self.go_on.set()
        await work

    async def test_a_dead_turn_that_nobody_silenced_is_finished_as_ever(self):
        await self.killed()
        self.engine.will(Answer(status=400), says("Refunded."))
        assert await sync_to_async(self.sweep)() == 1
        assert len(set(self.keys())) == 1
        assert await sync_to_async(self.facts)() == [(Role.AGENT, {"refunded": "$16.50"})]
