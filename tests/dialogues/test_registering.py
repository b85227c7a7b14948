from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import TestCase

from agents.models import Tool
from dialogues.jobs.registering import register_tools
from dialogues.models import CallPlan
from tests import factories
from tests.dialogues.calls import NUMBER, make_plan


class RegisteringTests(TestCase):
    def test_sub_agents_and_plans_become_tools_once(self):
        make_plan(confirmation="Shall I call about {order_id}?")
        assert register_tools() >= 2
        assert register_tools() == 0
        tool = Tool.objects.get(name="call_merchant")
        assert (tool.kind, tool.parameters) == ("subagent", NUMBER)
        assert tool.confirmation == "Shall I call about {order_id}?"
        assert Tool.objects.filter(name="read_queue", kind="subagent").exists()
        assert not Tool.objects.filter(name="outbound_call").exists(), (
            "a model never picks a number"
        )

    def test_the_question_is_in_chinese_too(self):
        plan = make_plan(confirmation="Call?", confirmation_zh="要打电话吗？")
        register_tools()
        assert Tool.objects.get(name="call_merchant").confirmation_zh == "要打电话吗？"
        plan.confirmation = plan.confirmation_zh = ""
        plan.save()
        register_tools()
        assert Tool.objects.get(name="call_merchant").confirmation_zh == ""

    def test_a_changed_plan_changes_its_tool(self):
        plan = make_plan()
        register_tools()
        plan.description, plan.is_active = "ring the shop", False
        plan.save()
        assert register_tools() == 1
        tool = Tool.objects.get(name="call_merchant")
        assert (tool.description, tool.is_active, tool.revision) == ("ring the shop", False, 2)

    def test_a_tool_of_another_kind_keeps_its_name(self):
        factories.make_tool(name="call_merchant", description="mine")
        make_plan()
        register_tools()
        assert Tool.objects.get(name="call_merchant").description == "mine"

    def test_the_command(self):
        call_command("register_subagents", stdout=StringIO())
        assert Tool.objects.filter(kind="subagent").exists()


class PlanTests(TestCase):
    def test_a_plan_needs_a_card_that_can_lead_a_call(self):
        with pytest.raises(ValidationError, match="goal card"):
            CallPlan(
                name="x", description="x", card={"why": "?"}, addresses={"*": "link:"}
            ).full_clean()

    def test_the_schema_of_a_plan_is_written_as_agents_read_it(self):
        plan = make_plan()
        plan.parameters = {**NUMBER, "title": "Call", "$defs": {"any": True}}
        plan.clean()
        assert plan.parameters == NUMBER
        plan.parameters = {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}
        with pytest.raises(ValidationError, match="circle"):
            plan.clean()
