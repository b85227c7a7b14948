"""Pages of the tool catalogue and of MCP servers."""

from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents import cataloguing, importing, listing
from agents.models import MCPServer, Tool
from tests.agents.test_cataloguing import new_tool
from tests.agents.test_mcp import look_up, look_up_changed, reading
from tests.factories import make_release, make_scene, make_tool, make_user
from tests.mcpserver import mcp_server
from tests.toolserver import business

LIST = "/agents/tools/"
NEW = "/agents/tools/new/"
SERVERS = "/agents/tools/servers/"
NEW_SERVER = "/agents/tools/servers/new/"
WRITERS = ("ml_engineer", "approver", "admin")
READERS = ("operator", "reviewer", "auditor")
FIELDS = {
    "kind": "http",
    "name": "look_up",
    "description": "find an order",
    "method": "GET",
    "url": "/demo/shop/orders/{order_id}/",
    "parameters": '{"type": "object", "properties": {"order_id": {"type": "string"}}, '
    '"required": ["order_id"]}',
    "token_setting": "DEMO_SHOP_TOKEN",
    "confirmation": "",
    "timeout_seconds": "5",
    "largest_answer": "16384",
    "cost_per_call": "0.01",
    "is_active": "on",
}


class PageTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.engineer = make_user("ml_engineer")
        cls.tool = cataloguing.save_tool(
            tool=new_tool(name="look_up_order", url="/demo/shop/{order_id}/"), by=cls.engineer
        )
        cls.url = cls.tool.get_absolute_url()

    def setUp(self):
        self.client.force_login(self.engineer)

    def queries(self, url):
        with CaptureQueriesContext(connection) as captured:
            assert self.client.get(url).status_code == 200
        return len(captured)


class AccessTests(PageTestCase):
    def setUp(self):
        super().setUp()
        self.call = cataloguing.try_tool(
            tool=self.tool, arguments={"order_id": "x"}, by=self.engineer
        )
        self.fixture = cataloguing.record_fixture(call=self.call, by=self.engineer)
        self.server = importing.save_server(
            server=MCPServer(name="shop", url="https://mcp.example/"), by=self.engineer
        )
        self.reading = [LIST, SERVERS, self.url, self.server.get_absolute_url()]
        self.reading.append(reverse("agents:tool-revision", args=[self.tool.name, 1]))
        edits = ["tool-edit", "tool-switch", "tool-try", "tool-approve", "fixture-write"]
        self.writing = [NEW, NEW_SERVER]
        self.writing += [reverse(f"agents:{name}", args=[self.tool.name]) for name in edits]
        self.writing += [
            reverse(f"agents:{name}", args=["shop"])
            for name in ("server-edit", "server-switch", "server-refresh", "server-import")
        ]
        self.writing.append(
            reverse("agents:fixture-record", args=[self.tool.name, self.call.public_id])
        )
        self.writing.append(
            reverse("agents:fixture-forget", args=[self.tool.name, self.fixture.public_id])
        )

    def test_strangers_are_sent_to_sign_in(self):
        self.client.logout()
        for method, urls in (("get", self.reading), ("post", self.writing)):
            for url in urls:
                answer = getattr(self.client, method)(url)
                assert answer.status_code == 302, url
                assert answer["Location"].startswith(reverse("account_login"))

    def test_every_role_reads(self):
        for role in (*WRITERS, *READERS):
            self.client.force_login(make_user(role))
            for url in self.reading:
                assert self.client.get(url).status_code == 200, (role, url)

    def test_readers_do_not_write(self):
        for role in (*READERS, None):
            self.client.force_login(make_user(role))
            for url in self.writing:
                assert self.client.post(url).status_code == 403, (role, url)

    def test_wrong_methods(self):
        for url in self.reading:
            assert self.client.post(url).status_code == 405, url
        for url in self.writing:
            if url not in {NEW, NEW_SERVER} and not url.endswith("edit/"):
                assert self.client.get(url).status_code == 405, url

    def test_tools_of_other_scenes_are_not_there(self):
        self.tool.scenes.set([make_scene()])
        self.assertNotContains(self.client.get(LIST), "look_up_order")
        assert self.client.get(self.url).status_code == 404
        assert self.client.post(self.url + "switch/").status_code == 404

    def test_what_is_not_there(self):
        for url in ("/agents/tools/nothing/", SERVERS + "nothing/", self.url + "revisions/9/"):
            assert self.client.get(url).status_code == 404, url


class ListTests(PageTestCase):
    def test_tools_and_their_states(self):
        make_tool(name="off_tool", is_active=False)
        make_tool(name="fixed_tool", uses_fixtures=True, confirmation="Sure?", personal=True)
        answer = self.client.get(LIST)
        for words in ("look_up_order", "Off", "Fixtures", "Asks first", "Identified only"):
            self.assertContains(answer, words)

    def test_words(self):
        make_tool(name="other")
        answer = self.client.get(LIST, {"q": "LOOK"})
        self.assertContains(answer, "look_up_order")
        self.assertNotContains(answer, "other</a>")
        self.assertContains(self.client.get(LIST, {"q": "\0nothing"}), "No tool matches")

    def test_an_empty_catalogue_says_what_to_do(self):
        Tool.objects.update(is_active=False)
        self.client.force_login(make_user("auditor"))
        assert self.client.get(LIST).status_code == 200

    def test_the_number_of_queries_does_not_grow(self):
        self.client.get(LIST)
        make_tool().scenes.set([make_scene()])
        few = self.queries(LIST)
        for _ in range(3):
            make_tool()
        assert self.queries(LIST) == few


class OccasionTests(PageTestCase):
    def shown(self, **fields):
        Tool.objects.filter(pk=self.tool.pk).update(**fields)
        return self.client.get(self.url)

    def test_the_words_by_which_it_is_called_or_offered_are_shown(self):
        self.assertNotContains(self.shown(), "somebody speaks of")
        page = self.shown(occasions="where is my order, status of")
        self.assertContains(page, "Called when</dt><dd>somebody speaks of where is my order, ")
        self.assertContains(self.shown(confirmation="Sure?"), "Offered when</dt>")


class EditTests(PageTestCase):
    def test_a_tool_is_made(self):
        answer = self.client.post(NEW, FIELDS)
        self.assertRedirects(answer, "/agents/tools/look_up/")
        tool = Tool.objects.get(name="look_up")
        assert (tool.revision, str(tool.cost_per_call)) == (1, "0.010000")

    def test_what_is_wrong_is_shown(self):
        for fields in (
            {"name": "reply"},
            {"name": "look_up_order"},
            {"name": "a b"},
            {"kind": "mcp"},
            {"url": "http://127.0.0.1:5432/{order_id}"},
            {"url": "/metrics"},
            {"parameters": "{"},
            {"parameters": "[]"},
            {"parameters": '{"type": "string"}'},
            {"token_setting": "SECRET_KEY"},
            {"timeout_seconds": "600"},
            {"cost_per_call": "-1"},
            {"confirmation": "Cancel {nothing}?"},
        ):
            answer = self.client.post(NEW, {**FIELDS, **fields})
            assert answer.status_code == 422, fields
            self.assertContains(answer, "is-invalid", status_code=422)
        assert Tool.objects.count() == 1

    def test_a_change_is_a_revision(self):
        edit = self.url + "edit/"
        self.assertContains(self.client.get(edit), "find an order")
        fields = {**FIELDS, "url": "/demo/shop/{order_id}/", "based_on": "1", "note": "Clearer"}
        fields["description"] = "find one order"
        self.assertRedirects(self.client.post(edit, fields), self.url)
        self.tool.refresh_from_db()
        assert (self.tool.name, self.tool.revision) == ("look_up_order", 2)
        page = self.client.get(self.url + "revisions/2/")
        self.assertContains(page, "<ins>one")
        self.assertContains(self.client.get(self.url), "Clearer")
        assert self.client.post(edit, fields).status_code == 409  # based on revision 1 still

    def test_scenes_that_the_editor_does_not_see_stay(self):
        mine, other = make_scene(), make_scene()
        self.tool.scenes.set([mine, other])
        self.engineer.scenes.set([mine])
        fields = {**FIELDS, "url": "/demo/shop/{order_id}/", "based_on": "1"}
        self.client.post(self.url + "edit/", fields)
        assert list(self.tool.scenes.all()) == [other]

    def test_switching(self):
        self.client.post(self.url + "switch/", {"off": "1"})
        self.tool.refresh_from_db()
        assert not self.tool.is_active
        self.client.post(self.url + "switch/", {"on": "1"})
        self.tool.refresh_from_db()
        assert self.tool.is_active

    def test_off_goes_even_if_the_address_is_not_allowed_any_more(self):
        Tool.objects.update(url="http://10.0.0.1/{order_id}/")
        fields = {**FIELDS, "url": "http://10.0.0.1/{order_id}/", "based_on": "1"}
        fields |= {"token_setting": "", "is_active": ""}
        self.assertRedirects(self.client.post(self.url + "edit/", fields), self.url)
        self.tool.refresh_from_db()
        assert not self.tool.is_active
        assert self.client.post(self.url + "switch/", {"on": "1"}).status_code == 422

    def test_the_last_scene_stays_where_the_editor_is_limited(self):
        mine = make_scene()
        self.engineer.scenes.set([mine])
        self.tool.scenes.set([mine])
        fields = {**FIELDS, "url": "/demo/shop/{order_id}/", "based_on": "1"}
        answer = self.client.post(self.url + "edit/", fields)
        self.assertContains(answer, "sees every scene", status_code=422)
        assert list(self.tool.scenes.all()) == [mine]

    def test_releases_that_may_call_it(self):
        make_release(name="spring", tools=["look_up_order"])
        make_release(name="autumn", tools=["other"])
        answer = self.client.get(self.url)
        self.assertContains(answer, "spring")
        self.assertNotContains(answer, "autumn")


class TryTests(PageTestCase):
    def setUp(self):
        super().setUp()
        self.shop = self.enterContext(business())
        self.enterContext(self.settings(PUBLIC_URL=self.shop.url))
        self.try_url = self.url + "try/"

    def arguments(self, **fields):
        return {f"argument-{name}": value for name, value in fields.items()}

    def test_a_call_shows_request_result_and_time(self):
        answer = self.client.post(self.try_url, self.arguments(order_id="GW1001"), follow=True)
        for words in ("on the way", "/demo/shop/GW1001/", " ms", "Keep as a fixture"):
            self.assertContains(answer, words)
        self.assertContains(answer, "HTTP status 200 · ", count=2)  # of the call, and in the list

    def test_wrong_arguments_are_shown_and_not_sent(self):
        for order_id in ("", "nonsense"):
            answer = self.client.post(self.try_url, self.arguments(order_id=order_id))
            assert answer.status_code == 422
        assert self.shop.requests == []

    def test_what_can_not_be_undone_is_asked_first(self):
        self.tool.confirmation, self.tool.method = "Cancel {order_id}?", "POST"
        self.tool.save()
        fields = self.arguments(order_id="GW1001")
        answer = self.client.post(self.try_url, fields)
        self.assertContains(answer, "Tick this to make the call", status_code=422)
        assert self.shop.requests == []
        self.client.post(self.try_url, {**fields, "sure": "on"})
        assert len(self.shop.requests) == 1

    def test_one_click_makes_a_fixture(self):
        self.client.post(self.try_url, self.arguments(order_id="GW1001"))
        call = self.tool.test_calls.get()
        record = reverse("agents:fixture-record", args=[self.tool.name, call.public_id])
        self.client.post(record)
        fixture = self.tool.fixtures.get()
        assert fixture.result == {"status": "on the way"}
        self.assertContains(self.client.get(self.url), "A real call")
        forget = reverse("agents:fixture-forget", args=[self.tool.name, fixture.public_id])
        self.client.post(forget)
        assert not self.tool.fixtures.exists()

    def test_a_fixture_by_hand(self):
        write = self.url + "fixtures/"
        self.client.post(write, {"arguments": '{"order_id": "GW1"}', "result": '{"a": 1}'})
        assert self.tool.fixtures.get().result == {"a": 1}
        self.client.post(write, {"arguments": "{}", "result": "{}"})
        assert self.tool.fixtures.first().arguments == {}
        for bad in ("", "[1]", "{", "null"):
            answer = self.client.post(write, {"arguments": bad, "result": "{}"})
            assert answer.status_code == 422

    def test_every_kind_of_argument(self):
        self.tool.method = "POST"
        self.tool.parameters = {
            "type": "object",
            "properties": {
                "order_id": {"type": "string"},
                "reason": {"enum": ["late", "lost"]},
                "count": {"type": "integer"},
                "amount": {"type": "number"},
                "gift": {"type": "boolean"},
                "items": {"type": "array", "items": {"type": "string"}},
                "to": {"type": "object"},
                "later": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "who": {"type": ["string", "null"]},
                "size": {"type": ["integer", "string"]},
                "any": True,
                "some": {"anyOf": [True]},
                "same": {"$ref": "#/$defs/word"},
                "unused": {"type": "string"},
            },
            "required": ["order_id"],
            "$defs": {"word": {"type": "string"}},
        }
        cataloguing.save_tool(tool=self.tool, by=self.engineer)
        assert self.client.get(self.url).status_code == 200
        fields = self.arguments(
            order_id="GW1",
            reason='"late"',
            count="2",
            amount="1.5",
            gift="false",
            items="a\r\nb\r\n",
            to='{"zip": "1"}',
            later="x",
            who="me",
            size="2",
            any="[1]",
            some="{}",
            same="word",
            unused="",
        )
        assert self.client.post(self.try_url, fields).status_code == 302
        assert self.shop.requests[0][4] == {
            "order_id": "GW1",
            "reason": "late",
            "count": 2,
            "amount": 1.5,
            "gift": False,
            "items": ["a", "b"],
            "to": {"zip": "1"},
            "later": "x",
            "who": "me",
            "size": 2,
            "any": [1],
            "some": {},
            "same": "word",
        }
        fields["argument-to"] = "{"
        self.assertContains(self.client.post(self.try_url, fields), "as JSON", status_code=422)

    def test_a_schema_that_was_saved_before_it_was_checked_is_shown(self):
        for schema in (True, {"anyOf": [True]}, {"$ref": "#/properties/order_id"}):
            parameters = {"type": "object", "properties": {"order_id": schema}}
            Tool.objects.filter(pk=self.tool.pk).update(parameters=parameters)
            assert self.client.get(self.url).status_code == 200
        answer = self.client.post(self.try_url, self.arguments(order_id="1"))
        self.assertContains(answer, "be used", status_code=422)
        assert self.shop.requests == []

    def test_the_number_of_queries_does_not_grow(self):
        self.client.get(self.url)
        for number in range(3):
            fields = self.arguments(order_id=f"GW100{number}")
            self.client.post(self.try_url, fields)
            call = self.tool.test_calls.first()
            cataloguing.record_fixture(call=call, by=self.engineer)
            if not number:
                few = self.queries(self.url)
        assert self.queries(self.url) == few


class ServerTests(PageTestCase):
    def setUp(self):
        super().setUp()
        address, self.remote = self.enterContext(mcp_server(reading(look_up)))
        self.enterContext(self.settings(TOOL_HOSTS=["127.0.0.1"]))
        self.fields = {"name": "shop", "url": address, "timeout_seconds": "5", "is_active": "on"}
        self.shop = SERVERS + "shop/"

    def test_from_the_address_to_the_catalogue(self):
        self.assertContains(self.client.get(SERVERS), "No servers yet")
        answer = self.client.post(NEW_SERVER, self.fields, follow=True)
        self.assertContains(answer, "look_up")
        answer = self.client.post(self.shop + "import/", {"tool": "look_up"}, follow=True)
        self.assertContains(answer, "Taken over: 1")
        tool = Tool.objects.get(name="look_up")
        assert not tool.personal
        edit = self.client.get(tool.get_absolute_url() + "edit/")
        self.assertNotContains(edit, 'name="url"')
        tried = self.client.post(
            tool.get_absolute_url() + "try/", {"argument-order_id": "GW1"}, follow=True
        )
        self.assertContains(tried, "on the way")
        self.assertContains(self.client.get(SERVERS), "shop")

    def test_nothing_ticked_or_not_offered(self):
        self.client.post(NEW_SERVER, self.fields)
        for tools in ([], ["nothing"]):
            answer = self.client.post(self.shop + "import/", {"tool": tools})
            assert answer.status_code == 422

    def test_wrong_servers(self):
        for fields in (
            {"url": "http://10.0.0.1/mcp"},
            {"url": "/demo/shop/"},
            {"name": "new"},
            {"token_setting": "SECRET_KEY"},
            {"timeout_seconds": "0"},
        ):
            answer = self.client.post(NEW_SERVER, {**self.fields, **fields})
            assert answer.status_code == 422, fields
        assert not MCPServer.objects.exists()

    def test_a_server_that_does_not_answer(self):
        fields = {**self.fields, "url": "http://127.0.0.1:9/mcp"}
        answer = self.client.post(NEW_SERVER, fields, follow=True)
        self.assertContains(answer, "does not answer")
        edited = self.client.post(self.shop + "edit/", self.fields, follow=True)
        self.assertContains(edited, "offers 1 tools")
        off = {**self.fields, "is_active": ""}
        answer = self.client.post(self.shop + "edit/", off, follow=True)
        self.assertContains(answer, "switched off")

    def test_off_goes_even_if_the_address_is_not_allowed_any_more(self):
        self.client.post(NEW_SERVER, self.fields)
        switch = self.shop + "switch/"
        with self.settings(TOOL_HOSTS=[]):
            self.assertContains(self.client.get(self.shop), "Switch off")
            assert self.client.post(self.shop + "edit/", self.fields).status_code == 302
            self.assertContains(self.client.post(switch, {"off": "1"}, follow=True), "Switch on")
            assert not MCPServer.objects.get().is_active
            assert self.client.post(switch, {"on": "1"}).status_code == 422
        self.client.post(switch, {"on": "1"})
        assert MCPServer.objects.get().is_active

    def test_a_change_is_shown_and_approved(self):
        self.client.post(NEW_SERVER, self.fields)
        self.client.post(self.shop + "import/", {"tool": "look_up"})
        self.remote.remove_tool("look_up")
        function, extra = reading(look_up_changed, name="look_up")
        self.remote.add_tool(function, **extra)
        answer = self.client.post(self.shop + "refresh/", follow=True)
        self.assertContains(answer, "Held back")
        tool = Tool.objects.get(name="look_up")
        page = self.client.get(tool.get_absolute_url())
        self.assertContains(page, "evil")
        self.assertContains(page, "<ins>")
        approve = tool.get_absolute_url() + "approve/"
        assert self.client.post(approve, {"shown": "other"}).status_code == 409
        self.client.post(approve, {"shown": importing.offer_id(tool.offered)})
        tool.refresh_from_db()
        assert tool.held_at is None

    def test_the_number_of_queries_does_not_grow(self):
        self.client.post(NEW_SERVER, self.fields)
        server = MCPServer.objects.get()
        self.client.get(self.shop)
        few = self.queries(self.shop), self.queries(SERVERS)
        for number in range(3):
            function, extra = reading(look_up, name=f"look_{number}")
            self.remote.add_tool(function, **extra)
            other = MCPServer(name=f"other-{number}", url=server.url)
            importing.save_server(server=other, by=self.engineer)
        listing.list_server(server)
        names = [f"look_{number}" for number in range(3)]
        importing.import_tools(server=server, names=names, by=self.engineer)
        assert (self.queries(self.shop), self.queries(SERVERS)) == few
