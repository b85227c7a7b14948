"""A scripted engine: a real HTTP server that speaks the OpenAI API on a loopback port."""

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from agents.actions import DialogueAction

WAITS = 10  # seconds before a held answer goes on by itself, so that no test hangs


@dataclass
class Answer:
    """What one request gets: `text` in pieces, or what goes wrong."""

    text: str = ""
    status: int = 200  # another one is sent as an OpenAI error
    pieces: int = 12
    hold_after: int | None = None  # pieces; then it waits for `Engine.go_on`
    cut_after: int | None = None  # pieces; then the connection drops
    delay: float = 0.0  # seconds before the first piece
    raw: bytes | None = None  # sent as it stands instead of chunks


@dataclass
class Engine:
    """What the server will say, and what it was asked. Answers are used up in order."""

    url: str = ""
    script: list = field(default_factory=list)
    always: Answer = field(default_factory=lambda: says("Hello from the engine."))
    serves: set = field(default_factory=set)  # model names; empty: every one
    loads: list = field(default_factory=list)  # bodies of load_lora_adapter
    requests: list = field(default_factory=list)  # bodies of chat/completions
    holding: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def will(self, *answers):
        self.script = [as_answer(answer) for answer in answers]

    def next(self):
        return self.script.pop(0) if self.script else self.always


def as_answer(answer):
    return Answer(answer) if isinstance(answer, str) else answer


def says(reply, name="reply", thought="Because.", knowledge=(), **fields):
    """An answer whose text is a whole dialogue action."""
    arguments = fields.pop("arguments", {})
    action = DialogueAction(name, reply, thought, list(knowledge), arguments)
    return Answer(action.as_json(), **fields)


def calls(name, reply="One moment.", **arguments):
    """An answer that calls a tool."""
    return says(reply, name, arguments=arguments)


@contextmanager
def scripted_engine():
    engine = Engine()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"engine": engine}))
    server.daemon_threads = True
    engine.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield engine
    finally:
        engine.go_on.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    engine: Engine
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._json(200, {"data": [{"id": name} for name in sorted(self.engine.serves)]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/load_lora_adapter":
            self.engine.loads.append(body)
            self.engine.serves.add(body["lora_name"])
            self._json(200, {"status": "loaded"})
        elif self.path == "/v1/chat/completions":
            self._complete(body)
        else:
            self._json(404, _error("no such call"))

    def _complete(self, body):
        if self.engine.serves and body["model"] not in self.engine.serves:
            self._json(404, _error(f"The model {body['model']} does not exist."))
            return
        self.engine.requests.append(body)
        answer = self.engine.next()
        if answer.status != 200:
            self._json(answer.status, _error("the script says no"))
            return
        time.sleep(answer.delay)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self._stream(answer)

    def _stream(self, answer):
        if answer.raw is not None:
            self.wfile.write(answer.raw)
            return
        size = max(1, -(-len(answer.text) // answer.pieces))
        pieces = [answer.text[n : n + size] for n in range(0, len(answer.text), size)]
        for number, piece in enumerate(pieces):
            if number == answer.cut_after:
                return
            if number == answer.hold_after:
                self.engine.holding.set()
                self.engine.go_on.wait(WAITS)
            self._event({"choices": [{"index": 0, "delta": {"content": piece}}]})
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self._event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, chunk):
        whole = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", **chunk}
        self.wfile.write(b"data: " + json.dumps(whole).encode() + b"\n\n")
        self.wfile.flush()

    def _json(self, status, content):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing: the test's output is pytest's."""


def _error(message):
    return {"error": {"message": message, "type": "scripted", "code": None}}


class EngineMixin:
    """Gives a test class `self.engine`, with ENGINE_URL leading to it."""

    def setUp(self):
        super().setUp()
        self.engine = self.enterContext(scripted_engine())
        self.enterContext(self.settings(ENGINE_URL=self.engine.url, ENGINE_TIMEOUT_SECONDS=5))
