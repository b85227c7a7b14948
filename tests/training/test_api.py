"""REST endpoints of training."""

from unittest.mock import patch

from django.test import TestCase

from agents.actions import DialogueAction
from dialogues.models import Verdict
from tests.factories import make_conversation, make_scene, make_user, make_version
from tests.training.rows import make_case, make_dataset, make_run
from training import tasks
from training.models import Evaluation, Run, RunEvent, RunStatus
from wowconsole.apikeys import issue_key


class ApiCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.user = make_user("ml_engineer", [cls.scene])
        cls.dataset = make_dataset(by=cls.user, recipe={"scenes": [cls.scene.slug]})
        cls.row = make_run(dataset=cls.dataset)

    def call(self, method, path, data=None, *, user=None, scopes=None):
        scopes = scopes or ["training.read", "training.write"]
        _, secret = issue_key(user=user or self.user, name="key", scopes=scopes)
        return getattr(self.client, method)(
            f"/api/{path}",
            data,
            content_type="application/json",
            headers={"authorization": f"Bearer {secret}"},
        )


class AccessTests(ApiCase):
    def test_keys_need_the_scope_and_people_the_role(self):
        assert self.client.get("/api/runs/").status_code == 401
        path = f"runs/{self.row.public_id}/cancel/"
        assert self.call("post", path, scopes=["training.read"]).status_code == 403
        assert self.call("post", path, user=make_user("reviewer")).status_code == 403
        assert self.call("get", "runs/", user=make_user()).status_code == 403

    def test_strangers_find_nothing(self):
        stranger = make_user("ml_engineer", [make_scene()])
        for path in ("runs", "datasets"):
            assert self.call("get", f"{path}/", user=stranger).json()["results"] == []
        path = f"runs/{self.row.public_id}/"
        assert self.call("get", path, user=stranger).status_code == 404
        data = {"name": "x", "stage": "sft", "dataset": str(self.dataset.public_id)}
        data["base"] = self.row.base.name
        assert self.call("post", "runs/", data, user=stranger).status_code == 404


class DatasetTests(ApiCase):
    def test_sets_are_listed_and_built(self):
        for number in range(3):
            make_case(conversation=make_conversation(scene=self.scene), reply=f"R {number}.")
        answer = self.call("post", "datasets/", {"name": "New", "form": "messages"})
        assert answer.status_code == 201, answer.json()
        assert (answer.json()["train"], answer.json()["held_out"]) == (2, 1)
        assert len(self.call("get", "datasets/").json()["results"]) == 2

    def test_nothing_to_build_is_a_problem_document(self):
        answer = self.call("post", "datasets/", {"name": "New", "form": "preference"})
        assert (answer.status_code, answer.json()["code"]) == (422, "dataset_empty")

    def test_examples_are_json_lines(self):
        answer = self.call("get", f"datasets/{self.dataset.public_id}/examples/")
        assert len(answer.text.splitlines()) == 3


class RunTests(ApiCase):
    def test_a_run_is_launched_cancelled_and_resumed(self):
        data = {
            "name": "mine",
            "stage": "sft",
            "dataset": str(self.dataset.public_id),
            "base": self.row.base.name,
            "recipe": {"epochs": 1},
        }
        with patch.object(tasks.execute_run, "delay"):
            answer = self.call("post", "runs/", data)
            assert answer.status_code == 201, answer.json()
            path = f"runs/{answer.json()['id']}"
            assert self.call("post", f"{path}/cancel/").json()["status"] == "cancelled"
            assert self.call("post", f"{path}/cancel/").status_code == 409
            assert self.call("post", f"{path}/resume/").json()["status"] == "queued"
        assert Run.objects.get(name="mine").recipe == {"epochs": 1}

    def test_recipes_are_checked(self):
        data = {"name": "mine", "stage": "sft", "dataset": str(self.dataset.public_id)}
        data |= {"base": self.row.base.name, "recipe": {"magic": 1}}
        answer = self.call("post", "runs/", data)
        assert (answer.status_code, answer.json()["code"]) == (422, "recipe_field")

    def test_events_come_after_a_given_one(self):
        first, second = (
            RunEvent.objects.create(run=self.row, kind="note", data={"text": text})
            for text in ("one", "two")
        )
        path = f"runs/{self.row.public_id}/events/"
        assert [event["id"] for event in self.call("get", path).json()] == [first.pk, second.pk]
        after = self.call("get", f"{path}?after={first.pk}").json()
        assert [event["data"]["text"] for event in after] == ["two"]

    def test_lists_cost_the_same_for_many(self):
        for _ in range(3):
            make_run(dataset=self.dataset, status=RunStatus.QUEUED)
        self.client.force_login(self.user)
        with self.assertNumQueries(5):  # session, user, roles, scenes, runs
            assert len(self.client.get("/api/runs/").json()["results"]) == 4


class EvaluationTests(ApiCase):
    def test_they_are_asked_for_and_read(self):
        version = make_version()
        data = {"version": version.name, "dataset": str(self.dataset.public_id), "limit": 3}
        with patch.object(tasks.evaluate_version, "delay") as delay:
            assert self.call("post", "evaluations/", data).status_code == 202
        delay.assert_called_once_with(version.pk, self.dataset.pk, 3)
        evaluation = Evaluation.objects.create(
            version=version, dataset=self.dataset, metrics={}, answers=[{"answer": "x"}]
        )
        assert "answers" not in self.call("get", "evaluations/").json()["results"][0]
        detail = self.call("get", f"evaluations/{evaluation.public_id}/").json()
        assert detail["answers"] == [{"answer": "x"}]


class PairTests(ApiCase):
    def test_pairs_of_ones_own_scenes(self):
        rewrite = DialogueAction("reply", "Better.")
        for scene in (self.scene, make_scene()):
            conversation = make_conversation(scene=scene)
            make_case(Verdict.BAD, rewrite, conversation=conversation, reply="Bad.")
        (pair,) = self.call("get", "pairs/").json()["results"]
        assert (pair["chosen"]["reply"], pair["rejected"]["reply"]) == ("Better.", "Bad.")
