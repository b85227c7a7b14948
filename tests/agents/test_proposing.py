"""What a customer asks for in so many words is done, or asked about, without a model."""

from decimal import Decimal

from asgiref.sync import sync_to_async
from django.test import TestCase

from agents import rehearsing
from agents.actions import CLARIFY, CLOSE, HANDOFF, REPLY
from agents.confirming import LEFT, Call
from agents.courtesies import asks_for_person
from agents.degrading import SORRY
from agents.happenings import TurnContext
from agents.models import Tool
from agents.prompting import Line, Rule
from agents.proposing import UNREADABLE
from tests.agents.test_guarding import RULE, AgentMixin
from tests.engine import calls, says
from tests.factories import make_release, make_tool
from tests.toolserver import business

WHICH_ORDER = "Please tell me the order number."
ORDER = {"type": "string", "pattern": "^GW[0-9]{4}$"}
ONE_ORDER = {"type": "object", "properties": {"order_id": ORDER}, "required": ["order_id"]}

LOOK = {
    "parameters": ONE_ORDER,
    "url": "/{order_id}/",
    "result_template": "Order {order_id} is {status}.",
}


class ProposingTests(AgentMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        fields = {"parameters": ONE_ORDER, "url": "/{order_id}/", "method": "POST"}
        asks = "Shall I cancel order {order_id}?"
        make_tool(name="cancel", confirmation=asks, occasions="cancel, stop it", **fields)
        make_tool(name="look", occasions="where is my order", **LOOK)
        reason = {"properties": {"order_id": ORDER, "reason": {"type": "string"}}}
        refund = {"parameters": {**ONE_ORDER, **reason}, "occasions": "refund"}
        make_tool(name="refund", confirmation="Refund {order_id}?", **(fields | refund))
        cls.tools = ["cancel", "look", "refund"]
        cls.release = make_release(tools=cls.tools, limits={"quote_rules": True})

    async def asked(self, *texts, before=(), said=None, **fields):
        self.engine.will(said or says("In the model's words."))
        return await self.finished(*before, *[Line("customer", text) for text in texts], **fields)

    async def test_the_yes_is_asked_for_and_no_model(self):
        last = await self.asked("Please cancel gw1009.")
        assert (last.action.name, last.action.reply) == (CLARIFY, "Shall I cancel order GW1009?")
        assert last.pending == Call("cancel", {"order_id": "GW1009"})
        assert self.engine.requests == []

    async def test_an_order_is_read_between_ideographs(self):
        last = await self.asked("我要取消订单GW1009谢谢")
        assert last.pending == Call("cancel", {"order_id": "GW1009"})

    async def test_what_is_less_plain_is_the_model_s(self):
        for text in (
            "Please cancel it.",  # which one?
            "Cancel GW1009 and GW1010",
            "Don't cancel GW1009!",
            "Where is GW1009?",  # not in the words that were written down
            "refund GW1009",  # what for: only a model can say
        ):
            last = await self.asked(text)
            assert (last.action.reply, last.pending) == ("In the model's words.", None), text

    async def test_of_two_deeds_the_model_chooses(self):
        fields = {"confirmation": "Stop?", "occasions": "cancel", "parameters": ONE_ORDER}
        await sync_to_async(make_tool)(name="stop", **fields)
        limits = {"quote_rules": True}
        release = await sync_to_async(make_release)(tools=[*self.tools, "stop"], limits=limits)
        last = await self.asked("Cancel GW1009", release=release)
        assert last.pending is None

    async def test_a_number_named_earlier_is_enough_for_a_plain_wish_alone(self):
        before = [Line("customer", "It is about GW1009"), Line("agent", "What is?")]
        last = await self.asked("ok, cancel it", before=before)
        assert last.pending == Call("cancel", {"order_id": "GW1009"})
        last = await self.asked("my cousin wants to cancel her membership", before=before)
        assert last.pending is None
        two = [*before, Line("customer", "and GW1010"), Line("agent", "What is?")]
        last = await self.asked("cancel it", before=two)
        assert last.pending is None

    async def test_a_release_that_words_rules_chooses_itself(self):
        release = await sync_to_async(make_release)(tools=self.tools)
        assert (await self.asked("cancel GW1009", release=release)).pending is None

    async def test_what_only_looks_up_is_called_and_tells_itself(self):
        told = ["It's GW1009", "So where is my order?"]
        for lines in (["Where is my order gw1009?"], ["Where is my order?", "gw1009"], told):
            with business() as shop, self.settings(PUBLIC_URL=shop.url):
                shop.answer = b'{"order_id": "GW1009", "status": "packed"}'
                last = await self.asked(*lines)
            assert (last.action.name, last.action.reply) == (REPLY, "Order GW1009 is packed.")
            assert [path for _, path, *_ in shop.requests] == ["/GW1009/"]
        assert self.engine.requests == []

    async def test_who_was_asked_for_a_number_goes_on_with_what_they_wanted(self):
        asks = Line("agent", "Please tell me the order number.")
        for wish, answer in (
            ("Where is my order?", "It's order GW1009, thank you"),
            ("Where is my order?", "the number is gw 1009 of yesterday evening"),
        ):
            with business() as shop, self.settings(PUBLIC_URL=shop.url):
                shop.answer = b'{"order_id": "GW1009", "status": "packed"}'
                last = await self.asked(answer, before=[Line("customer", wish), asks])
            assert last.action.reply == "Order GW1009 is packed.", answer
        last = await self.asked("It's GW-1009", before=[Line("customer", "Cancel it"), asks])
        assert last.pending == Call("cancel", {"order_id": "GW1009"})
        before = [Line("customer", "Cancel it"), Line("agent", "Which order is it?")]
        assert (await self.asked("I don't know, sorry", before=before)).pending is None

    async def test_thanks_are_no_new_question(self):
        before = [Line("customer", "Where is my order GW1009?"), Line("agent", "It is near.")]
        for text in ("好的谢谢", "ok thanks"):
            self.engine.requests.clear()
            await self.asked(text, before=before)
            assert len(self.engine.requests) == 1, text  # nothing is looked up

    async def test_an_order_s_number_alone_is_looked_up(self):
        before = [Line("customer", "Where is my order GW1001?"), Line("agent", "Packed.")]
        for text in ("GW1009", "gw-1009 please", "my order is GW 1009"):
            for lines in ([], before):
                with business() as shop, self.settings(PUBLIC_URL=shop.url):
                    shop.answer = b'{"order_id": "GW1009", "status": "packed"}'
                    last = await self.asked(text, before=lines)
                assert last.action.reply == "Order GW1009 is packed.", text
        assert (await self.asked("GW1009 GW1010")).action.reply == "In the model's words."
        assert (await self.asked("GW1009 was nice")).action.reply == "In the model's words."

    async def test_a_number_of_something_else_is_no_mistyped_order(self):
        before = [Line("customer", "Where is my order GW1009?"), Line("agent", "Packed.")]
        last = await self.asked("cancel it, card ending 4242", before=before)
        assert last.action.reply != UNREADABLE.format(name="order number")

    async def test_who_changes_their_mind_is_asked_again(self):
        call = Call("refund", {"order_id": "GW1009", "reason": "cold"})
        before = [Line("customer", "Refund it, it was cold"), Line("agent", "Refund GW1009?")]
        for text, order in (
            ("ok actually yes refund it", "GW1009"),
            ("no, I meant GW1002", "GW1002"),
            ("not GW1009 but gw-1002, sorry", "GW1002"),
        ):
            last = await self.asked(text, before=before, asked_about=call)
            assert last.pending == Call("refund", {"order_id": order, "reason": "cold"}), text
        for text in (
            "no, I meant the other one",
            "GW1002 or GW1003",
            "GW1002 was nice, was it not",
        ):
            assert (await self.asked(text, before=before, asked_about=call)).pending is None, text

    async def test_what_a_look_up_lacks_is_asked_for(self):
        last = await self.asked("Where is my order?")
        assert (last.action.name, last.action.reply) == (
            CLARIFY,
            "Please tell me the order number.",
        )
        before = [Line("customer", "It's GW1009"), Line("agent", "What is?")]
        for said in ("Where is my order GW10099?", "cancel GW10099", "Please refund GW-100, ok?"):
            last = await self.asked(said, before=before)  # mistyped
            unreadable = "I can't make out the order number. Please write it once more."
            assert (last.action.reply, last.pending) == (unreadable, None), said

    async def test_of_a_mistyped_number_a_model_may_not_call_for_another_either(self):
        before = [Line("customer", "It's GW1009"), Line("agent", "What is?")]
        call = calls("refund", order_id="GW1009", reason="cold")
        asks = {"before": before, "said": call}
        last = await self.asked("I get money back: for GW10099 refund is due", **asks)
        assert last.pending is None
        last = await self.asked("I want money back, refund the 2 cold burgers", **asks)
        assert last.pending == Call("refund", {"order_id": "GW1009", "reason": "cold"})

    async def test_what_is_no_wish_is_not_proposed(self):
        for text in (
            "What happens if I cancel GW1009?",
            "Why was GW1009 cancelled?",
            "Did you cancel GW1009 already?",
            "The restaurant cancelled my order GW1009",
            "Please don't cancel GW1009",
            "cancel the refund of GW1009",
        ):
            assert (await self.asked(text)).pending is None, text
        for text in ("can you cancel GW1009?", "could you please cancel GW1009?"):
            assert (await self.asked(text)).pending == Call("cancel", {"order_id": "GW1009"}), text

    async def test_a_look_up_that_is_too_dear_ends_with_a_person(self):
        await Tool.objects.filter(name="look").aupdate(cost_per_call=1)
        last = await self.asked("Where is my order GW1009?", money_left=Decimal("0.5"))
        assert (last.action.name, last.action.reply) == (HANDOFF, SORRY)

    async def test_of_two_orders_the_model_chooses(self):
        last = await self.asked("GW1009 and GW1010", "Where is my order?")
        assert last.action.reply == "In the model's words."

    async def test_who_turns_away_from_the_question_for_a_number_wants_something_else(self):
        asked = [Line("customer", "I want to cancel my order"), Line("agent", WHICH_ORDER)]
        last = await self.asked("It's order GW1009, thank you", before=asked)
        assert last.pending == Call("cancel", {"order_id": "GW1009"})
        for text in (
            "Never mind, when does GW1009 arrive?",
            "It was GW1009 but I'd rather keep it",
            "Forget it, keep GW1009",
            "算了，不取消GW1009了",
        ):
            assert (await self.asked(text, before=asked)).pending is None, text

    def test_a_person_is_asked_for_in_many_words(self):
        for text in (
            "I want a human agent",
            "give me a live human",
            "I need human help",
            "I want a real person not a bot",
            "I need a person who can help",
            "get me an operator on the line",
            "有人工吗",
            "转人工啊",
        ):
            assert asks_for_person([text]), text
        for text in ("cake for a person with a nut allergy", "这个是人工色素吗"):
            assert not asks_for_person([text]), text

    async def test_who_asks_for_a_person_gets_one(self):
        for text in (
            "Can I talk to a human?",
            "agent please",
            "Not a robot, get me a human",
            "人工",
            "请转人工谢谢",
            "Put me through to an operator",
            "I need a real person now",
        ):
            assert (await self.asked(text)).action.name == HANDOFF, text
        for text in (
            "I don't want to talk to a person",
            "What do your agents earn?",
            "I need to send this order to my colleague at work",
            "你是人工智能吗",
            "Can I give the parcel to a person?",
            "I need to send a cake to a colleague, is that fine?",
            "I'd like what an agent promised me yesterday",
            "I need a cake for a person with a nut allergy",
            "Please transfer this to a colleague at my office",
            "这个是人工色素吗",
        ):
            assert (await self.asked(text)).action.name != HANDOFF, text

    async def test_several_messages_are_read_as_one(self):
        last = await self.asked("Please cancel GW1009", "thanks")
        assert last.pending == Call("cancel", {"order_id": "GW1009"})
        last = await self.asked("Please cancel GW1009", "that's all, bye")
        assert last.pending == Call("cancel", {"order_id": "GW1009"})

    async def test_who_says_goodbye_is_let_go(self):
        for text in ("ok thanks, bye", "That's all.", "No, that’s all, have a nice day", "再见"):
            assert (await self.asked(text)).action.name == CLOSE, text
        for text in (
            "That's all wrong!",
            "Before I say goodbye: what does it cost?",
            "Don't say goodbye yet",
            "Bye bye baby toy set missing",
            "ok thanks",
        ):
            assert (await self.asked(text)).action.name == REPLY, text

    async def test_a_rehearsal_knows_what_the_customer_agreed_to_or_declined(self):
        async def rehearsed(text, **fields):
            lines = [Line("customer", "Where is my order GW1009?"), Line("agent", "Cancel it?")]
            lines.append(Line("customer", text))
            context = TurnContext("t", self.release, self.scene, lines, **fields)
            return await rehearsing.rehearse(context, [])

        self.engine.always = says("In the model's words.")
        assert (await rehearsed("No, thanks.", declined=True)).reply == LEFT
        assert self.engine.requests == []
        call = Call("cancel", {"order_id": "GW1009"})
        assert (await rehearsed("Yes", confirmed=call)).reply == "In the model's words."
        assert (await rehearsed("Yes")).name == "look"


class AsWrittenTests(AgentMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        make_tool(name="cancel", confirmation="Cancel?", occasions="cancel", parameters=ONE_ORDER)
        cls.release = make_release(tools=["cancel"], limits={"quote_rules": True})

    async def said(self, text, rule=RULE, similarity=0.95, release=None):
        self.engine.will(says("In the model's words."))
        rules = [Rule(7, "when", rule, similarity=similarity)]
        context = TurnContext("t", release or self.release, None, [Line("customer", text)])
        return await rehearsing.rehearse(context, rules)

    async def test_a_rule_that_fits_almost_word_for_word_is_the_answer(self):
        said = await self.said("My pizza was cold")
        assert (said.name, said.reply, said.knowledge) == (REPLY, RULE, [7])
        assert self.engine.requests == []

    async def test_a_look_up_that_was_asked_for_is_made_though_a_rule_fits(self):
        await sync_to_async(make_tool)(name="look", occasions="where is my food", **LOOK)
        limits = {"quote_rules": True}
        release = await sync_to_async(make_release)(tools=["cancel", "look"], limits=limits)
        said = await self.said("where is my food", release=release)
        assert said.reply == "Please tell me the order number."
        assert self.engine.requests == []

    async def test_what_fits_less_or_has_to_do_with_a_tool_is_the_model_s(self):
        model = "In the model's words."
        assert (await self.said("My pizza was cold", similarity=0.89)).reply == model
        assert (await self.said("Cold pizza, can I cancel?")).reply == model
        assert (await self.said("My pizza GW1009 was cold")).reply == model
        assert (await self.said("My pizza was cold", rule="It is {status}.")).reply == model
        free = await sync_to_async(make_release)(tools=["cancel"])
        assert (await self.said("My pizza was cold", release=free)).reply == model
