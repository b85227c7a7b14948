"""The loop of the master agent: what happens, in which order."""

from unittest import mock

from asgiref.sync import sync_to_async
from django.test import TestCase

from agents import finding, master
from agents.actions import HANDOFF, DialogueAction
from agents.prompting import Line
from tests.engine import Answer, EngineMixin, calls, says
from tests.factories import make_published_unit, make_release, make_scene, make_tool
from tests.toolserver import business


class LoopTests(EngineMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        pattern = {"type": "string", "pattern": "^GW[0-9]{4}$"}
        parameters = {"type": "object", "properties": {"id": pattern}, "required": ["id"]}
        make_tool(name="look_up", url="/orders/{id}/", parameters=parameters)
        make_tool(name="other")
        cls.release = make_release(tools=["look_up", "gone"])

    def setUp(self):
        super().setUp()
        self.shop = self.enterContext(business())
        self.enterContext(self.settings(PUBLIC_URL=self.shop.url))

    async def happened(self, *said, turn_id="t-1"):
        lines = [Line("customer", text) for text in said or ("Where is gw1001?",)]
        context = master.TurnContext(turn_id, self.release, self.scene, lines)
        return [happening async for happening in master.answer(context)]

    def names(self, happenings):
        return [type(one).__name__ for one in happenings if not isinstance(one, master.Delta)]

    async def test_a_reply(self):
        happenings = await self.happened()
        assert self.names(happenings) == ["Thinking", "Step", "Finished"]
        said = "".join(one.text for one in happenings if isinstance(one, master.Delta))
        assert said == happenings[-1].action.reply == "Hello from the engine."

    async def test_a_call_then_a_reply(self):
        self.engine.will(calls("look_up", "Let me see.", id="GW1001"), says("On the way."))
        happenings = await self.happened()
        names = ["Thinking", "Calling", "Step", "Called", "Step", "Finished"]
        assert self.names(happenings) == names
        calling = next(one for one in happenings if isinstance(one, master.Calling))
        assert (calling.name, calling.detail) == ("look_up", "Does something")
        said = "".join(one.text for one in happenings if isinstance(one, master.Delta))
        assert said == "On the way."  # and nothing of "Let me see."

    async def test_the_schema_limits_tools_ids_and_rules(self):
        unit = await sync_to_async(make_published_unit)(
            scene=self.scene, condition="Where is my order gw1001?"
        )
        await self.happened("Where is my order gw1001?")
        schema = self.engine.requests[0]["response_format"]["json_schema"]["schema"]
        assert schema["properties"]["knowledge"]["items"] == {"enum": [unit.pk]}
        choices = schema["properties"]["action"]["anyOf"]
        names = [choice["properties"]["name"]["const"] for choice in choices]
        assert names == ["reply", "clarify", "handoff", "close", "look_up"]
        arguments = choices[-1]["properties"]["arguments"]["properties"]
        assert arguments == {"id": {"enum": ["GW1001"]}}

    async def test_without_an_id_the_tool_is_described_but_not_allowed(self):
        await self.happened("Where is my order?")
        asked = self.engine.requests[0]
        assert "look_up(id)" in asked["messages"][0]["content"]
        assert "look_up" not in str(asked["response_format"])

    async def test_a_result_makes_its_identifiers_known(self):
        self.shop.answer = b'{"other": "GW2002"}'
        self.engine.will(
            calls("look_up", id="GW1001"), calls("look_up", id="GW2002"), says("Both are near.")
        )
        happenings = await self.happened()
        assert happenings[-1].action.reply == "Both are near."
        assert [path for _, path, *_ in self.shop.requests] == [
            "/orders/GW1001/",
            "/orders/GW2002/",
        ]

    async def test_a_call_is_not_offered_again_in_the_same_turn(self):
        self.shop.answer = b'{"error": "no such order"}'
        self.engine.will(calls("look_up", id="GW1001"), says("There is no such order."))
        happenings = await self.happened()
        assert happenings[-1].action.reply == "There is no such order."
        first, second = [str(request["response_format"]) for request in self.engine.requests]
        assert "look_up" in first
        assert "look_up" not in second

    async def test_a_call_made_again_all_the_same_is_refused_once_and_never_made(self):
        again = calls("look_up", id="GW1001")
        self.engine.will(again, again, says("It is on its way."))
        happenings = await self.happened()
        assert happenings[-1].action.reply == "It is on its way."
        assert len(self.shop.requests) == 1
        objection = self.engine.requests[2]["messages"][-1]["content"]
        assert "called with these arguments already" in objection
        self.engine.will(again, again, again)
        assert (await self.happened(turn_id="t-2"))[-1].action.name == HANDOFF
        assert len(self.shop.requests) == 2

    async def test_the_key_names_turn_and_arguments(self):
        for turn_id in ("t-1", "t-1", "t-2"):
            self.engine.will(calls("look_up", id="GW1001"))
            await self.happened(turn_id=turn_id)
        self.engine.will(calls("look_up", id="GW1002"))
        await self.happened("GW1002")
        first, second, third, fourth = [key for _, _, key, *_ in self.shop.requests]
        assert first == second
        assert len({first, third, fourth}) == 3

    async def test_failures_end_in_handing_over(self):
        for answer in (Answer("no json"), Answer(status=400), says(""), calls("other", id="x")):
            self.engine.always = answer
            last = (await self.happened())[-1]
            assert last.action == DialogueAction(HANDOFF, master.SORRY)
            assert last.error
        assert self.shop.requests == []

    async def test_the_last_two_messages_are_searched_for(self):
        unit = await sync_to_async(make_published_unit)(
            scene=self.scene, condition="Can I get a refund for late groceries?"
        )
        thinking = (await self.happened("Can I get a refund for late groceries?", "ok?"))[0]
        assert [found.unit_id for found in thinking.found] == [unit.pk]
        assert thinking.search_ms > 0

    def test_the_second_wording_is_asked_only_where_the_first_finds_nothing(self):
        found = mock.Mock(similarity=1.0)
        answers = {"Is there a refund?": [found]}
        with mock.patch.object(finding, "search") as search:
            search.side_effect = lambda texts, **_: [answers.get(text, []) for text in texts]
            talks = [["Hello there", "Is there a refund?"], ["My groceries", "came very late"], []]
            lines = [[Line("customer", text) for text in said] for said in talks]
            rules = finding.find_rules_for(lines, scene=None, audience={})
        assert rules == [[found], [], []]
        assert [call.args[0] for call in search.call_args_list] == [
            ["Is there a refund?", "came very late"],
            ["My groceries came very late"],
        ]

    def test_a_short_message_that_fits_by_itself_is_found_alone(self):
        near, exact = mock.Mock(similarity=0.88), mock.Mock(similarity=0.95)
        answers = {"How long? thanks": [near], "thanks": [exact]}
        asked, answered = Line("customer", "How long?"), Line("agent", "3 days.")
        thanks = Line("customer", "thanks")
        with mock.patch.object(finding, "search") as search:
            search.side_effect = lambda texts, **_: [answers.get(text, []) for text in texts]
            talks = [[asked, answered, thanks], [asked, thanks]]
            rules = finding.find_rules_for(talks, scene=None, audience={})
        assert rules == [[exact], [near]], "not where the question before it waits as well"

    async def test_a_job_may_speak_before_the_customer(self):
        job = Line("tool", name="call_merchant", result={"outcome": "goal_reached"})
        context = master.TurnContext("t-1", self.release, self.scene, [job])
        assert await sync_to_async(master.find_rules)(context) == []


class QuotingTests(EngineMixin, TestCase):
    """A release that says rules in their own words."""

    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.unit = make_published_unit(
            scene=cls.scene, condition="When the soup was cold", content="Cold soup costs nothing."
        )
        make_tool(name="look_up", parameters={"type": "object", "properties": {}})

    async def reply(self, *answers, **limits):
        release = await sync_to_async(make_release)(tools=["look_up"], limits=limits)
        self.engine.will(*answers)
        lines = [Line("customer", "my soup wasn't warm")]
        context = master.TurnContext("t-1", release, self.scene, lines)
        happenings = [happening async for happening in master.answer(context)]
        step = next(one for one in happenings if isinstance(one, master.Step))
        said = "".join(one.text for one in happenings if isinstance(one, master.Delta))
        assert said == happenings[-1].action.reply
        return said, step

    async def test_one_rule_is_said_as_it_is_written(self):
        answer = says("Soup is free, perhaps.", knowledge=[self.unit.pk])
        said, step = await self.reply(answer, quote_rules=True)
        assert said == "Cold soup costs nothing."
        assert step.action["reply"] == said, "what is stored, and learnt from, is what was said"
        assert step.action["knowledge"] == [self.unit.pk]

    async def test_other_releases_speak_for_themselves(self):
        said, _ = await self.reply(says("Soup is good.", knowledge=[self.unit.pk]))
        assert said == "Soup is good."

    async def test_without_a_rule_the_model_speaks(self):
        said, _ = await self.reply(says("Hello!"), quote_rules=True)
        assert said == "Hello!"

    async def test_after_a_call_the_model_tells_what_came_of_it(self):
        answers = [calls("look_up"), says("It is on the way.", knowledge=[self.unit.pk])]
        release = await sync_to_async(make_release)(tools=["look_up"], limits={"quote_rules": True})
        self.engine.will(*answers)
        lines = [Line("customer", "my soup wasn't warm")]
        context = master.TurnContext("t-1", release, self.scene, lines)
        happenings = [happening async for happening in master.answer(context)]
        assert happenings[-1].action.reply == "It is on the way."
