"""A no to unasked messages, in words: heard, kept and confirmed. No question is taken for it."""

from time import process_time

import pytest
from asgiref.sync import sync_to_async
from django.test import TestCase, override_settings

from dialogues import answering, services, tasks
from dialogues.models import Conversation, OptOut, Outcome, Turn
from dialogues.proactive.declining import DONE, declines
from tests.dialogues.policies import handled, make_chat, make_event, make_policy
from tests.dialogues.test_answering import texts
from tests.engine import EngineMixin, says
from tests.factories import make_release, make_user, make_version, say

TEXT = "Your order GW1002 is 45 minutes late."


@override_settings(QUIET_FROM_HOUR=0, QUIET_UNTIL_HOUR=0)
class DecliningTests(EngineMixin, TestCase):
    limits = {}

    def setUp(self):
        super().setUp()
        make_release(live=True, version=make_version(), limits=self.limits)
        make_policy(cooldown_hours=0)

    def told(self, **chat):
        """A chat in which we have just spoken first."""
        chat = make_chat(**chat)
        tasks.decide_contact(handled(make_event()).pk)
        return chat

    async def says(self, chat, *words):
        for text in words:
            await sync_to_async(say)(chat, text)
        await answering.answer_conversation(chat.pk)
        return (await sync_to_async(texts)(chat))[-1]

    async def test_it_is_kept_and_confirmed_and_no_model_is_asked(self):
        chat = await sync_to_async(self.told)()
        assert await self.says(chat, "STOP") == DONE
        assert self.engine.requests == []
        row = await OptOut.objects.aget()
        assert (row.customer_ref, row.by_id) == ("c-1", None)
        decision = await sync_to_async(lambda: handled(make_event()))()
        await sync_to_async(tasks.decide_contact)(decision.pk)
        await decision.arefresh_from_db()
        assert decision.outcome == Outcome.OPTED_OUT
        turn = await Turn.objects.alatest("pk")
        assert turn.output["thought"] == "The customer wants no unasked messages"

    async def test_in_chinese_in_chinese(self):
        chat = await sync_to_async(self.told)()
        assert await self.says(chat, "别再给我发消息了") == DONE.zh
        assert await OptOut.objects.aexists()

    async def test_of_somebody_unknown_the_chat_is_meant(self):
        chat = await sync_to_async(self.told)()
        await Conversation.objects.aupdate(customer_ref="", identified_at=None)
        assert await self.says(chat, "Please stop.") == DONE
        assert (await OptOut.objects.aget()).conversation_id == chat.pk

    async def test_a_sentence_is_understood_later_too_a_bare_word_is_not(self):
        chat = await sync_to_async(self.told)()
        self.engine.will(says("It is with the courier."), says("What shall I stop?"))
        await self.says(chat, "Where is it?")
        assert await self.says(chat, "Stop") == "What shall I stop?"
        assert not await OptOut.objects.aexists()
        assert await self.says(chat, "Don't send me messages like that any more!") == DONE

    async def test_of_whom_we_told_elsewhere_as_well(self):
        await sync_to_async(self.told)()
        chat = await sync_to_async(make_chat)()
        assert await self.says(chat, "No more such messages, please") == DONE

    async def test_who_was_never_told_anything_is_answered_by_the_agent(self):
        chat = await sync_to_async(make_chat)()
        self.engine.will(says("Which messages do you mean?"), says("What?"))
        said = await self.says(chat, "Stop sending me messages")
        assert said == "Which messages do you mean?"
        await self.says(chat, "STOP")
        assert not await OptOut.objects.aexists()

    async def test_nothing_that_was_asked_beside_it_is_swallowed(self):
        chat = await sync_to_async(self.told)()
        self.engine.will(says("It is with the courier."))
        assert await self.says(chat, "STOP", "Where is my order?") == "It is with the courier."
        assert not await OptOut.objects.aexists()

    async def test_a_no_to_our_question_is_none_to_messages(self):
        chat = await sync_to_async(make_chat)()
        self.engine.will(says("Hello"))
        await self.says(chat, "Hi")
        await Turn.objects.aupdate(output={"pending": {"name": "cancel", "arguments": {}}})
        await sync_to_async(lambda: tasks.decide_contact(handled(make_event()).pk))()
        await self.says(chat, "Stop")
        assert not await OptOut.objects.aexists()

    async def test_what_a_person_wrote_since_is_what_is_to_stop(self):
        chat = await sync_to_async(self.told)()
        ana = await sync_to_async(make_user)("operator")
        reply = sync_to_async(services.reply_as_staff)
        await reply(conversation=chat, by=ana, text="Shall I stop the courier?")
        await sync_to_async(services.hand_back)(conversation=chat, by=ana)
        self.engine.will(says("I pass that on."))
        assert await self.says(chat, "Stop") == "I pass that on."
        assert not await OptOut.objects.aexists()


class QuotingTests(DecliningTests):
    """The same where a release says rules in their own words."""

    limits = {"quote_rules": True}


@pytest.mark.parametrize(
    "text",
    [
        "STOP", "stop", "Stop all", "Unsubscribe", "unsubscribe me please", "Opt out",
        "Please leave me alone!", "Stop sending me this", "退订", "TD", "我要退订", "别发了",
        "请不要再打扰我了", "取消订阅", "勿扰",
    ],
)  # fmt: skip
def test_bare_words_count_as_an_answer_alone(text):
    assert declines(text, is_reply=True)
    assert not declines(text, is_reply=False)


@pytest.mark.parametrize(
    "text",
    [
        "Stop sending me messages about my orders, I never want unasked news again",
        "Don’t send me such messages.", "Please don't send me messages like this again. Thanks!",
        "stop messaging me", "Do not notify me ever again", "No more notifications, please",
        "I don't want to get any more updates", "I don't want these messages",
        "Unsubscribe me from these notifications", "Hello, please stop these alerts",
        "Stop texting me and stop sending me updates on my delivery", "Turn off notifications",
        "别再给我发消息了", "请不要再给我发这种信息", "以后不要主动给我推送消息了，谢谢",
        "我不想再收到这类通知了", "请退订所有短信", "不要再发通知了！",
    ],
)  # fmt: skip
def test_whole_sentences_count_later_too(text):
    assert declines(text, is_reply=False)


@pytest.mark.parametrize(
    "text",
    [
        "Stop sending me cold food", "stop sending me messages to the wrong number",
        "Stop the order", "Please stop it", "Stop! Where is my order?", "Stop, I am allergic",
        "How do I stop notifications?", "Can I unsubscribe?", "No news about my order", "No news?",
        "No messages from the courier", "I don't want my order any more", "Don't message them",
        "Don't send it", "Don't do that", "Unsubscribe me from Greenway Plus", "cancel", "No",
        "Stop my subscription", "I don't want updates, I want my food", "I never get any updates",
        "Stop sending me messages unless it is about my refund", "Don't call me", "", "please",
        "ok", "t", "别给我发错餐了", "不要给我发冷的食物", "怎么退订？", "退订会员", "取消",
        "取消订单", "停止配送", "我没有收到通知", "不要发货了", "别再给我发消息了，我的订单在哪里",
    ],
)  # fmt: skip
def test_nothing_else_does(text):
    assert not declines(text, is_reply=True)


def test_a_long_text_is_read_at_once():
    for words in ("please ", "any more ", "ever again ", "these messages ", "stop, ", "别再"):
        started = process_time()
        declines(f"stop sending me messages {words * 300}x", is_reply=True)
        assert process_time() - started < 0.2
