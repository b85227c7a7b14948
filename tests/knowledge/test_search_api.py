"""The search over REST: for whom, and what it says when the embedding model fails."""

from django.test import TestCase

from knowledge import indexing
from tests.factories import make_published_unit, make_scene, make_user

COLD = {"title": "Cold food", "condition": "When the food arrives cold", "content": "Refund $5."}


class SearchApiTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.operator = make_user("operator", [cls.scene])
        cls.unit = make_published_unit(scene=cls.scene, **COLD)

    def setUp(self):
        self.client.force_login(self.operator)

    def ask(self, **body):
        body = {"queries": ["the food arrives cold"], **body}
        return self.client.post("/api/knowledge/search/", body, content_type="application/json")

    def test_the_answer_tells_how_each_rule_was_found(self):
        body = self.ask().json()
        [hit] = body["results"][0]["units"]
        assert (hit["id"], hit["vector_rank"], hit["text_rank"]) == (self.unit.pk, 1, 1)
        assert (hit["coverage"], hit["letters_rank"], body["degraded"]) == (1.0, None, False)

    def test_a_rule_for_some_is_found_for_them_alone(self):
        make_published_unit(scene=self.scene, **COLD, channels=["web"])
        counts = [
            len(self.ask(audience=audience).json()["results"][0]["units"])
            for audience in ({"channel": "web"}, {"channel": "phone"}, {})
        ]
        assert counts == [2, 1, 1]
        assert self.ask(audience={"channel": "x" * 41}).status_code == 400

    def test_a_failing_model_is_told_of_and_publishing_is_refused(self):
        live = indexing.live_index()
        live.embedder, live.options = "openai", {"url": "http://127.0.0.1:9/v1"}
        live.save()
        body = self.ask().json()
        assert body["degraded"]
        assert [hit["id"] for hit in body["results"][0]["units"]] == [self.unit.pk]
        row = {"scene": self.scene.slug, **COLD}
        created = self.client.post("/api/knowledge/units/", row, content_type="application/json")
        refused = self.client.post(f"/api/knowledge/units/{created.json()['id']}/publish/")
        assert (refused.status_code, refused.json()["code"]) == (503, "embedding_failed")

    def test_the_signed_out_are_refused(self):
        self.client.logout()
        assert self.ask().status_code in (401, 403)
