"""A job's own words are the reply where the release says rules in theirs."""

from django.test import TestCase

from agents.actions import REPLY
from agents.models import ToolKind
from agents.prompting import Line
from tests.agents.test_guarding import AgentMixin
from tests.engine import calls, says
from tests.factories import make_release, make_tool

RESULT = {"state": "done", "summary": "Burger Yard says: ready in 15 minutes.", "facts": {}}
NOTE = "I have started that."
CALLED = Line("tool", name="call_shop", result=RESULT)
ASKED = Line("customer", "Call the shop, please.")
BEGUN = Line("agent", "I have started that.")


async def delegate(name, arguments, key):
    return {"job": "1", "state": "queued", "note": NOTE}


class TellingTests(AgentMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        make_tool(name="call_shop", kind=ToolKind.SUBAGENT, url="", parameters={"type": "object"})
        cls.release = make_release(tools=["call_shop"], limits={"quote_rules": True})
        cls.wording = make_release(tools=["call_shop"])

    async def test_a_result_is_told_as_it_is_and_no_model_is_asked(self):
        last = await self.finished(ASKED, BEGUN, CALLED)
        assert (last.action.name, last.action.reply) == (REPLY, RESULT["summary"])
        assert (last.degraded, last.error, self.engine.requests) == ("", "", [])

    async def test_a_job_that_was_begun_says_so_itself(self):
        self.engine.will(calls("call_shop"))
        last = await self.finished(ASKED, delegate=delegate)
        assert (last.action.reply, len(self.engine.requests)) == (NOTE, 1)

    async def test_a_customer_who_wrote_meanwhile_is_answered_too(self):
        self.engine.will(says("It is ready in 15 minutes, and yes."))
        last = await self.finished(ASKED, BEGUN, Line("customer", "And is it hot?"), CALLED)
        assert last.action.reply == "It is ready in 15 minutes, and yes."

    async def test_a_model_that_may_word_rules_words_results_too(self):
        self.engine.will(says("Good news: it is ready in 15 minutes."))
        last = await self.finished(ASKED, BEGUN, CALLED, release=self.wording)
        assert last.action.reply == "Good news: it is ready in 15 minutes."

    async def test_what_an_ordinary_tool_told_is_the_model_s_to_word(self):
        self.engine.will(says("Ready in 15 minutes."))
        other = Line("tool", name="look_up", result=RESULT)
        assert (await self.finished(ASKED, BEGUN, other)).action.reply == "Ready in 15 minutes."
