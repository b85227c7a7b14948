"""What code says itself is said in the customer's language; with it their tools' other wordings."""

import re
import time
from importlib import import_module
from itertools import chain
from pkgutil import walk_packages

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import ValidationError
from django.test import TestCase

import agents
import dialogues
from agents import admitting, confirming, courtesies, degrading, telling
from agents.actions import CLARIFY, CLOSE, HANDOFF, REPLY, DialogueAction
from agents.cataloguing import save_tool
from agents.finding import goes_on
from agents.models import Tool
from agents.phrases import Phrase, writes_chinese
from agents.prompting import Line
from tests.agents.test_guarding import RULE, AgentMixin
from tests.agents.test_promising import claims
from tests.agents.test_proposing import LOOK, ONE_ORDER
from tests.engine import says
from tests.factories import make_release, make_tool
from tests.toolserver import business

IDEOGRAPH = re.compile(r"[\u4e00-\u9fff]")
NO_CUSTOMERS = re.compile(
    r"\.(migrations|management|embedded|pdf_pages)\b"
)  # heavy ones stay unloaded


def phrases_in(value):
    match value:
        case Phrase():
            yield value
        case dict():
            yield from chain.from_iterable(map(phrases_in, value.values()))
        case list() | tuple():
            yield from chain.from_iterable(map(phrases_in, value))


def all_phrases():
    found = {}
    for app in (agents, dialogues):
        for module in walk_packages(app.__path__, f"{app.__name__}."):
            if not NO_CUSTOMERS.search(module.name):
                for phrase in phrases_in(list(vars(import_module(module.name)).values())):
                    found[str(phrase)] = phrase
    return list(found.values())


def test_each_is_said_in_chinese_of_the_same_things():
    phrases = all_phrases()
    assert {courtesies.COLLEAGUE, confirming.LEFT} <= set(phrases)
    for phrase in phrases:
        places, in_chinese = (set(re.findall(r"\{.*?\}", text)) for text in (phrase, phrase.zh))
        assert in_chinese <= places, phrase
        words = re.search(r"[A-Za-z]{4}", re.sub(r"\{.*?\}", "", phrase))
        assert IDEOGRAPH.search(phrase.zh) or not words, phrase


def test_none_claims_what_needs_a_source():
    for phrase in (
        admitting.UNKNOWN,
        courtesies.ANYTHING_ELSE,
        courtesies.COLLEAGUE,
        confirming.LEFT,
    ):
        assert claims(phrase.zh) == [], phrase


@pytest.mark.parametrize(
    ("said", "chinese"),
    [
        (["我的订单到哪了"], True),
        (["Where is my order?"], False),
        ([], False),
        (["我的 order 到哪了"], True),
        (["我要退款", "GW1003"], True),
        (["我要退款", "OK"], True),
        (["我要退款", "👍"], True),
        (["我要退款", "Sorry, I meant GW1003"], False),
        (["Where is my order?", "在哪"], True),
        (["My name is 李雷 and I am waiting"], False),
        (["Refund 宫保鸡丁 please"], False),
        (["Where is 麻婆豆腐"], False),
        (["I ordered 宫保鸡丁"], False),
        (["Cancel 宫保鸡丁 GW1009"], False),
        (["Which dish is it?", "宫保鸡丁"], False),
        (["宫保鸡丁"], True),
        (["Where is my order?", "我要退款/取消"], True),
        (["取消订单", "GW1009 wang.lei@example.com"], True),
        (["取消订单", "https://example.com/my/order/of/today"], True),
        (["我要改地址", "350 Fifth Avenue New York"], True),
        (["我的MacBook Pro Max Ultra坏了"], True),
        (["我想退 Sweet Sour Pork Ribs"], True),
        (["注文はどこですか"], False),
        (["ขอเงินคืน"], False),
    ],
)
def test_the_last_message_that_tells_decides(said, chinese):
    assert writes_chinese(said) is chinese


def test_a_long_word_takes_no_time():
    began = time.process_time()
    for text in ("a" * 1999 + "1", "a1" * 1000, "a" * 2000, "宫a" * 1000, "@" * 2000, "a@" * 1000):
        writes_chinese([text])
    assert time.process_time() - began < 0.5


class ChineseTests(AgentMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        fields = {"parameters": ONE_ORDER, "url": "/{order_id}/", "method": "POST"}
        asks = {"confirmation": "Shall I cancel order {order_id}?"}
        asks_zh = {"confirmation_zh": "要取消订单 {order_id} 吗？"}
        make_tool(name="cancel", occasions="cancel, 取消", **asks, **asks_zh, **fields)
        tells = {"result_template_zh": "订单 {order_id} 的状态是“{status}”。"}
        make_tool(name="look", occasions="where is, 到哪", **LOOK, **tells)
        cls.release = make_release(tools=["cancel", "look"], limits={"quote_rules": True})

    async def asked(self, *texts, said=None, **fields):
        self.engine.will(said or says("In the model's words."))
        return await self.finished(*[Line("customer", text) for text in texts], **fields)

    async def test_they_are_asked_in_chinese(self):
        last = await self.asked("请取消订单GW1009")
        assert (last.action.name, last.action.reply) == (CLARIFY, "要取消订单 GW1009 吗？")
        assert confirming.choices_for(last.action.reply) == ["是", "否"]
        last = await self.asked("Please cancel GW1009")
        assert last.action.reply == "Shall I cancel order GW1009?"
        assert confirming.choices_for(last.action.reply) == ["Yes", "No"]

    async def test_what_is_offered_as_answers_is_one(self):
        call = confirming.Call("cancel", {"order_id": "GW1009"})
        for yes, no in (confirming.CHOICES, confirming.CHOICES_ZH):
            assert confirming.says_yes(yes, call)
            assert confirming.says_no(no, call)

    async def test_the_number_that_lacks_is_asked_for(self):
        last = await self.asked("我的订单到哪了")
        assert (last.action.name, last.action.reply) == (CLARIFY, "请告诉我订单号。")
        lines = [Line("customer", "到哪了"), Line("agent", last.action.reply)]
        assert goes_on([*lines, Line("customer", "GW1009")])

    async def test_a_result_is_told(self):
        with business() as shop, self.settings(PUBLIC_URL=shop.url):
            shop.answer = b'{"order_id": "GW1009", "status": "packed"}'
            last = await self.asked("GW1009到哪了")
        assert (last.action.name, last.action.reply) == (REPLY, "订单 GW1009 的状态是“packed”。")

    async def test_sentences_of_a_result_stand_close(self):
        tells = "订单 {order_id} 在路上。还需 {eta} 分钟。"
        await Tool.objects.filter(name="look").aupdate(result_template_zh=tells)
        with business() as shop, self.settings(PUBLIC_URL=shop.url):
            shop.answer = b'{"order_id": "GW1009", "eta": 5}'
            last = await self.asked("GW1009到哪了")
        assert last.action.reply == "订单 GW1009 在路上。还需 5 分钟。"

    async def test_what_else_is_sent_stands_in_the_question(self):
        tool = await Tool.objects.aget(name="cancel")
        given = DialogueAction("cancel", "", arguments={"order_id": "GW1", "reason": "凉的"})
        assert confirming.question(tool, given, ["取消"]).reply == (
            "要取消订单 GW1 吗（reason: 凉的）？"
        )

    async def test_who_speaks_of_a_tool_is_asked_for_its_number(self):
        said = says("What is the weather like?", CLARIFY)
        last = await self.asked("取消会怎样，菜是凉的", said=said)
        assert last.action.reply == "请告诉我订单号。"

    async def test_so_is_what_went_wrong(self):
        await Tool.objects.filter(name="look").aupdate(personal=True)
        last = await self.asked("GW1009到哪了")
        assert last.action.reply == telling.SIGN_IN.zh

    async def test_who_declines_leaves_or_wants_a_person_hears_so(self):
        assert (await self.asked("不用了", declined=True)).action.reply == confirming.LEFT.zh
        for text, name, words in (
            ("转人工", HANDOFF, courtesies.COLLEAGUE),
            ("没事了，再见", CLOSE, courtesies.GOODBYE),
        ):
            last = await self.asked(text)
            assert (last.action.name, last.action.reply) == (name, words.zh), text

    async def test_a_small_models_english_hands_nobody_over(self):
        said = says("I'm passing you to a colleague.", HANDOFF)
        assert (
            await self.asked("我的汤里有头发", said=said)
        ).action.reply == courtesies.COLLEAGUE.zh

    async def test_who_cannot_be_answered_hears_so(self):
        self.engine.always = says("您会得到50元的代金券。", knowledge=[])
        last = await self.finished(Line("customer", "我的汤里有头发，你们赔什么"))
        assert (last.action.name, last.action.reply) == (HANDOFF, degrading.SORRY.zh)

    async def test_a_strict_rule_is_said_as_it_is_written(self):
        release = await sync_to_async(make_release)(limits={"composition": {"low": "strict"}})
        said = says("x", knowledge=[self.unit.pk])
        last = await self.asked("my cold soup 会怎样", said=said, release=release)
        assert last.action.reply == RULE

    async def test_who_says_thanks_is_not_told_that_nothing_was_found(self):
        for text in ("谢谢", "好的，谢谢您", "辛苦了"):
            last = await self.asked(text, said=says("You are welcome, my dear friend!"))
            assert last.action.reply == courtesies.ANYTHING_ELSE.zh, text

    async def test_what_is_of_no_language_is_said(self):
        last = await self.asked("太好了", said=says("👍"))
        assert last.action.reply == "👍"

    def test_buttons_are_of_the_question_and_not_of_what_the_customer_wrote(self):
        for question, choices in (
            ("要退款吗（reason: the food arrived cold today）？", confirming.CHOICES_ZH),
            ("Shall I refund it (reason: 送来的时候面条都凉透了)?", confirming.CHOICES),
            ("Cold food is refunded.\n要退款吗？", confirming.CHOICES_ZH),
        ):
            assert confirming.choices_for(question) == list(choices), question

    async def test_what_only_one_language_words_is_said_in_that(self):
        await Tool.objects.filter(name="cancel").aupdate(confirmation_zh="")
        last = await self.asked("请取消订单GW1009")
        assert last.action.reply == "Shall I cancel order GW1009?"


class VettingTests(TestCase):
    def refused(self, **fields):
        tool = make_tool(parameters=ONE_ORDER, url="/{order_id}/", method="POST")
        for name, value in fields.items():
            setattr(tool, name, value)
        with pytest.raises(ValidationError) as refused:
            save_tool(tool=tool, by=None)
        return refused.value.message_dict

    async def test_another_wording_is_of_something(self):
        for name in ("confirmation_zh", "result_template_zh"):
            problem = await sync_to_async(self.refused)(**{name: "订单 {order_id}"})
            assert list(problem) == [name]
            await Tool.objects.all().adelete()

    def test_it_names_nothing_else(self):
        problem = self.refused(confirmation="Sure?", confirmation_zh="确定要取消 {order} 吗？")
        assert problem == {"confirmation_zh": ["In braces, but not known above: order."]}
        Tool.objects.all().delete()
        told = {"result_template": "{order_id} is {status}.", "result_template_zh": "{eta} 分钟"}
        assert list(self.refused(**told)) == ["result_template_zh"]
