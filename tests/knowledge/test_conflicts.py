"""Conflicts: found at saving, kept once, closed, dismissed, overridden; and what they cost."""

from unittest import mock

from django.test import TestCase, TransactionTestCase

from knowledge import conflicts, jobs, services, tasks
from knowledge.embedding import EmbeddingFailed
from knowledge.models import (
    Conflict,
    ConflictKind,
    ConflictState,
    Job,
    JobState,
    KnowledgeUnit,
    Revision,
)
from tests.factories import make_published_unit, make_scene, make_unit, make_user

CONDITION = "When a customer asks how long shoes can be returned"
RULE = {"title": "Returns", "condition": CONDITION, "content": "Shoes go back within 30 days."}


class ConflictTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.author = make_user("operator", [cls.scene])
        cls.approver = make_user("approver", [cls.scene])

    def unit(self, **fields):
        return make_unit(scene=self.scene, author=self.author, **{**RULE, **fields})

    def opposed(self):
        """Two drafts that contradict each other, and the proven conflict."""
        first = self.unit()
        second = self.unit(title="Shoes", content="Shoes go back within 14 days.")
        [conflict] = conflicts.check(second.latest)
        return first, second, conflict


class CheckTests(ConflictTests):
    def test_another_number_for_the_same_situation_is_a_proven_contradiction(self):
        first, second, conflict = self.opposed()
        assert (conflict.left, conflict.right) == (second.latest, first.latest)
        assert conflict.kind == ConflictKind.CONTRADICTION
        assert conflict.state == ConflictState.PROVEN
        assert conflict.reason == "“14 days” against “30 days”"
        assert conflict.left_text == "Shoes go back within 14 days."

    def test_a_published_rule_is_found_by_its_meaning(self):
        live = make_published_unit(scene=self.scene, **RULE)
        draft = self.unit(condition="Customer wants to bring back shoes: how long is there time?")
        found = conflicts.check(draft.latest)
        assert [(row.right.unit_id, row.kind) for row in found] == [(live.pk, "duplicate")]

    def test_without_the_embedder_the_letters_find_it(self):
        self.unit()
        with (
            mock.patch("knowledge.resembling.embed_for", side_effect=EmbeddingFailed("off")),
            self.assertLogs("knowledge.resembling", "WARNING"),
        ):
            found = conflicts.check(self.unit(content="Shoes never go back.").latest)
        assert len(found) == 1

    def test_chinese_rules_contradict_each_other_too(self):
        self.unit(condition="顾客要求退货", content="七天内可以退货。")
        [row] = conflicts.check(
            self.unit(condition="顾客要求退货", content="14天内可以退货。").latest
        )
        assert (row.reason, row.state) == ("“14天” against “七天”", "proven")

    def test_checking_again_or_from_the_other_side_adds_nothing(self):
        first, second, _ = self.opposed()
        conflicts.check(second.latest)
        conflicts.check(first.latest)
        tasks.check_units([first.pk, second.pk, -1])
        assert Conflict.objects.count() == 1

    def test_other_scenes_and_archived_rules_are_not_looked_at(self):
        make_unit(**RULE)
        services.archive_unit(unit=self.unit(), by=self.author)
        assert conflicts.check(self.unit(content="Shoes go back within 14 days.").latest) == []

    def test_rules_for_other_customers_or_times_do_not_conflict(self):
        self.unit(segments=["gold"])
        apart = self.unit(segments=["silver"], content="Shoes go back within 14 days.")
        assert conflicts.check(apart.latest) == []

    def test_an_edit_closes_what_it_mends(self):
        _, second, conflict = self.opposed()
        edited = services.revise_unit(
            unit=second, author=self.author, based_on=1, content="Boots go back within 30 days."
        )
        conflicts.check(edited.latest)
        conflict.refresh_from_db()
        assert conflict.state == ConflictState.RESOLVED
        assert conflicts.check(second.latest) == []  # the old text is nobody's concern

    def test_a_live_text_stays_in_conflict_until_its_edit_is_published(self):
        live = make_published_unit(scene=self.scene, **RULE)
        draft = self.unit(content="Shoes go back within 14 days.")
        [conflict] = conflicts.check(draft.latest)
        edited = services.revise_unit(
            unit=live, author=self.author, based_on=1, content="Shoes go back within 14 days."
        )
        conflicts.check(edited.latest)
        conflict.refresh_from_db()
        assert conflict.state == ConflictState.PROVEN

    def test_archiving_closes_and_restoring_reopens(self):
        first, second, conflict = self.opposed()
        services.archive_unit(unit=first, by=self.author)
        assert conflicts.check(second.latest) == []
        services.restore_unit(unit=first)
        assert conflicts.check(first.latest) == [conflict]

    def test_what_a_person_dismissed_does_not_come_back_with_the_next_edit(self):
        _, second, conflict = self.opposed()
        conflicts.dismiss(conflict=conflict, by=self.approver)
        edited = services.revise_unit(unit=second, author=self.author, based_on=1, title="Boots")
        assert conflicts.check(edited.latest) == []

    def test_a_contradiction_stops_the_publication_until_it_is_overridden(self):
        _, second, conflict = self.opposed()
        with self.assertRaises(services.Contradiction):
            services.publish_unit(unit=second, by=self.author)
        conflicts.override(conflict=conflict, by=self.approver, reason="The old one ends today.")
        assert services.publish_unit(unit=second, by=self.author).live_id

    def test_the_number_of_queries_does_not_grow_with_the_neighbours(self):
        for number in range(6):
            self.unit(condition=f"{CONDITION} of size {number}", content="Ask the shop first.")
        draft = self.unit(content="Nobody knows.")
        conflicts.check(draft.latest)
        with self.assertNumQueries(15):  # nine, and two for each of the three that are kept
            conflicts.check(draft.latest)


class DecisionTests(ConflictTests):
    def test_an_operator_dismisses_a_suspicion_once(self):
        *_, conflict = self.opposed()
        Conflict.objects.update(state=ConflictState.SUSPECTED)
        decided = conflicts.dismiss(conflict=conflict, by=self.author)
        assert (decided.state, decided.decided_by) == (ConflictState.DISMISSED, self.author)
        assert decided.decided_at
        with self.assertRaises(conflicts.AlreadyDecided):
            conflicts.dismiss(conflict=conflict, by=self.author)

    def test_a_proven_contradiction_is_an_approvers_matter(self):
        *_, conflict = self.opposed()
        with self.assertRaises(conflicts.ApproverNeeded):
            conflicts.dismiss(conflict=conflict, by=self.author)
        with self.assertRaises(conflicts.ApproverNeeded):
            conflicts.override(conflict=conflict, by=self.author, reason="I want it.")

    def test_an_override_needs_a_reason_and_something_to_override(self):
        *_, conflict = self.opposed()
        for reason in ("", " \0 ", "x" * 501):
            with self.assertRaises(conflicts.Invalid):
                conflicts.override(conflict=conflict, by=self.approver, reason=reason)
        Conflict.objects.update(kind=ConflictKind.OVERLAP)
        with self.assertRaises(conflicts.NotToOverride):
            conflicts.override(conflict=conflict, by=self.approver, reason="Both are right.")


class BackgroundTests(ConflictTests):
    def start(self):
        with mock.patch.object(jobs, "send"):
            return jobs.start(task=conflicts.BASE_TASK, title="Check", by=self.author)

    def test_the_whole_base_is_checked_and_a_broken_job_goes_on(self):
        for days in (30, 14, 7):
            self.unit(content=f"Shoes go back within {days} days.")
        make_unit(**RULE)
        job = self.start()
        Job.objects.filter(pk=job.pk).update(done=1)
        tasks.check_base(job.pk)
        tasks.check_base(job.pk)
        job.refresh_from_db()
        assert (job.state, job.done, job.note) == (JobState.DONE, 3, "3 open conflicts")
        assert Conflict.objects.count() == 3
        tasks.check_base(-1)

    def test_many_rules_are_handed_to_workers_in_batches(self):
        with (
            mock.patch.object(conflicts.current_app, "send_task") as sent,
            self.captureOnCommitCallbacks(execute=True),
        ):
            conflicts.check_later(list(range(250)))
        assert [len(call.args[1][0]) for call in sent.call_args_list] == [100, 100, 50]


class FaultTests(TransactionTestCase):
    def test_a_fault_in_the_check_does_not_lose_what_was_saved(self):
        unit = make_unit()
        with (
            mock.patch.object(conflicts, "compare", side_effect=ValueError),
            mock.patch.object(conflicts, "resembling", side_effect=ZeroDivisionError),
            self.assertLogs("django.db.backends.base", "ERROR"),
        ):
            conflicts.check_soon(unit)
        assert KnowledgeUnit.objects.filter(pk=unit.pk).exists()


class SizeTests(ConflictTests):
    def test_a_check_among_thousands_of_rules_compares_with_a_few(self):
        words = ["shoes", "coats", "boots", "hats", "gloves", "belts", "shirts", "bags"]
        units = KnowledgeUnit.objects.bulk_create(
            KnowledgeUnit(scene=self.scene, owner=self.author) for _ in range(2_000)
        )
        revisions = Revision.objects.bulk_create(
            Revision(
                unit=unit,
                number=1,
                author=self.author,
                title=f"Rule {number}",
                condition=f"When {words[number % 8]} number {number} came back {words[-1]}",
                content=f"Look at shelf {number}.",
            )
            for number, unit in enumerate(units)
        )
        for unit, revision in zip(units, revisions, strict=True):
            unit.latest = revision
        KnowledgeUnit.objects.bulk_update(units, ["latest"], batch_size=1000)
        draft = self.unit(condition="When boots number 42 came back bags")
        with mock.patch.object(conflicts, "compare", wraps=conflicts.compare) as compare:
            conflicts.check(draft.latest)
        assert 0 < compare.call_count < 100
