"""The database refuses what is not true of rules, by the constraint's name."""

import pytest
from django.db import IntegrityError, transaction
from django.test import TestCase
from django.utils import timezone

from knowledge.models import Hook, KnowledgeUnit, Publication, Revision, UnitStatus
from tests.factories import make_published_unit, make_unit


class ConstraintTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.unit = make_unit(external_id="x-1")

    def refused(self, name):
        return pytest.raises(IntegrityError, match=name)

    def test_unit_status_known(self):
        with self.refused("unit_status_known"), transaction.atomic():
            KnowledgeUnit.objects.filter(pk=self.unit.pk).update(status="sleeping")

    def test_unit_live_when_published(self):
        with self.refused("unit_live_when_published"), transaction.atomic():
            KnowledgeUnit.objects.filter(pk=self.unit.pk).update(status=UnitStatus.PUBLISHED)

    def test_unit_external_id_unique_in_scene(self):
        with self.refused("unit_external_id_unique_in_scene"), transaction.atomic():
            KnowledgeUnit.objects.create(
                scene=self.unit.scene, owner=self.unit.owner, external_id="x-1"
            )

    def revision(self, **fields):
        values = {"unit": self.unit, "number": 2, "title": "t", "condition": "c", "content": "a"}
        return Revision.objects.create(**{**values, "author": self.unit.owner, **fields})

    def test_revision_number_unique(self):
        with self.refused("revision_number_unique"), transaction.atomic():
            self.revision(number=1)

    def test_revision_risk_known(self):
        with self.refused("revision_risk_known"), transaction.atomic():
            self.revision(risk="wild")

    def test_revision_valid_until_after_from(self):
        now = timezone.now()
        with self.refused("revision_valid_until_after_from"), transaction.atomic():
            self.revision(valid_from=now, valid_until=now)

    def test_hook_kind_known(self):
        with self.refused("hook_kind_known"), transaction.atomic():
            Hook.objects.create(unit=self.unit, kind="smell", text="t")

    def test_history_never_changes(self):
        unit = make_published_unit()
        with self.refused("history and never change"), transaction.atomic():
            Revision.objects.filter(unit=unit).update(title="rewritten")
        with self.refused("history and never change"), transaction.atomic():
            Publication.objects.filter(unit=unit).update(at=timezone.now())
