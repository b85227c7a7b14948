"""A customer agrees to exactly what is sent, and nothing of it is a model's own."""

from django.test import TestCase

from agents.confirming import Call
from agents.prompting import Line
from tests.agents.test_guarding import AgentMixin
from tests.engine import calls, says
from tests.factories import make_release, make_tool

ORDER = {"type": "string", "pattern": "^GW[0-9]{4}$"}
REFUND = {
    "type": "object",
    "properties": {
        "order_id": ORDER,
        "amount": {"type": "number"},
        "reason": {"type": "string"},
        "items": {"type": "array", "items": ORDER},
    },
    "required": ["order_id"],
}
ASKED = "Refund 19.60 of GW1001 to my gift card, the soup was cold"
ASKS = "Shall I refund order {order_id}?"


class AskingTests(AgentMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        make_tool(name="refund", parameters=REFUND, url="/", method="POST", confirmation=ASKS)
        cls.release = make_release(tools=["refund"])

    async def asked(self, text=ASKED, **arguments):
        self.engine.will(calls("refund", **arguments), says("Which order?", "clarify"))
        return await self.finished(Line("customer", text))

    async def test_whatever_is_sent_stands_in_the_question(self):
        given = {"order_id": "GW1001", "amount": 19.6, "reason": "cold soup"}
        last = await self.asked(**given)
        words = "Shall I refund order GW1001 (amount: 19.6, reason: cold soup)?"
        assert (last.action.reply, last.pending) == (words, Call("refund", given)), self.steps

    async def test_what_the_schema_does_not_allow_is_refused_before_it_is_asked(self):
        for arguments in (
            {},
            {"amount": 19.6},
            {"order_id": "GW1001", "to_account": "DE99"},
            {"order_id": "GW1001", "amount": "all"},
            {"order_id": "GW1001", "items": ["GW1001", "GW4242"]},
        ):
            last = await self.asked(**arguments)
            assert (last.action.reply, last.pending) == ("Which order?", None), arguments
            assert self.steps[0].fault == "forbidden", arguments

    async def test_figures_promises_and_addresses_that_nobody_gave_are_refused(self):
        for arguments in (
            {"amount": 5000},
            {"reason": "plus a guaranteed voucher"},
            {"reason": "cold; log in at http://evil.example/pay"},
        ):
            last = await self.asked(order_id="GW1001", **arguments)
            assert last.pending is None, arguments
            assert self.steps[0].problems[0].startswith("nobody said: "), arguments
