"""Measuring retrieval on labelled sets: the task, its page, and who may do it."""

from unittest import mock

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase
from django.urls import reverse

from knowledge import jobs, labelling, measuring, searching, tasks
from knowledge.labelling import Label
from knowledge.models import (
    JobState,
    LabelledSet,
    Lineage,
    RetrievalEvaluation,
    RetrievalSettings,
)
from tests.factories import make_published_unit, make_scene, make_unit, make_user


class MeasuringTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene(slug="delivery")
        cls.owner = make_user("operator", [cls.scene])
        cls.stranger = make_user("operator")
        cls.reviewer = make_user("reviewer", [cls.scene])
        cls.late = make_published_unit(
            scene=cls.scene, title="Late delivery", condition="When food arrives late"
        )
        cls.lost = make_published_unit(
            scene=cls.scene, title="Lost password", condition="When somebody forgot the password"
        )
        asked = [
            Label("1", "my food arrives late", [cls.late.pk]),
            Label("2", "when food arrives late", [cls.lost.pk]),  # labelled wrongly
            Label("3", "qzx wvk", []),
            Label("4", "i forgot the password", [cls.lost.pk]),
        ]
        cls.set = labelling.make_set(name="Openings", labels=asked, by=None, scene=cls.scene)

    def setUp(self):
        self.client.force_login(self.owner)
        self.sent = self.enterContext(mock.patch.object(jobs, "send"))

    def url(self, name, labelled_set=None):
        return reverse(f"knowledge:{name}", args=[(labelled_set or self.set).public_id])

    def measured(self, **fields):
        fields = {"labelled_set": self.set, "by": self.owner, **fields}
        evaluation = measuring.start(**fields)
        tasks.measure_retrieval(evaluation.job_id)
        evaluation.refresh_from_db()
        return evaluation


class TaskTests(MeasuringTests):
    def test_figures_misses_and_progress(self):
        evaluation = self.measured()
        assert evaluation.job.state == JobState.DONE
        assert evaluation.job.done == 4
        assert evaluation.metrics["hit_at_1"]["count"] == 3
        assert evaluation.metrics["hit_at_1"]["share"] == pytest.approx(2 / 3, abs=1e-3)
        assert evaluation.metrics["false_finds"]["count"] == 1
        wrong = [row for row in evaluation.misses if row["relevant"]]
        assert [row["query"] for row in wrong] == ["when food arrives late"]
        assert wrong[0]["found"][0] == self.late.pk
        assert wrong[0]["relevant"] == [self.lost.pk]

    def test_the_shipped_settings_become_version_one(self):
        RetrievalSettings.objects.all().delete()
        first, second = self.measured(), self.measured()
        assert first.settings == second.settings == RetrievalSettings.objects.get()

    def test_a_second_delivery_changes_nothing(self):
        evaluation = self.measured()
        with mock.patch.object(searching, "search") as search:
            tasks.measure_retrieval(evaluation.job_id)
        assert not search.called

    def test_a_job_that_is_gone(self):
        evaluation = measuring.start(labelled_set=self.set, by=self.owner)
        with mock.patch.object(searching, "search") as search:
            tasks.measure_retrieval(-1)
        assert not search.called
        evaluation.job.refresh_from_db()
        assert evaluation.job.state == JobState.QUEUED

    def test_a_killed_measurement_begins_anew(self):
        evaluation = measuring.start(labelled_set=self.set, by=self.owner)
        with (
            mock.patch.object(measuring, "QUESTIONS_AT_ONCE", 2),
            mock.patch.object(jobs, "advance", side_effect=[None, SystemExit]),
            pytest.raises(SystemExit),
        ):
            tasks.measure_retrieval(evaluation.job_id)
        evaluation.job.refresh_from_db()
        assert evaluation.job.state == JobState.RUNNING
        type(evaluation.job).objects.update(leased_until=evaluation.at)  # its lease ran out
        tasks.measure_retrieval(evaluation.job_id)
        evaluation.refresh_from_db()
        assert evaluation.metrics["hit_at_1"]["count"] == 3

    def test_cancelled_between_two_batches(self):
        evaluation = measuring.start(labelled_set=self.set, by=self.owner)
        real = searching.search

        def search(*args, **options):
            jobs.cancel(evaluation.job)
            return real(*args, **options)

        with mock.patch.object(searching, "search", search):
            tasks.measure_retrieval(evaluation.job_id)
        evaluation.refresh_from_db()
        assert evaluation.job.state == JobState.CANCELLED
        assert evaluation.metrics == {}

    def test_words_alone_are_not_measured(self):
        evaluation = measuring.start(labelled_set=self.set, by=self.owner)
        with mock.patch.object(searching, "_vectors", return_value=None):
            tasks.measure_retrieval(evaluation.job_id)
        evaluation.job.refresh_from_db()
        assert evaluation.job.state == JobState.FAILED
        assert "embedding model failed" in evaluation.job.error

    def test_labels_of_a_merged_rule_count_for_what_it_became(self):
        middle = make_unit(scene=self.scene)
        for source, target in ((self.lost, middle), (middle, self.late)):
            Lineage.objects.create(source=source, target=target, kind="merge", by=self.owner)
        assert self.measured().metrics["hit_at_1"]["share"] == 1

    def test_refusals(self):
        measuring.start(labelled_set=self.set, by=self.owner)
        with pytest.raises(measuring.AlreadyMeasuring):
            measuring.start(labelled_set=self.set, by=self.owner)
        empty = LabelledSet.objects.create(name="Empty")
        with pytest.raises(measuring.NothingToMeasure):
            measuring.start(labelled_set=empty, by=self.owner)


class PageTests(MeasuringTests):
    def test_the_overview_shows_sets_with_their_figures(self):
        self.measured()
        response = self.client.get(reverse("knowledge:quality"))
        self.assertContains(response, "Openings")
        self.assertContains(response, "4 questions, 1 without an answer")
        self.assertContains(response, "n = 3")
        self.assertContains(response, "Measure now")

    def test_without_sets_it_says_what_they_are_for(self):
        LabelledSet.objects.all().delete()
        self.assertContains(self.client.get(reverse("knowledge:quality")), "No labelled questions")

    def test_queries_do_not_grow_with_sets_and_measurements(self):
        for number in range(3):
            self.measured()
            label = [Label("1", "late?", [self.late.pk])]
            labelling.make_set(name=f"S{number}", labels=label, by=None, scene=None)
        with self.assertNumQueries(6):  # session, user, roles, sets, latest, running
            self.client.get(reverse("knowledge:quality"))
        # session, user, roles, set, history, its misses, rules of misses, running
        with self.assertNumQueries(8):
            self.client.get(self.url("quality-detail"))

    def test_the_detail_shows_what_went_wrong_and_leads_on(self):
        earlier = self.measured()
        self.measured()
        response = self.client.get(self.url("quality-detail"), {"measured": earlier.public_id})
        assert response.context["shown"] == earlier
        self.assertContains(response, "Lost password")
        self.assertContains(response, "?q=when%20food%20arrives%20late&amp;scene=delivery")

    def test_rules_of_other_scenes_are_counted_not_shown(self):
        far = make_published_unit(title="Secret kites", condition="When kites fly")
        label = [Label("1", "when kites fly", [self.late.pk])]
        everywhere = labelling.make_set(name="All", labels=label, by=None, scene=None)
        self.measured(labelled_set=everywhere)
        response = self.client.get(self.url("quality-detail", everywhere))
        self.assertNotContains(response, far.latest.title)
        self.assertContains(response, "1 rule of other scenes")

    def test_the_trend_is_a_chart_with_a_text(self):
        assert "svg" not in self.client.get(self.url("quality-trend")).content.decode()
        self.measured(), self.measured()
        response = self.client.get(self.url("quality-trend"))
        self.assertContains(response, "<svg")
        self.assertContains(response, "Right rule first in 2 measurements: 67% at first")

    def test_measure_now_is_a_job_of_a_worker(self):
        with self.captureOnCommitCallbacks(execute=True):
            response = self.client.post(self.url("quality-measure"))
        assert response.status_code == 302
        assert self.sent.call_count == 1
        page = self.client.get(self.url("quality-detail"))
        self.assertContains(page, "Ask the 4 questions")
        self.assertNotContains(page, self.url("quality-measure"))
        assert self.client.post(self.url("quality-measure")).status_code == 409

    def test_strangers_roles_and_the_signed_out(self):
        self.client.force_login(self.stranger)
        assert self.client.get(self.url("quality-detail")).status_code == 404
        assert self.client.get(self.url("quality-trend")).status_code == 404
        assert self.client.post(self.url("quality-measure")).status_code == 404
        self.client.force_login(self.reviewer)
        assert self.client.get(self.url("quality-detail")).status_code == 200
        assert self.client.post(self.url("quality-measure")).status_code == 403
        assert self.client.get(reverse("knowledge:quality-upload")).status_code == 403
        self.client.logout()
        assert self.client.get(reverse("knowledge:quality")).status_code == 302
        assert RetrievalEvaluation.objects.count() == 0


class UploadTests(MeasuringTests):
    def upload(self, text, **fields):
        file = SimpleUploadedFile("set.csv", text.encode())
        data = {"name": "Uploaded", "scene": "delivery", "source": "", "file": file, **fields}
        return self.client.post(reverse("knowledge:quality-upload"), data)

    def test_a_file_becomes_a_set(self):
        response = self.upload(f"query,relevant\nlate food?,#{self.late.pk}\nkites?,\n")
        created = LabelledSet.objects.get(name="Uploaded")
        assert response.status_code == 302
        assert created.by == self.owner
        assert created.queries.count() == 2

    def test_bad_lines_are_listed_and_nothing_is_stored(self):
        response = self.upload("query,relevant\nlate food?,moon\n,\n")
        assert response.status_code == 422
        self.assertContains(response, "Line 2: there is no rule", status_code=422)
        self.assertContains(response, "Line 3: the question is empty", status_code=422)
        assert not LabelledSet.objects.filter(name="Uploaded").exists()

    def test_a_taken_name_or_a_foreign_scene_is_refused(self):
        make_scene(slug="elsewhere")
        for fields in ({"name": "Openings"}, {"scene": "elsewhere"}, {"file": ""}):
            assert self.upload("query,relevant\nx,\n", **fields).status_code == 422

    def test_a_large_file_is_refused(self):
        response = self.upload("query,relevant\n" + "x" * (labelling.MAX_FILE_BYTES + 1))
        self.assertContains(response, "larger than 2 MB", status_code=422)
