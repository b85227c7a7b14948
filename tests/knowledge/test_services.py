"""What people do with rules, and what is refused."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.test import TestCase
from django.utils import timezone

from knowledge import services
from knowledge.models import Hook, UnitStatus
from tests.factories import make_published_unit, make_scene, make_unit, make_user


class DraftTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.author = make_user("operator", [cls.scene])

    def draft(self, **fields):
        texts = {"title": "Late", "condition": "When late", "content": "You get $5."}
        return services.draft_unit(author=self.author, scene=self.scene, **{**texts, **fields})

    def test_a_draft_has_its_first_revision_and_no_hooks(self):
        unit = self.draft(questions=[" where is it ", "", "where is it"])
        assert (unit.status, unit.latest.number, unit.live) == (UnitStatus.DRAFT, 1, None)
        assert unit.latest.questions == ["where is it"]
        assert not unit.hooks.exists()

    def test_empty_and_overlong_texts_are_refused_by_field(self):
        for fields in ({"title": " "}, {"condition": ""}, {"content": "x" * 4001}):
            with pytest.raises(ValidationError) as caught:
                self.draft(**fields)
            assert set(caught.value.message_dict) == set(fields)

    def test_nul_bytes_are_refused(self):
        for fields in ({"title": "a\0"}, {"questions": ["a\0"]}, {"external_id": "a\0"}):
            with pytest.raises(ValidationError, match="NUL"):
                self.draft(**fields)

    def test_a_rule_that_ends_before_it_begins_is_refused(self):
        now = timezone.now()
        with pytest.raises(ValidationError, match="must end after it begins"):
            self.draft(valid_from=now, valid_until=now - timedelta(days=1))

    def test_an_external_id_is_taken_once_per_scene(self):
        self.draft(external_id="a")
        with pytest.raises(ValidationError, match="already has a unit"):
            self.draft(external_id="a")
        make_unit(external_id="a")  # another scene
        self.draft(), self.draft()  # and none at all is no name


class ReviseTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.unit = make_unit(content="You get $5.")
        cls.first, cls.second = make_user("operator"), make_user("operator")

    def revise(self, author, based_on=1, **fields):
        return services.revise_unit(unit=self.unit, author=author, based_on=based_on, **fields)

    def test_an_edit_becomes_the_next_revision(self):
        unit = self.revise(self.first, content="You get $6.")
        assert (unit.latest.number, unit.latest.content) == (2, "You get $6.")
        assert unit.revisions.get(number=1).content == "You get $5."

    def test_saving_the_same_text_adds_nothing(self):
        assert self.revise(self.first, content="You get $5. ").latest.number == 1

    def test_the_second_of_two_editors_sees_what_the_first_changed(self):
        self.revise(self.first, content="You get $6.")
        with pytest.raises(services.StaleEdit, match=r"action: now “You get \$6\.”") as caught:
            self.revise(self.second, content="You get $7.")
        assert self.first.username in str(caught.value)
        assert self.unit.revisions.count() == 2

    def test_an_earlier_text_comes_back_as_a_new_revision(self):
        self.revise(self.first, content="You get $6.")
        unit = services.restore_revision(unit=self.unit, author=self.second, number=1, based_on=2)
        assert (unit.latest.number, unit.latest.content) == (3, "You get $5.")


class PublishTests(TestCase):
    def test_publishing_writes_hooks_status_and_ledger_together(self):
        unit = make_published_unit(questions=["how late is late"])
        assert (unit.status, unit.live_id) == (UnitStatus.PUBLISHED, unit.latest_id)
        assert list(unit.hooks.order_by("pk").values_list("kind", flat=True)) == [
            "title",
            "condition",
            "question",
            "content",
        ]
        assert unit.publications.get().revision_id == unit.live_id

    def test_publishing_again_replaces_the_hooks_and_twice_does_nothing(self):
        unit = make_published_unit()
        admin = make_user("admin")
        services.revise_unit(unit=unit, author=admin, based_on=1, title="New title")
        for _ in range(2):
            unit = services.publish_unit(unit=unit, by=admin)
        assert unit.hooks.get(kind="title").text == "New title"
        assert (unit.hooks.count(), unit.publications.count()) == (3, 2)

    def test_a_high_risk_rule_needs_an_approver(self):
        unit, operator = make_unit(risk="high"), make_user("operator")
        with pytest.raises(services.ApprovalNeeded, match="Ask one"):
            services.publish_unit(unit=unit, by=operator)
        assert not Hook.objects.exists()

    def test_authors_do_not_publish_their_own_high_risk_rules(self):
        author = make_user("approver")
        unit = make_unit(risk="high", author=author)
        with pytest.raises(services.ApprovalNeeded, match="Another approver"):
            services.publish_unit(unit=unit, by=author)
        assert services.publish_unit(unit=unit, by=make_user("approver")).live

    def test_many_are_published_together_or_not_at_all(self):
        low, high = make_unit(), make_unit(risk="high")
        with pytest.raises(services.ApprovalNeeded):
            services.publish_many(units=[low, high], by=make_user("operator"))
        low.refresh_from_db()
        assert low.status == UnitStatus.DRAFT

    def test_an_archived_rule_is_restored_as_a_draft_before_it_is_published(self):
        unit, admin = make_published_unit(), make_user("admin")
        unit = services.archive_unit(unit=unit, by=admin)
        services.archive_unit(unit=unit, by=admin)
        assert (unit.status, unit.live, unit.hooks.count()) == (UnitStatus.ARCHIVED, None, 0)
        assert unit.publications.filter(revision=None).count() == 1
        with pytest.raises(services.UnitArchived):
            services.publish_unit(unit=unit, by=admin)
        unit = services.restore_unit(unit=unit)
        assert unit.status == UnitStatus.DRAFT
        assert services.publish_unit(unit=unit, by=admin).live
