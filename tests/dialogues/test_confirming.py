"""Nothing that can't be undone happens before the customer has said yes to it."""

import asyncio
from functools import partial
from time import process_time

from asgiref.sync import sync_to_async
from django.conf import settings
from django.test import SimpleTestCase, TestCase

from agents.confirming import LEFT, Call, says_no, says_yes
from dialogues import answering, services, tracing
from dialogues.chat import stopping
from dialogues.models import EventKind, Role, Turn
from dialogues.senses import attaching
from tests.dialogues.test_answering import ORDER_ID, make_talk, texts
from tests.engine import EngineMixin, calls, says
from tests.factories import make_tool, make_user, say
from tests.toolserver import business
from training.building import Toolbox, turn_steps

QUESTION = "Shall I cancel order GW1001?"
CANCEL = calls("cancel", order_id="GW1001")


class ConfirmationTests(EngineMixin, TestCase):
    def setUp(self):
        super().setUp()
        self.shop = self.enterContext(business())
        self.enterContext(self.settings(PUBLIC_URL=self.shop.url))
        make_tool(
            name="cancel",
            url="/orders/{order_id}/",
            parameters=ORDER_ID,
            confirmation="Shall I cancel order {order_id}?",
        )

    async def asked(self):
        """A talk in which the agent has just asked."""
        self.engine.will(CANCEL)
        conversation = await sync_to_async(make_talk)("Cancel GW1001", tools=["cancel"])
        await answering.answer_conversation(conversation.pk)
        return conversation

    async def says(self, conversation, text):
        await sync_to_async(say)(conversation, text)
        await answering.answer_conversation(conversation.pk)

    async def test_the_customer_is_asked_and_nothing_is_called(self):
        conversation = await self.asked()
        assert await sync_to_async(texts)(conversation) == [QUESTION]
        assert self.shop.requests == []
        message = await conversation.events.aget(kind=EventKind.MESSAGE, role=Role.AGENT)
        assert message.data["choices"] == ["Yes", "No"]

    async def test_yes_makes_that_very_call_once(self):
        conversation = await self.asked()
        self.engine.will(says("It is cancelled."))
        await self.says(conversation, "Yes")
        assert [asked[1] for asked in self.shop.requests] == ["/orders/GW1001/"]
        assert (await sync_to_async(texts)(conversation))[-1] == "It is cancelled."
        turn = await Turn.objects.alatest("pk")
        assert turn.steps[0]["result"] == {"status": "on the way"}
        assert "cancel {" in turn.steps[1]["messages"][1]["content"]

    async def test_why_it_was_done_names_what_the_customer_agreed_to(self):
        conversation = await self.asked()
        await self.says(conversation, "Yes, cancel the order")
        turn = await Turn.objects.alatest("pk")
        told = await sync_to_async(tracing.story)(turn, [], tracing.Asked(["Yes"], []))
        agreed = next(each for each in told if "agreed" in each.text)
        assert (agreed.text, agreed.details) == (
            "The customer agreed to cancel.",
            ["order id: GW1001"],
        )

    async def test_anything_else_calls_nothing_and_a_later_yes_is_too_late(self):
        conversation = await self.asked()
        self.engine.will(says("As you like."), says("What do you agree to?"))
        await self.says(conversation, "No, wait")
        await self.says(conversation, "Yes")
        assert self.shop.requests == []

    async def test_a_no_is_taken_as_such_and_no_model_is_asked(self):
        conversation = await self.asked()
        requests = len(self.engine.requests)
        await self.says(conversation, "No, thanks.")
        assert (await sync_to_async(texts)(conversation))[-1] == LEFT
        assert (self.shop.requests, len(self.engine.requests)) == ([], requests)
        await conversation.arefresh_from_db()
        assert conversation.closed_at is None
        self.engine.will(says("What do you agree to?"))
        await self.says(conversation, "Yes")
        assert self.shop.requests == []

    async def test_who_declined_and_changes_their_mind_is_asked_again(self):
        conversation = await self.asked()
        await self.says(conversation, "hmm wait, actually no")
        assert (await sync_to_async(texts)(conversation))[-1] == LEFT
        await sync_to_async(say)(conversation, "ok actually yes cancel it")
        turn = await sync_to_async(services.begin_turn)(conversation.pk)
        context = await sync_to_async(answering.context_of)(turn, turn.release)
        assert context.confirmed is None
        assert context.asked_about == Call("cancel", {"order_id": "GW1001"})

    async def test_a_yes_to_a_person_who_spoke_since_calls_nothing(self):
        conversation = await self.asked()
        colleague = await sync_to_async(make_user)("operator")
        question = "Or shall I keep the order?"
        await sync_to_async(services.reply_as_staff)(
            conversation=conversation, by=colleague, text=question
        )
        await sync_to_async(services.hand_back)(conversation=conversation, by=colleague)
        self.engine.will(says("It is kept."))
        await self.says(conversation, "Yes")
        assert self.shop.requests == []

    async def test_a_model_that_insists_asks_again(self):
        conversation = await self.asked()
        self.engine.will(CANCEL)
        await self.says(conversation, "hm")
        assert (await sync_to_async(texts)(conversation))[-1] == QUESTION
        assert self.shop.requests == []

    async def sends_a_file(self, conversation, text):
        """Write a word and send a note with it that nobody reads in time."""
        memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
        self.enterContext(self.settings(STORAGES=settings.STORAGES | {"default": memory}))
        self.enterContext(self.settings(LOOK_WAIT_SECONDS=0))
        upload = partial(attaching.upload, conversation=conversation, name="note.txt")
        note = await sync_to_async(upload)(content=b"But only the second cup")
        send = partial(services.say, conversation=conversation, attachments=[note.public_id])
        await sync_to_async(send)(text=text, client_id=text)
        await answering.answer_conversation(conversation.pk)

    async def test_a_yes_with_a_file_is_none_before_the_file_is_looked_at(self):
        conversation = await self.asked()
        self.engine.will(CANCEL)
        await self.sends_a_file(conversation, "Yes")
        assert self.shop.requests == []
        assert (await sync_to_async(texts)(conversation))[-1] == QUESTION
        await self.says(conversation, "Yes")
        assert [asked[1] for asked in self.shop.requests] == ["/orders/GW1001/"]

    async def test_a_no_with_a_file_is_a_no(self):
        conversation = await self.asked()
        await self.sends_a_file(conversation, "No")
        assert (await sync_to_async(texts)(conversation))[-1] == LEFT
        assert self.shop.requests == []

    async def test_yes_and_something_else_at_once_is_no_yes(self):
        conversation = await self.asked()
        await sync_to_async(say)(conversation, "Yes")
        self.engine.will(says("Which one?"))
        await self.says(conversation, "no, the other order")
        assert self.shop.requests == []

    async def asked_while_they_wrote(self, text):
        """A talk whose question comes after `text`: a call before it keeps the turn from being
        dropped."""
        url = "/orders/{order_id}/state/"
        await sync_to_async(make_tool)(name="look_up", url=url, parameters=ORDER_ID)
        order = {"order_id": "GW1001"}
        asks = says("", "cancel", arguments=order, hold_after=9)
        self.engine.will(calls("look_up", **order), asks)
        conversation = await sync_to_async(make_talk)("Cancel GW1001", tools=["cancel", "look_up"])
        turn = await sync_to_async(services.begin_turn)(conversation.pk)
        turn = await sync_to_async(answering.with_parts)(turn.pk)
        work = asyncio.create_task(answering.answer_turn(turn))
        await asyncio.to_thread(self.engine.holding.wait, 10)
        await sync_to_async(say)(conversation, text)
        self.engine.go_on.set()
        await work
        assert await sync_to_async(texts)(conversation) == [QUESTION]
        return conversation

    async def test_a_yes_written_before_the_question_is_none_to_it(self):
        conversation = await self.asked_while_they_wrote("ok, thanks")
        self.engine.will(says("You are welcome."), says("What do you agree to?"))
        await answering.answer_conversation(conversation.pk)
        await self.says(conversation, "Yes")
        assert [asked[1] for asked in self.shop.requests] == ["/orders/GW1001/state/"]

    async def test_nor_is_it_with_another_after_the_question(self):
        conversation = await self.asked_while_they_wrote("ok, thanks")
        self.engine.will(says("What do you agree to?"))
        await self.says(conversation, "Yes")
        assert [asked[1] for asked in self.shop.requests] == ["/orders/GW1001/state/"]

    async def test_a_yes_that_was_stopped_stays_stopped(self):
        conversation = await self.asked()
        await sync_to_async(say)(conversation, "Yes")
        await sync_to_async(services.begin_turn)(conversation.pk)
        await sync_to_async(stopping.stop_answer)(conversation=conversation)
        self.engine.will(says("What can I do?"))
        await self.says(conversation, "ok")
        assert self.shop.requests == []

    async def test_a_yes_in_two_messages_is_one(self):
        conversation = await self.asked()
        await sync_to_async(services.say)(conversation=conversation, text="Yes", client_id="a")
        await sync_to_async(services.begin_turn)(conversation.pk)
        await sync_to_async(services.say)(conversation=conversation, text="go ahead", client_id="b")
        self.engine.will(says("It is cancelled."))
        await answering.answer_conversation(conversation.pk)
        assert len(self.shop.requests) == 1

    async def job_ends(self, conversation, reply):
        """A job brings something meanwhile, and the agent tells of it."""
        data = {"id": "j", "name": "call", "state": "done", "arguments": {}, "result": {"in": 5}}
        await sync_to_async(services.append)(
            conversation=conversation, kind=EventKind.JOB, role=Role.SYSTEM, data=data
        )
        self.engine.will(says(reply))
        await answering.answer_conversation(conversation.pk)
        assert (await sync_to_async(texts)(conversation))[-1] == reply

    async def test_a_job_that_reports_meanwhile_leaves_the_question_standing(self):
        conversation = await self.asked()
        await self.job_ends(conversation, "The shop says: “Is it hot?” Hello.")
        self.engine.will(says("It is cancelled."))
        await self.says(conversation, "Yes")
        assert [asked[1] for asked in self.shop.requests] == ["/orders/GW1001/"]
        self.engine.will(says("Glad to help."))
        await self.says(conversation, "Yes")
        assert len(self.shop.requests) == 1

    async def test_not_if_the_agent_asked_something_else_with_it(self):
        conversation = await self.asked()
        await self.job_ends(conversation, "The shop says hello. Do you want to wait?")
        self.engine.will(says("Good."))
        await self.says(conversation, "Yes")
        assert self.shop.requests == []

    async def test_nor_if_the_customer_spoke_of_something_else(self):
        conversation = await self.asked()
        self.engine.will(says("Until late."))
        await self.says(conversation, "How long are you open")
        await self.job_ends(conversation, "The shop says hello.")
        self.engine.will(says("Yes what."))
        await self.says(conversation, "Yes")
        assert self.shop.requests == []

    async def test_training_learns_the_call_and_the_reply_after_it(self):
        conversation = await self.asked()
        self.engine.will(says("It is cancelled."))
        await self.says(conversation, "Yes")
        first, second = [turn async for turn in Turn.objects.order_by("pk")]
        toolbox = await sync_to_async(Toolbox)()
        [(_, called)] = await sync_to_async(turn_steps)(first, toolbox)
        assert called.name == "cancel"
        [(prompt, spoken)] = await sync_to_async(turn_steps)(second, toolbox)
        assert spoken.reply == "It is cancelled."
        assert prompt == second.steps[1]["messages"]


class NoTests(SimpleTestCase):
    def test_long_ones_are_read_at_once(self):
        call, started = Call("cancel_order", {"order_id": "GW1009"}), process_time()
        for word in (
            *(
                "好 ",
                "ok  ",
                "no wait ",
                "leave it ",
                "yes, please, ",
                "yes i am sure ",
                "please do ",
            ),
            *(
                "please do it ",
                "嗯嗯",
                "好的吧",
                "不了",
                "先不要",
                "don't do it ",
                "hmm, ",
                "well, no ",
            ),
            *(
                "i'd rather not ",
                "thank you very much ",
                "go ahead and cancel it ",
                "取消",
                "the my ",
            ),
        ):
            said = f"{word * 200}but"
            assert not says_yes(said, call)
            assert not says_no(said, call)
        assert process_time() - started < 1

    def test_what_is_a_no(self):
        call = Call("cancel_order", {"order_id": "GW1009"})
        for text in (
            "No",
            "no, thank you!",
            "don’t",
            "不要",
            "Nope.",
            "no wait, leave it",
            "Never mind",
            *(
                "hold on",
                "not now",
                "hmm wait, actually no",
                "please don't cancel it",
                "ok, leave it",
            ),
            *(
                "No, don't cancel my order",
                "I'd rather keep it",
                "不要取消",
                "先不要",
                "别取消",
                "不了",
            ),
            "I don't want to cancel it",
        ):
            assert says_no(text, call), text
        for text in (
            "No, the other order",
            "not yet but soon",
            "know",
            "yes",
            "wait for the courier",
            *("no, cancel it", "don't refund it", "stop the refund", "I don't want it", "不好意思"),
            *("no, I meant GW1002", "取消不了", "wait, yes"),
        ):
            assert not says_no(text, call), text
