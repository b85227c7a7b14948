"""Freezing data sets, and launching, cancelling and resuming runs."""

from unittest.mock import patch

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import TestCase

from agents.actions import DialogueAction
from dialogues.models import Verdict
from tests.factories import make_scene, make_user, make_version
from tests.training.rows import answer, make_case, make_dataset, make_run
from training import freezing, services, tasks
from training.models import Dataset, DatasetForm, Example, Run, RunStatus, Split
from wowconsole.errors import Invalid


class BuildTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.admin = make_user("admin")
        for number in range(5):
            make_case(reply=f"Reply {number}.")

    def build(self, name="First", **fields):
        return services.build_dataset(
            **{"by": self.admin, "name": name, "form": "messages", **fields}
        )

    def test_a_share_of_the_conversations_is_held_out(self):
        dataset = self.build(held_out_share=0.4)
        splits = list(dataset.examples.values_list("split", flat=True))
        assert (splits.count(Split.TRAIN), splits.count(Split.HELD_OUT)) == (3, 2)
        assert list(dataset.examples.values_list("position", flat=True)) == [0, 1, 2, 3, 4]
        assert dataset.examples.filter(turn=None).count() == 0

    def test_the_hash_is_of_the_content(self):
        first, second = self.build(), self.build("Second")
        assert first.sha256 == second.sha256
        assert len(first.sha256) == 64
        make_case(reply="Something new.")
        assert self.build("Third").sha256 != first.sha256

    def test_an_origin_stays_on_its_side_of_the_fence(self):
        first = dict(self.build().examples.values_list("origin", "split"))
        for number in range(6):
            make_case(reply=f"Later {number}.")
        second = dict(
            self.build("Second", held_out_share=0.5).examples.values_list("origin", "split")
        )
        assert {origin: second[origin] for origin in first} == first
        assert list(second.values()).count(Split.HELD_OUT) == 6

    def test_a_set_never_changes(self):
        dataset = self.build()
        with pytest.raises(IntegrityError), transaction.atomic():
            dataset.examples.update(split=Split.TRAIN)
        with pytest.raises(IntegrityError), transaction.atomic():
            Dataset.objects.update(sha256="x")

    def test_names_are_taken_once(self):
        self.build()
        with pytest.raises(freezing.NameTaken):
            self.build()

    def test_nothing_to_build_says_what_to_do(self):
        with pytest.raises(freezing.NothingToBuild, match="mark replies bad and rewrite"):
            self.build(form="preference")
        with pytest.raises(freezing.NothingToBuild, match="mark replies good"):
            self.build(sources=["units"])

    def test_all_held_out_is_refused(self):
        dataset = self.build(held_out_share=0)
        assert not dataset.examples.filter(split=Split.HELD_OUT).exists()
        make_case(reply="Held out.")
        with (
            patch.object(
                freezing, "splits_of", lambda origins, share: dict.fromkeys(origins, Split.HELD_OUT)
            ),
            pytest.raises(freezing.NothingToBuild, match="holds out"),
        ):
            self.build("Second")

    def test_pairs_come_from_rewritten_bad_cases(self):
        for number in range(2):
            rewrite = DialogueAction("reply", f"Better {number}.")
            make_case(Verdict.BAD, rewrite, reply=f"Bad {number}.")
        dataset = self.build(form="preference", held_out_share=0.5)
        assert dataset.examples.count() == 2
        assert dataset.recipe["sources"] == ["bad_cases"]

    def test_foreign_scenes_and_unknown_words_are_refused(self):
        engineer = make_user("ml_engineer", [make_scene()])
        for fields in (
            {"by": engineer, "scenes": [make_scene()]},
            {"sources": ["bad_cases"]},
            {"sources": []},
            {"form": "novel"},
            {"held_out_share": 1},
            {"limit": 0},
        ):
            with pytest.raises(Invalid):
                self.build(**fields)

    def test_rows_too_long_to_train_on_are_left_out(self):
        make_case(reply="long " * 600)
        dataset = self.build()
        assert dataset.examples.count() == 5
        assert dataset.recipe["left_out"] == 1

    def test_the_limit_is_of_each_source(self):
        assert self.build(limit=2, held_out_share=0.5).examples.count() == 2

    def test_the_preview_counts_what_there_is(self):
        counts = services.preview_dataset(
            by=self.admin, form="messages", scenes=[], sources=["good_cases", "units"]
        )
        assert counts == {"good_cases": 5, "units": 0}

    def test_sets_of_foreign_scenes_are_not_shown(self):
        self.build()
        scene = make_scene()
        assert not services.visible_datasets(make_user("ml_engineer", [scene])).exists()
        assert services.visible_datasets(make_user("auditor")).count() == 1


class FenceTests(TestCase):
    def test_held_out_is_never_trained_on(self):
        dataset = make_dataset(train=1, held_out=1)
        held = dataset.examples.get(split=Split.HELD_OUT)
        other = make_dataset(train=0, held_out=0)
        with pytest.raises(IntegrityError, match="example_held_out_is_never_trained_on"):
            Example.objects.create(
                dataset=other,
                position=0,
                split=Split.TRAIN,
                origin=held.origin,
                data={"prompt": [], "completion": answer()},
            )


class LaunchTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = make_user("ml_engineer")
        cls.dataset = make_dataset(by=cls.user)
        cls.base = make_version()

    def launch(self, **fields):
        defaults = {"by": self.user, "name": "first", "stage": "sft"}
        return services.launch_run(
            **{**defaults, "dataset": self.dataset, "base": self.base, **fields}
        )

    def test_a_run_is_queued_for_the_worker(self):
        with (
            patch.object(tasks.execute_run, "delay") as delay,
            self.captureOnCommitCallbacks(execute=True),
        ):
            run = self.launch(recipe={"epochs": "3", "batch_size": 4, "learning_rate": "1e-4"})
        delay.assert_called_once_with(run.pk)
        assert run.status == RunStatus.QUEUED
        assert run.recipe == {"epochs": 3, "learning_rate": 1e-4}  # batch_size is the default

    def test_a_stage_learns_from_its_form_only(self):
        with pytest.raises(services.WrongForm):
            self.launch(stage="dpo")
        with pytest.raises(services.WrongForm):
            self.launch(stage="magic")
        pairs = make_dataset(form=DatasetForm.PREFERENCE)
        assert self.launch(stage="dpo", dataset=pairs).stage == "dpo"

    def test_recipes_are_checked(self):
        for recipe in ({"epoch": 1}, {"epochs": "many"}, {"epochs": -1}, {"epochs": [1]}):
            with pytest.raises(services.UnknownField):
                self.launch(recipe=recipe)

    def test_names_are_slugs_that_neither_runs_nor_models_have(self):
        with pytest.raises(ValidationError):
            self.launch(name="not a slug")
        with pytest.raises(freezing.NameTaken):
            self.launch(name=self.base.name)

    def test_a_set_that_is_all_held_out_can_not_be_learnt(self):
        with pytest.raises(freezing.NothingToBuild):
            self.launch(dataset=make_dataset(train=0))


class CancelAndResumeTests(TestCase):
    def test_cancelling_ends_a_run_once(self):
        run = services.cancel_run(run=make_run())
        assert run.status == RunStatus.CANCELLED
        assert run.finished_at
        with pytest.raises(services.RunFinished):
            services.cancel_run(run=run)

    def test_a_cancelled_run_is_queued_again(self):
        run = services.cancel_run(run=make_run(attempts=4, step=7))
        with (
            patch.object(tasks.execute_run, "delay") as delay,
            self.captureOnCommitCallbacks(execute=True),
        ):
            services.resume_run(run=run)
        delay.assert_called_once_with(run.pk)
        assert (run.status, run.attempts, run.finished_at) == (RunStatus.QUEUED, 0, None)
        assert run.step == 7

    def test_a_queued_run_is_not_resumed(self):
        with pytest.raises(services.RunNotResumable):
            services.resume_run(run=make_run())

    def test_a_lease_is_given_once(self):
        run = make_run()
        assert Run.objects.claim(run.pk).status == RunStatus.RUNNING
        assert Run.objects.claim(run.pk) is None
