"""REST endpoints of submissions, snapshots, revision diffs and owners."""

from datetime import timedelta

from django.test import TestCase
from django.utils import timezone

from knowledge import services
from knowledge.models import KnowledgeUnit, Snapshot
from tests.factories import make_published_unit, make_scene, make_unit, make_user
from wowconsole.apikeys import issue_key

SUBMISSIONS, SNAPSHOTS = "/api/knowledge/submissions/", "/api/knowledge/snapshots/"
EVERYTHING = ("knowledge.read", "knowledge.write", "knowledge.approve")


class ApiTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene(slug="delivery")
        cls.author = make_user("operator", [cls.scene])
        cls.approver = make_user("approver", [cls.scene])
        cls.unit = make_unit(scene=cls.scene, author=cls.author, risk="high", content="$5.")

    def key(self, user, *scopes):
        _, secret = issue_key(user=user, name="k", scopes=list(scopes or EVERYTHING))
        return {"Authorization": f"Bearer {secret}"}

    def post(self, path, data=None, by=None, headers=None):
        headers = headers or self.key(by or self.author)
        return self.client.post(path, data or {}, "application/json", headers=headers)

    def get(self, path, by=None):
        return self.client.get(path, headers=self.key(by or self.author))


class SubmissionApiTests(ApiTestCase):
    def submit(self, **fields):
        return self.post(SUBMISSIONS, {"unit": self.unit.pk, "revision": 1, **fields})

    def test_submitted_approved_and_live(self):
        made = self.submit(comment="Please")
        assert (made.status_code, made.json()["state"]) == (201, "waiting")
        url = f"{SUBMISSIONS}{made.json()['id']}/"
        assert self.get(f"{SUBMISSIONS}?state=waiting").json()["results"][0]["revision"] == 1
        assert self.post(f"{url}approve/").status_code == 403
        done = self.post(f"{url}approve/", by=self.approver).json()
        assert (done["state"], done["decided_by"]) == ("published", self.approver.username)
        again = self.post(f"{url}approve/", by=self.approver)
        assert (again.status_code, again.json()["code"]) == (409, "submission_closed")

    def test_sent_back_and_withdrawn(self):
        url = f"{SUBMISSIONS}{self.submit().json()['id']}/"
        assert self.post(f"{url}reject/", by=self.approver).status_code == 400
        sent = self.post(f"{url}reject/", {"reason": "Too much."}, by=self.approver)
        assert (sent.json()["state"], sent.json()["decision"]) == ("rejected", "Too much.")
        url = f"{SUBMISSIONS}{self.submit().json()['id']}/"
        assert self.post(f"{url}withdraw/").json()["state"] == "withdrawn"

    def test_refusals_are_problem_documents(self):
        past = (timezone.now() - timedelta(days=1)).isoformat()
        for fields, status, code in (
            ({"publish_at": past}, 422, "invalid"),
            ({"revision": 7}, 409, "stale_edit"),
            ({"unit": 10**12}, 404, "not_found"),
            ({"publish_at": "soon"}, 400, "invalid"),
        ):
            answer = self.submit(**fields)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
        self.submit()
        assert self.submit().json()["code"] == "submission_open"
        published = self.post(f"/api/knowledge/units/{self.unit.pk}/publish/")
        assert published.json()["code"] == "approval_needed"

    def test_a_key_without_the_scope_does_not_approve_for_an_approver(self):
        url = f"{SUBMISSIONS}{self.submit().json()['id']}/approve/"
        few = self.key(self.approver, "knowledge.read", "knowledge.write")
        assert self.post(url, headers=few).status_code == 403

    def test_strangers_find_nothing(self):
        url = f"{SUBMISSIONS}{self.submit().json()['id']}/"
        stranger = make_user("approver", [make_scene()])
        assert self.get(SUBMISSIONS, stranger).json()["results"] == []
        assert self.get(url, stranger).status_code == 404
        assert self.post(f"{url}approve/", by=stranger).status_code == 404

    def test_the_number_of_queries_does_not_grow(self):
        for _ in range(3):
            unit = make_unit(scene=self.scene, author=self.author, risk="high")
            self.submit(unit=unit.pk)
        headers = self.key(self.author)
        with self.assertNumQueries(4):  # key, its use, roles, rows
            self.client.get(SUBMISSIONS, headers=headers)


class BadTextApiTests(ApiTestCase):
    def test_what_cannot_be_stored_is_refused_and_nothing_changed(self):
        row = {"scene": "delivery", "title": "A", "condition": "When", "content": "Then"}
        for name, text in (
            ("content", ""),
            ("content", "x" * 100_000),
            ("content", "a\0b"),
            ("content", "a\ud800b"),
            ("content", "caf\ufffd"),
            ("source", "a\ud800"),
            ("questions", ["a\ud800"]),
            ("channels", ["a\0"]),
            ("external_id", "a\ufffd"),
        ):
            answer = self.post("/api/knowledge/units/", {**row, name: text})
            assert answer.status_code in (400, 422), (name, answer.status_code)
            assert name in answer.json()["errors"], name
        body = b'{"scene": "delivery", "title": "caf\xe9"}'
        headers = self.key(self.author)
        broken = self.client.post(
            "/api/knowledge/units/", body, "application/json", headers=headers
        )
        assert broken.status_code == 400
        assert KnowledgeUnit.objects.count() == 1

    def test_the_scope_of_a_rule_is_written_too(self):
        row = {"scene": "delivery", "title": "A", "condition": "When", "content": "Then"}
        made = self.post("/api/knowledge/units/", {**row, "channels": ["Web"]})
        assert made.json()["revision"]["channels"] == ["web"]


class RevisionApiTests(ApiTestCase):
    def test_two_revisions_are_compared_word_by_word(self):
        services.revise_unit(unit=self.unit, author=self.author, based_on=1, content="$6.")
        url = f"/api/knowledge/units/{self.unit.pk}/diff/"
        [change] = self.get(f"{url}?from=1&to=2").json()
        assert {"kind": "added", "text": "6"} in change["pieces"]
        for query in ("", "?from=1", "?from=1&to=9", "?from=x&to=1"):
            assert self.get(url + query).status_code == 404

    def test_an_owner_is_somebody_of_the_scene(self):
        url = f"/api/knowledge/units/{self.unit.pk}/owner/"
        assert self.post(url, {"owner": make_user("operator").username}).status_code == 404
        assert self.post(url, {"owner": self.approver.username}).status_code == 200
        assert KnowledgeUnit.objects.get(pk=self.unit.pk).owner == self.approver


class SnapshotApiTests(ApiTestCase):
    def test_taken_listed_and_compared(self):
        rule = make_published_unit(scene=self.scene, content="$5.")
        made = self.post(SNAPSHOTS, {"name": "Before", "scene": "delivery"})
        assert (made.status_code, made.json()["scene"]) == (201, "delivery")
        services.revise_unit(unit=rule, author=self.author, based_on=1, content="$6.")
        services.publish_unit(unit=KnowledgeUnit.objects.get(pk=rule.pk), by=self.author)
        url = f"{SNAPSHOTS}{made.json()['id']}/diff/"
        found = self.get(url).json()
        assert (found["added"], found["removed"], found["changed"]) == (0, 0, 1)
        assert found["changes"][0]["later"] == 2
        assert self.get(f"{url}?with={made.json()['id']}").json()["changes"] == []
        assert len(self.get(SNAPSHOTS).json()["results"]) == 1

    def test_refusals(self):
        for fields, status in (
            ({"name": "All"}, 422),
            ({"name": "x", "scene": "moon"}, 400),
            ({"name": "", "scene": "delivery"}, 400),
            ({"name": "x" * 81, "scene": "delivery"}, 422),
        ):
            assert self.post(SNAPSHOTS, fields).status_code == status, fields
        assert not Snapshot.objects.exists()
        made = self.post(SNAPSHOTS, {"name": "Mine", "scene": "delivery"}).json()
        url = f"{SNAPSHOTS}{made['id']}/diff/"
        for query in ("?with=x", "?start=x"):
            assert self.get(url + query).status_code == 404
        stranger = make_user("operator", [make_scene()])
        assert self.get(url, stranger).status_code == 404
