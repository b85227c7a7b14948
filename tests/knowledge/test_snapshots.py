"""Named pictures of the base: taken at once, compared, and texts fetched back from them."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import TestCase
from django.urls import reverse

from knowledge import services, snapshots
from knowledge.models import KnowledgeUnit, Snapshot, SnapshotEntry
from tests.factories import make_published_unit, make_scene, make_unit, make_user
from wowconsole.errors import Invalid


class SnapshotTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene, cls.other = make_scene(), make_scene()
        cls.admin = make_user("admin")
        cls.operator = make_user("operator", [cls.scene])
        cls.changed = make_published_unit(scene=cls.scene, content="You get $5.")
        cls.removed = make_published_unit(scene=cls.scene)
        cls.elsewhere = make_published_unit(scene=cls.other)
        make_unit(scene=cls.scene)

    def take(self, name="Before", scene=None, by=None):
        return snapshots.take(name=name, by=by or self.admin, scene=scene)

    def change_the_base(self):
        services.revise_unit(
            unit=self.changed, author=self.admin, based_on=1, content="You get $6."
        )
        services.publish_unit(unit=self.changed, by=self.admin)
        services.archive_unit(unit=self.removed, by=self.admin)
        return make_published_unit(scene=self.scene)


class TakeTests(SnapshotTestCase):
    def test_it_holds_what_is_live_of_the_whole_base_or_one_scene(self):
        whole, part = self.take(), self.take("Scene", self.scene, self.operator)
        assert snapshots.sizes([whole, part]) == {whole.pk: 3, part.pk: 2}
        with self.assertNumQueries(6):  # one for the entries; row, two checks, savepoint
            self.take("Again")

    def test_names_are_needed_and_unique_and_the_whole_base_is_for_few(self):
        self.take()
        for fields, expected in (
            ({"name": "Before"}, ValidationError),
            ({"name": " "}, ValidationError),
            ({"name": "x" * 81}, ValidationError),
            ({"name": "a\0"}, Invalid),
            ({"name": "Mine", "by": self.operator}, Invalid),
        ):
            with pytest.raises(expected):
                self.take(**fields)
        assert Snapshot.objects.count() == 1

    def test_entries_never_change(self):
        self.take()
        with pytest.raises(IntegrityError), transaction.atomic():
            SnapshotEntry.objects.update(unit=self.changed)


class CompareTests(SnapshotTestCase):
    def test_what_was_added_removed_and_changed_since(self):
        before = self.take()
        added = self.change_the_base()
        found = snapshots.compare(before, None, user=self.admin)
        assert (found.added, found.removed, found.changed) == (1, 1, 1)
        kinds = {change.unit.pk: change.kind for change in found.changes}
        assert kinds == {
            self.changed.pk: "changed",
            self.removed.pk: "removed",
            added.pk: "added",
        }
        [(label, pieces)] = next(c.fields for c in found.changes if c.unit == self.changed)
        assert ("removed", "5") in [(piece.kind, piece.text) for piece in pieces]
        assert label == "Answer or action"

    def test_between_two_snapshots_and_page_by_page(self):
        before = self.take()
        self.change_the_base()
        after = self.take("After")
        assert snapshots.compare(before, after, user=self.admin).total == 3
        assert snapshots.compare(after, None, user=self.admin).total == 0
        page = snapshots.compare(before, after, user=self.admin, start=2, limit=2)
        assert (page.total, len(page.changes)) == (3, 1)

    def test_scenes_that_are_not_ones_own_are_left_out(self):
        before = self.take()
        services.archive_unit(unit=self.elsewhere, by=self.admin)
        assert snapshots.compare(before, None, user=self.operator).total == 0
        assert snapshots.compare(before, None, user=self.admin).total == 1

    def test_a_scene_is_compared_with_itself_only(self):
        part = self.take("Part", self.scene)
        assert snapshots.compare(part, self.take(), user=self.admin).total == 0
        with pytest.raises(Invalid, match="different scenes"):
            snapshots.compare(part, self.take("Other", self.other), user=self.admin)


class SnapshotPageTests(SnapshotTestCase):
    def setUp(self):
        self.client.force_login(self.operator)

    def test_take_list_compare_and_fetch_a_text_back(self):
        form = {"name": "Before <b>", "scene": self.scene.slug}
        response = self.client.post(reverse("knowledge:snapshot-take"), form, follow=True)
        self.assertContains(response, "Kept 2 live rules")
        self.assertContains(response, "Before &lt;b&gt;")
        self.change_the_base()
        url = reverse("knowledge:snapshot-detail", args=[Snapshot.objects.get().public_id])
        page = self.client.get(url)
        self.assertContains(page, "1 added, 1 removed, 1 changed")
        self.assertContains(page, "<del>5</del><ins>6</ins>")
        back = reverse("knowledge:revision-restore", args=[self.changed.pk, 1])
        self.assertContains(page, back)
        self.client.post(back, {"based_on": 2})
        unit = KnowledgeUnit.objects.get(pk=self.changed.pk)
        assert (unit.latest.content, unit.live.content) == ("You get $5.", "You get $6.")

    def test_faults_are_shown_at_the_form(self):
        url = reverse("knowledge:snapshot-take")
        for form in ({"name": ""}, {"name": "Whole"}, {"name": "x", "scene": self.other.slug}):
            assert self.client.post(url, form).status_code == 422
        assert not Snapshot.objects.exists()

    def test_roles_strangers_and_addresses_that_lead_nowhere(self):
        snapshot = self.take("Other", self.other)
        url = reverse("knowledge:snapshot-detail", args=[snapshot.public_id])
        assert self.client.get(url).status_code == 404
        mine = reverse("knowledge:snapshot-detail", args=[self.take("Mine", self.scene).public_id])
        for query in ({"with": "x"}, {"with": str(snapshot.public_id)}):
            assert self.client.get(mine, query).status_code == 404
        for page in ("x", "0", "99", "9" * 30):
            assert self.client.get(mine, {"page": page}).status_code == 200
        self.client.force_login(make_user("auditor"))
        assert self.client.get(url).status_code == 200
        assert self.client.post(reverse("knowledge:snapshot-take")).status_code == 403
        self.client.logout()
        assert self.client.get(url).status_code == 302

    def test_the_number_of_queries_does_not_grow(self):
        for number in range(3):
            self.take(f"S{number}", self.scene)
            self.change_the_base() if number == 0 else None
        url = reverse("knowledge:snapshot-detail", args=[Snapshot.objects.last().public_id])
        # session, user, roles, snapshot, scenes, changes, units, revisions, others
        with self.assertNumQueries(9):
            self.client.get(url)
        with self.assertNumQueries(7):  # session, user, roles, count, rows, sizes, scenes
            self.client.get(reverse("knowledge:snapshot-list"))
