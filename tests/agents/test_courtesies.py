"""A greeting is answered, and only one that says nothing else."""

import pytest
from django.test import TestCase

from agents import admitting, courtesies
from agents.actions import CLARIFY, REPLY
from agents.prompting import Line
from tests.agents.test_guarding import AgentMixin
from tests.engine import says
from tests.factories import make_release

GREETINGS = (
    *("Hi", "hello!", "Hey there", "Good morning, hello", "Hi, Maya here", "hello, I'm Tom here."),
    *(
        "Hi it's Anna here",
        "Hello, my name is Tom",
        "is anyone there?",
        "你好",
        "您好，在吗",
        "你好啊",
        "在吗？",
        "嗨 客服",
    ),
    *("晚上好！", "有人吗", "亲，在么", "Hello 👋"),
)
MORE = (
    *("hi, my food is cold", "Hi, where is GW1003?", "hello, this is urgent", "hi, I'm hungry"),
    *("你好，我要退款", "在吗，订单到哪了", "客服电话多少", "Hi-fi", "highlight", "亲子餐", "OK"),
    *(
        "Hi, it's Broken",
        "hi, this is 退款",
        "Hi, I'm Allergic",
        "good morning menu",
        "Hi, Maya here, my soup is cold",
        "",
    ),
)


@pytest.mark.parametrize("text", GREETINGS)
def test_what_greets(text):
    assert courtesies.greets([text])


@pytest.mark.parametrize("text", MORE)
def test_what_says_more(text):
    assert not courtesies.greets([text])


def test_long_ones_take_no_time():
    assert not courtesies.greets(["hello " * 400 + "x", "你好" * 400 + "x"])


class GreetingTests(AgentMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.release = make_release(limits={"quote_rules": True})

    async def said(self, *lines, **fields):
        self.engine.will(says("In the model's words."))
        return (await self.finished(*lines, **fields)).action

    async def test_who_greets_is_asked_what_they_need(self):
        for text, words in (("Hi", courtesies.WELCOME), ("你好", courtesies.WELCOME.zh)):
            action = await self.said(Line("customer", text))
            assert (action.name, action.reply) == (CLARIFY, words)
        assert self.engine.requests == []

    async def test_who_greets_again_is_greeted_again(self):
        first = Line("customer", "Hi")
        for words in (courtesies.WELCOME, f"Cold food is refunded.\n{courtesies.ANYTHING_ELSE}"):
            told = Line("agent", words)
            assert (await self.said(first, told, first)).reply == courtesies.WELCOME

    async def test_not_where_a_question_is_open_or_something_goes_on(self):
        asked = [Line("customer", "refund"), Line("agent", "Which order?")]
        assert (await self.said(*asked, Line("customer", "Hello?"))).reply != courtesies.WELCOME
        asked = [Line("customer", "cancel it"), Line("agent", "Please tell me the order number.")]
        assert (await self.said(*asked, Line("customer", "Hello?"))).reply != courtesies.WELCOME
        person = [Line("customer", "hm"), Line("agent", "I look into it.", is_staff=True)]
        assert (await self.said(*person, Line("customer", "Hello?"))).reply != courtesies.WELCOME
        begun = [Line("customer", "Call them"), Line("agent", "I have started that.")]
        action = await self.said(*begun, Line("customer", "Hello?"), at_work=["1"])
        assert (action.name, action.reply) == (REPLY, courtesies.ON_IT)

    async def test_a_model_of_one_language_is_not_heard_in_another(self):
        asked = Line("customer", "火星上的天气怎么样")
        self.engine.will(says("What is the order number?", CLARIFY))
        action = (await self.finished(asked)).action
        assert (action.name, action.reply) == (CLARIFY, admitting.UNKNOWN.zh)
        self.engine.will(says("请问是哪一单？", CLARIFY))
        assert (await self.finished(asked)).action.reply == "请问是哪一单？"
