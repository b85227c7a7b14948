"""The way of a rule to customers: four eyes, a date, an override, and what stops it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest import mock

import pytest
from django.db import connections
from django.test import TestCase, TransactionTestCase
from django.utils import timezone

from knowledge import indexing, publishing, services, submitting, tasks
from knowledge.models import (
    Conflict,
    ConflictKind,
    ConflictState,
    KnowledgeUnit,
    Submission,
    SubmissionState,
    UnitStatus,
)
from tests.factories import make_published_unit, make_scene, make_unit, make_user
from wowconsole.errors import Invalid, Refused

SOON = timedelta(hours=1)


def make_contradiction(left, right):
    return Conflict.objects.create(
        left=left.latest,
        right=right.latest,
        kind=ConflictKind.CONTRADICTION,
        state=ConflictState.PROVEN,
        reason="“$5” against “$9”",
        left_text="$5",
        right_text="$9",
        similarity=0.9,
    )


class SubmissionTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.author = make_user("operator", [cls.scene])
        cls.approver = make_user("approver", [cls.scene])
        cls.unit = make_unit(scene=cls.scene, author=cls.author, risk="high", content="First.")
        cls.low = make_unit(scene=cls.scene, author=cls.author)

    def submit(self, unit=None, by=None, **fields):
        return submitting.submit(
            unit=unit or self.unit, by=by or self.author, **{"seen": 1, **fields}
        )

    def fresh(self, unit=None):
        return KnowledgeUnit.objects.get(pk=(unit or self.unit).pk)

    def pass_time(self, submission):
        past = timezone.now() - timedelta(seconds=1)
        Submission.objects.filter(pk=submission.pk).update(publish_at=past)


class FourEyesTests(SubmissionTestCase):
    def test_a_high_risk_rule_waits_and_is_published_by_a_second_person(self):
        submission = self.submit(comment=" please ")
        assert (submission.state, submission.comment) == ("waiting", "please")
        assert self.fresh().status == UnitStatus.DRAFT
        done = submitting.approve(submission=submission, by=self.approver)
        assert (done.state, done.decided_by) == (SubmissionState.PUBLISHED, self.approver)
        assert self.fresh().live.content == "First."
        assert self.unit.publications.get().by == self.approver

    def test_neither_author_nor_submitter_nor_operators_approve(self):
        own = make_unit(scene=self.scene, author=self.approver, risk="high")
        operator = make_user("operator", [self.scene])
        for unit, submitter, approver in (
            (own, self.author, self.approver),
            (self.unit, self.approver, self.approver),
            (make_unit(scene=self.scene, risk="high"), self.author, operator),
        ):
            submission = self.submit(unit, submitter)
            with pytest.raises(publishing.ApprovalNeeded):
                submitting.approve(submission=submission, by=approver)
            with pytest.raises(publishing.ApprovalNeeded):
                services.publish_unit(unit=unit, by=approver)
            assert self.fresh(unit).live is None

    def test_what_was_submitted_is_published_never_a_later_edit(self):
        submission = self.submit()
        services.revise_unit(unit=self.unit, author=self.author, based_on=1, content="Second.")
        submitting.approve(submission=submission, by=self.approver)
        unit = self.fresh()
        assert (unit.live.content, unit.latest.content) == ("First.", "Second.")
        assert unit.hooks.get(kind="content").text.endswith("First.")

    def test_lowering_the_risk_of_a_live_rule_needs_the_second_person_too(self):
        services.publish_unit(unit=self.unit, by=self.approver)
        services.revise_unit(unit=self.unit, author=self.author, based_on=1, risk="low")
        with pytest.raises(publishing.ApprovalNeeded):
            services.publish_unit(unit=self.fresh(), by=self.author)
        assert self.submit(seen=2).state == SubmissionState.WAITING

    def test_sent_back_with_a_reason_and_submitted_again(self):
        submission = self.submit()
        with pytest.raises(Invalid):
            submitting.reject(submission=submission, by=self.approver, reason=" ")
        with pytest.raises(publishing.ApprovalNeeded):
            submitting.reject(submission=submission, by=self.author, reason="no")
        back = submitting.reject(submission=submission, by=self.approver, reason="Too much.")
        assert (back.state, back.decision) == (SubmissionState.REJECTED, "Too much.")
        assert self.submit().state == SubmissionState.WAITING

    def test_the_second_of_two_deciders_is_told(self):
        submission = self.submit()
        submitting.reject(submission=submission, by=self.approver, reason="Too much.")
        for act in (
            lambda: submitting.approve(submission=submission, by=make_user("approver")),
            lambda: submitting.reject(submission=submission, by=self.approver, reason="x"),
            lambda: submitting.withdraw(submission=submission, by=self.author),
        ):
            with pytest.raises(submitting.SubmissionClosed, match="sent back"):
                act()
        assert self.fresh().live is None

    def test_authors_take_back_and_others_do_not(self):
        submission = self.submit()
        with pytest.raises(Refused):
            submitting.withdraw(submission=submission, by=make_user("operator", [self.scene]))
        assert submitting.withdraw(submission=submission, by=self.author).state == "withdrawn"

    def test_one_submission_at_a_time_of_a_text_that_was_read_and_is_not_live(self):
        self.submit()
        with pytest.raises(submitting.SubmissionOpen):
            self.submit()
        with pytest.raises(publishing.StaleEdit):
            self.submit(self.low, seen=2)
        published = make_published_unit(scene=self.scene)
        with pytest.raises(submitting.NothingToPublish):
            self.submit(published)
        with pytest.raises(publishing.UnitArchived):
            self.submit(services.archive_unit(unit=published, by=self.approver))

    def test_times_that_are_over_and_overlong_comments_are_refused(self):
        for fields in ({"publish_at": timezone.now()}, {"comment": "x" * 1001}, {"comment": "\0"}):
            with pytest.raises(Invalid):
                self.submit(**fields)

    def test_who_waits_for_whom(self):
        self.submit()
        self.submit(make_unit(scene=self.scene, author=self.approver, risk="high"))
        self.submit(make_unit(risk="high"))  # another scene
        assert [s.unit for s in submitting.waiting_for(self.approver)] == [self.unit]
        assert not submitting.waiting_for(self.author).exists()


class ScheduleTests(SubmissionTestCase):
    def test_a_scheduled_rule_goes_live_when_its_time_has_come_and_once(self):
        submission = self.submit(self.low, publish_at=timezone.now() + SOON)
        assert submission.state == SubmissionState.SCHEDULED
        tasks.publish_due_rules()
        assert self.fresh(self.low).live is None
        self.pass_time(submission)
        for _ in range(2):
            tasks.publish_due_rules()
        submission.refresh_from_db()
        assert submission.state == SubmissionState.PUBLISHED
        assert self.low.publications.get().by == self.author

    def test_without_a_time_it_is_published_now(self):
        assert self.submit(self.low).state == SubmissionState.PUBLISHED
        assert self.fresh(self.low).live

    def test_approved_now_and_live_at_the_time_asked_for(self):
        submission = self.submit(publish_at=timezone.now() + SOON)
        submission = submitting.approve(submission=submission, by=self.approver)
        assert submission.state == SubmissionState.SCHEDULED
        self.pass_time(submission)
        tasks.publish_due_rules()
        assert self.unit.publications.get().by == self.approver

    def test_approved_at_once_although_it_was_asked_for_later(self):
        submission = self.submit(publish_at=timezone.now() + SOON)
        submitting.approve(submission=submission, by=self.approver, at_once=True)
        assert self.fresh().live

    def test_withdrawn_archived_and_deleted_ones_are_not_published(self):
        later = timezone.now() + SOON
        withdrawn = self.submit(self.low, publish_at=later)
        submitting.withdraw(submission=withdrawn, by=self.author)
        gone = self.submit(make_unit(scene=self.scene), publish_at=later)
        archived = make_unit(scene=self.scene)
        submission = self.submit(archived, publish_at=later)
        services.archive_unit(unit=archived, by=self.author)
        for row in (withdrawn, gone, submission):
            self.pass_time(row)
        gone.delete()
        tasks.publish_due_rules()
        submission.refresh_from_db()
        assert (submission.state, "archived" in submission.decision) == ("failed", True)
        assert self.fresh(self.low).live is None

    def test_beat_that_publishes_in_the_moment_of_an_approval_is_no_fault(self):
        submission = self.submit()
        publish_revision = publishing.publish_revision

        def after_beat(**wanted):
            with mock.patch.object(publishing, "publish_revision", publish_revision):
                tasks.publish_due_rules()
            return publish_revision(**wanted)

        with mock.patch.object(publishing, "publish_revision", side_effect=after_beat):
            approved = submitting.approve(submission=submission, by=self.approver)
        assert approved.state == SubmissionState.PUBLISHED
        assert self.unit.publications.count() == 1

    def test_a_text_that_was_saved_meanwhile_is_not_published_unread(self):
        services.revise_unit(
            unit=self.low, author=self.approver, based_on=1, content="Not read by the author."
        )
        with pytest.raises(services.StaleEdit):
            submitting.publish_or_submit(
                unit=self.low, by=self.author, seen=1, publish_at=None, comment=""
            )
        assert self.fresh(self.low).live is None

    def test_a_submission_withdrawn_while_it_is_published_stays_withdrawn(self):
        submission = self.submit(self.low, publish_at=timezone.now() + SOON)
        stale = Submission.objects.get(pk=submission.pk)
        submitting.withdraw(submission=submission, by=self.author)
        with pytest.raises(submitting.SubmissionClosed):
            submitting.publish(stale)
        assert self.fresh(self.low).live is None

    def test_an_embedder_that_fails_is_tried_again_and_given_up_after_an_hour(self):
        submission = self.submit(self.low, publish_at=timezone.now() + SOON)
        self.pass_time(submission)
        fault = indexing.EmbeddingUnavailable("The model failed.")
        with mock.patch.object(indexing, "vectors_for", side_effect=fault):
            tasks.publish_due_rules()
            submission.refresh_from_db()
            assert (submission.state, submission.decision) == ("scheduled", "The model failed.")
            past = timezone.now() - 2 * SOON
            Submission.objects.filter(pk=submission.pk).update(publish_at=past)
            tasks.publish_due_rules()
        submission.refresh_from_db()
        assert submission.state == SubmissionState.FAILED
        tasks.publish_due_rules()
        assert self.fresh(self.low).live is None

    def test_a_passing_fault_of_the_embedder_delays_and_no_more(self):
        submission = self.submit(self.low, publish_at=timezone.now() + SOON)
        self.pass_time(submission)
        with mock.patch.object(indexing, "vectors_for", side_effect=RuntimeError):
            tasks.publish_due_rules()
        tasks.publish_due_rules()
        assert self.fresh(self.low).live

    def test_publishing_directly_closes_what_was_submitted(self):
        same = self.submit(self.low, publish_at=timezone.now() + SOON)
        services.publish_unit(unit=self.low, by=self.approver)
        older = self.submit()
        services.revise_unit(unit=self.unit, author=self.author, based_on=1, content="Second.")
        services.publish_unit(unit=self.fresh(), by=self.approver)
        states = [Submission.objects.get(pk=row.pk).state for row in (same, older)]
        assert states == [SubmissionState.PUBLISHED, SubmissionState.WITHDRAWN]


class ContradictionTests(SubmissionTestCase):
    def test_a_proven_contradiction_blocks_and_names_the_other_rule(self):
        other = make_published_unit(scene=self.scene, title="The other")
        conflict = make_contradiction(self.low, other)
        for publish in (
            lambda: services.publish_unit(unit=self.low, by=self.author),
            lambda: services.publish_many(units=[self.low], by=self.author),
            lambda: self.submit(self.low),
        ):
            with pytest.raises(publishing.Contradiction, match=f"rule {other.pk}, “The other”"):
                publish()
        services.archive_unit(unit=other, by=self.author)
        assert services.why_not_publish(self.low, self.author) is None
        conflict.delete()

    def test_it_stops_what_was_scheduled_before_it_was_found(self):
        submission = self.submit(self.low, publish_at=timezone.now() + SOON)
        make_contradiction(self.low, make_published_unit(scene=self.scene))
        self.pass_time(submission)
        tasks.publish_due_rules()
        submission.refresh_from_db()
        assert (submission.state, "contradicts" in submission.decision) == ("failed", True)

    def test_an_edit_of_either_rule_ends_it(self):
        other = make_unit(scene=self.scene)
        make_contradiction(self.low, other)
        assert services.why_not_publish(self.low, self.author)
        services.revise_unit(unit=other, author=self.author, based_on=1, content="$5")
        assert services.why_not_publish(self.low, self.author) is None


class OverrideTests(SubmissionTestCase):
    def test_an_approver_passes_over_the_checks_with_a_reason_that_is_kept(self):
        make_contradiction(self.low, make_published_unit(scene=self.scene))
        own = make_unit(scene=self.scene, author=self.approver, risk="high")
        for unit in (self.low, own):
            reason = "The courier strike begins in an hour."
            services.publish_unit(unit=unit, by=self.approver, override_reason=reason)
            assert unit.publications.get().override_reason == reason

    def test_a_reason_where_nothing_stood_in_the_way_is_no_override(self):
        services.publish_unit(unit=self.low, by=self.approver, override_reason="It is very urgent.")
        assert self.low.publications.get().override_reason == ""

    def test_operators_short_reasons_and_archived_rules_are_refused(self):
        archived = services.archive_unit(unit=make_unit(scene=self.scene), by=self.author)
        for unit, by, reason, expected in (
            (self.unit, self.author, "It is very urgent.", publishing.ApprovalNeeded),
            (self.unit, self.approver, "urgent", Invalid),
            (self.unit, self.approver, "x" * 501, Invalid),
            (archived, self.approver, "It is very urgent.", publishing.UnitArchived),
        ):
            with pytest.raises(expected):
                services.publish_unit(unit=unit, by=by, override_reason=reason)


class RaceTests(TransactionTestCase):
    def at_once(self, *acts):
        """Run acts in threads of their own and return the classes of what they raised."""

        def run(act):
            try:
                act()
            except Refused as refusal:
                return type(refusal)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(acts)) as pool:
            return list(pool.map(run, acts))

    def setUp(self):
        self.scene = make_scene()
        self.author = make_user("operator", [self.scene])
        self.unit = make_unit(scene=self.scene, author=self.author, risk="high")
        make_published_unit(scene=self.scene)  # the index exists

    def submit(self):
        return submitting.submit(unit=self.unit, by=self.author, seen=1)

    def test_two_submit_at_once(self):
        raised = self.at_once(self.submit, self.submit)
        assert set(raised) == {None, submitting.SubmissionOpen}
        assert Submission.objects.count() == 1

    def test_two_beats_publish_once(self):
        submission = self.submit()
        now = timezone.now()
        Submission.objects.filter(pk=submission.pk).update(
            state="scheduled", publish_at=now, decided_by=make_user("approver"), decided_at=now
        )
        self.at_once(tasks.publish_due_rules, tasks.publish_due_rules)
        assert self.unit.publications.count() == 1
        assert Submission.objects.get().state == SubmissionState.PUBLISHED

    def test_approved_and_withdrawn_at_once_is_one_of_the_two(self):
        submission = self.submit()
        approver = make_user("approver", [self.scene])
        self.at_once(
            lambda: submitting.approve(submission=submission, by=approver),
            lambda: submitting.withdraw(submission=submission, by=self.author),
        )
        is_live = KnowledgeUnit.objects.get(pk=self.unit.pk).live is not None
        assert Submission.objects.get().state == ("published" if is_live else "withdrawn")
