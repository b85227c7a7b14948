"""A customer who asks for a deed in so many words is asked for a yes at once."""

from asgiref.sync import sync_to_async
from django.test import TestCase

from agents.actions import CLARIFY
from agents.confirming import Call
from agents.prompting import Line
from tests.agents.test_guarding import AgentMixin
from tests.engine import says
from tests.factories import make_release, make_tool

ORDER = {"type": "string", "pattern": "^GW[0-9]{4}$"}
ONE_ORDER = {"type": "object", "properties": {"order_id": ORDER}, "required": ["order_id"]}


class ProposingTests(AgentMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        fields = {"parameters": ONE_ORDER, "url": "/{order_id}/", "method": "POST"}
        asks = "Shall I cancel order {order_id}?"
        make_tool(name="cancel", confirmation=asks, occasions="cancel, stop it", **fields)
        make_tool(name="look", **fields)
        reason = {"properties": {"order_id": ORDER, "reason": {"type": "string"}}}
        refund = {"parameters": {**ONE_ORDER, **reason}, "occasions": "refund"}
        make_tool(name="refund", confirmation="Refund {order_id}?", **(fields | refund))
        cls.tools = ["cancel", "look", "refund"]
        cls.release = make_release(tools=cls.tools, limits={"quote_rules": True})

    async def asked(self, *texts, **fields):
        self.engine.will(says("In the model's words."))
        return await self.finished(*[Line("customer", text) for text in texts], **fields)

    async def test_the_yes_is_asked_for_and_no_model(self):
        last = await self.asked("Please cancel gw1009.")
        assert (last.action.name, last.action.reply) == (CLARIFY, "Shall I cancel order GW1009?")
        assert last.pending == Call("cancel", {"order_id": "GW1009"})
        assert self.engine.requests == []

    async def test_what_is_less_plain_is_the_model_s(self):
        for text in (
            "Please cancel it.",  # which one?
            "Cancel GW1009 and GW1010",
            "Don't cancel GW1009!",
            "Where is GW1009?",
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

    async def test_a_number_named_earlier_is_not_enough(self):
        last = await self.asked("It is about GW1009", "please cancel")
        assert last.pending is None

    async def test_a_release_that_words_rules_chooses_itself(self):
        release = await sync_to_async(make_release)(tools=self.tools)
        assert (await self.asked("cancel GW1009", release=release)).pending is None
