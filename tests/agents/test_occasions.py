"""Tools that can't be undone are offered where somebody spoke of what they do, and nowhere else."""

from dataclasses import replace

from django.test import SimpleTestCase, TestCase

from agents import master, occasions
from agents.models import Tool
from agents.prompting import Line, Rule
from tests.engine import EngineMixin, calls, says
from tests.factories import make_release, make_scene, make_tool
from wowconsole.demo.content import read

ASKING = [tool for tool in read("tools.json") if tool.get("confirmation")]
NAMES = ("name", "description", "parameters", "confirmation", "occasions")
LOOK_UP = Tool(name="look_up_order", occasions=read("tools.json")[0]["occasions"])
REFUND, CANCEL = (Tool(**{name: tool[name] for name in NAMES}) for tool in ASKING)
COLD = Rule(7, "When food arrived cold", "Cold food is refunded in full.", similarity=0.95)


def offered(*said, rules=(), tool=REFUND):
    return occasions.reason(tool, [Line("customer", text) for text in said], rules)


class ReasonTests(SimpleTestCase):
    def test_the_customer_speaks_of_it_in_any_words(self):
        for text in (
            "I want my money back",
            "refund GW1002, please",
            "Will it be REFUNDED?",
            "我要退款",
            "my soup is stone cold",
            "it never came",
        ):
            assert offered(text), text
        assert offered("I don’t want it any more", tool=CANCEL)
        assert offered("请取消订单", tool=CANCEL)

    def test_the_demo_s_words_are_english_and_chinese(self):
        for text in ("where's my food?", "我的订单GW1003到哪里了？", "外卖什么时候送到"):
            assert occasions.asked_for(LOOK_UP, text), text
        for text in ("饭都凉了", "一直没收到"):
            assert offered(text), text
        assert offered("不想要了", tool=CANCEL)

    def test_what_is_unwanted_or_only_imagined_is_not_offered(self):
        for text in ("I don't want it cancelled! order GW1018", "What happens if I cancel GW1018?"):
            assert not offered(text, tool=CANCEL), text
        for text in ("stop the refund", "I never asked for a refund of GW1019!"):
            assert not offered(text), text
        assert offered("I don't want it, cancel GW1009", tool=CANCEL)

    def test_who_asks_where_an_order_is_wants_no_refund(self):
        for text in (
            "Where is my order GW1002?",
            "track GW1002",
            "is it on its way?",
            "订单在哪里",
        ):
            assert not offered(text), text
            assert not offered(text, tool=CANCEL), text

    def test_what_was_said_before_counts_and_what_the_agent_says_does_not(self):
        assert offered("I want a refund", "GW1002")
        lines = [Line("agent", "Do you want a refund?"), Line("customer", "GW1002")]
        assert occasions.reason(REFUND, lines, []) == ""

    def test_the_rule_that_fits_best_speaks_for_the_case(self):
        said = "the noodles were like ice"
        assert offered(said, rules=[COLD]) == "rule #7 says “refunded”"
        assert not offered(said, rules=[replace(COLD, similarity=0.85)])
        assert not offered(said, rules=[replace(COLD, content="Sorry for that!"), COLD])
        voucher = Rule(7, "Cold food, late", "For cold food there is a voucher.", similarity=0.95)
        assert not offered(said, rules=[voucher])
        denied = Rule(8, "Taste", "Taste alone is not refunded.", similarity=0.95)
        assert not offered("it was bland", rules=[denied])

    def test_a_rule_may_name_the_tool(self):
        rule = Rule(9, "Stale bread", "Use refund_order for it.")
        assert (
            offered("the bread!", rules=[replace(COLD, similarity=0.0), rule]) == "rule #9 names it"
        )

    def test_a_wish_is_told_from_questions_and_tales(self):
        cancels = ("cancel GW1009", "can you cancel it?", "could you please cancel GW1009?")
        cancels += ("I want it cancelled", "I don't want it, cancel GW1009", "请取消订单GW1009")
        refunds = ("my order never came and I want a refund", "refund GW1003, it was spoiled")
        for tool, texts in ((CANCEL, cancels), (REFUND, refunds)):
            for text in texts:
                assert occasions.wished(tool, text), text
        cancels = ("I don't want it cancelled! order GW1018", "Why was GW1010 cancelled?")
        cancels += ("The restaurant cancelled my order", "Did you cancel it already?")
        cancels += ("What happens if I cancel GW1018? Will I get a fee?", "I have cancelled it")
        cancels += ("cancel the refund", "how do I cancel it", "为什么取消GW1018", "GW1018已取消")
        refunds = ("stop the refund", "Please withdraw my refund of GW1001", "was it refunded?")
        refunds += ("I never asked for a refund of GW1019!",)
        for tool, texts in ((CANCEL, cancels), (REFUND, refunds)):
            for text in texts:
                assert not occasions.wished(tool, text), text

    def test_without_a_list_name_and_description_say_what_a_tool_does(self):
        tool = Tool(
            name="exchange_items",
            description="Swap goods that were delivered. Needs an order_id and a yes.",
            parameters={"properties": {"order_id": {}, "items": {}}},
        )
        assert occasions.words_of(tool) == ["exchange", "swap", "goods", "delivered"]
        assert offered("can you exchange it", tool=tool)
        assert not offered("which items are in my order?", tool=tool)


class OfferTests(EngineMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        for tool in ASKING:
            make_tool(url=f"/{tool['path']}", **{name: tool[name] for name in NAMES})
        cls.release = make_release(tools=[tool["name"] for tool in ASKING])

    async def answered(self, text):
        context = master.TurnContext("t-1", self.release, self.scene, [Line("customer", text)])
        return [one async for one in master.answer(context)]

    def schema(self):
        return str(self.engine.requests[0]["response_format"])

    async def test_a_refund_is_no_choice_of_who_asks_where_the_order_is(self):
        self.engine.will(calls("refund_order", order_id="GW1002", reason="late"), says("Soon."))
        happenings = await self.answered("Where is my order GW1002?")
        assert "refund_order" not in self.schema()
        step = next(one for one in happenings if isinstance(one, master.Step))
        assert step.offers == {"refund_order": "", "cancel_order": ""}
        assert step.fault == "forbidden"
        assert happenings[-1].action.reply == "Soon."

    async def test_money_back_leads_to_the_question(self):
        self.engine.will(calls("refund_order", order_id="GW1002", reason="cold"))
        happenings = await self.answered("I want my money back for GW1002")
        assert "refund_order" in self.schema()
        assert "cancel_order" not in self.schema()
        assert happenings[-1].action.reply == "Shall I refund order GW1002 (reason: cold)?"
        assert happenings[-1].pending
        step = next(one for one in happenings if isinstance(one, master.Step))
        assert step.offers["refund_order"] == "the customer said “my money”"
