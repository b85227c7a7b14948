"""The REST API of models, releases and tools."""

from django.test import TestCase

from agents.models import Promotion, Release, live_release
from tests.factories import make_release, make_scene, make_tool, make_user, make_version
from wowconsole.apikeys import issue_key

READS = ["/api/releases/", "/api/releases/first/", "/api/models/", "/api/models/smol/"]
READS += ["/api/tools/", "/api/tools/look_up/"]
WRITES = ["/api/releases/", "/api/releases/first/promote/", "/api/releases/rollback/"]


class ApiTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.version = make_version(name="smol")
        cls.first = make_release(name="first", version=cls.version)
        make_tool(name="look_up")
        cls.engineer = make_user("ml_engineer")
        _, cls.secret = issue_key(
            user=cls.engineer, name="ci", scopes=["agents.read", "agents.write"]
        )

    def call(self, method, url, body=None, secret=None):
        headers = {"Authorization": f"Bearer {secret or self.secret}"}
        send = getattr(self.client, method)
        return send(url, body, content_type="application/json", headers=headers)

    def post(self, url, body=None):
        return self.call("post", url, body or {})


class AccessTests(ApiTestCase):
    def test_without_a_key_nothing_is_open(self):
        for url in READS:
            assert self.client.get(url).status_code == 401, url
        for url in WRITES:
            assert self.client.post(url).status_code == 401, url

    def test_reading_keys_and_readers_do_not_write(self):
        _, reading = issue_key(user=self.engineer, name="r", scopes=["agents.read"])
        both = ["agents.read", "agents.write"]
        _, auditor = issue_key(user=make_user("auditor"), name="a", scopes=both)
        for secret in (reading, auditor):
            assert all(self.call("get", url, secret=secret).status_code == 200 for url in READS)
            for url in WRITES:
                assert self.call("post", url, {}, secret=secret).status_code == 403, url
        assert not Promotion.objects.exists()

    def test_keys_of_other_things_read_nothing_here(self):
        _, other = issue_key(user=self.engineer, name="o", scopes=["training.write"])
        assert {self.call("get", url, secret=other).status_code for url in READS} == {403}

    def test_tools_of_other_scenes_are_not_there(self):
        own, other = make_scene(), make_scene()
        other.members.add(make_user())
        make_tool(name="own").scenes.add(own)
        make_tool(name="other").scenes.add(other)
        self.engineer.scenes.add(own)
        listed = self.call("get", "/api/tools/").json()["results"]
        assert [tool["name"] for tool in listed] == ["own", "look_up"]
        assert self.call("get", "/api/tools/other/").status_code == 404

    def test_nothing_is_changed_or_deleted(self):
        for url in READS:
            # A tool may be patched: see test_api_tools.
            for method in ("put", "delete") if "/tools/" in url else ("put", "patch", "delete"):
                assert self.call(method, url, {}).status_code == 405, (method, url)
        assert self.post("/api/models/").status_code == 405


class ReleaseTests(ApiTestCase):
    def test_a_release_is_made(self):
        answer = self.post("/api/releases/", {"name": "two", "version": "smol"})
        assert answer.status_code == 201
        body = answer.json()
        assert (body["name"], body["version"], body["tools"]) == ("two", "smol", ["look_up"])
        assert Release.objects.get(name="two").created_by == self.engineer

    def test_what_is_wrong_is_a_problem(self):
        for body, status in (
            ({}, 400),
            ({"name": "first", "version": "smol"}, 400),
            ({"name": "a b", "version": "smol"}, 400),
            ({"name": "two", "version": "nothing"}, 400),
            ({"name": "two", "version": "\0"}, 422),
            ({"name": "two", "version": ["smol"]}, 400),
            ({"name": "two", "version": "smol", "tools": ["nothing"]}, 422),
            ({"name": "two", "version": "smol", "tools": "look_up"}, 400),
        ):
            answer = self.post("/api/releases/", body)
            assert answer.status_code == status, (body, answer.content)
            assert answer["Content-Type"] == "application/problem+json"
        assert Release.objects.count() == 1

    def test_promoting_and_rolling_back(self):
        promoted = self.post("/api/releases/first/promote/", {"reason": "Better"})
        assert promoted.status_code == 201
        assert promoted.json()["reason"] == "Better"
        assert promoted.json()["by"] == self.engineer.username
        again = self.post("/api/releases/first/promote/")
        assert (again.status_code, again.json()["code"]) == (409, "already_live")
        back = self.post("/api/releases/rollback/")
        assert (back.status_code, back.json()["code"]) == (409, "nothing_before")
        make_release(live=True)
        assert self.post("/api/releases/rollback/").json()["release"] == "first"
        assert live_release() == self.first

    def test_what_is_not_there(self):
        assert self.post("/api/releases/nothing/promote/").status_code == 404
        assert self.call("get", "/api/releases/nothing/").status_code == 404
        for kind in ("releases", "models", "tools"):
            assert self.call("get", f"/api/{kind}/%00/").status_code in (404, 422)
