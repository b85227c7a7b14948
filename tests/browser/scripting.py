"""The chat page against a server whose every event a test decides: no database, no weights."""

import json
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from urllib.parse import urlencode

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.test.testcases import LiveServerThread

SESSION = {"token": "secret", "identified": False}
SHOP = """<!doctype html><title>Shop</title>
<script src="/widget.js" data-open="true" data-identity="{identity}"></script>"""
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


def token_of(customer):
    """Return what the page reads as a JWT; nobody checks its signature here."""
    claims = json.dumps({"sub": customer}, ensure_ascii=False)  # as most libraries write it
    return f"e30.{urlsafe_b64encode(claims.encode()).decode().rstrip('=')}.signed"


class Scripted:
    """One customer's window. `sent` are its frames; `asked` is what chats were asked for with.

    Attributes:
        beside: another window of the same browser, with the same storage.
        refusal: (status, problem) with which a chat is not begun; None begins one.
        held: requests for a chat that the test answers itself; None: they are answered at once.
        waits: whether the server has spoken first.
        silent: the network swallows what goes to the server, and what would come from it.
        deaf: it swallows only what goes there.
    """

    def __init__(self, browser, address, beside=None, **options):
        self.context = (
            beside.context if beside else browser.new_context(base_url=address, **options)
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.root = self.context.new_page()
        self.sent, self.sockets, self.asked = [], [], []
        self.refusal, self.waits, self.last_seq = None, False, 0
        self.silent = self.deaf = False
        self.held = None
        self.page.route("**/api/chat/sessions/", self._begin)
        self.page.route("**/attachments/", self._attach)
        self.page.route_web_socket("**/ws/chat/**", self._connect)

    @property
    def posts(self):
        """How often a chat was asked for that need not wait."""
        return sum("waiting" not in body for body in self.asked)

    def _begin(self, route):
        if self.held is None:
            self.begin(route)
        else:
            self.held.append(route)

    def begin(self, route):
        """Answer a request for a chat."""
        body = route.request.post_data_json
        self.asked.append(body)
        if "waiting" in body and not self.waits:
            return route.fulfill(status=204)
        number = f"{id(self)}-{len(self.asked)}"
        session = SESSION | {"id": number, "websocket": f"/ws/chat/{number}/"}
        session["identified"] = body["identity"] is not None
        status, body = self.refusal or (201, session)
        return route.fulfill(status=status, json=body)

    def _attach(self, route):
        status, body = self.refusal or (201, {"id": "f1", "name": "photo.png", "kind": "file"})
        route.fulfill(status=status, json=body)

    def _connect(self, socket):
        self.sockets.append(socket)
        socket.on_message(lambda text: self._take(json.loads(text)))
        if not self.silent:
            self.tell("ready", last_seq=self.last_seq)

    def _take(self, frame):
        if self.silent or self.deaf:
            return
        if frame["type"] == "ping":
            self.pong(frame)
        else:
            self.sent.append(frame)

    def pong(self, frame):
        self.tell("pong")

    def open(self, **query):
        self.page.goto(f"/chat/?{urlencode(query)}")

    def visit(self, customer=""):
        """Open the shop's page around the chat, signed in as a customer or as nobody."""
        shop = SHOP.format(identity=token_of(customer) if customer else "")
        self.page.route(
            "**/shop/", lambda route: route.fulfill(body=shop, content_type="text/html")
        )
        self.page.goto("/shop/")
        self.root = self.page.frame_locator("wowconsole-chat iframe")

    def sign_in(self, customer):
        self.page.evaluate("(proof) => WOWConsole.identify(proof)", customer and token_of(customer))

    def tell(self, kind, **event):
        """Send an event; the number of a durable one is the highest from now on."""
        self.last_seq = max(self.last_seq, event.get("seq", 0))
        self.sockets[-1].send(json.dumps({"type": kind, **event}))

    def answer(self, text, seq, **more):
        self.tell("message", role="agent", id=f"m{seq}", text=text, seq=seq, **more)

    def write(self, text):
        """Write a message and return its frame once it was sent."""
        self.put(text)
        return self.wait_for("message")

    def put(self, text):
        """Write a message that may not get through."""
        self.root.locator("#text").fill(text)
        self.root.locator("#text").press("Enter")

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
        return self.root.locator("#log > li .text, #log > .note").all_inner_texts()
