"""A job's own words are the reply where the release says rules in theirs."""

import json
from dataclasses import replace

from asgiref.sync import sync_to_async
from django.test import SimpleTestCase, TestCase

from agents import confirming, courtesies, master, rehearsing, telling
from agents.actions import CLARIFY, CLOSE, HANDOFF, REPLY, DialogueAction
from agents.composing import composed_early
from agents.confirming import Call
from agents.models import Tool, ToolKind
from agents.prompting import Line, Rule
from tests.agents.test_guarding import RULE, AgentMixin
from tests.engine import calls, says
from tests.factories import make_release, make_tool
from tests.toolserver import business

RESULT = {"state": "done", "summary": "Burger Yard says: ready in 15 minutes.", "facts": {}}
NOTE = "I have started that."
CALLED = Line("tool", name="call_shop", result=RESULT, is_jobs=True, is_news=True)
TOLD = replace(CALLED, is_news=False)
FAILED = replace(CALLED, arguments={"order_id": "GW7"}, result={"error": "Nobody answers."})
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

    async def test_who_asks_after_a_job_hears_what_it_brought_or_that_it_goes_on(self):
        begun = Line("tool", name="call_shop", result={"job": "1", "state": "queued", "note": NOTE})
        news = Line("customer", "Any news?")
        last = await self.finished(ASKED, begun, BEGUN, news, at_work=["1"])
        assert last.action.reply == courtesies.ON_IT
        told = Line("agent", RESULT["summary"])
        last = await self.finished(ASKED, begun, BEGUN, TOLD, told, news)
        assert last.action.reply == RESULT["summary"]
        assert self.engine.requests == []
        self.engine.will(says("None that I know of."))
        assert (await self.finished(news)).action.reply == "None that I know of."

    async def test_who_asks_after_another_order_is_not_told_of_the_jobs(self):
        schema = {"type": "object", "properties": {"order_id": {"pattern": "^GW[0-9]{4}$"}}}
        await Tool.objects.filter(name="call_shop").aupdate(parameters=schema)
        begun = Line(
            "tool", name="call_shop", arguments={"order_id": "GW1012"}, result={"job": "1"}
        )
        for text, reply in (
            ("Any news about GW1012?", courtesies.ON_IT),
            ("Any news?", courtesies.ON_IT),
            ("Any updates on my refund for GW1011?", "None that I know of."),
            ("Any news about GW10122?", "None that I know of."),
        ):
            self.engine.will(says("None that I know of."))
            asked = Line("customer", text)
            last = await self.finished(ASKED, begun, BEGUN, asked, at_work=["1"])
            assert last.action.reply == reply, text

    async def test_who_asks_after_a_job_that_was_cancelled_hears_that(self):
        arguments = {"order_id": "GW7"}
        begun = Line("tool", name="call_shop", arguments=arguments, result={"job": "1"})
        by = {"error": "Cancelled by olivia"}
        cancelled = replace(begun, result=by, is_jobs=True, is_cancelled=True)
        for text in ("Any news?", "有消息了吗？"):
            asked = Line("customer", text)
            last = await self.finished(ASKED, begun, BEGUN, cancelled, asked, at_work=["2"])
            assert last.action.reply == telling.CANCELLED.to([text]).format(job="call shop GW7")
        assert self.engine.requests == []
        did = {"did": "I cancelled the call, the order has arrived."}
        summary = Line("tool", name="colleague", result=did, is_summary=True)
        self.engine.will(says("It is here, says my colleague."))
        last = await self.finished(ASKED, begun, BEGUN, cancelled, summary, asked)
        assert last.action.reply == "It is here, says my colleague."

    async def test_a_job_of_which_only_the_beginning_is_known_is_not_said_to_go_on(self):
        begun = Line("tool", name="call_shop", result={"job": "1"})
        self.engine.will(says("None that I know of."))
        last = await self.finished(ASKED, begun, BEGUN, Line("customer", "Any news?"))
        assert last.action.reply == "None that I know of."

    async def test_a_customer_who_wrote_meanwhile_is_answered_too(self):
        self.engine.will(says("You may also come and get it."))
        last = await self.finished(ASKED, BEGUN, Line("customer", "And is it hot?"), CALLED)
        assert last.action.reply == f"{RESULT['summary']}\nYou may also come and get it."

    async def test_all_that_was_brought_is_told_and_nothing_twice(self):
        other = replace(CALLED, result={"summary": "Sushi Bar hung up."})
        both = f"{RESULT['summary']}\nSushi Bar hung up."
        assert (await self.finished(ASKED, BEGUN, CALLED, other)).action.reply == both
        news = Line("customer", "Any news?")
        assert (await self.finished(ASKED, BEGUN, CALLED, other, news)).action.reply == both
        self.engine.will(says("Hello."))
        lines = [ASKED, BEGUN, TOLD, Line("agent", both), Line("customer", "Hm?")]
        assert (await self.finished(*lines)).action.reply == "Hello."

    async def test_what_failed_is_told_and_is_not_said_to_go_on(self):
        words = "I'm sorry, this did not work out (call shop GW7): Nobody answers."
        assert (await self.finished(ASKED, BEGUN, FAILED)).action.reply == words
        asks = [BEGUN, replace(FAILED, is_news=False), Line("agent", words)]
        last = await self.finished(*asks, Line("customer", "Any news?"))
        assert (last.action.reply, self.engine.requests) == (words, [])

    async def test_what_was_brought_stands_before_whatever_code_answers(self):
        fields = {"url": "/", "confirmation": "Cancel {order_id}?", "occasions": "cancel"}
        schema = {"type": "object", "properties": {"order_id": {"pattern": "^GW[0-9]$"}}}
        await sync_to_async(make_tool)(name="cancel", parameters=schema, **fields)
        limits = {"quote_rules": True}
        release = await sync_to_async(make_release)(tools=["call_shop", "cancel"], limits=limits)
        for said, reply in (
            ("Please cancel GW9", "Cancel GW9?"),
            ("I want to talk to a person", courtesies.COLLEAGUE),
            ("Bye!", courtesies.GOODBYE),
        ):
            last = await self.finished(BEGUN, CALLED, Line("customer", said), release=release)
            assert last.action.reply == f"{RESULT['summary']}\n{reply}"
        last = await self.finished(BEGUN, FAILED, Line("customer", "no"), declined=True)
        assert last.action.reply.startswith("I'm sorry, this did not work out (call shop GW7)")
        assert last.action.reply.endswith(confirming.LEFT)

    async def test_a_model_that_leaves_a_result_out_does_not_lose_it(self):
        self.engine.will(says("Your order costs what it did."))
        asked = Line("customer", "What does it cost?")
        last = await self.finished(ASKED, BEGUN, CALLED, asked, release=self.wording)
        assert last.action.reply == f"{RESULT['summary']}\nYour order costs what it did."

    async def test_a_model_that_may_word_rules_words_results_too(self):
        self.engine.will(says("Good news: it is ready in 15 minutes."))
        last = await self.finished(ASKED, BEGUN, CALLED, release=self.wording)
        assert last.action.reply == "Good news: it is ready in 15 minutes."

    async def test_what_an_ordinary_tool_told_is_the_model_s_to_word(self):
        self.engine.will(says("Ready in 15 minutes."))
        other = Line("tool", name="look_up", result=RESULT)
        assert (await self.finished(ASKED, BEGUN, other)).action.reply == "Ready in 15 minutes."

    async def test_a_rehearsal_tells_what_service_would(self):
        async def rehearsed(*lines, **fields):
            context = master.TurnContext("t", self.release, self.scene, list(lines))
            return (await rehearsing.rehearse(context, [], **fields)).reply

        self.engine.always = says("And yes.")
        meanwhile = Line("customer", "And is it hot?")
        assert await rehearsed(ASKED, BEGUN, CALLED) == RESULT["summary"]
        assert await rehearsed(ASKED, BEGUN, meanwhile, CALLED) == f"{RESULT['summary']}\nAnd yes."
        assert await rehearsed(ASKED, told=[CALLED]) == RESULT["summary"]


TEMPLATE = "Order {id} is {status}. {courier} brings it. It costs ${total}."
ORDER = Line("customer", "Where is my order 7?")
COLD = Line("customer", "my soup wasn't warm")  # near the rule, not word for word


class ToolTests(AgentMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.tool.result_template = TEMPLATE
        cls.tool.save()
        asks = {"confirmation": "Really?", "occasions": "cancel"}
        make_tool(name="cancel", url="/cancel/", parameters={"type": "object"}, **asks)
        cls.release = make_release(tools=["look_up", "cancel"], limits={"quote_rules": True})
        cls.wording = make_release(tools=["look_up"])

    async def told(self, answer, *lines, **fields):
        with business() as shop, self.settings(PUBLIC_URL=shop.url):
            shop.answer = answer
            self.engine.will(calls("look_up"), says("In the model's words."))
            return (await self.finished(*(lines or [ORDER]), **fields)).action

    async def test_a_result_is_told_by_the_template(self):
        action = await self.told(b'{"id": 7, "status": "late", "courier": "Luis", "total": 16.5}')
        assert action.reply == "Order 7 is late. Luis brings it. It costs $16.50."
        assert len(self.engine.requests) == 1

    async def test_sentences_without_a_value_are_left_out(self):
        action = await self.told(b'{"id": 7, "status": "late", "courier": null}')
        assert action.reply == "Order 7 is late."
        action = await self.told(b'{"other": 1}')
        assert action.reply == "In the model's words."

    async def test_braces_in_what_a_tool_told_are_no_places_to_fill(self):
        action = await self.told(b'{"id": "{status}", "status": "<b>late</b>"}')
        assert action.reply == "Order {status} is <b>late</b>."

    async def test_what_the_business_refuses_is_told(self):
        action = await self.told(b'{"error": "no such order."}')
        assert (action.name, "did not work: no such order. Check" in action.reply) == (
            CLARIFY,
            True,
        )

    async def test_an_empty_error_is_none(self):
        for error in (b"null", b"false", b'""'):
            action = await self.told(b'{"error": ' + error + b', "id": 7, "status": "late"}')
            assert action.reply == "Order 7 is late.", error

    async def test_who_is_not_signed_in_is_asked_to(self):
        await Tool.objects.filter(pk=self.tool.pk).aupdate(personal=True)
        action = await self.told(b"{}")
        assert (action.name, action.reply) == (CLARIFY, telling.SIGN_IN)
        action = await self.told(b'{"id": 7, "status": "late"}', customer="owen")
        assert action.reply == "Order 7 is late."

    async def test_a_tool_that_does_not_work_is_said_to_be_out_of_reach(self):
        action = await self.told(b"[]")
        assert (action.name, action.reply) == (CLARIFY, telling.BROKEN)
        assert len(self.engine.requests) == 1
        with business() as shop, self.settings(PUBLIC_URL=shop.url):
            shop.status, shop.answer = 500, b'{"detail": "exploded"}'
            self.engine.will(calls("look_up"))
            last = await self.finished(ORDER)
        assert (last.action.reply, "failed (status 500)" in last.degraded) == (telling.BROKEN, True)

    async def test_of_a_deed_that_broke_nobody_says_that_it_was_done(self):
        fields = {"parameters": {"type": "object"}, "confirmation": "Refund?"}
        await sync_to_async(make_tool)(name="refund", url="/", result_template=TEMPLATE, **fields)
        release = await sync_to_async(make_release)(tools=["refund"], limits={"quote_rules": True})
        with business() as shop, self.settings(PUBLIC_URL=shop.url):
            shop.status, shop.answer = 500, b'{"id": 7, "status": "refunded"}'
            call = Call("refund", {})
            last = await self.finished(Line("customer", "yes"), release=release, confirmed=call)
        assert (last.action.name, last.action.reply) == (HANDOFF, telling.UNSURE)
        assert self.engine.requests == []

    async def test_where_more_may_be_done_the_model_is_asked_but_does_not_word_it(self):
        asked = Line("customer", "Please cancel my order 7.")
        action = await self.told(b'{"id": 7, "status": "late"}', asked)
        assert (action.reply, len(self.engine.requests)) == ("Order 7 is late.", 2)

    async def test_a_rule_that_is_cited_stands_behind_what_was_told(self):
        with business() as shop, self.settings(PUBLIC_URL=shop.url):
            shop.answer = b'{"id": 7, "status": "late"}'
            cites = says("Something else: $99.", knowledge=[self.unit.pk])
            self.engine.will(calls("look_up"), cites)
            action = (await self.finished(COLD)).action
        assert (action.reply, action.knowledge) == (f"Order 7 is late.\n{RULE}", [self.unit.pk])

    async def test_of_several_orders_all_are_told(self):
        order = {"type": "string", "pattern": "^GW[0-9]{4}$"}
        schema = {"type": "object", "properties": {"id": order}, "required": ["id"]}
        await Tool.objects.filter(pk=self.tool.pk).aupdate(parameters=schema, url="/{id}/")
        told = {"/GW1001/": "late", "/GW1002/": "lost"}
        with business() as shop, self.settings(PUBLIC_URL=shop.url):

            def before():
                path = shop.requests[-1][1]
                shop.answer = json.dumps({"id": path.strip("/"), "status": told[path]}).encode()

            shop.before = before
            self.engine.will(*[calls("look_up", id=name) for name in ("GW1001", "GW1002")])
            asked = Line("customer", "please check my orders GW1001 and GW1002")
            action = (await self.finished(asked)).action
        assert action.reply == "Order GW1001 is late.\nOrder GW1002 is lost."

    async def test_of_two_tools_about_one_order_the_last_tells_and_other_orders_stand(self):
        order = {"type": "string", "pattern": "^GW[0-9]{4}$"}
        schema = {"type": "object", "properties": {"id": order}, "required": ["id"]}
        await Tool.objects.filter(pk=self.tool.pk).aupdate(parameters=schema, url="/{id}/")
        fields = {"parameters": schema, "result_template": "The courier has {id}: {status}."}
        await sync_to_async(make_tool)(name="track", url="/{id}/", **fields)
        release = await sync_to_async(make_release)(
            tools=["look_up", "track"], limits={"quote_rules": True}
        )
        with business() as shop, self.settings(PUBLIC_URL=shop.url):

            def before():
                number = shop.requests[-1][1].strip("/")
                shop.answer = json.dumps({"id": number, "status": "late"}).encode()

            shop.before = before
            called = [("look_up", "GW1001"), ("track", "GW1001"), ("look_up", "GW1002")]
            self.engine.will(*[calls(name, id=number) for name, number in called])
            asked = Line("customer", "please check my orders GW1001 and GW1002")
            action = (await self.finished(asked, release=release)).action
        assert action.reply == "The courier has GW1001: late.\nOrder GW1002 is late."

    async def test_a_model_may_still_hand_over(self):
        with business() as shop, self.settings(PUBLIC_URL=shop.url):
            shop.answer = b'{"id": 7, "status": "late"}'
            self.engine.will(calls("look_up"), says("A colleague comes.", HANDOFF))
            action = (await self.finished(COLD)).action
        assert (action.name, action.reply) == (HANDOFF, "A colleague comes.")

    async def test_a_release_that_words_rules_words_results(self):
        action = await self.told(b'{"id": 7, "status": "late"}', release=self.wording)
        assert action.reply == "In the model's words."


class ComposedTests(SimpleTestCase):
    def test_a_check_that_is_announced_after_the_check_is_what_was_told(self):
        rule = Rule(1, "When?", "Never.", "low", 0.9)
        for name in (CLARIFY, CLOSE):
            action = DialogueAction(name, "Let me check.", "", [1])
            early = composed_early(
                action, [(rule, "quoted")], [], has_called=True, told="Order 7 is late."
            )
            assert (early.name, early.reply, early.knowledge) == (REPLY, "Order 7 is late.", [])
