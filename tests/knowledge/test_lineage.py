"""Merging and splitting: what becomes of the rules, and what is refused."""

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import TestCase

from knowledge import lineage, services
from knowledge.models import Lineage, LineageKind, UnitStatus
from tests.factories import make_published_unit, make_scene, make_unit, make_user


class LineageTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.author = make_user("operator", [cls.scene])

    def unit(self, **fields):
        return make_unit(scene=self.scene, author=self.author, **fields)

    def merge(self, survivor, *others, based_on=None, **fields):
        survivor.refresh_from_db()
        return lineage.merge_units(
            survivor=survivor,
            others=others,
            fields=fields,
            by=self.author,
            based_on=based_on or survivor.latest.number,
        )

    def split(self, unit, *contents, keep=False, based_on=1):
        parts = [{"title": text, "condition": text, "content": text} for text in contents]
        return lineage.split_unit(
            unit=unit, parts=parts, by=self.author, based_on=based_on, keep=keep
        )


class MergeTests(LineageTests):
    def test_the_others_are_archived_and_their_wordings_taken(self):
        survivor = self.unit(title="Returns", questions=["take back?"])
        other = make_published_unit(
            scene=self.scene, title="Send back", questions=["Take back?", "refund?"]
        )
        merged = self.merge(survivor, other, content="Both.")
        assert merged.latest.content == "Both."
        assert merged.latest.questions == ["take back?", "Send back", "refund?"]
        other.refresh_from_db()
        assert (other.status, other.live) == (UnitStatus.ARCHIVED, None)
        row = Lineage.objects.get()
        assert (row.source, row.target, row.kind) == (other, survivor, LineageKind.MERGE)
        assert row.by == self.author

    def test_wordings_that_are_given_are_kept_as_they_are(self):
        merged = self.merge(self.unit(), self.unit(), questions=["only this"])
        assert merged.latest.questions == ["only this"]

    def test_what_is_refused_and_changes_nothing(self):
        survivor, gone = self.unit(), self.unit()
        services.archive_unit(unit=gone, by=self.author)
        for others, words in (
            ([], "at least one other"),
            ([survivor], "into itself"),
            ([gone], "is archived"),
            ([make_unit()], "scene"),
        ):
            with self.assertRaisesMessage(lineage.NotToMerge, words):
                self.merge(survivor, *others)
        with self.assertRaisesMessage(lineage.NotToMerge, "At most"):
            self.merge(survivor, *(self.unit() for _ in range(lineage.MOST_SOURCES + 1)))
        with self.assertRaisesMessage(lineage.NotToMerge, f"Rule {gone.pk} is archived"):
            self.merge(gone, survivor)
        assert not Lineage.objects.exists()

    def test_a_stale_or_empty_text_archives_nobody(self):
        survivor, other = self.unit(), self.unit()
        services.revise_unit(unit=survivor, author=self.author, based_on=1, title="New")
        with self.assertRaises(services.StaleEdit):
            self.merge(survivor, other, based_on=1)
        with self.assertRaises(ValidationError):
            self.merge(survivor, other, content=" ")
        other.refresh_from_db()
        assert other.status == UnitStatus.DRAFT

    def test_circles_are_refused_in_words(self):
        first, second, third = self.unit(), self.unit(), self.unit()
        self.merge(second, first)
        self.merge(third, second)
        services.restore_unit(unit=first)
        with self.assertRaisesMessage(lineage.CyclicMerge, f"Rule {third.pk} was made of"):
            self.merge(first, third)
        assert lineage.ancestors(third.pk) == {first.pk, second.pk}
        assert lineage.descendants(first.pk) == {second.pk, third.pk}

    def test_the_database_refuses_circles_itself(self):
        first, second, third = self.unit(), self.unit(), self.unit()
        self.merge(second, first)
        self.merge(third, second)
        for source, target in ((third, first), (second, first)):
            with self.assertRaisesMessage(IntegrityError, "came from"), transaction.atomic():
                Lineage.objects.create(
                    source=source, target=target, kind=LineageKind.MERGE, by=self.author
                )

    def test_a_restored_rule_can_be_merged_again(self):
        survivor, other = self.unit(), self.unit()
        self.merge(survivor, other)
        services.restore_unit(unit=other)
        self.merge(survivor, other)
        assert Lineage.objects.count() == 1


class SplitTests(LineageTests):
    def test_parts_are_drafts_with_the_rules_scope(self):
        unit = self.unit(risk="high", source="Handbook", segments=["gold"], questions=["all?"])
        parts = self.split(unit, "One.", "Two.")
        unit.refresh_from_db()
        assert unit.status == UnitStatus.ARCHIVED
        for part in parts:
            assert (part.status, part.scene) == (UnitStatus.DRAFT, self.scene)
            assert (part.latest.risk, part.latest.segments) == ("high", ["gold"])
            assert part.latest.questions == []
        assert lineage.descendants(unit.pk) == {part.pk for part in parts}

    def test_the_first_part_can_stay_the_rule(self):
        unit = make_published_unit(scene=self.scene)
        first, second = self.split(unit, "One.", "Two.", keep=True)
        assert first.pk == unit.pk
        assert (first.latest.number, first.live.number) == (2, 1)
        assert lineage.descendants(unit.pk) == {second.pk}

    def test_what_is_refused(self):
        unit = self.unit()
        for contents in ([], ["One."], [str(n) for n in range(lineage.MOST_PARTS + 1)]):
            with self.assertRaisesMessage(lineage.NotToSplit, "2 to"):
                self.split(unit, *contents)
        with self.assertRaises(lineage.Invalid):
            self.split(unit, "Same.", "Same.")
        with self.assertRaises(services.StaleEdit):
            self.split(unit, "One.", "Two.", based_on=7)
        with self.assertRaises(ValidationError):
            self.split(unit, "One.", " ")
        services.archive_unit(unit=unit, by=self.author)
        with self.assertRaisesMessage(lineage.NotToSplit, "archived"):
            self.split(unit, "One.", "Two.")
        assert not Lineage.objects.exists()

    def test_a_part_is_not_merged_back_into_its_origin(self):
        unit = self.unit()
        part, _ = self.split(unit, "One.", "Two.")
        services.restore_unit(unit=unit)
        with self.assertRaises(lineage.CyclicMerge):
            self.merge(unit, part)
