"""The widget on another site's page: by keyboard alone, through an outage, without sockets.

The site's page is served from another origin under a Content-Security-Policy that allows the
widget's script and frame and nothing else.
"""

import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from playwright.sync_api import expect

from tests.browser import pictures
from tests.browser.people import Person

pytestmark = [pytest.mark.browser, pytest.mark.slow]

QUESTION = "How long do refunds to my wallet take?"
UNSENT = "Are you still there?"
REPLY_MS = 90_000
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 780}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Corner shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<script src="{console}/widget.js" data-site="corner" data-color="#ffd100" data-title="Corner shop"
  data-greeting="What is missing?" data-identity="{identity}" async></script></head>
<body><h1>Corner shop</h1><button>Buy</button></body></html>"""
NO_SOCKETS = """window.WebSocket = class extends EventTarget {
  constructor() { super(); setTimeout(() => this.dispatchEvent(new Event("close")), 50); }
  close() {}
};
window.WebSocket.OPEN = 1;"""


class Shop:
    """Another origin: one page with the widget on it."""

    def __init__(self, console):
        self.console = console
        self.identity = ""

    @contextmanager
    def open(self):
        handler = type("Page", (_Page,), {"shop": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{server.server_port}"
        yield self
        server.shutdown()
        server.server_close()

    def sign_in(self, key_id, secret, customer):
        claims = {"sub": customer, "name": "Maya", "exp": int(time.time()) + 600}
        self.identity = jwt.encode(claims, secret, "HS256", headers={"kid": key_id})


class _Page(BaseHTTPRequestHandler):
    shop: Shop

    def do_GET(self):
        console = self.shop.console
        policy = f"default-src 'none'; img-src data:; script-src {console}; frame-src {console}"
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        page = PAGE.format(console=console, identity=self.shop.identity)
        self.wfile.write(page.encode())

    def log_message(self, *args):
        pass


class Visitor(Person):
    """Somebody at the shop's page."""

    def visit(self, shop):
        self.page.goto(shop.address)
        return self.page.frame_locator("wowconsole-chat iframe")

    def open_chat(self):
        self.page.get_by_role("button", name=re.compile("^Open the chat")).click()


@pytest.fixture(scope="module")
def shop(site):
    with Shop(site.address).open() as running:
        yield running


@pytest.fixture
def registered(shop, signed_in):
    """Register the shop and its key, as an administrator does; once is enough."""
    if shop.identity:
        return shop
    admin = signed_in("ada")
    page = admin.page
    page.goto("/channels/new-site/")
    page.get_by_label("Short name").fill("corner")
    page.get_by_label("Name", exact=True).fill("Corner shop")
    page.get_by_label("Pages that may embed the chat").fill(shop.address)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("New key", exact=True).click()
    page.get_by_role("button", name="Make a key").click()
    key_id = page.locator("#secret-title").inner_text().removeprefix("The secret of ")
    secret = page.locator("#secret").inner_text()
    shop.sign_in(key_id, secret, "C-7")
    return shop


def take(visitor, name):
    if pictures.folder():
        pictures.folder().mkdir(parents=True, exist_ok=True)
        visitor.page.screenshot(path=pictures.folder() / f"{name}.png")


def bubbles(chat):
    return chat.locator("#log > li .text")


def say(chat, text):
    chat.get_by_label("Your message").fill(text)
    chat.get_by_role("button", name="Send", exact=True).click()


def wait_for_reply(chat, number):
    replies = chat.locator("#log li.agent:not(.streaming)")
    expect(replies).to_have_count(number, timeout=REPLY_MS)


class TestWidget:
    def test_by_keyboard_alone(self, registered, invite, site):
        visitor = invite(Visitor)
        chat = visitor.visit(registered)
        keyboard = visitor.page.keyboard
        expect(visitor.page.get_by_role("button", name="Open the chat")).to_be_visible()
        for key in ("Tab", "Tab", "Enter"):  # past the shop's button
            keyboard.press(key)
        expect(chat.get_by_label("Your message")).to_be_focused()
        expect(chat.get_by_role("heading", name="What is missing?")).to_be_visible()
        keyboard.type(QUESTION)
        keyboard.press("Enter")
        wait_for_reply(chat, 1)
        self.the_keyboard_stays_inside(visitor)
        take(visitor, "widget-wide")
        visitor.page.set_viewport_size(NARROW)
        expect(visitor.page.locator("wowconsole-chat .panel")).to_have_css("width", "390px")
        take(visitor, "widget-narrow")
        keyboard.press("Escape")
        expect(visitor.page.get_by_role("dialog")).to_be_hidden()
        expect(visitor.page.get_by_role("button", name="Open the chat")).to_be_focused()

    def the_keyboard_stays_inside(self, visitor):
        chat = visitor.page.frames[1]
        for key in ("Tab", "Shift+Tab"):
            for _ in range(14):  # more than there are places to go
                visitor.page.keyboard.press(key)
            assert chat.evaluate("document.hasFocus()"), key

    def test_the_customer_is_known_and_comes_back(self, registered, invite, site):
        visitor = invite(Visitor)
        chat = visitor.visit(registered)
        visitor.open_chat()
        say(chat, QUESTION)
        wait_for_reply(chat, 1)
        with visitor.during_outage():
            site.stop()
            expect(chat.locator("#link")).to_have_text("Reconnecting…")
            say(chat, UNSENT)
            expect(chat.get_by_text("Sending…")).to_be_visible()
            site.start()
            expect(chat.locator("#link")).to_have_text("Here to help", timeout=60_000)
        wait_for_reply(chat, 2)
        said = bubbles(chat).all_inner_texts()
        assert (said.count(QUESTION), said.count(UNSENT)) == (1, 1)
        chat = visitor.visit(registered)  # loaded by itself, since a chat was begun
        expect(bubbles(chat)).to_have_count(len(said), timeout=30_000)
        assert bubbles(chat).all_inner_texts() == said
        self.another_customer_does_not_see_it(visitor, chat)

    def another_customer_does_not_see_it(self, visitor, chat):
        visitor.page.evaluate("WOWConsole.identify(null)")
        expect(bubbles(chat)).to_have_count(0)

    def test_where_no_socket_gets_through(self, registered, invite):
        visitor = invite(Visitor)
        visitor.context.add_init_script(NO_SOCKETS)
        chat = visitor.visit(registered)
        visitor.open_chat()
        say(chat, QUESTION)
        wait_for_reply(chat, 1)
        expect(chat.locator("#link")).to_have_text("Here to help (slow connection)")
        say(chat, UNSENT)
        wait_for_reply(chat, 2)
        said = bubbles(chat).all_inner_texts()
        assert (said[0], said[2], len(said)) == (QUESTION, UNSENT, 4)

    def test_a_page_that_may_not_embed_it_shows_nothing(self, registered, invite):
        with Shop(registered.console).open() as stranger:
            visitor = invite(Visitor)
            chat = visitor.visit(stranger)
            visitor.open_chat()
            visitor.page.wait_for_timeout(1500)
            expect(chat.get_by_label("Your message")).to_have_count(0)
            assert any("frame-ancestors" in trouble for trouble in visitor.troubles)
            visitor.troubles.clear()
