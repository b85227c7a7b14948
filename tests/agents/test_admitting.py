"""What small models word themselves is not said where it asks nothing or rests on nothing."""

from asgiref.sync import sync_to_async
from django.test import TestCase

from agents import admitting, courtesies
from agents.actions import CLARIFY, CLOSE, HANDOFF, REPLY
from agents.master import Delta
from agents.prompting import Line
from tests.agents.test_guarding import RULE, AgentMixin
from tests.engine import says
from tests.factories import make_published_unit, make_release, make_tool

ORDER = {"type": "string", "pattern": "^GW[0-9]{4}$"}
OPENING = "I'm sorry. I'm opening the order."
MADE_UP = "You can renew it at the department of the state that you live in."


class AdmittingTests(AgentMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        make_tool(name="look", parameters={"type": "object", "properties": {"order_id": ORDER}})
        cls.release = make_release(tools=["look"], limits={"quote_rules": True})
        cls.wording = make_release(tools=["look"])

    async def said(self, *outputs, text="Something is odd", **fields):
        self.engine.will(*outputs)
        return (await self.finished(Line("customer", text), **fields)).action

    async def test_who_means_to_ask_asks_for_what_a_tool_lacks(self):
        action = await self.said(says(OPENING, CLARIFY))
        assert (action.name, action.reply) == (CLARIFY, "Please tell me the order number.")

    async def test_a_rule_that_it_names_is_said_before(self):
        self.engine.will(says(OPENING, CLARIFY, knowledge=[self.unit.pk]))
        action = (await self.finished(Line("customer", "my soup wasn't warm"))).action
        assert action.reply == f"{RULE}\nPlease tell me the order number."
        assert action.knowledge == [self.unit.pk]

    async def test_where_nothing_lacks_it_is_written_again(self):
        outputs = says(OPENING, CLARIFY), says("Which item?", CLARIFY)
        action = await self.said(*outputs, text="GW1009 is odd")
        assert action.reply == "Which item?"
        assert admitting.ASKS_NOTHING in self.engine.requests[1]["messages"][-1]["content"]

    async def test_a_question_of_its_own_is_asked(self):
        assert (await self.said(says("Which item is it?", CLARIFY))).reply == "Which item is it?"

    async def test_what_rests_on_nothing_is_not_told(self):
        action = await self.said(says(MADE_UP))
        assert (action.name, action.reply) == (CLARIFY, admitting.UNKNOWN)

    async def test_a_strict_rule_without_a_figure_is_no_small_talk(self):
        asked, rule = "May I refreeze it?", "A dish that has thawed must never be frozen once more."
        fields = {"condition": asked, "content": rule, "risk": "high"}
        unit = await sync_to_async(make_published_unit)(scene=self.scene, **fields)
        for quotes in (True, False):
            limits = {"quote_rules": quotes, "composition": {"high": "strict"}}
            release = await sync_to_async(make_release)(limits=limits)
            self.engine.will(says("You may do that.", knowledge=[unit.pk]))
            last = await self.finished(Line("customer", asked), release=release)
            assert (last.action.name, last.action.reply) == (REPLY, rule)

    async def test_what_was_told_of_one_order_is_not_said_of_another(self):
        told = Line("tool", name="look", arguments={"order_id": "GW1002"}, result={"wait": 5})
        for order, reply in (
            ("GW1003", admitting.UNKNOWN),
            ("GW1002", "GW1002 is being prepared."),
        ):
            self.engine.will(says(f"{order} is being prepared."))
            lines = [
                told,
                Line("agent", "It is on its way."),
                Line("customer", f"the {order} thing"),
            ]
            assert (await self.finished(*lines)).action.reply == reply, order

    async def test_a_question_tells_nothing_of_an_order_that_nobody_looked_up(self):
        for words in (
            "GW1003 is still being prepared, so I need your number. Which is it?",
            "GW1003正在配送，请问哪里不对？",
        ):
            action = await self.said(says(words, CLARIFY), text="Something is odd with GW1003")
            assert (action.name, action.reply) == (CLARIFY, admitting.UNKNOWN), words
        for words in ("Is it GW1003 that is late?", "Please tell me more of GW1003."):
            action = await self.said(says(words, CLARIFY), text="Something is odd with GW1003")
            assert action.reply == words

    async def test_nobody_denies_what_nobody_looked_up(self):
        action = await self.said(says("I have no information on that order GW1009."))
        assert (action.name, action.reply) == (CLARIFY, admitting.UNKNOWN)

    async def test_small_talk_and_what_names_a_colleague_is_the_model_s(self):
        for words, name in (("You are welcome!", REPLY), ("A colleague decides that.", HANDOFF)):
            assert (await self.said(says(words, name))).reply == words
        reasons = "I have no rule on refunds, so I'm passing you to a colleague."
        denies = "I have no order GW1002. A colleague takes over."
        assert (await self.said(says(denies, HANDOFF))).reply == "A colleague takes over."
        assert (await self.said(says(reasons, HANDOFF))).reply == "I'm passing you to a colleague."
        action = await self.said(says(OPENING, HANDOFF))
        assert (action.name, action.reply) == (HANDOFF, "I'm passing you to a colleague.")

    async def test_nothing_is_shown_before_it_is_whole(self):
        self.engine.will(says(MADE_UP))
        happened = await self.happened(Line("customer", "Something is odd"))
        assert [each.text for each in happened if isinstance(each, Delta)] == [admitting.UNKNOWN]

    async def test_a_chat_is_ended_only_where_the_customer_takes_leave(self):
        stays = await self.said(says("Thank you, I'm closing this chat.", CLOSE))
        assert (stays.name, stays.reply) == (REPLY, courtesies.ANYTHING_ELSE)
        assert (await self.said(says("See you!", CLOSE), text="ok, thank you")).name == CLOSE

    async def test_of_no_release_is_a_chat_ended_by_a_word_of_leave_in_something_else(self):
        for text in (
            "That's all?",
            "no wait, leave GW1029",
            "ok, no thanks, that's all wrong",
            "No! My order never came and nothing works, do something",
            "Where is my order? It never came",
            "!!!",
        ):
            for release in (self.release, self.wording):
                closes = says("Goodbye.", CLOSE)
                action = await self.said(closes, text=text, release=release)
                assert (action.name, action.reply) == (REPLY, courtesies.ANYTHING_ELSE), text

    async def test_what_else_was_said_goes_on_as_a_reply(self):
        closes = says("Glad it worked out. Have a nice day!", CLOSE)
        action = await self.said(closes, text="great", release=self.wording)
        assert (action.name, action.reply) == (REPLY, "Glad it worked out.")

    async def test_nor_is_one_whose_news_are_awaited(self):
        for release in (self.release, self.wording):
            for text in ("bye", "thanks a lot"):
                closes = says("Bye!", CLOSE)
                action = await self.said(closes, text=text, release=release, at_work=["a job"])
                assert (action.name, action.reply) == (REPLY, courtesies.ON_IT)

    async def test_a_hand_over_says_no_farewell(self):
        words = "Goodbye, I'm passing you to a colleague."
        assert (await self.said(says(words, HANDOFF))).reply == courtesies.COLLEAGUE

    async def test_a_release_that_words_rules_speaks_for_itself(self):
        action = await self.said(says(MADE_UP), release=self.wording)
        assert (action.name, action.reply) == (REPLY, MADE_UP)
