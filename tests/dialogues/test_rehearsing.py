"""Searching the rule base as it would be: nothing stays, and nobody else sees it."""

from contextlib import contextmanager
from datetime import timedelta
from unittest import mock

from django.db import connection, connections
from django.test import TestCase, TransactionTestCase
from django.utils import timezone

from knowledge import services
from knowledge.models import Hook, Publication
from knowledge.rehearsing import as_if_archived, as_if_published, vectors_of
from knowledge.searching import search
from tests.dialogues.replays import COLD, LATE, base_as_it_is, edited
from tests.factories import (
    make_published_unit,
    make_scene,
    make_unit,
    make_user,
)


class RehearsalTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.unit = make_published_unit(scene=cls.scene, condition=COLD, content="We pay $5.")
        cls.by = cls.unit.owner
        cls.revised = edited(cls.unit, cls.by, condition=LATE, title="Warehouse")

    def found(self, text):
        [found] = search([text], scene=self.scene)
        return [item.revision_id for item in found]

    def test_searches_inside_find_the_revision_and_nothing_stays(self):
        before = base_as_it_is()
        vectors = vectors_of(self.revised.latest)
        with as_if_published(self.revised.latest, vectors):
            assert self.found(LATE) == [self.revised.latest_id]
        assert self.found(LATE) != [self.revised.latest_id]
        assert self.found(COLD) == [self.unit.live_id]
        assert base_as_it_is() == before

    def test_searches_inside_miss_what_is_archived(self):
        before = base_as_it_is()
        with as_if_archived(self.unit.pk):
            assert self.found(COLD) == []
        assert self.found(COLD) == [self.unit.live_id]
        assert base_as_it_is() == before

    def test_a_fault_inside_leaves_nothing_either(self):
        before = base_as_it_is()
        vectors = vectors_of(self.revised.latest)
        with self.assertRaises(ZeroDivisionError), as_if_published(self.revised.latest, vectors):
            raise ZeroDivisionError
        assert base_as_it_is() == before


@contextmanager
def second_connection():
    """Another session of the same database, as another process has it."""
    other = connections.create_connection("default")
    try:
        yield other.cursor()
    finally:
        other.close()


class TwoConnectionTests(TransactionTestCase):
    """What others see while a replay looks, and once a rule is published."""

    def test_nobody_else_sees_a_rehearsal(self):
        unit = make_published_unit(condition=COLD)
        revised = edited(unit, unit.owner, condition=LATE)
        vectors = vectors_of(revised.latest)
        seen = (
            "SELECT (SELECT array_agg(text ORDER BY id) FROM knowledge_hook),"
            " (SELECT live_id FROM knowledge_knowledgeunit),"
            " (SELECT count(*) FROM knowledge_publication)"
        )
        with second_connection() as cursor:
            cursor.execute(seen)
            before = cursor.fetchone()
            with as_if_published(revised.latest, vectors):
                assert Hook.objects.filter(text=LATE).exists()
                cursor.execute(seen)
                assert cursor.fetchone() == before
            cursor.execute(seen)
            assert cursor.fetchone() == before

    def test_a_published_rule_is_found_in_the_same_second_by_others(self):
        unit = make_unit(condition=COLD)
        with second_connection() as cursor:
            with (
                mock.patch("knowledge.searching.connection", cursor.db),
                self.assertRaises(AssertionError),
            ):
                self.found_by(unit, cursor)
            services.publish_unit(unit=unit, by=make_user("admin"))
            with mock.patch("knowledge.searching.connection", cursor.db):
                self.found_by(unit, cursor)
        published = Publication.objects.get().at
        assert timezone.now() - published < timedelta(seconds=1)

    def found_by(self, unit, cursor):
        [found] = search([COLD], scene=unit.scene)
        assert [item.unit_id for item in found] == [unit.pk]
        assert cursor.db is not connection
