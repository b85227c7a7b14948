"""Changing the embedding model: built beside the live index, compared, switched, and back."""

import threading
from unittest import mock

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import TestCase, TransactionTestCase
from django.urls import reverse

from knowledge import (
    graphs,
    indexing,
    jobs,
    labelling,
    measuring,
    reindexing,
    scaling,
    services,
    tasks,
)
from knowledge.labelling import Label
from knowledge.models import EmbeddingIndex, HookVector, IndexState, JobState
from knowledge.searching import search
from tests.embedserver import embedding_server
from tests.factories import make_published_unit, make_scene, make_unit, make_user
from wowconsole.errors import Invalid

RULES = {
    "Late delivery": ("When food arrives late", "where is my late food"),
    "Lost password": ("When somebody forgot the password", "i forgot my password"),
    "Broken glass": ("When a bottle arrives broken", "the bottle arrives in pieces"),
    "Cold soup": ("When soup arrives cold", "my soup is cold again"),
    "Double charge": ("When a card was charged twice", "you charged my card two times"),
}


def make_rules(scene):
    return [
        make_published_unit(scene=scene, title=title, condition=condition, questions=[question])
        for title, (condition, question) in RULES.items()
    ]


class IndexMixin:
    """A server with a model of 64 dimensions, some rules, and somebody who may switch."""

    def setUp(self):
        super().setUp()
        self.embedder = self.enterContext(embedding_server())
        self.sent = self.enterContext(mock.patch.object(jobs, "send"))

    @staticmethod
    def make_base(test):
        test.scene = make_scene()
        test.approver = make_user("approver", [test.scene])
        test.units = make_rules(test.scene)
        test.live = indexing.live_index()

    def work(self, task, job_pk):
        """Do a task as a worker would: with no rows of an open transaction before it."""
        connection.check_constraints()
        task(job_pk)

    def created(self, **fields):
        asked = {"name": "words-64", "embedder": "openai", "options": self.embedder.options}
        return reindexing.create_index(by=self.approver, **{**asked, **fields})

    def built(self, **fields):
        index = self.created(**fields)
        self.work(tasks.build_index, index.job_id)
        return self.fresh(index)

    def fresh(self, index):
        return EmbeddingIndex.objects.select_related("job").get(pk=index.pk)

    def graphs(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT indexname FROM pg_indexes WHERE indexname LIKE %s", ["%graph%"])
            return {name for (name,) in cursor.fetchall()}

    def found(self, question, **options):
        return [unit.title for unit in search([question], scene=self.scene, **options)[0]]


class IndexTestCase(IndexMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.make_base(cls)


class CreatingTests(IndexTestCase):
    def test_the_dimension_is_found_by_asking(self):
        index = self.created()
        assert (index.dimensions, index.state) == (64, IndexState.BUILDING)
        assert index.job.state == JobState.QUEUED

    def test_a_model_that_does_not_answer_makes_no_index(self):
        self.embedder.status = 500
        with pytest.raises(Invalid, match="script says no"):
            self.created()
        with pytest.raises(Invalid, match="no web address"):
            self.created(options={"url": "gopher://x", "model": "words"})
        assert EmbeddingIndex.objects.count() == 1

    def test_vectors_too_long_for_a_graph_are_refused(self):
        self.embedder.dimensions = 2001
        with pytest.raises(Invalid, match="At most 2000"):
            self.created()

    def test_a_taken_name_is_refused(self):
        with pytest.raises(ValidationError):
            self.created(name=self.live.name)


class BuildingTests(IndexTestCase):
    def test_every_hook_has_a_vector_and_the_index_is_ready(self):
        index = self.built()
        assert index.state == IndexState.READY
        assert index.job.state == JobState.DONE
        assert index.job.done == index.job.total == index.vectors.count()
        assert not indexing.missing(index).exists()
        assert graphs.graph_name(index) in self.graphs()

    def test_a_search_uses_the_model_of_the_index_it_searches(self):
        index = self.built()
        self.embedder.requests.clear()
        assert self.found("soup arrives cold", index=index)[0] == "Cold soup"
        assert [body["input"] for body in self.embedder.requests] == [["soup arrives cold"]]

    def test_similarities_are_said_in_those_of_the_shipped_model(self):
        index = self.built()
        assert index.options["scale"]["slope"] > 0
        near = [
            search(["my soup is cold"], scene=self.scene, index=one)[0]
            for one in (self.live, index)
        ]
        assert near[0][0].title == near[1][0].title == "Cold soup"
        assert near[0][0].similarity == pytest.approx(near[1][0].similarity, abs=0.15)

    def test_prefixes_go_before_questions_and_texts(self):
        options = {**self.embedder.options, "query_prefix": "q: ", "passage_prefix": "p: "}
        index = self.built(options=options)
        asked = [text for body in self.embedder.requests for text in body["input"]]
        assert asked[0] == f"q: {reindexing.PROBE}"
        assert "p: Cold soup" in asked
        assert index.state == IndexState.READY

    def test_publishing_writes_into_every_kept_index(self):
        index = self.created()
        new = make_published_unit(scene=self.scene, title="Wrong dish")
        assert {v.index_id for v in HookVector.objects.filter(unit=new)} == {
            self.live.pk,
            index.pk,
        }

    def test_a_killed_build_goes_on_where_it_was(self):
        index = self.created()
        real, calls = indexing.fill, []

        def fill(*args):
            calls.append(args)
            if len(calls) == 3:
                raise SystemExit
            real(*args)

        with (
            mock.patch.object(reindexing, "HOOKS_AT_ONCE", 4),
            mock.patch.object(indexing, "fill", fill),
            pytest.raises(SystemExit),
        ):
            self.work(tasks.build_index, index.job_id)
        assert index.vectors.count() == 8
        assert self.fresh(index).state == IndexState.BUILDING
        type(index.job).objects.update(leased_until=index.created_at)  # its lease ran out
        self.embedder.requests.clear()
        self.work(tasks.build_index, index.job_id)
        assert self.fresh(index).state == IndexState.READY
        asked = [text for body in self.embedder.requests for text in body["input"]]
        assert RULES["Late delivery"][0] not in asked

    def test_twice_and_with_the_row_gone(self):
        index = self.built()
        self.embedder.requests.clear()
        self.work(tasks.build_index, index.job_id)
        self.work(tasks.build_index, -1)
        self.work(tasks.free_index, -1)
        assert not self.embedder.requests

    def test_a_failing_model_fails_the_build_which_can_go_on(self):
        index = self.created()
        self.embedder.status = 500
        self.work(tasks.build_index, index.job_id)
        failed = self.fresh(index)
        assert (failed.state, failed.job.state) == (IndexState.BUILDING, JobState.FAILED)
        assert "see to the model" in failed.job.error
        self.embedder.status = 200
        again = reindexing.fill_index(index=failed, by=self.approver)
        with pytest.raises(reindexing.IndexBusy):
            reindexing.fill_index(index=failed, by=self.approver)
        self.work(tasks.build_index, again.job_id)
        assert self.fresh(index).state == IndexState.READY

    def test_a_model_that_tells_nothing_apart_is_never_ready(self):
        self.embedder.alike = True
        index = self.built()
        assert index.state == IndexState.BUILDING
        assert "does not tell them apart" in index.job.error

    def test_a_cancelled_build_stops(self):
        index = self.created()
        self.embedder.before = lambda: None
        jobs.cancel(index.job)
        self.work(tasks.build_index, index.job_id)
        assert self.fresh(index).job.state == JobState.CANCELLED
        assert not index.vectors.exists()

    def test_publishing_goes_on_while_another_model_is_down(self):
        index = self.built()
        self.embedder.status = 500
        with self.assertLogs("knowledge.indexing", "WARNING"):
            make_published_unit(scene=self.scene, title="Wrong dish")
        assert self.found("wrong dish")[0] == "Wrong dish"
        with pytest.raises(reindexing.IndexNotReady, match="lacks 3 wordings"):
            reindexing.switch(index=index, by=self.approver)
        self.embedder.status = 200
        filled = reindexing.fill_index(index=index, by=self.approver)
        self.work(tasks.build_index, filled.job_id)
        assert reindexing.switch(index=index, by=self.approver).state == IndexState.LIVE


class SwitchingTests(IndexTestCase):
    def test_there_and_back_at_once(self):
        index = self.built()
        reindexing.switch(index=index, by=self.approver)
        assert indexing.live_index() == index
        assert self.fresh(self.live).state == IndexState.READY
        assert self.found("soup arrives cold")[0] == "Cold soup"
        new = make_published_unit(scene=self.scene, title="Wrong dish")
        assert HookVector.objects.filter(unit=new, index=self.live).exists()
        reindexing.switch(index=self.live, by=self.approver)
        assert indexing.live_index() == self.live
        assert self.found("wrong dish")[0] == "Wrong dish"

    def test_what_is_not_ready_is_not_switched_to(self):
        index = self.created()
        with pytest.raises(reindexing.IndexNotReady):
            reindexing.switch(index=index, by=self.approver)
        assert indexing.live_index() == self.live

    def test_switching_to_what_is_in_use_changes_nothing(self):
        assert reindexing.switch(index=self.live, by=self.approver) == self.live

    def test_the_database_allows_one_live_index(self):
        index = self.built()
        with pytest.raises(IntegrityError, match="index_one_live"), transaction.atomic():
            EmbeddingIndex.objects.filter(pk=index.pk).update(state=IndexState.LIVE)

    def test_a_publication_from_before_the_switch_is_refused(self):
        index = self.created()
        unit = make_unit(scene=self.scene, author=self.approver)
        real = indexing.vectors_for

        def vectors_for(texts):
            vectors = [one for one in real(texts) if one.index != index]  # its model was down
            self.work(tasks.build_index, index.job_id)
            reindexing.switch(index=self.fresh(index), by=self.approver)
            return vectors

        with (
            mock.patch.object(indexing, "vectors_for", vectors_for),
            pytest.raises(indexing.IndexSwitched),
        ):
            services.publish_unit(unit=unit, by=self.approver)
        unit.refresh_from_db()
        assert unit.live is None
        services.publish_unit(unit=unit, by=self.approver)
        assert HookVector.objects.filter(unit=unit, index=index).exists()


class RetiringTests(IndexTestCase):
    def test_vectors_and_graph_go_and_the_name_stays(self):
        index = self.built()
        retired = reindexing.retire(index=index, by=self.approver)
        with mock.patch.object(reindexing, "VECTORS_DELETED_AT_ONCE", 3):
            self.work(tasks.free_index, retired.job_id)
        self.work(tasks.free_index, retired.job_id)
        index = self.fresh(index)
        assert (index.state, index.job.state) == (IndexState.RETIRED, JobState.DONE)
        assert not index.vectors.exists()
        assert graphs.graph_name(index) not in self.graphs()
        assert self.live.vectors.exists()

    def test_publishing_leaves_a_retired_index_out(self):
        index = self.built()
        reindexing.retire(index=index, by=self.approver)
        new = make_published_unit(scene=self.scene)
        assert not HookVector.objects.filter(unit=new, index=index).exists()

    def test_a_build_is_cancelled_by_retiring(self):
        index = self.created()
        job = index.job
        reindexing.retire(index=index, by=self.approver)
        self.work(tasks.build_index, job.pk)
        job.refresh_from_db()
        assert job.state == JobState.CANCELLED
        assert not index.vectors.exists()

    def test_refusals(self):
        with pytest.raises(reindexing.IndexInUse):
            reindexing.retire(index=self.live, by=self.approver)
        index = reindexing.retire(index=self.built(), by=self.approver)
        assert reindexing.retire(index=index, by=self.approver).job_id == index.job_id
        with pytest.raises(reindexing.IndexNotReady):
            reindexing.fill_index(index=index, by=self.approver)
        with pytest.raises(reindexing.IndexNotReady):
            reindexing.switch(index=index, by=self.approver)
        label = [Label("1", "late?", [])]
        labelled_set = labelling.make_set(name="S", labels=label, by=None, scene=None)
        with pytest.raises(measuring.NothingToMeasure):
            measuring.start(labelled_set=labelled_set, by=self.approver, index=index)


class ScalingTests(IndexTestCase):
    def test_a_scale_and_its_way_back(self):
        scale = scaling.Scale(slope=2.0, offset=-1.0)
        assert scale.shipped(2.0 * 0.84 - 1.0) == pytest.approx(0.84)
        assert scaling.scale_of(self.live) == scaling.Scale()

    def test_the_shipped_model_built_again_has_the_shipped_scale(self):
        index = self.built(embedder="e5", options={})
        assert index.options["scale"]["slope"] == pytest.approx(1, abs=1e-3)
        assert index.options["scale"]["offset"] == pytest.approx(0, abs=1e-3)

    def test_too_few_wordings_give_no_scale(self):
        for unit in self.units[1:]:
            services.archive_unit(unit=unit, by=self.approver)
        index = self.built()
        assert index.state == IndexState.READY
        assert "scale" not in index.options


class RaceTests(IndexMixin, TransactionTestCase):
    """Real connections side by side."""

    def setUp(self):
        super().setUp()
        self.make_base(self)

    def together(self, *works):
        errors = []

        def run(work):
            try:
                work()
            except Exception as error:  # noqa: BLE001  # asserted on below
                errors.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=run, args=[work]) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
        return errors

    def test_publishing_during_a_build_loses_nothing(self):
        index = self.created()
        drafts = [make_unit(scene=self.scene, author=self.approver) for _ in range(4)]

        def publish():
            for unit in [*drafts, *drafts]:
                unit.refresh_from_db()
                number = unit.latest.number
                services.revise_unit(
                    unit=unit, author=self.approver, based_on=number, title=f"{unit.pk} {number}"
                )
                services.publish_unit(unit=unit, by=self.approver)

        with mock.patch.object(reindexing, "HOOKS_AT_ONCE", 2):
            errors = self.together(lambda: self.work(tasks.build_index, index.job_id), publish)
        assert errors == []
        index = self.fresh(index)
        assert (index.state, index.job.error) == (IndexState.READY, "")
        assert not indexing.missing(index).exists()
        assert not indexing.missing(self.live).exists()

    def test_a_graph_left_half_made_is_made_again(self):
        index = self.created()
        name = graphs.graph_name(index)
        graphs.make_graph(index)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(%s)", [name]
            )
        self.work(tasks.build_index, index.job_id)
        with connection.cursor() as cursor:
            cursor.execute(graphs.BROKEN, [name])
            assert cursor.fetchone() is None
        assert name in self.graphs()

    def test_two_switches_at_once_leave_one_live_index(self):
        first, second = self.built(), self.built(name="words-again")
        errors = self.together(
            lambda: reindexing.switch(index=first, by=self.approver),
            lambda: reindexing.switch(index=second, by=self.approver),
        )
        assert errors == []
        live = EmbeddingIndex.objects.get(state=IndexState.LIVE)
        assert live in (first, second)
        assert EmbeddingIndex.objects.filter(state=IndexState.READY).count() == 2

    def test_publishing_during_switches_leaves_every_index_whole(self):
        index = self.built()
        drafts = [make_unit(scene=self.scene, author=self.approver) for _ in range(6)]

        def publish():
            for unit in drafts:
                services.publish_unit(unit=unit, by=self.approver)

        def switch():
            for one in (index, self.live) * 3:
                reindexing.switch(index=one, by=self.approver)

        assert self.together(publish, switch) == []
        for one in (index, self.live):
            assert not indexing.missing(one).exists()


class IndexPageTests(IndexTestCase):
    def setUp(self):
        super().setUp()
        self.index = self.built()
        self.client.force_login(self.approver)

    def url(self, name, index=None):
        return reverse(f"knowledge:{name}", args=[(index or self.index).pk])

    def test_the_list_says_what_is_in_use(self):
        response = self.client.get(reverse("knowledge:index-list"))
        self.assertContains(response, "words-64")
        self.assertContains(response, "In use")
        self.assertContains(response, "New index")

    def test_queries_do_not_grow_with_indexes(self):
        for number in range(3):
            self.created(name=f"i{number}")
        with self.assertNumQueries(5):  # session, user, roles, live, indexes
            self.client.get(reverse("knowledge:index-list"))

    def test_compared_side_by_side(self):
        for number in range(3):
            label = [Label("1", "my soup is cold", [self.units[3].pk]), Label("2", "kites", [])]
            labelling.make_set(name=f"S{number}", labels=label, by=None, scene=self.scene)
        response = self.client.post(self.url("index-compare"))
        assert response.status_code == 302
        for evaluation in measuring.RetrievalEvaluation.objects.all():
            tasks.measure_retrieval(evaluation.job_id)
        # session, user, roles, index, live, sets, newest, running
        with self.assertNumQueries(8):
            page = self.client.get(self.url("index-detail"))
        row = page.context["rows"][0]
        assert [shares[1]["share"] for shares in row.rows[:1]] == [1.0]
        assert [shares[2]["share"] for shares in row.rows[:1]] == [1.0]
        self.assertContains(page, "Switch to it")

    def test_switch_back_and_retire_by_page(self):
        assert self.client.post(self.url("index-switch")).status_code == 302
        assert indexing.live_index() == self.index
        page = self.client.get(self.url("index-detail", self.live))
        self.assertContains(page, "Switch to it")
        assert self.client.post(self.url("index-retire")).status_code == 409
        self.client.post(self.url("index-switch", self.live))
        self.assertContains(self.client.get(self.url("index-detail")), "Switch back to it")
        self.client.post(self.url("index-fill"))
        assert self.fresh(self.index).job.state == JobState.QUEUED
        self.client.post(self.url("index-retire"))
        self.assertContains(self.client.get(self.url("index-detail")), "Retired")

    def test_a_new_index_by_page(self):
        data = {"name": "other", "embedder": "openai", **self.embedder.options}
        response = self.client.post(reverse("knowledge:index-create"), data)
        created = EmbeddingIndex.objects.get(name="other")
        self.assertRedirects(response, self.url("index-detail", created))
        assert created.options == self.embedder.options

    def test_what_the_model_says_is_shown_beside_the_form(self):
        self.embedder.status = 500
        data = {"name": "other", "embedder": "openai", **self.embedder.options}
        response = self.client.post(reverse("knowledge:index-create"), data)
        self.assertContains(response, "script says no", status_code=422)
        self.assertContains(response, 'value="other"', status_code=422)

    def test_operators_look_and_do_not_touch(self):
        self.client.force_login(make_user("operator", [self.scene]))
        page = self.client.get(self.url("index-detail"))
        assert page.status_code == 200
        self.assertNotContains(page, "Switch to it")
        for name in ("index-switch", "index-retire", "index-fill", "index-compare"):
            assert self.client.post(self.url(name)).status_code == 403
        assert self.client.get(reverse("knowledge:index-create")).status_code == 403
        self.client.logout()
        assert self.client.get(reverse("knowledge:index-list")).status_code == 302
        assert indexing.live_index() == self.live

    def test_an_index_that_is_not_there(self):
        assert self.client.get(reverse("knowledge:index-detail", args=[0])).status_code == 404
