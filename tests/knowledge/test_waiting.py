"""Two people at once: who waited for the other's lock sees what the other did."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from unittest import mock

import pytest
from django.db import connection, connections, transaction
from django.test import TransactionTestCase
from django.utils import timezone

from knowledge import jobs, publishing, reindexing, services
from knowledge.models import EmbeddingIndex, IndexState, Job, JobState, KnowledgeUnit
from tests.factories import make_published_unit, make_scene, make_unit, make_user

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@contextmanager
def begun_meanwhile(work, **arguments):
    """Hold a transaction; what it yields begins `work` elsewhere and returns once that waits."""

    def do():
        try:
            return work(**arguments)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():

        def begin():
            future = pool.submit(do)
            with connection.cursor() as cursor:
                waiting = 0
                while not (waiting or future.done()):
                    [waiting] = cursor.execute(WAITING).fetchone()
            return future

        yield begin


class WaitingTests(TransactionTestCase):
    def setUp(self):
        self.scene = make_scene()
        self.author, self.approver = (
            make_user(role, [self.scene]) for role in ("operator", "approver")
        )

    def test_the_second_editor_is_told_what_the_first_saved(self):
        unit = make_unit(scene=self.scene, author=self.author)
        edit = {"unit": unit, "author": self.author, "based_on": 1, "content": "Second."}
        with begun_meanwhile(services.revise_unit, **edit) as begin:
            services.revise_unit(**edit | {"author": self.approver, "content": "First."})
            future = begin()
        with pytest.raises(services.StaleEdit, match=r"First\."):
            future.result()

    def test_four_eyes_hold_for_a_rule_that_became_grave_while_one_waited(self):
        unit = make_published_unit(scene=self.scene, author=self.author)
        edited = services.revise_unit(unit=unit, author=self.author, based_on=1, risk="high")
        grave = edited.latest
        services.revise_unit(unit=unit, author=self.author, based_on=2, risk="low")
        with begun_meanwhile(services.publish_unit, unit=unit, by=self.author) as begin:
            publishing.publish_revision(revision=grave, by=self.approver, guard=lambda _: None)
            future = begin()
        with pytest.raises(services.ApprovalNeeded):
            future.result()
        assert KnowledgeUnit.objects.get().live == grave

    def test_an_index_is_filled_by_one_job(self):
        fields = {"title": "Fill", "task": reindexing.BUILD_TASK, "by": self.approver}
        over = Job.objects.create(state=JobState.DONE, finished_at=timezone.now(), **fields)
        index = EmbeddingIndex.objects.create(
            name="new", embedder="e5", dimensions=384, state=IndexState.READY, job=over
        )
        fill = {"index": index, "by": self.approver}
        with mock.patch.object(jobs, "send"):
            with begun_meanwhile(reindexing.fill_index, **fill) as begin:
                reindexing.fill_index(**fill)
                future = begin()
            with pytest.raises(reindexing.IndexBusy):
                future.result()
