"""Tools go where they may: nothing inside the network, no name that changes its mind."""

import asyncio
import socket
from unittest import mock

import httpx2
from django.test import SimpleTestCase, override_settings

from agents import reaching
from agents.reaching import ForbiddenAddress, check_url, resolve


@override_settings(TOOL_HOSTS=[], DEMO=True)
class CheckUrlTests(SimpleTestCase):
    def refused(self, url):
        try:
            check_url(url)
        except ForbiddenAddress:
            return True
        return False

    def test_public_addresses_by_https(self):
        for url in (
            "https://shop.example/orders/{id}/",
            "https://shop.example:8443/a?b={c}",
            "https://1.1.1.1/x",
            "https://[2606:4700::1111]/x",
        ):
            check_url(url)

    def test_other_schemes(self):
        for url in ("http://shop.example/", "file:///etc/passwd", "ftp://x.example", "gopher://x"):
            assert self.refused(url), url

    def test_addresses_inside(self):
        for host in (
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",  # noqa: S104 (nothing is bound)
            "100.64.0.1",
            "224.0.0.1",
            "[::1]",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "localhost",
            "db.localhost",
            "metadata.google.internal",
            "printer.local",
        ):
            assert self.refused(f"https://{host}/"), host

    def test_numbers_that_only_resolvers_read(self):
        for host in ("0x7f000001", "2130706433", "127.1", "0177.0.0.1", "1.1.1.1.", "0x7f.1", "1."):
            assert self.refused(f"https://{host}/"), host
        check_url("https://0x7f.example/")
        with self.settings(TOOL_HOSTS=["127.1"]):
            check_url("https://127.1/")

    def test_what_is_no_address(self):
        for url in (
            "",
            "shop.example",
            "https://",
            "https://{host}/",
            "https://user:pass@shop.example/",
            "https://shop.example /",
            "https://shop.example:port/",
            "https://[::1/",
            "//shop.example/",
        ):
            assert self.refused(url), url

    def test_a_setting_names_what_is_allowed_inside(self):
        with self.settings(TOOL_HOSTS=["erp.internal", "127.0.0.1:8042"]):
            check_url("http://erp.internal/orders/")
            check_url("http://ERP.internal:9000/orders/")
            check_url("http://127.0.0.1:8042/mcp")
            assert self.refused("http://127.0.0.1:8043/mcp")

    def test_of_this_server_only_the_demo_shop(self):
        check_url("/demo/shop/orders/{order_id}/")
        for url in ("/metrics", "/api/scenes/", "/demo/shop/../../metrics", "/"):
            assert self.refused(url), url
        with self.settings(DEMO=False):
            assert self.refused("/demo/shop/orders/{order_id}/")


def answers(*addresses):
    """Let every name resolve to these."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in addresses]
    return mock.patch("asyncio.base_events.BaseEventLoop.getaddrinfo", return_value=found)


@override_settings(TOOL_HOSTS=["erp.internal"], PUBLIC_URL="http://127.0.0.1:8000")
class ResolveTests(SimpleTestCase):
    async def refused(self, url):
        try:
            await resolve(httpx2.URL(url))
        except ForbiddenAddress:
            return True
        return False

    async def test_a_public_name(self):
        with answers("1.1.1.1"):
            assert await resolve(httpx2.URL("https://shop.example/")) == "1.1.1.1"
            assert await self.refused("http://shop.example/")

    async def test_a_name_that_leads_inside(self):
        with answers("1.1.1.1", "127.0.0.1"):
            assert await self.refused("https://shop.example/")

    async def test_named_hosts_and_this_server(self):
        with answers("10.0.0.1"):
            assert await resolve(httpx2.URL("http://erp.internal/")) == "10.0.0.1"
        assert await resolve(httpx2.URL("http://127.0.0.1:8000/x")) == "127.0.0.1"
        assert await self.refused("http://127.0.0.1:8001/x")

    async def test_an_unknown_name(self):
        with (
            mock.patch("asyncio.base_events.BaseEventLoop.getaddrinfo", side_effect=OSError),
            self.assertRaises(httpx2.ConnectError),
        ):
            await resolve(httpx2.URL("https://nowhere.example/"))


OWN, ANY = "http://127.0.0.1:8000/demo/shop/", "https://shop.example/"


@override_settings(PUBLIC_URL="http://127.0.0.1:8000")
class BearerTests(SimpleTestCase):
    def test_only_tokens_meant_for_tools(self):
        with self.settings(DEMO_SHOP_TOKEN="t"):
            assert reaching.bearer("DEMO_SHOP_TOKEN", OWN) == {"Authorization": "Bearer t"}
        with mock.patch.dict("os.environ", {"TOOL_X": "s", "DATABASE_URL": "postgres://"}):
            assert reaching.bearer("TOOL_X", ANY) == {"Authorization": "Bearer s"}
            for name in ("SECRET_KEY", "DATABASE_URL", "tool_x", "TOOL_", "TOOL_Y", ""):
                assert reaching.bearer(name, ANY) == {}, name

    def test_what_says_where_tokens_are_or_may_go_is_no_token(self):
        told = {"TOOL_X_FILE": "/secrets/x", "TOOL_X_HOSTS": "erp.internal", "TOOL_HOSTS": "a"}
        with mock.patch.dict("os.environ", told), self.settings(TOOL_HOSTS=["a"]):
            for name in told:
                assert reaching.bearer(name, "https://erp.internal/") == {}, name

    def may_go(self, name, url):
        try:
            reaching.bearer(name, url)
        except ForbiddenAddress:
            return False
        return True

    def test_a_token_goes_to_the_hosts_that_its_variable_names(self):
        hosts = "Shop.example, erp.internal:8443"
        with mock.patch.dict("os.environ", {"TOOL_X": "s", "TOOL_X_HOSTS": hosts, "TOOL_Y": "y"}):
            for url in (
                "https://shop.example/a",
                "https://SHOP.example:9/",
                "https://erp.internal:8443",
            ):
                assert self.may_go("TOOL_X", url), url
            for url in (
                "https://evil.example/shop.example",
                "https://shop.example.evil.example/",
                "https://shop.example@evil.example/",
                "https://erp.internal/",
            ):
                assert not self.may_go("TOOL_X", url), url
            assert self.may_go("TOOL_Y", "https://evil.example/")

    def test_the_demo_shops_token_is_for_this_server(self):
        assert self.may_go("DEMO_SHOP_TOKEN", "/demo/shop/orders/{order_id}/")
        for url in (ANY, "http://127.0.0.1:8001/", "https://127.0.0.1:8000/"):
            assert not self.may_go("DEMO_SHOP_TOKEN", url), url


class ClientTests(SimpleTestCase):
    """The connection goes to the address that was checked, whatever the name says then."""

    async def served(self, answer, largest=100):
        async def handle(reader, writer):
            self.asked = await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            with self.settings(TOOL_HOSTS=[f"shop.example:{port}"]), answers("127.0.0.1"):
                async with reaching.client(largest=largest, headers={"X-A": "b"}) as client:
                    return await client.get(f"http://shop.example:{port}/a")

    async def test_the_host_is_told_by_its_name(self):
        answer = await self.served(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        assert answer.text == "hi"
        assert b"Host: shop.example:" in self.asked
        assert b"X-A: b" in self.asked

    async def test_redirects_are_not_followed(self):
        head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"
        assert (await self.served(head)).status_code == 302

    async def test_long_answers_break_off(self):
        with self.assertRaises(reaching.TooLarge):
            await self.served(b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101)

    async def test_compressed_answers_are_refused(self):
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"
        with self.assertRaises(httpx2.ReadError):
            await self.served(head)
