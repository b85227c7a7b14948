"""Whom a customer belongs to: given when a chat opens, kept, shown, used by the search."""

from asgiref.sync import sync_to_async
from django.core.cache import cache
from django.test import TestCase

from dialogues import answering, services
from dialogues.models import Conversation, TurnUnit
from tests.engine import EngineMixin
from tests.factories import (
    make_conversation,
    make_published_unit,
    make_release,
    make_scene,
    make_user,
)


class SessionTests(TestCase):
    def setUp(self):
        cache.clear()

    def post(self, body):
        return self.client.post("/api/chat/sessions/", body, content_type="application/json")

    def test_the_site_says_whom_it_knows(self):
        audience = {"channel": "App", "segment": " plus ", "region": ""}
        assert self.post({"audience": audience}).status_code == 201
        assert Conversation.objects.get().audience == {"channel": "app", "segment": "plus"}

    def test_the_channel_is_the_web_unless_said(self):
        assert self.post({}).status_code == 201
        assert self.post({"audience": {"region": "london"}}).status_code == 201
        known = list(Conversation.objects.order_by("pk").values_list("audience", flat=True))
        assert known == [{"channel": "web"}, {"channel": "web", "region": "london"}]

    def test_other_keys_and_long_or_odd_values_are_refused(self):
        for audience in (
            {"age": "7"},
            {"channel": "x" * 41},
            {"channel": ["web"]},
            {"region": "a\0b"},
            "web",
            ["web"],
        ):
            answer = self.post({"audience": audience})
            assert answer.status_code == 400, audience
            assert answer["Content-Type"] == "application/problem+json"
            assert "audience" in answer.json()["errors"]
        assert not Conversation.objects.exists()

    def test_staff_see_it(self):
        conversation = make_conversation(audience={"channel": "app", "segment": "plus"})
        self.client.force_login(make_user("admin"))
        page = self.client.get(conversation.get_absolute_url())
        self.assertContains(page, "channel app")
        self.assertContains(page, "segment plus")


class AnswerTests(EngineMixin, TestCase):
    async def found_for(self, audience):
        conversation = await sync_to_async(make_conversation)(scene=self.scene, audience=audience)
        await sync_to_async(services.say)(
            conversation=conversation, text="Do I get free delivery today?", client_id="1"
        )
        await answering.answer_conversation(conversation.pk)
        rows = TurnUnit.objects.filter(turn__conversation=conversation)
        return [row async for row in rows]

    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        make_release(live=True)
        cls.unit = make_published_unit(
            scene=cls.scene,
            condition="Do I get free delivery?",
            content="Plus members always do.",
            segments=["plus"],
        )

    async def test_a_rule_for_some_is_found_for_them_only(self):
        (row,) = await self.found_for({"channel": "web", "segment": "plus"})
        assert row.unit_id == self.unit.pk
        assert row.matched == "Do I get free delivery?", "the hook that found it is stored"
        assert await self.found_for({"channel": "web"}) == []
