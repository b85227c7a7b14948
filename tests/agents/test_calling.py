"""Tools are called safely: nothing leads elsewhere, nothing hangs, nothing raises."""

import json
import os
from unittest import mock

from django.test import SimpleTestCase, override_settings

from agents.calling import call_tool, fill_url, is_broken
from agents.models import Tool
from agents.models.tools import LARGEST_ANSWER
from tests.toolserver import business


class UrlTests(SimpleTestCase):
    def test_a_bare_path_is_one_of_this_server(self):
        with self.settings(PUBLIC_URL="http://127.0.0.1:9"):
            assert fill_url("/orders/{id}/", {"id": "GW1"}) == "http://127.0.0.1:9/orders/GW1/"

    def test_what_leads_to_another_path_is_refused(self):
        url = "https://shop.example/orders/{id}/refund/"
        for evil in ("..", ".", "", "../..", "a/b", "/", "\\", "..\\x", "GW1/refund/?", "..\n"):
            with self.assertRaises(ValueError, msg=repr(evil)):
                fill_url(url, {"id": evil})

    def test_everything_else_is_escaped(self):
        url = "https://shop.example/orders/{id}/"
        for evil in ("?x=1", "#x", "%2e%2e", "%2F", "@evil.example", "a b", "é", "{id}", "：＠"):
            filled = fill_url(url, {"id": evil})
            middle = filled.removeprefix("https://shop.example/orders/").removesuffix("/")
            assert set(middle).isdisjoint("/?#@ {}:")
            assert middle.isascii()

    def test_the_host_can_not_be_changed(self):
        for evil in ("@evil.example", ":80@evil.example", "\n@evil", ".evil.example#"):
            with self.settings(PUBLIC_URL="http://127.0.0.1:9"):
                assert fill_url("/{id}", {"id": evil}).startswith("http://127.0.0.1:9/")

    def test_a_value_is_not_filled_again(self):
        assert "{b}" not in fill_url("https://x/{a}/{b}", {"a": "{b}", "b": "c"})
        assert fill_url("https://x/{a}/{b}", {"a": "{b}", "b": "c"}).endswith("/c")

    def test_a_query_may_hold_a_slash(self):
        assert fill_url("https://x/?q={q}", {"q": "a/.."}) == "https://x/?q=a%2F.."


class BreakdownTests(SimpleTestCase):
    def test_what_the_business_says_itself_is_no_breakdown(self):
        for error, broken in (
            ("refund is not answering", True),
            ("refund failed (status 503): down", True),
            ("the answer is too large", True),
            ("refunds above $50 need a colleague", False),
            ("refund refused by the bank", False),
            ("wrong arguments: order_id", False),
        ):
            assert is_broken("refund", error) == broken, error


class CallTests(SimpleTestCase):
    def setUp(self):
        self.shop = self.enterContext(business())
        self.enterContext(override_settings(PUBLIC_URL=self.shop.url))

    def tool(self, **fields):
        parameters = {"type": "object", "properties": {"id": {}}, "required": ["id"]}
        defaults = {"name": "look_up", "method": "GET", "url": "/orders/{id}/"}
        return Tool(**{"parameters": parameters, "timeout_seconds": 1, **defaults, **fields})

    async def result(self, arguments=None, **fields):
        arguments = {"id": "GW1"} if arguments is None else arguments
        return await call_tool(self.tool(**fields), arguments, key="k-1")

    async def call(self, arguments=None, **fields):
        return (await self.result(arguments, **fields)).data

    async def test_the_answer_comes_back(self):
        assert await self.call() == {"status": "on the way"}
        assert self.shop.requests == [("GET", "/orders/GW1/", "k-1", None, None)]

    async def test_posted_arguments_and_the_token(self):
        with self.settings(DEMO_SHOP_TOKEN="t-1"):
            await self.call(method="POST", token_setting="DEMO_SHOP_TOKEN")
        assert self.shop.requests[0][3:] == ("Bearer t-1", {"id": "GW1"})

    async def test_the_token_may_be_a_variable(self):
        with mock.patch.dict(os.environ, {"TOOL_SHOP_TOKEN": "t-2"}):
            await self.call(token_setting="TOOL_SHOP_TOKEN")
        assert self.shop.requests[0][3] == "Bearer t-2"

    async def test_a_token_for_other_hosts_is_not_sent(self):
        told = {"TOOL_SHOP_TOKEN": "t-2", "TOOL_SHOP_TOKEN_HOSTS": "erp.internal"}
        with mock.patch.dict(os.environ, told):
            data = await self.call(token_setting="TOOL_SHOP_TOKEN")
        assert "may not reach" in data["error"]
        assert self.shop.requests == []

    async def test_the_business_is_told_who_asks_if_that_is_known(self):
        await self.call()
        tool = self.tool(personal=True)
        for customer in ("owen", "Zoë, \r\nX-Admin: 1"):
            answered = await call_tool(
                tool, {"id": "GW1"}, key="k", identified=True, customer=customer
            )
            assert answered.data == {"status": "on the way"}
        assert self.shop.customers == [None, "owen", "Zo%C3%AB%2C%20%0D%0AX-Admin%3A%201"]

    async def test_wrong_arguments_are_not_sent(self):
        assert "wrong arguments" in (await self.call({}))["error"]
        assert "wrong arguments" in (await self.call({"id": ".."}))["error"]
        assert "wrong arguments" in (await self.call({"id": "\ud800"}))["error"]
        assert "wrong arguments" in (await self.call({"id": "x" * 100_000}))["error"]
        assert self.shop.requests == []

    async def test_a_broken_schema_is_an_answer(self):
        assert "set up" in (await self.call(parameters={"type": "nonsense"}))["error"]

    async def test_unreadable_answers(self):
        for answer, words in (
            (b"<html>", "not readable (status 200)"),
            (b"\xff\xfe\x00", "not readable"),
            (b"[1]", "not an object"),
            (b"[" * 9000, "not readable"),
            (json.dumps({"x": "y" * LARGEST_ANSWER}).encode(), "too large"),
        ):
            self.shop.answer = answer
            assert words in (await self.call())["error"]

    async def test_a_success_may_have_nothing_to_say(self):
        for self.shop.status, self.shop.answer in ((204, b""), (200, b" \n")):
            assert await self.call() == {}

    async def test_what_can_not_be_stored_is_taken_out_of_an_answer(self):
        self.shop.answer = b'{"a": "x\\u0000y", "b": NaN, "c": "\\ud800"}'
        assert await self.call() == {"a": "xy", "b": None, "c": ""}

    async def test_an_error_of_the_business_is_its_answer(self):
        self.shop.status, self.shop.answer = 404, b'{"error": "order not found"}'
        assert await self.call() == {"error": "order not found"}

    async def refused(self, status, answer):
        self.shop.status, self.shop.answer = status, answer
        result = await self.result()
        assert (list(result.data), result.status) == (["error"], status)
        return result

    async def test_what_is_no_success_is_an_error_whatever_its_body_says(self):
        for status in (302, 400, 404, 422):
            result = await self.refused(status, b'{"status": "refunded", "to": "card"}')
            assert result.data["error"] == f"look_up refused (status {status})"
            assert not result.is_failure

    async def test_a_refusal_says_why_in_the_words_of_the_business(self):
        for answer, words in (
            (b'{"error": {"code": 7}, "detail": "No such  order\\n"}', "No such order"),
            (b'{"message": "Too late"}', "Too late"),
            (b'{"title": "Conflict", "detail": "Paid already"}', "Paid already"),
            (b'{"title": "Conflict"}', "Conflict"),
            (b'{"error": ""}', "look_up refused (status 409)"),
            (json.dumps({"error": "x" * 201}).encode(), "look_up refused (status 409)"),
            (b'["error"]', "look_up refused (status 409)"),
            (b"<html>Conflict</html>", "look_up refused (status 409)"),
            (b"[" * 9000, "look_up refused (status 409)"),
        ):
            assert (await self.refused(409, answer)).data["error"] == words, answer[:40]

    async def test_a_breakdown_is_a_failure_whatever_its_body_says(self):
        for answer, words in (
            (b'{"detail": "database exploded"}', "failed (status 500): database exploded"),
            (b'{"status": "refunded"}', "failed (status 500)"),
            (b"<html>", "failed (status 500)"),
            (b"x" * (LARGEST_ANSWER + 1), "failed (status 500)"),
        ):
            result = await self.refused(500, answer)
            assert result.data["error"] == f"look_up {words}"
            assert result.is_failure

    async def test_words_alone_are_no_failure(self):
        for words in ("the courier is not answering", "not readable (status 500)"):
            self.shop.answer = json.dumps({"error": words}).encode()
            result = await self.result()
            assert (result.data, result.status) == ({"error": words}, 200)
            assert not result.is_failure

    async def test_nobody_there(self):
        with self.settings(PUBLIC_URL="http://127.0.0.1:9"):
            result = await self.result()
        assert result.data == {"error": "look_up is not answering"}
        assert (result.status, result.is_failure) == (None, True)

    async def test_an_answer_that_never_ends_ends(self):
        for self.shop.status in (200, 404):
            self.shop.drips = True
            self.shop.answer = b""
            result = await self.result()
            assert result.data == {"error": "look_up is not answering"}
            assert result.is_failure
