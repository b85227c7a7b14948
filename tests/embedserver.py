"""A scripted embedding model: a real HTTP server with the OpenAI API on a loopback port."""

import json
import re
import threading
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Embedder:
    """What the server is, and what it was asked.

    A text's vector counts its words, each in one of `dimensions` places, and its last place
    holds a little of everything: so unrelated texts have a low cosine above 0.
    """

    url: str = ""
    dimensions: int = 64
    status: int = 200
    alike: bool = False  # every text gets the same vector
    requests: list = field(default_factory=list)  # bodies
    before: object = None  # called in the server's thread before it answers

    @property
    def options(self):
        return {"url": self.url, "model": "words"}

    def vector(self, text):
        vector = [0.0] * self.dimensions
        vector[-1] = 0.5
        for word in [] if self.alike else re.findall(r"\w+", text.lower()):
            vector[zlib.crc32(word.encode()) % (self.dimensions - 1)] += 1.0
        return vector


@contextmanager
def embedding_server():
    embedder = Embedder()
    bound = type("Bound", (_Handler,), {"embedder": embedder})
    server = ThreadingHTTPServer(("127.0.0.1", 0), bound)
    server.daemon_threads = True
    embedder.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield embedder
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    embedder: Embedder

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.embedder.requests.append(body)
        if self.embedder.before:
            self.embedder.before()
        vectors = [self.embedder.vector(text) for text in body["input"]]
        rows = [{"index": n, "embedding": vector} for n, vector in enumerate(vectors)]
        known = self.embedder.status == 200 and self.path == "/v1/embeddings"
        answer = {"data": rows} if known else {"error": {"message": "the script says no"}}
        data = json.dumps(answer).encode()
        self.send_response(200 if known else self.embedder.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing: the test's output is pytest's."""
