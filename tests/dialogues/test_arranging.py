"""The record of arrangements: numbered, readable, and nobody's change overwritten."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import TestCase

from dialogues import arranging
from dialogues.models import Arrangement, Site
from tests.dialogues.test_identifying import make_site
from tests.factories import make_user


class RecordTests(TestCase):
    def setUp(self):
        self.site = make_site()
        self.ana = make_user("admin", username="ana")

    def rename(self, name, **more):
        self.site.name = name
        return arranging.save(self.site, by=self.ana, **more)

    def test_it_begins_with_how_a_row_stood_before(self):
        self.rename("New")
        first, second = arranging.changes_of("site", "shop").order_by("number")
        assert (first.note, first.by, first.data["name"]) == (arranging.NEVER_EDITED, None, "Shop")
        assert (second.number, second.by, second.data["name"]) == (2, self.ana, "New")
        assert arranging.revisions("site") == {"shop": 2}

    def test_a_change_of_what_is_old_is_refused_and_stores_nothing(self):
        self.rename("New", based_on=0)
        with pytest.raises(arranging.ChangedMeanwhile, match="ana changed this"):
            self.rename("Newer", based_on=0)
        assert Site.objects.get().name == "New"
        self.rename("Newer", based_on=2)
        self.rename("Newest")  # a program that does not ask
        assert arranging.revision_of(self.site) == 4

    def test_what_is_wrong_leaves_no_record(self):
        with pytest.raises(ValidationError):
            self.rename("")
        assert not Arrangement.objects.exists()

    def test_numbers_are_given_once(self):
        arranging.write("site", "x", {}, by=None)
        with (
            pytest.raises(IntegrityError, match="arrangement_number_once"),
            transaction.atomic(),
        ):
            Arrangement.objects.create(kind="site", name="x", number=1)
        with (
            pytest.raises(IntegrityError, match="arrangement_kind_known"),
            transaction.atomic(),
        ):
            Arrangement.objects.create(kind="cat", name="x", number=1)

    def test_history_shows_what_each_change_was(self):
        for number in range(4):
            self.rename(f"Name {number}")
        shown = list(arranging.history("site", "shop", limit=3))
        assert [change["row"].number for change in shown] == [5, 4, 3]
        assert all([label for label, _ in change["changes"]] == ["Name"] for change in shown)
        assert list(arranging.history("site", "other")) == []


class DifferencesTests(TestCase):
    def test_objects_are_compared_by_their_parts(self):
        old = {"card": {"why": "late", "facts": [{"name": "a", "required": True}]}, "on": True}
        new = {"card": {"why": "cold", "facts": [{"name": "a", "required": True}]}, "on": False}
        found = arranging.differences(old, new)
        assert [label for label, _ in found] == ["Card: why", "On"]
        assert [(piece.kind, piece.text) for piece in found[1][1]] == [
            ("removed", "yes"),
            ("added", "no"),
        ]

    def test_rows_are_read_one_a_line(self):
        old = {"card": {"facts": [], "share": 0.5}}
        new = {
            "card": {"share": 0.5, "facts": [{"name": "a", "choices": ["x", "y"]}, {"name": "b"}]}
        }
        [(label, pieces)] = arranging.differences(old, new)
        assert label == "Card: facts"
        now = "".join(piece.text for piece in pieces if piece.kind != "removed")
        assert now == "name: a; choices: x, y\nname: b"
        schema = {"parameters": {"properties": {"a": {"minimum": 0.5, "enum": [1, None]}}}}
        [(label, _)] = arranging.differences({}, schema)
        assert label == "Parameters: properties"
