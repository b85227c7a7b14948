"""A scripted business system: a real HTTP server for tools, on a loopback port."""

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Business:
    """What the server answers and what it was asked: (method, path, key, body, bearer)."""

    url: str = ""
    answer: bytes = b'{"status": "on the way"}'
    status: int = 200
    drips: bool = False  # sends its answer byte by byte, for ever
    requests: list = field(default_factory=list)
    customers: list = field(default_factory=list)  # of X-Customer, one a request
    before: object = None  # called in the server's thread before it answers
    stopped: threading.Event = field(default_factory=threading.Event)


@contextmanager
def business():
    shop = Business()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"shop": shop}))
    server.daemon_threads = True
    shop.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield shop
    finally:
        shop.stopped.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    shop: Business

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = self.headers
        asked = (self.command, self.path, headers["Idempotency-Key"], headers["Authorization"])
        self.shop.requests.append((*asked, json.loads(body) if body else None))
        self.shop.customers.append(headers["X-Customer"])
        if self.shop.before:
            self.shop.before()
        self.send_response(self.shop.status)
        self.end_headers()
        while self.shop.drips and not self.shop.stopped.wait(0.02):
            self.wfile.write(b" ")
        self.wfile.write(self.shop.answer)

    def log_message(self, *_):
        """Say nothing: the test's output is pytest's."""
