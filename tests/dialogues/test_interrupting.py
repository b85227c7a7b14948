"""A customer who writes on gets one answer to everything, never two, and none twice."""

import asyncio
from datetime import timedelta
from unittest import mock

from asgiref.sync import sync_to_async
from django.test import TransactionTestCase
from django.utils import timezone

from dialogues import answering, services
from dialogues.chat import stopping
from dialogues.models import Event, EventKind, Turn, TurnStatus
from tests.dialogues.test_answering import ORDER_ID, make_talk, texts
from tests.engine import EngineMixin, calls, says
from tests.factories import make_tool
from tests.toolserver import business


class InterruptionTests(EngineMixin, TransactionTestCase):
    def setUp(self):
        super().setUp()
        self.enterContext(mock.patch.object(answering, "LOOK_SECONDS", 0.02))

    async def says(self, conversation, text):
        await sync_to_async(services.say)(conversation=conversation, text=text, client_id=text)

    async def interrupted(self, *more):
        """A talk whose first answer is half written when the customer writes `more`."""
        self.engine.will(says("Half an answer that nobody will read.", hold_after=9))
        conversation = await sync_to_async(make_talk)("Where is it?")
        work = asyncio.create_task(answering.answer_conversation(conversation.pk))
        await asyncio.to_thread(self.engine.holding.wait, 10)
        for text in more:
            await self.says(conversation, text)
        return conversation, work

    async def statuses(self):
        return [turn.status async for turn in Turn.objects.order_by("pk")]

    async def test_one_answer_to_both_messages(self):
        conversation, work = await self.interrupted("I mean GW1001")
        await work
        assert await sync_to_async(texts)(conversation) == ["Hello from the engine."]
        assert await self.statuses() == [TurnStatus.DROPPED, TurnStatus.DONE]
        prompt = self.engine.requests[-1]["messages"][-1]["content"]
        assert "customer: Where is it?\ncustomer: I mean GW1001" in prompt

    async def test_another_process_that_answers_meanwhile_does_not_double_it(self):
        conversation, work = await self.interrupted("I mean GW1001")
        other = asyncio.create_task(answering.answer_conversation(conversation.pk))
        await asyncio.gather(work, other)
        assert await sync_to_async(texts)(conversation) == ["Hello from the engine."]

    async def test_the_log_has_no_gap(self):
        _, work = await self.interrupted("One", "Two", "Three")
        await work
        seqs = [event.seq async for event in Event.objects.order_by("seq")]
        assert seqs == [1, 2, 3, 4, 5]

    async def test_after_a_tool_was_called_the_answer_is_given(self):
        shop = self.enterContext(business())
        self.enterContext(self.settings(PUBLIC_URL=shop.url))
        await sync_to_async(make_tool)(
            name="look_up", url="/orders/{order_id}/", parameters=ORDER_ID
        )
        self.engine.will(calls("look_up", order_id="GW1001"), says("On its way.", hold_after=9))
        conversation = await sync_to_async(make_talk)("Where is GW1001?", tools=["look_up"])
        work = asyncio.create_task(answering.answer_conversation(conversation.pk))
        await asyncio.to_thread(self.engine.holding.wait, 10)
        await self.says(conversation, "Hello?")
        self.engine.go_on.set()
        await work
        assert await sync_to_async(texts)(conversation) == ["On its way.", "Hello from the engine."]
        assert len(shop.requests) == 1

    async def test_a_turn_that_was_dropped_calls_no_tool(self):
        conversation = await sync_to_async(make_talk)("Refund GW1001")
        turn = await sync_to_async(services.begin_turn)(conversation.pk)
        await self.says(conversation, "No, wait")
        assert not await answering._may_act(turn)

    async def writes_on(self, conversation, *texts):
        """Write each while the one before it is being answered."""
        for text in texts:
            await sync_to_async(services.begin_turn)(conversation.pk)
            await self.says(conversation, text)

    async def test_what_is_written_in_one_breath_has_one_answer_however_many_messages_it_is(self):
        conversation = await sync_to_async(make_talk)("Hi")
        rest = ["I have a question", "about my order", "GW1003", "where is it", "?"]
        await self.writes_on(conversation, *rest)
        assert await self.statuses() == [TurnStatus.DROPPED] * 5
        turn = await sync_to_async(services.begin_turn)(conversation.pk)
        assert turn.asked_seq == 6

    async def test_who_never_stops_writing_is_answered_all_the_same(self):
        conversation = await sync_to_async(make_talk)("0")
        with mock.patch.object(services, "ONE_BREATH", timedelta(0)):
            await self.writes_on(conversation, "1", "2", "3", "4")
        assert await self.statuses() == [TurnStatus.DROPPED] * 3 + [TurnStatus.RUNNING]

    async def test_a_breath_begins_anew_after_an_answer_or_a_stop(self):
        conversation = await sync_to_async(make_talk)("Hi")
        await answering.answer_conversation(conversation.pk)
        await self.says(conversation, "Where is GW1001?")
        await sync_to_async(services.begin_turn)(conversation.pk)
        await sync_to_async(stopping.stop_answer)(conversation=conversation)
        await Turn.objects.aupdate(created_at=timezone.now() - timedelta(hours=1))
        await self.says(conversation, "Where is GW1002?")
        await self.writes_on(conversation, "I mean", "you know", "the one", "of yesterday")
        assert await self.statuses() == [TurnStatus.DONE] + [TurnStatus.DROPPED] * 5

    async def test_nothing_is_stored_of_a_dropped_answer(self):
        conversation, work = await self.interrupted("I mean GW1001")
        await work
        dropped = await Turn.objects.aget(status=TurnStatus.DROPPED)
        assert dropped.output == {}
        kinds = [event.kind async for event in conversation.events.all()]
        assert set(kinds) == {EventKind.MESSAGE}
