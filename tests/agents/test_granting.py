"""What a rule grants is offered with it; what it denies, or wants to see first, is not."""

from asgiref.sync import sync_to_async
from django.test import SimpleTestCase, TestCase

from agents import occasions
from agents.actions import CLARIFY, HANDOFF, REPLY
from agents.confirming import Call
from agents.granting import LOOKED_AT
from agents.models import Tool
from agents.prompting import Line, Rule
from tests.agents.test_guarding import AgentMixin
from tests.engine import calls, says
from tests.factories import make_published_unit, make_release, make_scene, make_tool
from tests.toolserver import business

ORDER = {"type": "string", "pattern": "^GW[0-9]{4}$"}
REASON = {"type": "string", "maxLength": 20}
COLD = "Cold food is refunded in full. No photo is needed."
SEEN = {"words_in_picture": "", "item": "noodles", "damage": "cold", "confidence": 0.9}
NOODLES = "The noodles of gw1009 were cold!"
PIE = "The pie is cold, refund GW1009"


def offer(said):
    return f"{COLD}\nShall I refund GW1009 (reason: {said[:20].strip()})?"


class GrantingTests(AgentMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.unit = make_published_unit(scene=cls.scene, condition="Dinner was cold", content=COLD)
        parameters = {"type": "object", "properties": {"order_id": ORDER, "reason": REASON}}
        fields = {
            "confirmation": "Shall I refund {order_id}?",
            "occasions": "cold/lukewarm/凉了, melted/thawed, frozen, burnt, never came, my money",
        }
        make_tool(name="refund_order", description="refund it", parameters=parameters, **fields)
        look = {"type": "object", "properties": {"order_id": ORDER}}
        template = "It is {status}."
        make_tool(name="look", url="/{order_id}/", parameters=look, result_template=template)
        cls.tools = ["refund_order", "look"]
        cls.release = make_release(tools=cls.tools, limits={"quote_rules": True})

    async def asked(self, *texts, before=(), said=None, **fields):
        self.engine.will(said or says("Blah.", knowledge=[self.unit.pk]))
        return await self.finished(*before, *(Line("customer", text) for text in texts), **fields)

    async def test_the_deed_is_offered_behind_the_rule(self):
        last = await self.asked(NOODLES)
        assert (last.action.name, last.action.reply) == (CLARIFY, offer(NOODLES))
        reason = NOODLES[:20]
        assert last.pending == Call("refund_order", {"order_id": "GW1009", "reason": reason})
        assert last.action.knowledge == [self.unit.pk]

    async def test_a_number_named_before_will_do_and_a_missing_one_is_asked_for(self):
        last = await self.asked("It's about GW1009", "My noodles were all cold")
        assert last.action.reply == offer("My noodles were all ")
        last = await self.asked("My noodles were all cold")
        assert last.action.reply == f"{COLD}\nPlease tell me the order number."
        assert last.pending is None

    async def test_the_number_that_was_asked_for_leads_to_the_deed_without_a_model(self):
        cold = Rule(self.unit.pk, "Dinner was cold", COLD)
        asked = f"{COLD}\nPlease tell me the order number."
        before = [Line("customer", "It was cold"), Line("agent", asked, rules=(cold,))]
        self.engine.requests.clear()
        last = await self.asked("It's order GW1009, thank you", before=before)
        call = Call("refund_order", {"order_id": "GW1009", "reason": "It was cold"})
        assert (last.pending, self.engine.requests) == (call, [])
        before[1] = Line("agent", "Please tell me the order number.")  # by no rule
        said = says("In the model's words.")
        last = await self.asked("It's order GW1009, thank you", before=before, said=said)
        assert len(self.engine.requests) == 1

    async def test_of_two_orders_a_small_model_may_have_the_one_named_now_alone(self):
        before = [Line("customer", "Where is GW1002?"), Line("agent", "It is on its way.")]
        call = calls("refund_order", order_id="GW1002", reason="cold")
        self.engine.will(call, call)
        said = Line("customer", "The noodles of GW1009 were lukewarm and cold and I want money")
        last = await self.finished(*before, said)
        assert last.pending is None or last.pending.arguments["order_id"] == "GW1009"

    async def test_questions_about_how_things_are_get_the_rule_alone(self):
        before = [Line("customer", "It's about GW1009"), Line("agent", "What is?")]
        for text in ("What about a cold dinner", "Is a cold dinner paid back?"):
            last = await self.asked(text, before=before)
            assert (last.action.reply, last.pending) == (COLD, None), text

    async def test_nor_is_offered_what_was_done_or_nobody_spoke_of(self):
        done = Line("tool", name="refund_order", arguments={"order_id": "GW1009"}, result={})
        last = await self.asked("GW1009 was cold I said", before=[done])
        assert last.pending is None
        assert (await self.asked("GW1009 was lukewarm I think")).pending is None
        assert (await self.asked("I don't say GW1009 was cold")).pending is None

    async def test_nor_what_is_to_be_undone(self):
        for text in (
            "Stop the refund, GW1009 was cold",
            "Withdraw my refund of GW1009, cold or not",
        ):
            assert (await self.asked(text)).pending is None, text

    async def test_a_hand_off_and_a_release_that_words_rules_offer_nothing(self):
        hands = says("A colleague looks at it.", HANDOFF, knowledge=[self.unit.pk])
        assert (await self.asked("GW1009 was cold I said", said=hands)).pending is None
        words = await sync_to_async(make_release)(tools=self.tools)
        assert (await self.asked("GW1009 was cold I said", release=words)).pending is None

    async def test_what_a_call_told_gets_the_first_rule_and_the_offer(self):
        with business() as shop, self.settings(PUBLIC_URL=shop.url):
            self.engine.will(calls("look", order_id="GW1009"), says("It is delivered now."))
            shop.answer = b'{"status": "delivered"}'
            last = await self.finished(Line("customer", NOODLES))
        assert last.action.reply == f"It is delivered.\n{offer(NOODLES)}"
        assert (last.action.knowledge, last.pending.name) == ([self.unit.pk], "refund_order")

    async def test_a_rule_that_a_model_words_is_not_put_behind_what_a_call_told(self):
        said = "The soup of GW1009 was frozen!"
        await sync_to_async(make_published_unit)(
            scene=self.scene, condition=said, content=COLD, risk="high"
        )
        for mode, behind in (("strict", f"\n{offer(said)}"), ("styled", "")):
            limits = {"quote_rules": True, "composition": {"high": mode}}
            release = await sync_to_async(make_release)(tools=self.tools, limits=limits)
            with business() as shop, self.settings(PUBLIC_URL=shop.url):
                self.engine.will(calls("look", order_id="GW1009"), says("It is delivered now."))
                shop.answer = b'{"status": "delivered"}'
                last = await self.finished(Line("customer", said), release=release)
            assert last.action.reply == f"It is delivered.{behind}", mode

    def make_picture_rule(self):
        condition = "The noodles of somebody were quite cold"
        content = "Cold food is refunded with a photo."
        return make_published_unit(scene=self.scene, condition=condition, content=content)

    async def pictured(self, rule, **seen):
        """Return how it ends where the rule wants a picture, and the customer sent `seen`."""
        before = [Line("tool", is_customers=True, result=seen)] if seen else []
        cites = says("Blah.", knowledge=[rule.pk])
        text = "The noodles of GW1009 were quite cold"
        return await self.asked(text, said=cites, before=before)

    async def test_a_rule_that_wants_a_picture_waits_for_it(self):
        rule = await sync_to_async(self.make_picture_rule)()
        last = await self.pictured(rule)
        assert (last.action.name, last.pending) == (REPLY, None)
        last = await self.pictured(rule, pictures=[SEEN])
        assert last.pending is not None

    async def test_a_picture_that_nobody_has_made_out_goes_to_a_person(self):
        rule = await sync_to_async(self.make_picture_rule)()
        words = SEEN | {"item": None, "damage": None, "words_in_picture": "hello"}
        for seen in (
            {"pictures": [words]},
            {"pictures": [SEEN | {"advice": "A colleague has to look at it."}]},
            {"files": [{"words_in_file": "spilled soup"}]},
            {"error": "It could not be opened."},
        ):
            last = await self.pictured(rule, **seen)
            assert (last.action.name, last.action.reply) == (HANDOFF, LOOKED_AT), seen
            assert last.pending is None, seen

    def make_burnt_rule(self):
        condition, content = "The pie was burnt", "With a photo of it, burnt food is refunded."
        return make_published_unit(scene=self.scene, condition=condition, content=content)

    async def test_a_rule_grants_for_the_complaint_that_it_is_about_alone(self):
        last = await self.asked("Dinner was burnt, GW1009")
        assert (last.action.reply, last.pending) == (COLD, None)
        call = calls("refund_order", order_id="GW1009", reason="burnt")
        self.engine.will(call, says("It was burnt, you say?", CLARIFY))
        last = await self.finished(Line("customer", "Dinner was burnt, GW1009"))
        assert [step.fault for step in self.steps] == ["forbidden", ""]
        assert last.pending is None
        last = await self.asked("Dinner was burnt, refund GW1009", said=call)
        assert last.pending is not None  # which the customer asks for by its name

    async def test_other_wordings_and_words_that_mean_the_same_say_what_a_rule_is_about(self):
        other = await sync_to_async(make_published_unit)(
            scene=self.scene,
            condition="When the ice melted",
            questions=["The soup was lukewarm"],
            content="It is refunded.",
        )
        for text in (
            "The soup of GW1009 was lukewarm!",
            "Dinner GW1009 was 凉了",
            "When the ice had thawed, GW1009",
        ):
            cites = says("Blah.", knowledge=[other.pk, self.unit.pk])
            assert (await self.asked(text, said=cites)).pending is not None, text

    async def test_the_rule_said_last_about_a_complaint_binds_whatever_is_written_next(self):
        burnt = await sync_to_async(self.make_burnt_rule)()
        rule = Rule(burnt.pk, "The pie was burnt", "With a photo of it, burnt food is refunded.")
        late = Rule(self.unit.pk, "Cold food, late", "There is a voucher instead of a refund.")
        call = calls("refund_order", order_id="GW1009", reason="blame")
        for said, bound in (("GW1009: it was burnt", rule), ("GW1009: it was cold", late)):
            before = [Line("customer", said), Line("agent", bound.content, rules=(bound,))]
            for text in ("yess", "yes, do it now", "I want a refund of it"):
                last = await self.asked(text, before=before, said=call)
                assert (last.action.reply, last.pending) == (bound.content, None), (said, text)
            last = await self.asked("I want a refund of it", before=before)
            assert last.pending is None, said

    async def test_a_newer_rule_about_it_decides(self):
        late = Rule(8, "Cold food, late", "There is a voucher instead of a refund.")
        before = [Line("customer", "GW1002 was cold"), Line("agent", "Blah.", rules=(late,))]
        last = await self.asked("Dinner of GW1009 was cold too, just now!", before=before)
        assert last.pending is not None

    async def test_what_nobody_wrote_is_not_sent(self):
        call = calls("refund_order", order_id="GW1009", reason="blame")
        last = await self.asked("My noodles are cold and I want a refund of GW1009", said=call)
        assert last.pending.arguments["reason"] == "My noodles are cold "
        free = await sync_to_async(make_release)(tools=self.tools)
        last = await self.asked("It is cold, refund GW1009", said=call, release=free)
        assert last.pending.arguments["reason"] == "blame"  # which the customer is asked about

    async def test_a_deed_that_its_own_rule_denies_is_not_asked_for(self):
        late = "For cold food of yesterday we give a voucher instead of a refund."
        rule = await sync_to_async(make_published_unit)(
            scene=self.scene, condition="Cold food of yesterday", content=late
        )
        arguments = {"order_id": "GW1009", "reason": "cold"}
        call = says("Soon.", "refund_order", arguments=arguments, knowledge=[rule.pk])
        last = await self.asked("Cold food of yesterday GW1009, I want money", said=call)
        assert (last.action.name, last.action.reply, last.pending) == (REPLY, late, None)
        free = await sync_to_async(make_release)(tools=self.tools)
        last = await self.asked("Cold food of yesterday GW1009", said=call, release=free)
        assert last.pending is not None

    async def test_nor_may_a_model_ask_for_the_deed_then(self):
        unclear = {"pictures": [SEEN | {"advice": "Ask for a sharper picture."}]}
        rule = await sync_to_async(make_published_unit)(
            scene=self.scene, condition="The pie is cold", content="Refunded with a photo."
        )
        arguments = {"order_id": "GW1009", "reason": "cold"}
        call = says("One moment.", "refund_order", arguments=arguments, knowledge=[rule.pk])
        lines = [Line("tool", is_customers=True, result=unclear), Line("customer", PIE)]
        free = await sync_to_async(make_release)(tools=self.tools)
        for release, seen in ((free, lines), (self.release, lines), (self.release, lines[1:])):
            self.engine.will(call)
            last = await self.finished(*seen, release=release)
            assert last.pending is None, seen
            assert last.action.knowledge == [rule.pk], seen
        self.engine.will(call)
        last = await self.finished(lines[1], release=free)
        assert last.pending is not None  # a larger model reads the rule itself


class GrantsTests(SimpleTestCase):
    def test_what_a_rule_grants(self):
        parameters = {"properties": {"order_id": ORDER}}
        tool = Tool(name="refund_order", description="refund an order", parameters=parameters)
        for grants, text in (
            (True, "An order that never arrived is refunded in full."),
            (True, "You get your money back. No photo is needed."),
            (False, "It can't be refunded."),
            (False, "We give a $5 voucher instead of a refund."),
            (False, "It is refunded. Late reports are not refunded."),
            (False, "Please ask the shop."),
            (False, "A refund can be withdrawn within 2 hours."),
            (False, "To take your refund back, write to us."),
        ):
            assert occasions.grants(tool, Rule(1, "", text)) == grants, text
