"""REST endpoints of rules: shapes, scopes, scenes, and problem documents."""

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase

from knowledge.models import KnowledgeUnit
from tests.factories import make_published_unit, make_scene, make_unit, make_user
from wowconsole.apikeys import issue_key

UNITS = "/api/knowledge/units/"
ROW = {"scene": "delivery", "title": "Cold", "condition": "When cold", "content": "$3."}


class ApiTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene(slug="delivery")
        cls.user = make_user("operator", [cls.scene])
        cls.both = cls.key("knowledge.read", "knowledge.write")

    @classmethod
    def key(cls, *scopes):
        _, secret = issue_key(user=cls.user, name="k", scopes=list(scopes))
        return {"Authorization": f"Bearer {secret}"}

    def post(self, path, data=None, headers=None):
        return self.client.post(
            path, data or {}, content_type="application/json", headers=headers or self.both
        )

    def get(self, path, headers=None):
        return self.client.get(path, headers=headers or self.both)


class UnitApiTests(ApiTests):
    def test_a_rule_is_drafted_edited_and_published(self):
        made = self.post(UNITS, {**ROW, "questions": ["is it cold"], "source": "handbook"})
        assert made.status_code == 201, made.content
        url = f"{UNITS}{made.json()['id']}/"
        assert made.json()["revision"]["source"] == "handbook"
        edit = {"content": "$4.", "based_on": 1}
        changed = self.client.patch(url, edit, content_type="application/json", headers=self.both)
        assert (changed.status_code, changed.json()["revision"]["number"]) == (200, 2)
        live = self.post(f"{url}publish/").json()
        assert (live["status"], live["live_revision"]) == ("published", 2)
        history = self.get(f"{url}revisions/").json()["results"]
        assert [row["number"] for row in history] == [2, 1]
        back = self.post(f"{url}restore-revision/", {"number": 1, "based_on": 2}).json()
        assert (back["revision"]["content"], back["has_unpublished_edit"]) == ("$3.", True)
        assert self.post(f"{url}archive/").json()["status"] == "archived"
        assert self.post(f"{url}restore/").json()["status"] == "draft"

    def test_publishing_names_the_revision_that_was_read(self):
        url = f"{UNITS}{self.post(UNITS, ROW).json()['id']}/"
        edit = {"content": "$4.", "based_on": 1}
        self.client.patch(url, edit, content_type="application/json", headers=self.both)
        stale = self.post(f"{url}publish/", {"revision": 1})
        assert (stale.status_code, stale.json()["code"]) == (409, "stale_edit")
        assert self.get(url).json()["live_revision"] is None
        assert self.post(f"{url}publish/", {"revision": 2}).json()["live_revision"] == 2

    def test_a_revision_that_never_was_is_not_found(self):
        unit = make_unit(scene=self.scene)
        for number in (7, 10**12):
            asked = {"number": number, "based_on": 1}
            assert self.post(f"{UNITS}{unit.pk}/restore-revision/", asked).status_code == 404

    def test_refusals_are_problem_documents(self):
        unit = make_unit(scene=self.scene, risk="high")
        refused = self.post(f"{UNITS}{unit.pk}/publish/")
        assert (refused.status_code, refused.json()["code"]) == (409, "approval_needed")
        assert refused["Content-Type"] == "application/problem+json"
        stale = self.client.patch(
            f"{UNITS}{unit.pk}/",
            {"based_on": 5},
            content_type="application/json",
            headers=self.both,
        )
        assert (stale.status_code, stale.json()["code"]) == (409, "stale_edit")

    def test_what_is_wrong_is_listed_by_field(self):
        response = self.post(UNITS, {"scene": "moon", "title": "T", "priority": "x"})
        assert response.status_code == 400
        assert {"scene", "condition", "content", "priority"} <= set(response.json()["errors"])
        response = self.post(UNITS, {**ROW, "content": "x" * 4001})
        assert (response.status_code, list(response.json()["errors"])) == (422, ["content"])

    def test_a_repeated_external_id_adds_nothing(self):
        row = {**ROW, "external_id": "a"}
        assert [self.post(UNITS, row).status_code for _ in range(2)] == [201, 422]

    def test_rules_of_other_scenes_are_not_there(self):
        other = make_unit(external_id="secret")
        assert self.get(f"{UNITS}{other.pk}/").status_code == 404
        assert self.post(f"{UNITS}{other.pk}/publish/").status_code == 404
        assert self.get(UNITS).json()["results"] == []
        assert self.post(UNITS, {**ROW, "scene": other.scene.slug}).status_code == 400

    def test_scopes_and_roles_limit_what_a_key_may_do(self):
        reader = self.key("knowledge.read")
        assert self.get(UNITS, reader).status_code == 200
        assert self.post(UNITS, ROW, reader).status_code == 403
        assert self.get(UNITS, {"Authorization": "Bearer nonsense"}).status_code == 401
        assert self.client.get(UNITS).status_code in (401, 403)
        assert not KnowledgeUnit.objects.exists()

    def test_lists_are_filtered_and_need_the_same_queries_for_more_rows(self):
        units = [make_unit(scene=self.scene, external_id=f"x{number}") for number in range(3)]
        with self.assertNumQueries(4):  # key, its use, roles, rows
            rows = self.get(UNITS).json()["results"]
        assert [row["id"] for row in rows] == [unit.pk for unit in reversed(units)]
        assert len(self.get(f"{UNITS}?external_id=x1").json()["results"]) == 1


class SceneApiTests(ApiTests):
    def test_whoever_makes_a_scene_works_in_it(self):
        assert self.post("/api/scenes/", {"slug": "shops", "name": "Shops"}).status_code == 201
        names = [row["slug"] for row in self.get("/api/scenes/").json()["results"]]
        assert sorted(names) == ["delivery", "shops"]
        assert self.get("/api/scenes/shops/").json() == {"slug": "shops", "name": "Shops"}


class SearchApiTests(ApiTests):
    def search(self, **body):
        return self.post("/api/knowledge/search/", body, self.key("knowledge.read"))

    def test_each_query_gets_its_rules_and_time(self):
        fields = {**ROW, "scene": self.scene, "condition": "When food arrives cold"}
        unit = make_published_unit(**fields, external_id="cold")
        make_published_unit(**{**fields, "scene": make_scene()})
        body = self.search(queries=["the food is cold", "capital of France"], scene="delivery")
        first, second = body.json()["results"]
        [hit] = first["units"]
        assert (hit["id"], hit["external_id"], hit["vector_rank"]) == (unit.pk, "cold", 1)
        assert (second["query"], second["units"]) == ("capital of France", [])
        assert first["took_ms"] > 0
        everywhere = self.search(queries=["the food is cold"]).json()["results"][0]["units"]
        assert [row["id"] for row in everywhere] == [unit.pk]

    def test_batches_have_limits(self):
        for body in ({}, {"queries": []}, {"queries": ["a"] * 21}, {"queries": ["a" * 2001]}):
            assert self.search(**body).status_code == 400


class FileApiTests(ApiTests):
    def upload(self, **fields):
        table = b"scene,title,condition,content\ndelivery,New,When,Then\nmoon,New,When,Then\n"
        data = {"file": SimpleUploadedFile("rules.csv", table), **fields}
        return self.client.post("/api/knowledge/import/", data, headers=self.both)

    def test_an_upload_is_reported_line_by_line(self):
        report = self.upload(dry_run="true").json()
        assert (report["dry_run"], report["counts"]) == (True, {"created": 1, "refused": 1})
        assert [line["line"] for line in report["lines"]] == [2, 3]
        assert not KnowledgeUnit.objects.exists()
        assert self.upload(publish="true").json()["lines"][0]["action"] == "created"
        assert KnowledgeUnit.objects.get().live
        text = self.get("/api/knowledge/export/?format=jsonl").getvalue().decode()
        assert '"title": "New"' in text

    def test_other_formats_are_a_problem_document(self):
        file = SimpleUploadedFile("rules.xlsx", b"PK")
        response = self.upload(file=file)
        assert (response.status_code, response.json()["code"]) == (422, "invalid")
