"""Vectors are as many as the texts and of unit length, or the fault has one name."""

import json
import math
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from knowledge.embedding import EMBEDDING_DIMENSIONS, EmbeddingFailed, embed, embed_queries

NOWHERE = {"url": "http://127.0.0.1:9/v1", "model": "any"}


class Handler(BaseHTTPRequestHandler):
    """An embedding server: each text's vector is (its length, 1), last text first."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.headers["Authorization"], asked))
        rows = [
            {"object": "embedding", "index": place, "embedding": self.server.vector(text)}
            for place, text in reversed(list(enumerate(asked["input"])))
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        body = {"object": "list", "data": rows, "model": asked["model"], "usage": usage}
        raw = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *arguments):
        """Keep the test's output clean."""


@pytest.fixture
def server():
    served = HTTPServer(("127.0.0.1", 0), Handler)
    served.seen, served.vector = [], lambda text: [float(len(text)), 1.0]
    served.options = {"url": f"http://127.0.0.1:{served.server_port}/v1", "model": "tiny"}
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield served
    served.shutdown()
    served.server_close()


class TestShippedModel:
    def test_vectors_have_unit_length_and_are_the_same_each_time(self):
        [vector] = embed_queries(["where is my order"])
        assert len(vector) == EMBEDDING_DIMENSIONS
        assert math.isclose(math.hypot(*vector), 1, abs_tol=1e-6)
        assert embed_queries(["where is my order"]) == [vector]

    def test_a_question_and_a_passage_differ(self):
        question, passage = (embed(["refund"], is_query=kind)[0] for kind in (True, False))
        assert question != passage

    def test_empty_and_hostile_texts_have_vectors_too(self):
        assert len(embed(["", "a\0b", "汤" * 5000], is_query=False)) == 3
        assert embed([], is_query=True) == []


class TestOpenAIServer:
    def test_texts_keep_their_order_and_get_the_prefix(self, server):
        options = {**server.options, "query_prefix": "q: "}
        vectors = embed(["a", "bcd"], is_query=True, embedder="openai", options=options)
        assert vectors[0][0] < vectors[1][0]
        assert all(math.isclose(math.hypot(*vector), 1) for vector in vectors)
        assert server.seen[0][1]["input"] == ["q: a", "q: bcd"]

    def test_many_texts_go_in_several_requests(self, server):
        texts = ["x"] * 100
        assert len(embed(texts, is_query=False, embedder="openai", options=server.options)) == 100
        assert [len(asked["input"]) for _, asked in server.seen] == [64, 36]

    def test_a_key_comes_from_a_variable_named_for_it(self, server, monkeypatch):
        monkeypatch.setenv("EMBEDDING_KEY", "hush")
        options = {**server.options, "api_key_env": "EMBEDDING_KEY"}
        embed(["a"], is_query=True, embedder="openai", options=options)
        assert server.seen[0][0] == "Bearer hush"

    def test_no_other_secret_leaves_the_house(self, server, monkeypatch):
        monkeypatch.setenv("SECRET_KEY", "hush")
        for name in ("SECRET_KEY", "EMBEDDING_UNSET"):
            options = {**server.options, "api_key_env": name}
            with pytest.raises(EmbeddingFailed):
                embed(["a"], is_query=True, embedder="openai", options=options)
        assert server.seen == []

    def test_no_password_stands_in_an_address(self, server):
        url = server.options["url"].replace("//", "//me:hush@")
        with pytest.raises(EmbeddingFailed, match="no password") as fault:
            embed(["a"], is_query=True, embedder="openai", options={**server.options, "url": url})
        assert "hush" not in str(fault.value)
        assert server.seen == []

    def test_vectors_that_are_none_are_refused(self, server):
        for vector in ([0.0, 0.0], [float("nan"), 1.0], []):
            server.vector = lambda text, vector=vector: vector
            with pytest.raises(EmbeddingFailed):
                embed(["a"], is_query=True, embedder="openai", options=server.options)

    def test_any_fault_on_the_way_has_one_name(self):
        for url in ("", "file:///etc/passwd", "http://\x01/v1", "http://["):
            with pytest.raises(EmbeddingFailed):
                embed(["a"], is_query=True, embedder="openai", options={"url": url})
        for options in (NOWHERE, {}):
            with pytest.raises(EmbeddingFailed):
                embed(["a"], is_query=True, embedder="openai", options=options)

    def test_an_unknown_kind_is_refused(self):
        with pytest.raises(EmbeddingFailed, match="crystal"):
            embed(["a"], is_query=True, embedder="crystal")
