"""Plans of calls: written by administrators, seen as they are spoken, tried on nobody real."""

from django.test import TestCase, override_settings

from agents.models import Tool
from dialogues import arranging
from dialogues.jobs import planning, trying
from dialogues.models import CallPlan
from tests.dialogues.calls import make_job, make_plan
from tests.factories import make_release, make_scene, make_tool, make_user

LIST = "/channels/plans/"
NEW = "/channels/new-plan/"
PREVIEW = "/channels/plan-preview/"


def fields(**changed):
    return {
        "name": "call_shop",
        "description": "call the shop",
        "confirmation": "Shall I call about {order_id}?",
        "whom": "{shop}",
        "why": "order {order_id} is late",
        "for_whom": "",
        "language": "en",
        "look_up": "",
        "most_exchanges": "10",
        "refusals": "2",
        "silences": "3",
        "parameters": '{"type": "object", "properties": {"order_id": {"type": "string"}}}',
        "is_active": "on",
        "based_on": "0",
        "facts-TOTAL_FORMS": "3",
        "facts-INITIAL_FORMS": "0",
        "facts-0-name": "ready_in",
        "facts-0-question": "In how many minutes will it be ready?",
        "facts-0-kind": "duration",
        "facts-0-required": "on",
        "facts-1-name": "why_late",
        "facts-1-question": "Why is it late?",
        "facts-1-kind": "choice",
        "facts-1-choices": "the kitchen, the courier",
        "facts-2-kind": "yes_no",
        "facts-2-required": "on",
        "offers-TOTAL_FORMS": "1",
        "offers-INITIAL_FORMS": "0",
        "offers-0-name": "wait",
        "offers-0-words": "The courier can come later.",
        "callees-TOTAL_FORMS": "2",
        "callees-INITIAL_FORMS": "1",
        "callees-0-whom": "*",
        "callees-0-address": "link:",
        "callees-1-whom": "Golden Wok",
        "callees-1-address": "simulated:terse?seed=3",
        **changed,
    }


def edited(**changed):
    """What the form of a plan sends that `fields` made."""
    counts = {"facts-INITIAL_FORMS": "2", "offers-INITIAL_FORMS": "1", "callees-INITIAL_FORMS": "2"}
    return fields(**counts, **{"based_on": "1", **changed})


class PlanCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.ana = make_user("operator", [cls.scene])
        cls.admin = make_user("admin", username="ada")

    def setUp(self):
        self.client.force_login(self.admin)


class ListTests(PlanCase):
    def test_plans_and_their_calls_in_few_queries(self):
        for number in range(3):
            make_plan(name=f"plan_{number}")
        make_job(name="plan_1")
        make_job(name="plan_1", key="key-2", order_id="GW1002")
        with self.assertNumQueries(4):
            page = self.client.get(LIST)
        self.assertContains(page, "plan_2")
        assert [plan.calls for plan in page.context["plans"]] == [0, 2, 0]
        self.client.force_login(self.ana)  # the calls of her scenes only
        assert [plan.calls for plan in self.client.get(LIST).context["plans"]] == [0, 0, 0]

    def test_it_says_what_to_do_where_there_is_none(self):
        self.assertContains(self.client.get(LIST), NEW)
        self.client.force_login(self.ana)
        page = self.client.get(LIST)
        self.assertContains(page, "Administrators write them")
        self.assertNotContains(page, NEW)

    def test_who_may_not(self):
        url = make_plan().get_absolute_url()
        self.client.force_login(self.ana)
        assert self.client.get(url).status_code == 200
        for address in (NEW, f"{url}edit/"):
            assert self.client.get(address).status_code == 403
        assert self.client.post(PREVIEW, fields()).status_code == 403
        self.client.force_login(make_user("reviewer"))
        assert self.client.post(f"{url}try/").status_code == 403
        assert self.client.get(f"{url}try/").status_code == 405
        self.client.logout()
        assert self.client.get(LIST).status_code == 302


class EditTests(PlanCase):
    def test_a_plan_is_written_with_its_tool(self):
        answer = self.client.post(NEW, fields())
        plan = CallPlan.objects.get(name="call_shop")
        self.assertRedirects(answer, plan.get_absolute_url())
        assert plan.card["facts"][1]["choices"] == ["the kitchen", "the courier"]
        assert [fact["required"] for fact in plan.card["facts"]] == [True, False]
        assert plan.card["stop"] == {"refusals": 2, "silences": 3}
        assert plan.addresses == {"*": "link:", "Golden Wok": "simulated:terse?seed=3"}
        tool = Tool.objects.get(name="call_shop")
        assert (tool.kind, tool.confirmation) == ("subagent", "Shall I call about {order_id}?")
        assert tool.confirmation_zh == ""

    def test_the_question_has_a_chinese_wording(self):
        for confirmation, in_chinese, fault in (
            ("", "要打电话吗？", "fill that in first"),
            ("Call?", "要就 {order} 打电话吗？", "not known above: order"),
        ):
            sent = fields(confirmation=confirmation, confirmation_zh=in_chinese)
            answer = self.client.post(NEW, sent)
            self.assertContains(answer, fault, status_code=422)
        assert not CallPlan.objects.exists()
        self.client.post(NEW, fields(confirmation_zh="要就 {order_id} 打电话吗？"))
        assert Tool.objects.get(name="call_shop").confirmation_zh == "要就 {order_id} 打电话吗？"
        self.assertContains(self.client.get(f"{LIST}call_shop/"), "要就 {order_id} 打电话吗？")

    def test_the_form_shows_what_it_saved(self):
        self.client.post(NEW, fields())
        form = self.client.get(f"{LIST}call_shop/edit/")
        self.assertContains(form, 'value="the kitchen, the courier"')
        self.assertContains(form, 'value="simulated:terse?seed=3"')
        plan = CallPlan.objects.get()
        before = arranging.snapshot(plan)
        shown = form.context["forms"]
        assert shown.facts[0]["question"].value() == "In how many minutes will it be ready?"
        self.assertRedirects(
            self.client.post(f"{LIST}call_shop/edit/", edited()), f"{LIST}call_shop/"
        )
        plan.refresh_from_db()
        assert arranging.snapshot(plan) == before
        assert arranging.revision_of(plan) == 1

    def test_what_no_call_could_be_led_by_is_refused(self):
        make_tool(name="taken")
        for wrong in (
            {"name": "taken"},
            {"name": "read_queue"},  # a sub-agent
            {"name": "call shop"},
            {"whom": ""},
            {"why": "x" * 301},
            {"parameters": "{"},
            {"parameters": '{"type": "array"}'},
            {
                "facts-0-question": "",
                "facts-0-name": "",
                "facts-1-question": "",
                "facts-1-name": "",
            },
            {"facts-0-name": "Ready In"},
            {"facts-1-choices": "the kitchen"},
            {"offers-0-name": ""},
            {"callees-0-address": "pigeon:7"},
            {"callees-0-address": "simulated:sleepy"},
            {"most_exchanges": "1"},
            {"look_up": "nothing_there"},
        ):
            assert self.client.post(NEW, fields(**wrong)).status_code == 422, wrong
        assert not CallPlan.objects.exists()

    def test_switched_off_its_tool_is_too(self):
        self.client.post(NEW, fields())
        self.client.post(f"{LIST}call_shop/edit/", edited(is_active=""))
        assert not Tool.objects.get(name="call_shop").is_active

    def test_who_saves_second_sees_the_first_ones_change(self):
        self.client.post(NEW, fields())
        form = f"{LIST}call_shop/edit/"
        self.client.force_login(make_user("admin", username="berta"))
        self.client.post(form, edited(why="order {order_id} is cold"))
        self.client.force_login(self.admin)
        page = self.client.post(form, edited(description="ring the shop"))
        self.assertContains(page, "What berta changed", status_code=409)
        self.assertContains(page, 'value="ring the shop"', status_code=409)
        assert CallPlan.objects.get().card["why"] == "order {order_id} is cold"
        assert self.client.post(form, edited(based_on="2")).status_code == 302


class PreviewTests(PlanCase):
    def test_it_shows_card_and_script_as_they_are_typed(self):
        part = self.client.post(PREVIEW, fields(why="the soup of {order_id} is missing"))
        self.assertNotContains(part, "<html")
        self.assertContains(part, "I am calling because the soup of [order_id] is missing.")
        self.assertContains(part, "In how many minutes will it be ready?")
        self.assertContains(part, "The courier can come later. Would that help?")
        self.assertContains(part, "You make a telephone call for")  # what the model is told
        self.assertContains(part, "Nothing fills it")  # {shop}: nothing is looked up
        assert not CallPlan.objects.exists()

    def test_unfinished_forms_say_so(self):
        self.assertContains(self.client.post(PREVIEW, {}), "Fill in what is needed")
        none = {f"facts-{row}-{name}": "" for row in range(2) for name in ("name", "question")}
        self.assertContains(self.client.post(PREVIEW, fields(**none)), "not usable")

    def test_the_button_previews_without_scripts(self):
        page = self.client.post(NEW, fields(preview="true"))
        self.assertContains(page, "<html")
        self.assertContains(page, "Reads back")
        assert not CallPlan.objects.exists()

    def test_a_plan_in_chinese(self):
        plan = make_plan()
        plan.card = {**plan.card, "language": "zh"}
        assert "自动语音助手" in planning.preview(plan).script[0].words

    def test_its_page_says_who_uses_it_in_few_queries(self):
        plan = make_plan(addresses={"Golden Wok": "simulated:terse", "Fax": "fax:1"}, look_up="")
        planning.registering.register_tools()
        make_release(tools=["call_merchant"], name="autumn")
        for number in range(3):
            make_job(key=f"key-{number}", order_id=f"GW100{number}")
            with self.captureOnCommitCallbacks():
                trying.try_plan(
                    plan, by=self.admin, temper="terse", seed=number, values={"order_id": "1"}
                )
        with self.assertNumQueries(10):
            page = self.client.get(plan.get_absolute_url())
        self.assertContains(page, "autumn")
        self.assertContains(page, "There is no line for fax: here.")
        self.assertContains(page, "Whoever else")


class CalleeTests(PlanCase):
    def obstacles(self, **addresses):
        return {
            callee.whom: callee.obstacle
            for callee in planning.callees_of(make_plan(addresses=addresses))
        }

    @override_settings(SIP_TRUNK="sip.example", SIP_ALLOW=["+44"])
    def test_whom_the_telephone_may_not_reach_is_told(self):
        told = self.obstacles(
            a="tel:+442012345678", b="tel:+332012345678", c="tel:{phone}", d="tel:112"
        )
        assert told["*"] == ""
        assert "SIP_ALLOW" not in told["a"] + told["c"]
        assert "SIP_ALLOW" in told["b"]
        assert "no telephone number" in told["d"]

    def test_without_a_telephone_nobody_is_rung(self):
        assert self.obstacles(a="tel:+442012345678")["a"]
