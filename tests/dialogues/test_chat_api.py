"""Opening a conversation over HTTP."""

from unittest import mock
from urllib.parse import parse_qs, urlsplit

from django.core.cache import cache
from django.test import TestCase
from rest_framework.throttling import ScopedRateThrottle

from dialogues import services
from dialogues.models import Conversation
from tests.factories import make_scene


class OpenTests(TestCase):
    def setUp(self):
        cache.clear()

    def post(self, body):
        return self.client.post("/api/chat/sessions/", body, content_type="application/json")

    def test_anybody_gets_a_conversation_and_its_key(self):
        scene = make_scene()
        answer = self.post({"scene": scene.slug, "customer": "Maya"})
        assert answer.status_code == 201
        body = answer.json()
        conversation = Conversation.objects.get()
        assert (str(conversation.public_id), conversation.scene) == (body["id"], scene)
        assert conversation.customer == "Maya"
        url = urlsplit(body["websocket"])
        assert url.path == f"/ws/chat/{body['id']}/"
        assert parse_qs(url.query)["token"] == [body["token"]]
        assert services.opens(conversation, body["token"])

    def test_nothing_need_be_said(self):
        assert self.post({}).status_code == 201
        assert self.post({"scene": None, "customer": ""}).status_code == 201
        assert self.post({"scene": ""}).status_code == 201

    def test_the_number_of_a_card_is_no_name(self):
        self.post(
            {"customer": "Maya 4111.1111.1111.1111", "audience": {"region": "4111111111111111"}}
        )
        conversation = Conversation.objects.get()
        assert conversation.customer == "Maya •••• 1111"
        assert conversation.audience["region"] == "•••• 1111"

    def test_a_scene_that_is_not_there_is_named(self):
        answer = self.post({"scene": "nowhere"})
        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_scene")
        assert answer.json()["detail"] == "There is no scene “nowhere”."
        assert not Conversation.objects.exists()

    def test_nonsense_is_refused(self):
        for body in (
            {"scene": "nowhere"},
            {"scene": "\0"},
            {"scene": ["a"]},
            {"scene": {"slug": "a"}},
            {"customer": "x" * 121},
            {"customer": "a\0b"},
            {"customer": ["a"]},
            [],
        ):
            answer = self.post(body)
            assert answer.status_code in (400, 422), body
            assert answer["Content-Type"] == "application/problem+json"
        assert self.client.post("/api/chat/sessions/", "{", "application/json").status_code == 400
        assert self.client.get("/api/chat/sessions/").status_code == 405
        assert not Conversation.objects.exists()

    def test_an_address_opens_only_so_many(self):
        with mock.patch.object(ScopedRateThrottle, "THROTTLE_RATES", {"chat-sessions": "2/min"}):
            codes = [self.post({}).status_code for _ in range(3)]
            assert codes == [201, 201, 429]
            other = self.client.post("/api/chat/sessions/", REMOTE_ADDR="10.0.0.9")
            assert other.status_code == 201
