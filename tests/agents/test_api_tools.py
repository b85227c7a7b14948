"""REST: the tool catalogue and MCP servers."""

from django.test import TestCase

from agents import cataloguing
from agents.models import MCPServer, Tool
from tests.agents.test_cataloguing import ORDER, new_tool
from tests.agents.test_mcp import look_up, look_up_changed, reading
from tests.factories import make_scene, make_user
from tests.mcpserver import mcp_server
from tests.toolserver import business
from wowconsole.apikeys import issue_key

TOOLS = "/api/tools/"
SERVERS = "/api/mcp-servers/"
FIELDS = {
    "name": "look_up",
    "description": "find an order",
    "method": "GET",
    "url": "/demo/shop/orders/{order_id}/",
    "parameters": ORDER,
    "cost_per_call": "0.02",
}


class ApiTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.engineer = make_user("ml_engineer")
        cls.tool = cataloguing.save_tool(
            tool=new_tool(name="order", url="/demo/shop/{order_id}/"), by=cls.engineer
        )
        scopes = ["agents.read", "agents.write"]
        cls.secret = issue_key(user=cls.engineer, name="all", scopes=scopes)[1]
        cls.reader = issue_key(user=cls.engineer, name="reads", scopes=["agents.read"])[1]

    def send(self, method, url, data=None, secret=None):
        return getattr(self.client, method)(
            url,
            data,
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret or self.secret}"},
        )


class AccessTests(ApiTestCase):
    def test_nobody_without_a_key(self):
        assert self.client.get(TOOLS).status_code in {401, 403}
        assert self.client.post(TOOLS, FIELDS, "application/json").status_code in {401, 403}

    def test_reading_keys_do_not_write(self):
        assert self.send("get", TOOLS, secret=self.reader).status_code == 200
        for url in (
            TOOLS,
            SERVERS,
            TOOLS + "order/call/",
            TOOLS + "order/fixtures/",
            TOOLS + "order/approve/",
            SERVERS + "x/refresh/",
            SERVERS + "x/import/",
        ):
            assert self.send("post", url, {}, secret=self.reader).status_code == 403, url
        assert self.send("patch", TOOLS + "order/", {}, secret=self.reader).status_code == 403

    def test_tools_of_other_scenes_are_not_there(self):
        self.tool.scenes.set([make_scene()])
        assert self.send("get", TOOLS + "order/").status_code == 404
        assert self.send("post", TOOLS + "order/call/", {"arguments": {}}).status_code == 404
        assert self.send("get", TOOLS).json()["results"] == []


class ToolTests(ApiTestCase):
    def test_a_tool_is_made_and_changed(self):
        scene = make_scene()
        self.engineer.scenes.set([scene])
        made = self.send("post", TOOLS, {**FIELDS, "scenes": [scene.slug]})
        assert made.status_code == 201, made.content
        assert (made.json()["revision"], made.json()["scenes"]) == (1, [scene.slug])
        changed = self.send(
            "patch", TOOLS + "look_up/", {"personal": True, "based_on": 1, "note": "Private"}
        )
        assert (changed.json()["personal"], changed.json()["revision"]) == (True, 2)
        assert changed.json()["scenes"] == [scene.slug]
        revisions = self.send("get", TOOLS + "look_up/revisions/").json()["results"]
        assert [row["number"] for row in revisions] == [2, 1]
        assert revisions[0]["note"] == "Private"
        stale = self.send("patch", TOOLS + "look_up/", {"description": "x", "based_on": 1})
        assert (stale.status_code, stale.json()["code"]) == (409, "tool_changed")

    def test_what_is_wrong(self):
        for fields in (
            {"url": "http://169.254.169.254/{order_id}"},
            {"parameters": {"type": "string"}},
            {"parameters": []},
            {"name": "order"},
            {"name": "reply"},
            {"kind": "mcp", "url": ""},
            {"kind": "magic"},
            {"token_setting": "SECRET_KEY"},
            {"scenes": ["nothing"]},
            {"timeout_seconds": 0},
        ):
            answer = self.send("post", TOOLS, {**FIELDS, **fields})
            assert answer.status_code in {400, 422}, fields
            assert answer.json()["code"] == "invalid"
        assert Tool.objects.count() == 1

    def test_name_and_kind_stay(self):
        for fields in ({"name": "other"}, {"kind": "subagent", "url": ""}):
            assert self.send("patch", TOOLS + "order/", fields).status_code == 422

    def test_off_goes_always(self):
        Tool.objects.update(url="http://10.0.0.1/{order_id}")
        off = self.send("patch", TOOLS + "order/", {"is_active": False, "note": "Gone"})
        assert (off.status_code, off.json()["is_active"]) == (200, False)
        assert self.tool.revisions.first().note == "Gone"
        on = self.send("patch", TOOLS + "order/", {"is_active": True})
        assert (on.status_code, list(on.json()["errors"])) == (422, ["url"])

    def test_scenes_that_the_caller_does_not_see_stay(self):
        mine, other = make_scene(), make_scene()
        self.engineer.scenes.set([mine])
        self.tool.scenes.set([mine, other])
        left = self.send("patch", TOOLS + "order/", {"scenes": [mine.slug]})
        assert left.status_code == 200
        assert set(self.tool.scenes.all()) == {mine, other}
        self.tool.scenes.set([mine])
        assert self.send("patch", TOOLS + "order/", {"scenes": []}).status_code == 422
        assert list(self.tool.scenes.all()) == [mine]

    def test_the_list_costs_the_same_for_more(self):
        self.send("get", TOOLS)
        with self.assertNumQueries(4):  # key, roles, tools, scenes
            self.send("get", TOOLS)
        for number in range(3):
            cataloguing.save_tool(tool=new_tool(name=f"t{number}"), by=self.engineer)
        with self.assertNumQueries(4):
            assert len(self.send("get", TOOLS).json()["results"]) == 4


class CallTests(ApiTestCase):
    def setUp(self):
        self.shop = self.enterContext(business())
        self.enterContext(self.settings(PUBLIC_URL=self.shop.url))

    def test_a_call_and_its_fixture(self):
        call = self.send("post", TOOLS + "order/call/", {"arguments": {"order_id": "GW1001"}})
        assert call.status_code == 201
        assert call.json()["result"] == {"status": "on the way"}
        fixtures = TOOLS + "order/fixtures/"
        assert self.send("post", fixtures, {"call": call.json()["id"]}).status_code == 201
        by_hand = {"arguments": {"order_id": "GW1002"}, "result": {"status": "lost"}}
        assert self.send("post", fixtures, by_hand).status_code == 201
        listed = self.send("get", fixtures).json()["results"]
        assert [row["result"]["status"] for row in listed] == ["lost", "on the way"]
        for bad in ({}, {"arguments": {}}, {**by_hand, "call": call.json()["id"]}):
            assert self.send("post", fixtures, bad).status_code == 400
        gone = {"call": "00000000-0000-4000-8000-000000000000"}
        assert self.send("post", fixtures, gone).status_code == 404

    def test_what_can_not_be_undone(self):
        Tool.objects.update(confirmation="Sure?")
        asked = {"arguments": {"order_id": "GW1001"}}
        refused = self.send("post", TOOLS + "order/call/", asked)
        assert (refused.status_code, refused.json()["code"]) == (409, "not_confirmed")
        assert self.shop.requests == []
        assert self.send("post", TOOLS + "order/call/", {**asked, "sure": True}).status_code == 201


class ServerTests(ApiTestCase):
    def test_from_the_address_to_an_approved_change(self):
        address, remote = self.enterContext(mcp_server(reading(look_up)))
        self.enterContext(self.settings(TOOL_HOSTS=["127.0.0.1"]))
        made = self.send("post", SERVERS, {"name": "shop", "url": address})
        assert made.status_code == 201, made.content
        listed = self.send("post", SERVERS + "shop/refresh/").json()
        assert [offer["name"] for offer in listed["listing"]] == ["look_up"]
        take = {"tools": ["look_up"], "personal": False}
        [tool] = self.send("post", SERVERS + "shop/import/", take).json()
        assert (tool["kind"], tool["server"], tool["personal"]) == ("mcp", "shop", False)
        assert self.send("post", SERVERS + "shop/import/", {"tools": ["x"]}).status_code == 409

        fixed = self.send("patch", TOOLS + "look_up/", {"parameters": ORDER})
        assert fixed.status_code == 422
        asks = {"confirmation": "Look {order_id} up?"}
        assert self.send("patch", TOOLS + "look_up/", asks).json()["revision"] == 2

        remote.remove_tool("look_up")
        function, extra = reading(look_up_changed, name="look_up")
        remote.add_tool(function, **extra)
        self.send("post", SERVERS + "shop/refresh/")
        assert self.send("get", TOOLS + "look_up/").json()["held_at"]
        offer = self.send("get", TOOLS + "look_up/offer/").json()
        assert "evil" in offer["offered"]["description"]
        assert "evil" not in offer["approved"]["description"]
        approve = TOOLS + "look_up/approve/"
        assert self.send("post", approve, {"shown": "x"}).status_code == 409
        approved = self.send("post", approve, {"shown": offer["offer_id"]}).json()
        assert (approved["held_at"], approved["revision"]) == (None, 3)

    def test_a_server_is_changed_and_switched(self):
        self.send("post", SERVERS, {"name": "shop", "url": "https://mcp.example/"})
        shop = SERVERS + "shop/"
        assert self.send("patch", shop, {"timeout_seconds": 7}).json()["timeout_seconds"] == 7
        for fields in ({"url": "http://10.0.0.1/"}, {"name": "other"}):
            assert self.send("patch", shop, fields).status_code == 422, fields
        assert self.send("patch", shop, {}, secret=self.reader).status_code == 403
        MCPServer.objects.update(url="http://10.0.0.1/")
        off = self.send("patch", shop, {"is_active": False})
        assert (off.status_code, off.json()["is_active"]) == (200, False)
        assert self.send("patch", shop, {"is_active": True}).status_code == 422

    def test_what_is_wrong(self):
        for fields in (
            {"url": "http://127.0.0.1/mcp"},
            {"token_setting": "SECRET_KEY"},
            {"name": "new"},
            {"timeout_seconds": 0},
        ):
            answer = self.send(
                "post", SERVERS, {"name": "shop", "url": "https://mcp.example/", **fields}
            )
            assert answer.status_code == 422, fields
        assert not MCPServer.objects.exists()
