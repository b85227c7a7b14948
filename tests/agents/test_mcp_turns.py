"""A turn of the agent that calls the tools of a real MCP server."""

from asgiref.sync import sync_to_async
from django.test import TestCase, override_settings

from agents import cataloguing, importing, listing, master, services
from agents.actions import CLARIFY
from agents.confirming import Call
from agents.models import MCPServer, Tool
from agents.prompting import Line
from tests.engine import EngineMixin, calls, says
from tests.factories import make_user, make_version
from tests.mcpserver import served
from tests.wowconsole.test_retail import rows
from wowconsole.demo.retail import Shop
from wowconsole.demo.retail_server import Ledger, application


@override_settings(TOOL_HOSTS=["127.0.0.1"])
class RetailTurnTests(EngineMixin, TestCase):
    def setUp(self):
        super().setUp()
        self.by = make_user("ml_engineer")
        self.shop = Shop(rows())
        self.running = served(application(Ledger(self.shop, None)))
        self.server = MCPServer(name="retail", url=self.running.__enter__(), timeout_seconds=5)
        self.stopped = False
        self.addCleanup(self.stop)
        importing.save_server(server=self.server, by=self.by)
        listing.list_server(self.server)
        names = ["get_order_details", "cancel_pending_order"]
        importing.import_tools(server=self.server, names=names, by=self.by, personal=False)
        self.release = services.make_release(
            by=self.by, name="retail", version=make_version(), tools=names
        )

    def stop(self):
        if not self.stopped:
            self.stopped = True
            self.running.__exit__(None, None, None)

    async def happened(self, text, **fields):
        lines = [Line("customer", text)]
        context = master.TurnContext("t-1", self.release, None, lines, **fields)
        return [happening async for happening in master.answer(context)]

    def results(self, happenings):
        return [one.result for one in happenings if isinstance(one, master.Called)]

    async def test_a_look_up(self):
        self.engine.will(calls("get_order_details", order_id="#W0000001"), says("It is pending."))
        happenings = await self.happened("Where is #W0000001?")
        [result] = self.results(happenings)
        assert (result["order_id"], result["status"]) == ("#W0000001", "pending")
        assert happenings[-1].action.reply == "It is pending."

    async def test_what_changes_things_is_asked_and_done_once(self):
        arguments = {"order_id": "#W0000001", "reason": "no longer needed"}
        text = "Cancel #W0000001, no longer needed"
        self.engine.will(calls("cancel_pending_order", **arguments))
        asked = (await self.happened(text))[-1]
        assert (asked.action.name, asked.pending.name) == (CLARIFY, "cancel_pending_order")
        assert self.shop.order("#W0000001")["status"] == "pending"
        for _ in range(2):  # as after a crash
            self.engine.will(says("Done."))
            confirmed = Call("cancel_pending_order", arguments)
            [result] = self.results(await self.happened(text, confirmed=confirmed))
            assert result["status"] == "cancelled"

    async def test_the_server_went_away(self):
        await sync_to_async(self.stop)()
        self.engine.will(calls("get_order_details", order_id="#W0000001"), says("Later, please."))
        happenings = await self.happened("Where is #W0000001?")
        assert self.results(happenings) == [{"error": "get_order_details is not answering"}]
        assert happenings[-1].action.reply == "Later, please."

    async def test_the_release_is_shown_its_tools_as_they_were(self):
        tool = await Tool.objects.aget(name="get_order_details")
        earlier, tool.description = tool.description, "an entirely new description"
        await sync_to_async(cataloguing.save_tool)(tool=tool, by=self.by)
        await self.happened("Where is #W0000001?")
        prompt = self.engine.requests[0]["messages"][0]["content"]
        assert earlier in prompt
        assert "entirely new" not in prompt
