"""REST endpoints of labelled sets, measurements and indexes."""

from unittest import mock

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase

from knowledge import indexing, jobs, labelling, tasks
from knowledge.labelling import Label
from knowledge.models import EmbeddingIndex, IndexState, LabelledSet, RetrievalEvaluation
from tests.embedserver import embedding_server
from tests.factories import make_published_unit, make_scene, make_user
from wowconsole.apikeys import issue_key

SETS = "/api/knowledge/labelled-sets/"
EVALUATIONS = "/api/knowledge/evaluations/"
INDEXES = "/api/knowledge/indexes/"


class ApiTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene(slug="delivery")
        cls.user = make_user("approver", [cls.scene])
        cls.all = cls.key("knowledge.read", "knowledge.write", "knowledge.approve")
        cls.reads = cls.key("knowledge.read")
        cls.unit = make_published_unit(scene=cls.scene, external_id="late", title="Late delivery")
        label = [Label("1", "late delivery", [cls.unit.pk]), Label("2", "late rule", [])]
        cls.set = labelling.make_set(name="Openings", labels=label, by=None, scene=cls.scene)
        foreign = make_scene()
        cls.other = labelling.make_set(name="Foreign", labels=label, by=None, scene=foreign)

    def setUp(self):
        self.enterContext(mock.patch.object(jobs, "send"))

    @classmethod
    def key(cls, *scopes):
        _, secret = issue_key(user=cls.user, name="k", scopes=list(scopes))
        return {"Authorization": f"Bearer {secret}"}

    def post(self, path, data=None, headers=None):
        return self.client.post(
            path, data or {}, content_type="application/json", headers=headers or self.all
        )

    def get(self, path, headers=None):
        return self.client.get(path, headers=headers or self.all)


class SetApiTests(ApiTests):
    def upload(self, text, **fields):
        data = {"name": "New", "file": SimpleUploadedFile("s.csv", text.encode()), **fields}
        return self.client.post(SETS, data, headers=self.all)

    def test_sets_of_own_scenes_with_their_counts(self):
        (row,) = self.get(SETS).json()["results"]
        assert (row["name"], row["questions"], row["unanswerable"]) == ("Openings", 2, 1)
        assert self.get(f"{SETS}{self.set.public_id}/").json()["scene"] == "delivery"
        assert self.get(f"{SETS}{self.other.public_id}/").status_code == 404

    def test_the_number_of_queries_does_not_grow(self):
        for number in range(3):
            labelling.make_set(name=f"S{number}", labels=[], by=None, scene=self.scene)
        with self.assertNumQueries(4):  # key, its use, roles, sets
            self.get(SETS)

    def test_a_file_becomes_a_set_or_is_refused_by_the_line(self):
        made = self.upload("query,relevant\nwhere?,late\nwho?,\n", scene="delivery")
        assert (made.status_code, made.json()["questions"]) == (201, 2), made.content
        refused = self.upload("query,relevant\nwhere?,moon\n,late\n", name="Newer")
        assert refused.status_code == 422
        assert len(refused.json()["errors"]["file"]) == 2
        assert self.upload("query,relevant\nx,\n").json()["errors"]["name"]  # the name is taken
        assert LabelledSet.objects.count() == 3

    def test_measured_and_read(self):
        asked = self.post(f"{SETS}{self.set.public_id}/measure/")
        assert asked.status_code == 202, asked.content
        assert asked.json()["state"] == "queued"
        assert self.post(f"{SETS}{self.set.public_id}/measure/").json()["code"] == (
            "already_measuring"
        )
        tasks.measure_retrieval(RetrievalEvaluation.objects.get().job_id)
        (row,) = self.get(EVALUATIONS).json()["results"]
        assert row["metrics"]["hit_at_1"]["share"] == 1
        assert "misses" not in row
        whole = self.get(f"{EVALUATIONS}{row['public_id']}/").json()
        assert all(set(miss) == {"query", "found", "relevant"} for miss in whole["misses"])

    def test_a_foreign_set_is_neither_measured_nor_read(self):
        assert self.post(f"{SETS}{self.other.public_id}/measure/").status_code == 404
        assert self.post(f"{SETS}{self.set.public_id}/measure/", {"index": 0}).status_code == 400

    def test_scopes(self):
        assert self.get(SETS, self.reads).status_code == 200
        path = f"{SETS}{self.set.public_id}/measure/"
        assert self.post(path, headers=self.reads).status_code == 403
        writes = self.key("knowledge.read", "knowledge.write")
        assert self.get(INDEXES, writes).status_code == 200
        assert self.post(INDEXES, headers=writes).status_code == 403
        assert self.client.get(SETS).status_code == 401


class IndexApiTests(ApiTests):
    def setUp(self):
        super().setUp()
        self.embedder = self.enterContext(embedding_server())
        self.live = indexing.live_index()

    def make(self, **fields):
        options = self.embedder.options
        return self.post(INDEXES, {"name": "w", "embedder": "openai", "options": options, **fields})

    def test_made_filled_switched_and_retired(self):
        made = self.make()
        assert made.status_code == 201, made.content
        row = made.json()
        assert (row["dimensions"], row["state"], row["lacking"]) == (64, "building", 3)
        url = f"{INDEXES}{row['id']}/"
        assert self.post(f"{url}switch/").json()["code"] == "index_not_ready"
        assert self.post(f"{url}fill/").json()["code"] == "index_busy"
        index = EmbeddingIndex.objects.get(pk=row["id"])
        indexing.fill(index, list(indexing.missing(index)))
        EmbeddingIndex.objects.filter(pk=row["id"]).update(state=IndexState.READY)
        assert self.post(f"{url}switch/").json()["state"] == "live"
        assert self.post(f"{url}retire/").json()["code"] == "index_in_use"
        assert self.post(f"{INDEXES}{self.live.pk}/switch/").json()["state"] == "live"
        assert self.post(f"{url}retire/").json()["state"] == "retired"

    def test_a_model_that_fails_and_options_it_does_not_know(self):
        self.embedder.status = 500
        refused = self.make()
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
        assert self.make(options={"scale": "1"}).status_code == 400
        assert EmbeddingIndex.objects.count() == 1

    def test_the_number_of_queries_does_not_grow(self):
        for number in range(3):
            EmbeddingIndex.objects.create(name=f"i{number}", embedder="e5", dimensions=384)
        with self.assertNumQueries(4):  # key, its use, roles, indexes
            assert len(self.get(INDEXES).json()["results"]) == 4
