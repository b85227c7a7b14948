"""Which of two answers is better: the judge in both orders, and people who outvote it."""

import json
from unittest import mock

from django.db import IntegrityError, transaction
from django.test import TestCase

from agents import judging
from agents.actions import DialogueAction
from dialogues.loop import replaying, weighing
from dialogues.loop.summarising import summarise
from dialogues.models import (
    ReplayTurn,
    ReplayVerdict,
)
from tests.dialogues.replays import ReplayMixin
from tests.engine import says


class JudgeTests(ReplayMixin, TestCase):
    def weighed(self, *verdicts, after="Nine."):
        before, after = DialogueAction("reply", "Five."), DialogueAction("reply", after)
        answers = [{"better": verdict, "reason": "Since so."} for verdict in verdicts]
        with (
            self.settings(JUDGE_URL="http://judge.invalid/v1", JUDGE_MODEL="j"),
            mock.patch.object(judging, "_complete", side_effect=map(json.dumps, answers)) as asked,
        ):
            weighed = weighing.weigh(before, after, lines=[], rules=[])
        return weighed.verdict, asked

    def test_only_a_verdict_in_both_orders_counts(self):
        assert self.weighed("second", "first")[0] == ReplayVerdict.WIN
        assert self.weighed("first", "second")[0] == ReplayVerdict.LOSS
        assert self.weighed("first", "first")[0] == ReplayVerdict.TIE
        assert self.weighed("second", "second")[0] == ReplayVerdict.TIE
        assert self.weighed("tie", "tie")[0] == ReplayVerdict.TIE

    def test_the_order_changes_between_the_two(self):
        _, asked = self.weighed("tie", "tie")
        seen = [json.loads(call.args[0][1]["content"]) for call in asked.call_args_list]
        assert seen[0]["first"] == seen[1]["second"] != seen[0]["second"]

    def test_equal_answers_need_no_judge(self):
        verdict, asked = self.weighed(after="Five.")
        assert (verdict, asked.called) == (ReplayVerdict.SAME, False)

    def test_a_judge_that_falters_leaves_it_to_people(self):
        assert self.weighed("perhaps")[0] == ReplayVerdict.OPEN

    def test_the_judges_losses_come_first(self):
        self.engine.will(*(says(text) for text in ("Five.", "Nine.", "No.", "Yes.")))
        verdicts = [("second", "first"), ("first", "second")]
        answers = [{"better": name, "reason": "So."} for pair in verdicts for name in pair]
        with (
            self.settings(JUDGE_URL="http://judge.invalid/v1", JUDGE_MODEL="j"),
            mock.patch.object(judging, "_complete", side_effect=map(json.dumps, answers)),
        ):
            replay = self.run_replay()
        assert [row.verdict for row in replay.turns.all()] == ["loss", "win"]
        assert {row.judged_by for row in replay.turns.all()} == {weighing.JUDGE}
        shares = summarise(replay).percentages
        assert shares[0] == ("Better", 1, 9, 91)

    def test_people_outvote_it(self):
        self.engine.will(*(says(text) for text in ("Five.", "Nine.", "No.", "Yes.")))
        row = self.run_replay().turns.select_related("turn").first()
        row = replaying.judge_turn(row=row, by=self.by, verdict="loss")
        assert (row.verdict, row.judged_by) == ("loss", self.by.username)
        assert row.harm >= weighing.HARMFUL
        assert replaying.judge_turn(row=row, by=self.by, verdict="win").harm < weighing.HARMFUL

    def test_nothing_to_judge(self):
        row = self.run_replay().turns.select_related("turn").first()
        with self.assertRaises(replaying.NothingToJudge):
            replaying.judge_turn(row=row, by=self.by, verdict="win")
        with self.assertRaises(replaying.Invalid):
            replaying.judge_turn(row=row, by=self.by, verdict="same")

    def test_verdicts_are_known_and_turns_stand_once(self):
        row = self.run_replay().turns.first()
        with self.assertRaisesMessage(IntegrityError, "replay_verdict_known"), transaction.atomic():
            ReplayTurn.objects.filter(pk=row.pk).update(verdict="odd")
        with self.assertRaisesMessage(IntegrityError, "replay_turn_once"), transaction.atomic():
            ReplayTurn.objects.create(replay=row.replay, turn=row.turn)
