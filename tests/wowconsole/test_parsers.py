"""JSON that is nested without end, and what breaks: an API client gets a problem document."""

import hashlib
import hmac
import time
from unittest.mock import patch

from django.core.cache import cache
from django.test import TestCase, override_settings

from dialogues.chat import completions, identifying
from dialogues.models import BusinessEvent, Conversation
from tests.factories import make_user
from wowconsole.apikeys import issue_key
from wowconsole.parsers import MOST_BYTES, MOST_LEVELS

PROBLEM = "application/problem+json"
SESSIONS, EVENTS, COMPLETIONS = "/api/chat/sessions/", "/api/events/", "/v1/chat/completions"


def nested(levels):
    return b"[" * levels + b"]" * levels


@override_settings(EVENTS_KEY="the-key")
class NestingTests(TestCase):
    def setUp(self):
        cache.clear()

    def post(self, url, body, **headers):
        return self.client.post(url, body, content_type="application/json", headers=headers)

    def post_event(self, body):
        stamp = str(int(time.time()))
        digest = hmac.new(b"the-key", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        return self.post(EVENTS, body, x_events_timestamp=stamp, x_events_signature=digest)

    def refuses(self, answer):
        assert (answer.status_code, answer["Content-Type"]) == (400, PROBLEM), answer.content
        assert answer.json()["detail"] == f"JSON here has at most {MOST_LEVELS} levels."

    def test_a_new_chat(self):
        for levels in (200_000, 3000, 900, MOST_LEVELS):  # and one more: the object around it
            for name in (b"customer", b"audience", b"identity"):
                self.refuses(self.post(SESSIONS, b'{"%b": %b}' % (name, nested(levels))))
        assert not Conversation.objects.exists()

    def test_a_body_that_is_too_long(self):
        answer = self.post(SESSIONS, b'{"customer": "%b"}' % (b"x" * MOST_BYTES))
        assert (answer.status_code, answer["Content-Type"]) == (413, PROBLEM)
        assert not Conversation.objects.exists()

    def test_a_signed_event(self):
        for levels in (30_000, 3000, 900, MOST_LEVELS - 1):
            body = b'{"id": "1", "type": "a", "customer": "c", "data": {"x": %b}}'
            self.refuses(self.post_event(body % nested(levels)))
        assert not BusinessEvent.objects.exists()

    def test_what_is_less_deep_is_read(self):
        body = b'{"id": "1", "type": "a", "customer": "c", "data": {"x": %b}}'
        assert self.post_event(body % nested(MOST_LEVELS - 2)).status_code == 202

    def test_a_request_of_the_openai_api(self):
        _, secret = issue_key(user=make_user("operator"), name="k", scopes=["dialogues.reply"])
        for levels in (100_000, 3000, 900):
            body = b'{"model": "live", "messages": %b}' % nested(levels)
            answer = self.post(COMPLETIONS, body, authorization=f"Bearer {secret}")
            assert answer.status_code == 400
            assert answer.json()["error"]["type"] == "invalid_request_error"

    @override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=100)
    def test_more_than_is_read_at_once(self):
        answer = self.post_event(nested(51))
        assert (answer.status_code, answer["Content-Type"]) == (413, PROBLEM)


class ServerErrorTests(TestCase):
    def setUp(self):
        cache.clear()
        self.client.raise_request_exception = False

    def test_the_api_tells_nothing_of_what_broke(self):
        with patch.object(identifying, "open_chat", side_effect=RuntimeError("a secret")):
            answer = self.client.post(SESSIONS, {}, content_type="application/json")
        assert (answer.status_code, answer["Content-Type"]) == (500, PROBLEM)
        assert (answer.json()["status"], answer.json()["code"]) == (500, "server_error")
        assert b"secret" not in answer.content

    def test_an_openai_client_reads_an_error_of_its_api(self):
        with patch.object(completions, "_holder", side_effect=RuntimeError("a secret")):
            answer = self.client.get("/v1/models")
        assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")
        assert b"secret" not in answer.content

    def test_pages_say_it_to_people(self):
        with patch("wowconsole.views.numbers.summary", side_effect=RuntimeError("a secret")):
            self.client.force_login(make_user("operator"))
            answer = self.client.get("/")
        self.assertContains(answer, "Something broke", status_code=500)
