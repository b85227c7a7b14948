"""One edit of many rules: previewed, done as previewed, undone."""

from datetime import timedelta
from unittest import mock

import pytest
from django.core.exceptions import ValidationError
from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from knowledge import (
    bulk,
    bulk_applying,
    bulk_undoing,
    conflicts,
    jobs,
    publishing,
    services,
    tasks,
)
from knowledge.bulk import Operation, Wanted, preview
from knowledge.indexing import EmbeddingUnavailable
from knowledge.models import BulkChange, BulkEdit, Job, JobState, KnowledgeUnit, UnitStatus
from tests.factories import make_published_unit, make_scene, make_unit, make_user
from wowconsole.errors import Invalid

REPLACE = Wanted(
    Operation.REPLACE, {"find": "30 days", "replacement": "14 days", "match_case": False}
)
PUBLISH = Wanted(Operation.PUBLISH, {})
ARCHIVE = Wanted(Operation.ARCHIVE, {})


class BulkTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene(slug="returns")
        cls.author = make_user("operator", [cls.scene])
        cls.approver = make_user("approver", [cls.scene])
        cls.units = [
            make_unit(
                scene=cls.scene,
                author=cls.author,
                title=f"Return {number}",
                content="Within 30 Days (.*), not 30 days later.",
                questions=["In 30 days?"],
            )
            for number in range(3)
        ]
        cls.other = make_unit(scene=cls.scene, author=cls.author)

    def setUp(self):
        self.sent = self.enterContext(mock.patch.object(jobs, "send"))

    def all(self):
        return list(KnowledgeUnit.objects.with_latest().order_by("pk"))

    def seen(self, units=None):
        return {unit.pk: unit.latest.number for unit in (units or self.all())}

    def apply(self, wanted, seen=None, by=None):
        with self.captureOnCommitCallbacks(execute=True):
            return bulk_applying.apply(
                wanted=wanted, seen=seen or self.seen(), by=by or self.author
            )

    def undo(self, edit, by=None):
        with self.captureOnCommitCallbacks(execute=True):
            return bulk_undoing.undo(edit=edit, by=by or self.author)


class PreviewTests(BulkTestCase):
    def test_words_are_replaced_literally_and_only_where_they_stand(self):
        changes = preview(self.all(), REPLACE, self.author)
        assert [change.unit.pk for change in changes] == [unit.pk for unit in self.units]
        after = changes[0].after
        assert after.content == "Within 14 days (.*), not 14 days later."
        assert after.questions == ["In 14 days?"]
        labels = [label for label, _ in changes[0].differences()]
        assert labels == ["Answer or action", "Other wordings"]
        cased = Wanted(Operation.REPLACE, {**REPLACE.parameters, "match_case": True})
        assert "30 Days" in preview(self.all(), cased, self.author)[0].after.content
        assert KnowledgeUnit.objects.filter(latest__number=1).count() == 4

    def test_what_cannot_be_stored_or_is_archived_is_refused_with_words(self):
        services.archive_unit(unit=self.units[0], by=self.author)
        longer = {"find": "30 days", "replacement": "x" * 3990, "match_case": False}
        first, second, _ = preview(self.all(), Wanted(Operation.REPLACE, longer), self.author)
        assert "archived" in first.refusal
        assert "4,000 characters" in second.refusal
        empty = Wanted(
            Operation.REPLACE, {"find": "Return 2", "replacement": "", "match_case": True}
        )
        assert "blank" in preview(self.all(), empty, self.author)[0].refusal

    def test_risk_priority_validity_audience_and_owner(self):
        def after(operation, **parameters):
            return preview(self.all(), Wanted(operation, parameters), self.author)[0].after

        assert after(Operation.RISK, risk="high").risk == "high"
        assert after(Operation.PRIORITY, priority=5).priority == 5
        time = after(Operation.VALIDITY, valid_until="2026-03-01T00:00:00+00:00").valid_until
        assert time.year == 2026
        only = after(Operation.AUDIENCE, field="channels", names=["web"], add=False)
        assert only.channels == ["web"]
        with pytest.raises(IndexError):  # adding to “everybody” would shut others out
            after(Operation.AUDIENCE, field="channels", names=["web"], add=True)
        with pytest.raises(IndexError):  # nothing differs
            after(Operation.RISK, risk="low")
        with pytest.raises(ValidationError):
            after(Operation.OWNER, owner="nobody")
        foreign = make_user("operator")
        wanted = Wanted(Operation.OWNER, {"owner": foreign.username})
        assert "does not work in" in preview(self.all(), wanted, self.author)[0].refusal

    def test_a_validity_that_ends_before_it_begins_is_refused(self):
        services.revise_unit(
            unit=self.other, author=self.author, based_on=1, valid_from=timezone.now()
        )
        past = (timezone.now() - timedelta(days=1)).isoformat()
        wanted = Wanted(Operation.VALIDITY, {"valid_until": past})
        refusals = [change.refusal for change in preview(self.all(), wanted, self.author)]
        assert [bool(refusal) for refusal in refusals] == [False, False, False, True]

    def test_the_number_of_queries_does_not_grow(self):
        units = self.all()
        with self.assertNumQueries(0):
            preview(units, REPLACE, self.author)
        with self.assertNumQueries(1):  # proven contradictions
            preview(units, PUBLISH, self.author)


class ApplyTests(BulkTestCase):
    def test_each_change_of_texts_is_checked_for_conflicts_once(self):
        pks = [unit.pk for unit in self.units]
        with mock.patch.object(conflicts, "check_later") as checked:
            edit = self.apply(REPLACE)
            self.undo(edit)
            self.apply(ARCHIVE)
            assert [sorted(call.args[0]) for call in checked.call_args_list] == [pks] * 2
            self.apply(Wanted(Operation.RESTORE, {}))
        assert checked.call_count == 3

    def test_only_the_revisions_that_were_previewed_change(self):
        seen = self.seen()
        services.revise_unit(
            unit=self.units[0], author=self.approver, based_on=1, source="handbook"
        )
        edit = self.apply(REPLACE, seen)
        assert edit.changes.count() == 2
        assert edit.skipped == [
            {"unit": self.units[0].pk, "why": f"{self.approver} saved revision 2 meanwhile."}
        ]
        assert [unit.latest.number for unit in self.all()] == [2, 2, 2, 1]
        assert "30 Days" in self.all()[0].latest.content

    def test_what_nobody_may_change_in_bulk(self):
        with pytest.raises(Invalid, match="Nothing would change"):
            self.apply(Wanted(Operation.RISK, {"risk": "low"}))
        with pytest.raises(Invalid, match="Nothing would change"):
            self.apply(REPLACE, by=make_user("operator"))  # of another scene
        with mock.patch.object(bulk_applying, "MAX_UNITS", 2), pytest.raises(Invalid, match="At m"):
            self.apply(REPLACE)
        assert not BulkEdit.objects.exists()

    def test_the_number_of_queries_does_not_grow(self):
        with self.assertNumQueries(11):
            self.apply(REPLACE)

    def test_high_risk_rules_wait_for_an_approver(self):
        high = make_unit(scene=self.scene, author=self.author, risk="high")
        edit = self.apply(PUBLISH)
        assert [rule["unit"] for rule in edit.skipped] == [high.pk]
        assert edit.changes.count() == 4
        assert edit.job.state == JobState.DONE
        assert not self.sent.called
        assert self.apply(PUBLISH, by=self.approver).changes.get().unit == high

    def test_many_publications_are_a_job_that_a_killed_worker_leaves_half_done(self):
        with mock.patch.object(bulk_applying, "AT_ONCE", 2):
            edit = self.apply(PUBLISH)
        assert self.sent.call_count == 1
        assert not edit.changes.exists()
        publish = publishing.publish_revision
        done = []

        def die(**options):
            if len(done) == 2:
                raise SystemExit
            done.append(1)
            return publish(**options)

        broken = mock.patch.object(publishing, "publish_revision", die)
        with broken, pytest.raises(SystemExit):
            tasks.publish_bulk(edit.job.pk)
        assert edit.changes.count() == 2
        with pytest.raises(bulk_undoing.StillRunning):
            self.undo(edit)
        Job.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        services.revise_unit(unit=self.units[2], author=self.author, based_on=1, content="New")
        tasks.publish_bulk(edit.job.pk)
        tasks.publish_bulk(edit.job.pk)  # delivered twice
        edit.refresh_from_db()
        assert edit.changes.count() == 3
        assert [rule["unit"] for rule in edit.skipped] == [self.units[2].pk]
        assert Job.objects.get().state == JobState.DONE
        assert KnowledgeUnit.objects.filter(live__isnull=False).count() == 3

    def test_a_cancelled_job_keeps_what_was_published(self):
        with mock.patch.object(bulk_applying, "AT_ONCE", 2):
            edit = self.apply(PUBLISH)
        publish = publishing.publish_revision

        def cancel(**options):
            jobs.cancel(edit.job)
            return publish(**options)

        with mock.patch.object(publishing, "publish_revision", cancel):
            tasks.publish_bulk(edit.job.pk)
        assert Job.objects.get().state == JobState.CANCELLED
        assert edit.changes.count() == 1
        self.undo(edit)
        assert not KnowledgeUnit.objects.filter(live__isnull=False).exists()

    def test_a_failing_embedder_fails_the_job_in_words(self):
        broken = mock.patch.object(
            publishing, "publish_revision", side_effect=EmbeddingUnavailable("No model.")
        )
        with broken:
            edit = self.apply(PUBLISH)
        assert (edit.job.state, edit.job.error) == (JobState.FAILED, "No model.")


class UndoTests(BulkTestCase):
    def test_texts_come_back_as_new_revisions_but_not_over_later_edits(self):
        edit = self.apply(REPLACE)
        services.revise_unit(unit=self.units[0], author=self.approver, based_on=2, content="Later")
        edit = self.undo(edit)
        assert [rule["unit"] for rule in edit.undo_skipped] == [self.units[0].pk]
        texts = [(unit.latest.number, unit.latest.content[:14]) for unit in self.all()[:3]]
        assert texts == [(3, "Later"), (3, "Within 30 Days"), (3, "Within 30 Days")]
        with pytest.raises(bulk_undoing.AlreadyUndone):
            self.undo(edit)

    def test_a_live_text_that_comes_back_waits_for_nobody(self):
        unit = make_published_unit(scene=self.scene, author=self.author, content="30 days")
        self.undo(self.apply(REPLACE))
        unit.refresh_from_db()
        assert (unit.latest.number, unit.has_unpublished_edit) == (3, False)
        assert unit.publications.count() == 2

    def test_archived_rules_come_back_as_they_were_and_are_found_again(self):
        live = make_published_unit(scene=self.scene, author=self.author)
        edit = self.apply(ARCHIVE)
        assert {unit.status for unit in self.all()} == {UnitStatus.ARCHIVED}
        self.undo(edit)
        live.refresh_from_db()
        assert (live.status, live.live_id) == (UnitStatus.PUBLISHED, live.latest_id)
        assert live.hooks.exists()
        assert {unit.status for unit in self.all() if unit != live} == {UnitStatus.DRAFT}

    def test_publications_are_taken_back_to_what_was_live(self):
        unit = make_published_unit(scene=self.scene, author=self.author, content="Old")
        services.revise_unit(unit=unit, author=self.author, based_on=1, content="New")
        edit = self.apply(PUBLISH)
        services.archive_unit(unit=self.other, by=self.author)
        edit = self.undo(edit)
        unit.refresh_from_db()
        assert (unit.live.content, unit.latest.content) == ("Old", "New")
        assert KnowledgeUnit.objects.filter(live__isnull=False).get() == unit
        assert [rule["unit"] for rule in edit.undo_skipped] == [self.other.pk]

    def test_restored_rules_are_archived_again_and_owners_come_back(self):
        self.apply(ARCHIVE)
        self.undo(self.apply(Wanted(Operation.RESTORE, {})))
        assert {unit.status for unit in self.all()} == {UnitStatus.ARCHIVED}
        edit = self.apply(Wanted(Operation.OWNER, {"owner": self.approver.username}))
        assert {unit.owner for unit in self.all()} == {self.approver}
        self.undo(edit)
        assert {unit.owner for unit in self.all()} == {self.author}

    def test_going_live_again_of_many_is_a_job(self):
        for unit in self.units:
            services.publish_unit(unit=unit, by=self.author)
        edit = self.apply(ARCHIVE)
        with mock.patch.object(bulk_applying, "AT_ONCE", 2):
            edit = self.undo(edit)
        assert not KnowledgeUnit.objects.filter(live__isnull=False).exists()
        tasks.publish_bulk(edit.undo_job.pk)
        assert KnowledgeUnit.objects.filter(live__isnull=False).count() == 3
        assert BulkChange.objects.count() == 4

    def test_nobody_undoes_what_they_do_not_see(self):
        edit = self.apply(REPLACE)
        stranger = make_user("operator", [make_scene()])
        with pytest.raises(Invalid, match="scenes you don't work in"):
            self.undo(edit, stranger)


class PageTests(BulkTestCase):
    def setUp(self):
        super().setUp()
        self.client.force_login(self.author)
        self.new = reverse("knowledge:bulk-new")
        self.query = {"all": "1", "q": "Return", "operation": "replace", "preview": "1"}
        self.query |= {"find": "30 days", "replacement": "<b>14</b> days"}

    def test_choose_preview_apply_and_undo(self):
        page = self.client.get(reverse("knowledge:unit-list"), {"q": "Return"})
        self.assertContains(page, "Change all 3 that match")
        page = self.client.get(self.new, {"all": "1", "q": "Return"})
        self.assertContains(page, "What shall happen to them?")
        page = self.client.get(self.new, self.query)
        self.assertContains(page, "3 rules would change")
        self.assertContains(page, "&lt;b&gt;14&lt;/b&gt;")
        assert KnowledgeUnit.objects.filter(latest__number=1).count() == 4
        url = f"{self.new}?{page.wsgi_request.GET.urlencode()}"
        page = self.client.post(url, {"seen": page.context["seen"]}, follow=True)
        self.assertContains(page, "3 rules changed")
        assert ("Match case", "No") in page.context["wanted"]
        edit = BulkEdit.objects.get()
        undo = reverse("knowledge:bulk-undo", args=[edit.public_id])
        self.assertContains(page, undo)
        page = self.client.post(undo, follow=True)
        self.assertContains(page, "Undone by")
        self.assertNotContains(page, undo)
        self.assertContains(self.client.get(reverse("knowledge:bulk-list")), "Undone")

    def test_ticked_rules_of_other_scenes_are_not_taken(self):
        foreign = make_unit()
        page = self.client.get(self.new, {"unit": [self.other.pk, foreign.pk, "x", 10**12]})
        assert page.context["count"] == 1
        self.assertContains(self.client.get(self.new), "No rule was chosen")

    def test_too_many_and_nonsense_are_refused_in_words(self):
        with mock.patch("knowledge.views_bulk.MAX_UNITS", 2):
            self.assertContains(self.client.get(self.new, self.query), "At most 2 rules")
        page = self.client.get(self.new, {**self.query, "find": ""})
        self.assertContains(page, "required", status_code=422)
        for operation, given in (
            ("priority", {"priority": "x"}),
            ("risk", {"risk": "wild"}),
            ("validity", {}),
            ("owner", {"owner": "nobody"}),
            ("audience", {"field": "moon"}),
        ):
            query = {"all": "1", "operation": operation, "preview": "1", **given}
            assert self.client.get(self.new, query).status_code == 422, operation
        assert self.client.post(self.new, {"seen": "1:1"}).status_code == 422
        query = "?operation=archive&preview=1&all=1"
        assert self.client.post(f"{self.new}{query}", {"seen": "a"}).status_code == 422

    def test_every_operation_has_its_page(self):
        for operation in Operation.values:
            page = self.client.get(self.new, {"all": "1", "operation": operation})
            self.assertContains(page, "Show what would change")

    def test_strangers_auditors_and_the_signed_out(self):
        edit = self.apply(REPLACE)
        detail = reverse("knowledge:bulk-detail", args=[edit.public_id])
        self.client.force_login(make_user("operator", [make_scene()]))
        assert self.client.get(detail).status_code == 404
        assert self.client.post(f"{detail}undo/").status_code == 404
        self.client.force_login(make_user("auditor"))
        self.assertNotContains(self.client.get(detail), "Undo</button>")
        assert self.client.post(f"{detail}undo/").status_code == 403
        assert self.client.get(self.new).status_code == 403
        self.client.logout()
        assert self.client.get(detail).status_code == 302

    def test_the_number_of_queries_does_not_grow(self):
        edit = self.apply(REPLACE)
        self.apply(Wanted(Operation.RISK, {"risk": "high"}))
        self.apply(Wanted(Operation.PRIORITY, {"priority": 3}))
        with self.assertNumQueries(5):  # session, user, roles, count, edits
            self.client.get(reverse("knowledge:bulk-list"))
        with self.assertNumQueries(6):  # session, user, roles, edit, count, changes
            self.client.get(reverse("knowledge:bulk-detail", args=[edit.public_id]))
        with self.assertNumQueries(5):  # session, user, roles, count, rules
            self.client.get(self.new, {**self.query, "find": "14 days"})


class ApiTests(BulkTestCase):
    def setUp(self):
        super().setUp()
        self.client.force_login(self.author)
        self.body = {
            "operation": "replace",
            "parameters": {"find": "30 days", "replacement": "14 days"},
            "units": [unit.pk for unit in self.units],
        }

    def post(self, path="", **fields):
        return self.client.post(
            f"/api/knowledge/bulk/{path}", {**self.body, **fields}, "application/json"
        )

    def test_a_dry_run_is_the_default(self):
        body = self.post().json()
        assert body["dry_run"] is True
        first = body["units"][0]
        assert (first["unit"], first["revision"], first["refusal"]) == (self.units[0].pk, 1, "")
        assert first["changes"][0]["after"].startswith("Within 14 days")
        assert not BulkEdit.objects.exists()

    def test_apply_and_undo(self):
        stale = {str(self.units[0].pk): 7}
        response = self.post(dry_run=False, revisions=stale)
        assert response.status_code == 201
        body = response.json()
        assert (body["changed"], len(body["skipped"])) == (2, 1)
        assert self.client.get(f"/api/knowledge/bulk/{body['id']}/").json()["changed"] == 2
        body = self.post(f"{body['id']}/undo/").json()
        assert body["undone_at"]
        assert self.post(f"{body['id']}/undo/").status_code == 409

    def test_what_was_left_alone_in_another_scene_is_not_told(self):
        hidden = make_unit(content="In 30 days.")
        self.client.force_login(make_user("admin"))
        units = [self.units[0].pk, hidden.pk]
        body = self.post(dry_run=False, units=units, revisions={str(hidden.pk): 7}).json()
        assert [rule["unit"] for rule in body["skipped"]] == [hidden.pk]
        self.client.force_login(self.author)
        assert self.client.get(f"/api/knowledge/bulk/{body['id']}/").json()["skipped"] == []
        page = self.client.get(reverse("knowledge:bulk-detail", args=[body["id"]]))
        self.assertNotContains(page, "Left alone")

    def test_bad_requests_are_problems(self):
        assert self.post(units=[]).status_code == 400
        assert self.post(parameters={}).status_code == 400
        assert self.post(operation="burn").status_code == 400
        assert self.post(units=[make_unit().pk]).status_code == 422
        names = {"field": "channels", "names": ["Web", "app"], "add": False}
        body = self.post(operation="audience", parameters=names).json()
        assert body["units"][0]["changes"][0]["after"] == "web\napp"
        self.client.force_login(make_user("auditor"))
        assert self.post().status_code == 403


def test_the_forms_cover_every_operation():
    from knowledge.forms_bulk import FORMS

    assert set(FORMS) | {"publish", "archive", "restore"} == set(bulk.Operation)
