"""People with a browser: each has a window of their own, and hears what goes wrong in it."""

import json
import time
from contextlib import contextmanager

from wowconsole.demo.logins import PASSWORD

CLIENT_GONE = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_SOCKET", "WebSocket")


class Person:
    """A window and its troubles: what the console said as an error, CSP violations included."""

    def __init__(self, browser, address, **options):
        self.context = browser.new_context(
            base_url=address, viewport={"width": 1280, "height": 800}, **options
        )
        self.context.set_default_timeout(20_000)
        self.troubles = []
        self.page = self.context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))

    def _heard(self, message):
        if message.type == "error":
            self.troubles.append(f"{message.text} at {self.page.url}")

    def during_outage(self):
        """Forget what a browser says when the server is gone; anything else is still heard."""
        return self._deaf_to(*CLIENT_GONE)

    def during_refusal(self):
        """Forget what a browser says when a form comes back with faults."""
        return self._deaf_to("422 (Unprocessable Entity)")

    @contextmanager
    def _deaf_to(self, *noise):
        before = list(self.troubles)
        yield
        new = self.troubles[len(before) :]
        self.troubles = before + [text for text in new if not any(n in text for n in noise)]

    def log_in(self, username):
        self.page.goto("/")
        self.page.get_by_label("Username or email").fill(username)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/")


class Customer(Person):
    """Somebody at the chat page; `frames` are what the server sent, with the time of arrival."""

    def __init__(self, browser, address, **options):
        super().__init__(browser, address, **options)
        self.frames = []
        self.page.on("websocket", self._opened)

    def _opened(self, socket):
        socket.on("framereceived", self._received)

    def _received(self, payload):
        self.frames.append((time.perf_counter(), json.loads(payload)))

    def say(self, text):
        self.page.get_by_label("Your message").fill(text)
        self.page.get_by_role("button", name="Send").click()

    def wait_for_reply(self, number):
        """Wait for the agent's `number`th whole message and return its bubble."""
        replies = self.page.locator("#log li.agent:not(.streaming)")
        replies.nth(number - 1).wait_for(timeout=90_000)
        return replies.nth(number - 1)

    def heard(self, kind):
        """Return the frames of a kind with the times of their arrival, oldest first."""
        return [(at, frame) for at, frame in self.frames if frame["type"] == kind]

    def said(self):
        """Return every bubble, once each, in order."""
        return self.page.locator("#log > li .text").all_inner_texts()
