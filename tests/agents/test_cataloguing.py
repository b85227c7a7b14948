"""The catalogue: checked, its history kept, releases unchanged, calls recorded."""

from unittest import mock

from asgiref.sync import async_to_sync
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import TestCase

from agents import cataloguing, services
from agents.calling import call_tool
from agents.models import Tool, ToolFixture, ToolKind, ToolRevision, released
from tests.factories import make_release, make_scene, make_tool, make_user, make_version
from tests.toolserver import business

ORDER = {
    "type": "object",
    "properties": {"order_id": {"type": "string", "pattern": "^GW[0-9]{4}$"}},
    "required": ["order_id"],
}


def circular(reference):
    properties = {"order_id": {"$ref": reference}}
    return {"type": "object", "properties": properties, "required": ["order_id"]}


def new_tool(**fields):
    return Tool(
        **{
            "name": "look_up",
            "description": "find an order",
            "method": "GET",
            "url": "/demo/shop/orders/{order_id}/",
            "parameters": ORDER,
            **fields,
        }
    )


class SaveTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.by = make_user("ml_engineer")

    def save(self, tool=None, **fields):
        return cataloguing.save_tool(tool=tool or new_tool(), by=self.by, **fields)

    def test_each_change_is_a_revision(self):
        scene = make_scene()
        tool = self.save(scenes=[scene], note="First")
        assert tool.revision == 1
        tool.description = "find one"
        self.save(tool, note="Shorter", based_on=1)
        assert tool.revision == 2
        newest, first = tool.revisions.all()
        assert (first.data["description"], first.note, first.by) == (
            "find an order",
            "First",
            self.by,
        )
        assert newest.data["description"] == "find one"
        assert newest.data["scenes"] == [scene.slug]

    def test_a_save_without_a_change_is_none(self):
        tool = self.save()
        assert self.save(tool).revision == 1
        tool.scenes.set([make_scene()])
        assert self.save(tool).revision == 2

    def test_two_people_at_once(self):
        tool = self.save()
        other = Tool.objects.get(pk=tool.pk)
        other.description = "theirs"
        self.save(other, based_on=1)
        with self.assertRaises(cataloguing.ToolChanged):
            self.save(tool, based_on=1)

    def test_name_and_kind_never_change(self):
        tool = self.save()
        for fields in ({"name": "other"}, {"kind": ToolKind.SUBAGENT, "url": ""}):
            changed = Tool.objects.get(pk=tool.pk)
            for name, value in fields.items():
                setattr(changed, name, value)
            with self.assertRaises(ValidationError):
                self.save(changed)

    def test_what_is_wrong_is_said_by_field(self):
        for field, fields in (
            ("name", {"name": "reply"}),
            ("name", {"name": "servers"}),
            ("url", {"url": "http://127.0.0.1/{order_id}"}),
            ("url", {"url": "/metrics/{order_id}"}),
            ("url", {"url": "https://shop.example/{number}/{order_id}"}),
            ("url", {"url": "https://shop.example/orders/"}),
            ("url", {"url": "https://shop.example/{order_id}", "parameters": {"type": "object"}}),
            ("url", {"url": ""}),
            ("url", {"kind": ToolKind.SUBAGENT}),
            ("parameters", {"parameters": {"type": "string"}}),
            ("parameters", {"parameters": []}),
            ("parameters", {"parameters": circular("#/properties/order_id")}),
            ("parameters", {"parameters": circular("#/$defs/nowhere")}),
            ("token_setting", {"token_setting": "SECRET_KEY"}),
            ("confirmation", {"confirmation": "Cancel {number}?"}),
            ("timeout_seconds", {"timeout_seconds": 0}),
            ("timeout_seconds", {"timeout_seconds": 61}),
            ("largest_answer", {"largest_answer": 10_000_000}),
        ):
            with self.assertRaises(ValidationError) as caught:
                self.save(new_tool(**fields))
            assert field in caught.exception.message_dict, fields
        assert not Tool.objects.exists()

    def test_references_are_written_out_and_true_is_an_object(self):
        parameters = {
            "type": "object",
            "properties": {"order_id": {"$ref": "#/$defs/k"}, "note": True},
            "required": ["order_id"],
            "$defs": {"k": ORDER["properties"]["order_id"]},
        }
        tool = self.save(new_tool(method="POST", parameters=parameters))
        tool.refresh_from_db()
        properties = {**ORDER["properties"], "note": {}}
        assert tool.parameters == {**ORDER, "properties": properties}
        assert tool.revisions.get().data["parameters"] == tool.parameters

    def test_an_argument_in_the_path_must_be_required(self):
        loose = {"type": "object", "properties": {"order_id": {"type": "string"}}}
        with self.assertRaises(ValidationError):
            self.save(new_tool(parameters=loose))
        self.save(new_tool(parameters=loose, url="https://shop.example/?o={order_id}"))

    def test_switching(self):
        tool = self.save()
        tool = cataloguing.switch_tool(tool=tool, on=False, by=self.by)
        assert not tool.is_active
        assert tool.revisions.first().note == "Switched off"

    def test_what_leads_where_it_may_not_go_any_more(self):
        with self.settings(TOOL_HOSTS=["erp.internal"]):
            tool = self.save(new_tool(url="http://erp.internal/{order_id}"))
        tool.description = "find one"
        self.save(tool)
        assert not cataloguing.switch_tool(tool=tool, on=False, by=self.by).is_active
        with self.assertRaises(ValidationError) as caught:
            cataloguing.switch_tool(tool=tool, on=True, by=self.by)
        assert list(caught.exception.message_dict) == ["url"]
        tool.refresh_from_db()
        tool.url = "http://erp.internal/other/{order_id}"
        with self.assertRaises(ValidationError):
            self.save(tool)

    def test_a_broken_tool_is_switched_off_too(self):
        tool = self.save()
        Tool.objects.update(parameters=circular("#/properties/order_id"))
        assert not cataloguing.switch_tool(tool=tool, on=False, by=self.by, note="Bad").is_active
        assert tool.revisions.first().note == "Bad"
        with self.assertRaises(cataloguing.ToolChanged):
            cataloguing.switch_tool(tool=tool, on=False, by=self.by, based_on=1)

    def test_a_token_is_saved_for_its_own_hosts_only(self):
        elsewhere = "https://shop.example/{order_id}"
        for token in ("TOOL_X", "DEMO_SHOP_TOKEN"):
            with (
                mock.patch.dict("os.environ", {"TOOL_X_HOSTS": "erp.example"}),
                self.assertRaises(ValidationError) as caught,
            ):
                self.save(new_tool(url=elsewhere, token_setting=token))
            assert list(caught.exception.message_dict) == ["token_setting"]
        self.save(new_tool(url=elsewhere, token_setting="TOOL_X"))

    def test_scenes_that_somebody_does_not_see_stay(self):
        mine, other = make_scene(), make_scene()
        self.by.scenes.set([mine])
        tool = self.save(scenes=[mine])
        tool.scenes.set([mine, other])
        self.save(tool, scenes=[])
        assert list(tool.scenes.all()) == [other]

    def test_who_is_limited_puts_no_tool_into_every_scene_nor_out_of_them(self):
        mine = make_scene()
        self.by.scenes.set([mine])
        tool = self.save(scenes=[mine])
        with self.assertRaises(ValidationError):
            self.save(tool, scenes=[])
        assert list(tool.scenes.all()) == [mine]
        cataloguing.save_tool(tool=tool, scenes=[], by=make_user("admin"))
        with self.assertRaises(ValidationError):
            self.save(tool, scenes=[mine])
        self.save(tool, scenes=[])

    def test_constraints(self):
        for name, fields in (
            ("tool_kind_known", {"kind": "magic", "url": ""}),
            ("tool_url_when_http", {"url": ""}),
            ("tool_cost_not_negative", {"cost_per_call": -1}),
            ("tool_server_when_mcp", {"kind": ToolKind.MCP, "url": ""}),
        ):
            with self.assertRaisesMessage(IntegrityError, name), transaction.atomic():
                make_tool(**fields)

    def test_history_never_changes(self):
        revision = self.save().revisions.get()
        with self.assertRaisesMessage(IntegrityError, "never change"), transaction.atomic():
            ToolRevision.objects.filter(pk=revision.pk).update(note="x")


class ReleaseTests(TestCase):
    """A release keeps its tools as they were; switches and limits act at once."""

    @classmethod
    def setUpTestData(cls):
        cls.by = make_user("ml_engineer")
        cls.tool = cataloguing.save_tool(tool=new_tool(), by=cls.by)
        cls.release = services.make_release(by=cls.by, name="one", version=make_version())

    def change(self, **fields):
        for name, value in fields.items():
            setattr(self.tool, name, value)
        cataloguing.save_tool(tool=self.tool, by=self.by)

    def test_what_the_model_is_shown_stays(self):
        assert self.release.tool_revisions == {"look_up": 1}
        wider = {**ORDER, "properties": {"order_id": {"type": "string"}}}
        self.change(description="other", parameters=wider, url="https://x.example/{order_id}")
        kept = released(self.release, None)["look_up"]
        assert (kept.description, kept.parameters) == ("find an order", ORDER)
        assert kept.url == "/demo/shop/orders/{order_id}/"
        newer = services.make_release(by=self.by, name="two", version=self.release.version)
        assert released(newer, None)["look_up"].description == "other"

    def test_tools_of_other_scenes_are_not_released(self):
        self.tool.scenes.set([make_scene()])
        fields = {"by": self.by, "version": self.release.version}
        with self.assertRaises(services.UnknownTools):
            services.make_release(name="two", tools=["look_up"], **fields)
        assert services.make_release(name="two", **fields).tools == []
        seeing = {**fields, "by": make_user("admin")}
        assert services.make_release(name="three", **seeing).tools == ["look_up"]

    def test_safety_acts_at_once(self):
        self.change(confirmation="Really {order_id}?", personal=True, timeout_seconds=2)
        kept = released(self.release, None)["look_up"]
        assert (kept.confirmation, kept.personal) == ("Really {order_id}?", True)
        self.change(is_active=False)
        assert released(self.release, None) == {}

    def test_a_tool_without_history_is_as_it_is(self):
        bare = make_tool()
        release = make_release(tools=[bare.name])
        assert list(released(release, None)) == [bare.name]

    def test_an_unchanged_release_costs_one_query(self):
        with self.assertNumQueries(1):
            released(self.release, None)


class TryTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.by = make_user("ml_engineer")

    def setUp(self):
        self.shop = self.enterContext(business())
        self.enterContext(self.settings(PUBLIC_URL=self.shop.url, DEMO_SHOP_TOKEN="hidden"))

    def tool(self, **fields):
        tool = new_tool(url="/demo/shop/{order_id}/", token_setting="DEMO_SHOP_TOKEN", **fields)
        return cataloguing.save_tool(tool=tool, by=self.by)

    def test_a_call_is_kept_without_its_token(self):
        tool = self.tool()
        call = cataloguing.try_tool(tool=tool, arguments={"order_id": "GW1001"}, by=self.by)
        assert call.result == {"status": "on the way"}
        assert call.request["arguments"] == {"order_id": "GW1001"}
        assert "hidden" not in str(call.request)
        assert self.shop.requests[0][3] == "Bearer hidden"
        with self.assertRaisesMessage(IntegrityError, "never change"), transaction.atomic():
            tool.test_calls.update(milliseconds=0)

    def test_the_address_as_it_was_asked_and_the_status_are_kept(self):
        self.shop.status, self.shop.answer = 404, b'{"error": "order not found"}'
        call = cataloguing.try_tool(tool=self.tool(), arguments={"order_id": "GW1001"}, by=self.by)
        assert call.request["to"] == f"{self.shop.url}/demo/shop/GW1001/"
        assert (call.result, call.status) == ({"error": "order not found"}, 404)

    def test_arguments_that_fit_into_no_address(self):
        loose = {"type": "object", "properties": {"order_id": {}}, "required": ["order_id"]}
        tool = self.tool(parameters=loose)
        call = cataloguing.try_tool(tool=tool, arguments={"order_id": ".."}, by=self.by)
        assert call.request["to"] == "/demo/shop/{order_id}/"
        assert (list(call.result), call.status) == (["error"], None)

    def test_what_can_not_be_undone_wants_a_word(self):
        tool = self.tool(method="POST", confirmation="Cancel {order_id}?")
        arguments = {"order_id": "GW1001"}
        with self.assertRaises(cataloguing.NotConfirmed):
            cataloguing.try_tool(tool=tool, arguments=arguments, by=self.by)
        assert self.shop.requests == []
        cataloguing.try_tool(tool=tool, arguments=arguments, by=self.by, sure=True)
        assert len(self.shop.requests) == 1

    def test_personal_data_is_for_identified_customers(self):
        tool = self.tool(personal=True)
        answered = async_to_sync(call_tool)(tool, {"order_id": "GW1001"}, key="k")
        assert answered.data == {"error": "the customer is not identified"}
        assert self.shop.requests == []
        call = cataloguing.try_tool(tool=tool, arguments={"order_id": "GW1001"}, by=self.by)
        assert call.result == {"status": "on the way"}


class FixtureTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.by = make_user("ml_engineer")
        cls.tool = cataloguing.save_tool(tool=new_tool(uses_fixtures=True), by=cls.by)

    def write(self, result, **arguments):
        return cataloguing.write_fixture(
            tool=self.tool, arguments=arguments, result=result, by=self.by
        )

    def call(self, **arguments):
        return async_to_sync(call_tool)(self.tool, arguments, key="k").data

    def test_exactly_these_arguments(self):
        self.write({"status": "here"}, order_id="GW1001")
        assert self.call(order_id="GW1001") == {"status": "here"}
        assert "no fixture" in self.call(order_id="GW1002")["error"]
        assert "wrong arguments" in self.call()["error"]

    def test_the_newest_answer_counts(self):
        self.write({"status": "here"}, order_id="GW1001")
        self.write({"status": "there"}, order_id="GW1001")
        assert self.call(order_id="GW1001") == {"status": "there"}
        assert ToolFixture.objects.count() == 1

    def test_a_call_becomes_one(self):
        self.write({"status": "here"}, order_id="GW1001")
        arguments = {"order_id": "GW1001"}
        call = cataloguing.try_tool(tool=self.tool, arguments=arguments, by=self.by)
        fixture = cataloguing.record_fixture(call=call, by=self.by)
        assert (fixture.call, fixture.result) == (call, {"status": "here"})

    def test_too_large_ones(self):
        with self.assertRaises(ValidationError):
            self.write({"x": "y" * 70_000}, order_id="GW1001")

    def test_one_answer_for_the_same_arguments(self):
        fixture = self.write({}, order_id="GW1001")
        with self.assertRaisesMessage(IntegrityError, "fixture_per"), transaction.atomic():
            fixture.pk = fixture.public_id = None
            ToolFixture.objects.create(
                tool=self.tool,
                arguments={},
                digest=fixture.digest,
                result={},
                created_by=self.by,
            )


class SubagentTests(TestCase):
    def test_the_job_is_started_by_whoever_can(self):
        tool = new_tool(kind=ToolKind.SUBAGENT, url="", method="POST")
        tool = cataloguing.save_tool(tool=tool, by=None)

        async def delegate(name, arguments, key):
            return {"job": "j", "asked": [name, arguments, key]}

        arguments = {"order_id": "GW1001"}
        answered = async_to_sync(call_tool)(tool, arguments, key="k", delegate=delegate)
        assert answered.data["asked"] == ["look_up", arguments, "k"]
        assert "error" in async_to_sync(call_tool)(tool, arguments, key="k").data
        answered = async_to_sync(call_tool)(tool, {}, key="k", delegate=delegate)
        assert "wrong arguments" in answered.data["error"]
