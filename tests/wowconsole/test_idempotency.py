"""A repeated POST of the API acts once."""

from datetime import timedelta
from unittest import mock

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase
from django.utils import timezone

from knowledge.models import KnowledgeUnit
from tests.factories import make_scene, make_user
from wowconsole import idempotency
from wowconsole.apikeys import issue_key
from wowconsole.models import IdempotentRequest

URL = "/api/knowledge/units/"


class IdempotencyTests(TestCase):
    def setUp(self):
        self.scene = make_scene()
        self.user = make_user("operator", [self.scene])
        self.key, self.secret = issue_key(
            user=self.user, name="test", scopes=["knowledge.read", "knowledge.write"]
        )

    def post(self, key="a", title="Late orders", secret=None, url=URL):
        rule = {
            "scene": self.scene.slug,
            "title": title,
            "condition": "When an order is late",
            "content": "Say sorry.",
        }
        headers = {"Authorization": f"Bearer {secret or self.secret}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.client.post(url, rule, "application/json", headers=headers)

    def test_a_repetition_gets_the_first_answer(self):
        first, second = self.post(), self.post()
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json() == second.json()
        assert second["Idempotency-Replayed"] == "true"
        assert second["Content-Type"] == first["Content-Type"]
        assert KnowledgeUnit.objects.count() == 1

    def test_other_keys_and_no_key_act_again(self):
        for key in ("a", "b", None, None):
            assert "Idempotency-Replayed" not in self.post(key)
        assert KnowledgeUnit.objects.count() == 4

    def test_keys_of_different_callers_do_not_meet(self):
        other = issue_key(user=self.user, name="other", scopes=["knowledge.write"])[1]
        self.post()
        assert "Idempotency-Replayed" not in self.post(secret=other)

    def test_a_key_is_for_one_request(self):
        self.post()
        refused = self.post(title="Something else")
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key")
        assert refused["Content-Type"].startswith("application/problem+json")

    def test_a_refusal_is_an_answer_too(self):
        assert [self.post(title="").status_code for _ in range(2)] == [400, 400]
        assert IdempotentRequest.objects.get().status == 400

    def test_what_is_under_way_is_not_started_again(self):
        self.post()
        IdempotentRequest.objects.update(status=None)
        refused = self.post()
        assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_unfinished")
        assert KnowledgeUnit.objects.count() == 1

    def test_our_own_faults_may_be_tried_again(self):
        self.client.raise_request_exception = False
        with mock.patch("knowledge.services.draft_unit", side_effect=RuntimeError):
            assert self.post().status_code == 500
        assert self.post().status_code == 201

    def test_a_revoked_key_sees_no_old_answers(self):
        self.post()
        self.key.revoked_at = timezone.now()
        self.key.save()
        assert self.post().status_code == 401

    def test_strange_keys_are_refused(self):
        assert self.post("x" * 201).status_code == 422

    def test_answers_are_forgotten_after_a_day(self):
        self.post()
        IdempotentRequest.objects.update(at=timezone.now() - timedelta(days=2))
        idempotency.forget_old()
        assert "Idempotency-Replayed" not in self.post()

    def upload(self, content):
        file = SimpleUploadedFile("rules.csv", content)
        return self.client.post(
            "/api/knowledge/import/",
            {"file": file, "scene": self.scene.slug},
            headers={"Authorization": f"Bearer {self.secret}", "Idempotency-Key": "file"},
        )

    def test_an_upload_is_known_by_its_content(self):
        content = b"external_id,title,condition,content\nx1,Late,When late,Say sorry.\n"
        first, again = self.upload(content), self.upload(content)
        assert first.status_code == again.status_code
        assert again["Idempotency-Replayed"] == "true"
        assert KnowledgeUnit.objects.count() == 1
        assert self.upload(content.replace(b"x1", b"x2")).status_code == 422
        assert KnowledgeUnit.objects.count() == 1
