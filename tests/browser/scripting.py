"""The chat page against a server whose every event a test decides: no database, no weights."""

import json
from contextlib import contextmanager
from urllib.parse import urlencode

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.test.testcases import LiveServerThread

SESSION = {"id": "1", "token": "secret", "websocket": "/ws/chat/1/?token=secret"}
PATIENCE_MS, LOOK_MS = 20_000, 20  # the second between two looks at what the page has sent


@contextmanager
def pages():
    """Serve the page and its static files from this checkout; yield the address."""
    server = LiveServerThread("127.0.0.1", StaticFilesHandler)
    server.daemon = True
    server.start()
    server.is_ready.wait()
    assert server.error is None
    yield f"http://127.0.0.1:{server.port}"
    server.terminate()
    server.join()


class Scripted:
    """One customer's window. `sent` are its frames; `posts` counts how often a chat was asked for.

    Attributes:
        refusal: (status, problem) with which a chat is not begun; None begins one.
    """

    def __init__(self, browser, address, **options):
        self.context = browser.new_context(base_url=address, **options)
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.context.new_page()
        self.sent, self.sockets = [], []
        self.posts, self.refusal, self.last_seq = 0, None, 0
        self.page.route("**/api/chat/sessions/", self._begin)
        self.page.route("**/attachments/", self._attach)
        self.page.route_web_socket("**/ws/chat/**", self._connect)

    def _begin(self, route):
        self.posts += 1
        status, body = self.refusal or (201, SESSION)
        route.fulfill(status=status, json=body)

    def _attach(self, route):
        status, body = self.refusal or (201, {"id": "f1", "name": "photo.png", "kind": "file"})
        route.fulfill(status=status, json=body)

    def _connect(self, socket):
        self.sockets.append(socket)
        socket.on_message(lambda text: self.sent.append(json.loads(text)))
        self.tell("ready", last_seq=self.last_seq)

    def open(self, **query):
        self.page.goto(f"/chat/?{urlencode(query)}")

    def tell(self, kind, **event):
        """Send an event; the number of a durable one is the highest from now on."""
        self.last_seq = max(self.last_seq, event.get("seq", 0))
        self.sockets[-1].send(json.dumps({"type": kind, **event}))

    def answer(self, text, seq, **more):
        self.tell("message", role="agent", id=f"m{seq}", text=text, seq=seq, **more)

    def write(self, text):
        """Write a message and return its frame once it was sent."""
        self.page.locator("#text").fill(text)
        self.page.keyboard.press("Enter")
        return self.wait_for("message")

    def say(self, text, seq):
        """Write a message that the server takes."""
        frame = self.write(text)
        self.tell("ack", client_id=frame["client_id"], seq=seq)
        return frame

    def wait_for(self, kind):
        """Return the next frame of a kind, and forget what was sent up to it."""
        for _ in range(PATIENCE_MS // LOOK_MS):
            for place, frame in enumerate(self.sent):
                if frame["type"] == kind:
                    del self.sent[: place + 1]
                    return frame
            self.page.wait_for_timeout(LOOK_MS)
        raise AssertionError(f"no {kind} was sent")

    def shown(self):
        """Return what stands in the log, entry by entry, without what only helps to read it."""
        return self.page.locator("#log > li .text, #log > .note").all_inner_texts()
