"""Pages of training: who sees them, what they show, what they cost."""

from unittest.mock import patch

from django.test import TestCase
from django.urls import reverse

from tests.factories import make_adapter, make_scene, make_user, make_version
from tests.training.rows import make_case, make_dataset, make_run
from training import tasks
from training.models import Dataset, Evaluation, Run, RunEvent, RunStatus

HTMX = {"HX-Request": "true"}
SHARE = {"share": 0.5, "low": 0.2, "high": 0.8, "count": 8}


def add_steps(run, count=3):
    RunEvent.objects.bulk_create(
        RunEvent(
            run=run,
            kind="metrics",
            step=step,
            data={"step": step, "total_steps": 9, "loss": 2 / step, "seconds": 2.0 * step},
        )
        for step in range(1, count + 1)
    )


class Pages(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.engineer = make_user("ml_engineer", [cls.scene])
        cls.reader = make_user("reviewer", [cls.scene])
        cls.stranger = make_user("ml_engineer", [make_scene()])
        recipe = {"scenes": [cls.scene.slug], "sources": ["good_cases"]}
        cls.dataset = make_dataset(by=cls.engineer, recipe=recipe, train=3)
        cls.row = make_run(dataset=cls.dataset, total_steps=9, step=3, status=RunStatus.RUNNING)
        add_steps(cls.row)

    def setUp(self):
        self.client.force_login(self.engineer)

    def get(self, name, *args, user=None, **options):
        if user:
            self.client.force_login(user)
        return self.client.get(reverse(f"training:{name}", args=args), **options)

    def post(self, name, *args, user=None, data=None, **options):
        if user:
            self.client.force_login(user)
        return self.client.post(reverse(f"training:{name}", args=args), data, **options)


class AccessTests(Pages):
    def test_signed_out_people_are_sent_to_sign_in(self):
        self.client.logout()
        for name in ("run-list", "run-launch", "dataset-list", "dataset-build"):
            assert self.get(name).status_code == 302

    def test_readers_read_and_do_not_write(self):
        pk = self.row.public_id
        assert self.get("run-list", user=self.reader).status_code == 200
        assert self.get("run-detail", pk).status_code == 200
        assert self.get("dataset-detail", self.dataset.public_id).status_code == 200
        for name in ("run-launch", "dataset-build"):
            assert self.get(name).status_code == 403
        for name in ("run-cancel", "run-resume"):
            assert self.post(name, pk).status_code == 403

    def test_people_without_a_role_are_refused(self):
        assert self.get("run-list", user=make_user()).status_code == 403

    def test_strangers_to_the_scenes_find_nothing(self):
        assert self.row.name not in self.get("run-list", user=self.stranger).text
        assert self.get("run-detail", self.row.public_id).status_code == 404
        assert self.get("dataset-detail", self.dataset.public_id).status_code == 404
        assert self.get("dataset-download", self.dataset.public_id).status_code == 404
        assert self.post("run-cancel", self.row.public_id).status_code == 404

    def test_changes_are_posted(self):
        assert self.get("run-cancel", self.row.public_id).status_code == 405
        assert self.post("run-list").status_code == 405


class RunPageTests(Pages):
    def test_the_curve_is_drawn_and_told(self):
        page = self.get("run-detail", self.row.public_id)
        self.assertContains(page, "Loss by step: 2.000 at step 1, 0.667 at step 3 of 9")
        self.assertContains(page, "Step 3 of 9")
        self.assertContains(page, "left")
        self.assertContains(page, 'hx-trigger="every 2s"')

    def test_htmx_gets_the_live_part_only(self):
        page = self.get("run-detail", self.row.public_id, headers=HTMX)
        self.assertNotContains(page, "<h1")
        self.assertContains(page, 'id="live"')
        assert "HX-Request" in page["Vary"]

    def test_before_the_first_step_it_says_so(self):
        page = self.get("run-detail", make_run(dataset=self.dataset).public_id)
        self.assertContains(page, "The curve appears with the second step.")

    def test_polling_ends_with_the_run(self):
        self.row.finish(RunStatus.FAILED, error="No memory.")
        page = self.get("run-detail", self.row.public_id)
        self.assertNotContains(page, "every 2s")
        self.assertContains(page, "No memory.")
        self.assertContains(page, "Resume")

    def test_the_model_is_compared_with_its_base(self):
        version = make_adapter(base=self.row.base)
        Run.objects.update(version=version)
        for model, share in ((self.row.base, 0.1), (version, 0.9)):
            metrics = {"action": {**SHARE, "share": share}}
            Evaluation.objects.create(version=model, dataset=self.dataset, metrics=metrics)
        self.row.finish(RunStatus.SUCCEEDED)
        page = self.get("run-detail", self.row.public_id)
        self.assertContains(page, "+80.0 points")
        self.assertContains(page, "within chance")
        self.assertContains(page, f"?version={version.name}")
        self.assertNotContains(page, "every 2s")

    def test_cancel_and_resume(self):
        page = self.post("run-cancel", self.row.public_id, headers=HTMX)
        self.assertContains(page, "Cancelled")
        page = self.post("run-cancel", self.row.public_id)
        self.assertContains(page, "cancelled already", status_code=409)
        assert self.post("run-resume", self.row.public_id).status_code == 302
        self.row.refresh_from_db()
        assert self.row.status == RunStatus.QUEUED

    def test_queries_do_not_grow_with_rows(self):
        def count(name, *args):
            with self.assertNumQueries(FuzzyLimit(18)):
                return self.get(name, *args)

        for _ in range(3):
            make_run(dataset=self.dataset)
        add_steps(make_run(dataset=self.dataset), 50)
        count("run-list")
        count("run-detail", self.row.public_id)
        count("dataset-list")
        count("dataset-detail", self.dataset.public_id)


class FuzzyLimit(int):
    """At most so many."""

    def __eq__(self, other):
        return other <= int(self)

    def __hash__(self):
        return hash(int(self))


class LaunchTests(Pages):
    def fields(self, **changes):
        page = self.get("run-launch")
        form = page.context["form"]
        values = {field.html_name: field.value() for field in form}
        values |= {"dataset": self.dataset.pk, "base": self.row.base_id}
        return {**values, "stage": "sft", "name": "a-run", **changes}

    def test_it_launches_and_shows_the_run(self):
        with patch.object(tasks.execute_run, "delay"):
            page = self.post("run-launch", data=self.fields(recipe_epochs=3))
        run = Run.objects.get(name="a-run")
        self.assertRedirects(page, run.get_absolute_url())
        assert run.recipe == {"epochs": 3}

    def test_the_command_is_the_same_run(self):
        url = reverse("training:run-launch")
        page = self.client.get(url, self.fields(recipe_epochs=3), headers=HTMX)
        self.assertContains(page, "python manage.py train --stage sft")
        self.assertContains(page, "--set epochs=3")

    def test_presets_fill_the_recipe(self):
        page = self.client.get(reverse("training:run-launch"), {"preset": "thorough"})
        assert page.context["form"]["recipe_epochs"].value() == 4

    def test_a_wrong_form_is_shown_again(self):
        page = self.post("run-launch", data=self.fields(name="not a slug"))
        assert page.status_code == 422
        page = self.post("run-launch", data=self.fields(name=self.row.base.name))
        assert page.status_code == 409

    def test_without_a_data_set_it_leads_to_one(self):
        page = self.client.get(reverse("training:run-launch"), {"stage": "dpo"})
        self.assertContains(page, "No data set of this form yet")


class DatasetPageTests(Pages):
    def test_rows_are_readable(self):
        page = self.get("dataset-detail", self.dataset.public_id)
        self.assertContains(page, "customer: Where is it?")
        self.assertContains(page, "It is order 0.")
        self.assertContains(page, self.dataset.sha256)
        held = self.client.get(self.dataset.get_absolute_url(), {"split": "heldout"})
        self.assertNotContains(held, "It is order 0.")

    def test_the_download_has_every_row(self):
        page = self.get("dataset-download", self.dataset.public_id)
        assert len(page.text.splitlines()) == 4
        assert "attachment" in page["Content-Disposition"]

    def test_building_shows_what_there_is_and_freezes_it(self):
        admin = make_user("admin")
        for number in range(3):
            make_case(reply=f"Reply {number}.")
        page = self.get("dataset-build", user=admin)
        assert page.context["counts"]["good_cases"] == 3
        data = {
            "name": "Mine",
            "form": "messages",
            "sources": ["good_cases"],
            "held_out_share": 0.3,
            "limit": 50,
        }
        preview = self.client.get(reverse("training:dataset-build"), data, headers=HTMX)
        self.assertContains(preview, "3</strong>")
        page = self.post("dataset-build", data=data)
        dataset = Dataset.objects.get(name="Mine")
        self.assertRedirects(page, dataset.get_absolute_url())
        turn = dataset.examples.first().turn
        self.assertContains(self.client.get(dataset.get_absolute_url()), str(turn.public_id))

    def test_an_empty_set_is_refused_with_what_to_do(self):
        data = {"name": "None", "form": "preference", "held_out_share": 0.2, "limit": 9}
        page = self.post("dataset-build", data=data)
        self.assertContains(page, "mark replies bad and rewrite them", status_code=422)

    def test_incomplete_forms_are_shown_again(self):
        assert self.post("dataset-build", data={"form": "messages"}).status_code == 422


class EmptyTests(TestCase):
    def test_empty_lists_say_what_to_do(self):
        make_version()
        self.client.force_login(make_user("ml_engineer"))
        self.assertContains(self.client.get(reverse("training:run-list")), "No runs yet")
        self.assertContains(self.client.get(reverse("training:dataset-list")), "No data sets yet")
