from django.core.exceptions import ValidationError
from django.test import TestCase

from dialogues.loop.reviewing import (
    NothingWrong,
    RewriteEmpty,
    RewriteUnchanged,
    RewriteUnfounded,
    TurnRunning,
    UnknownIssue,
    build_rewrite,
    judge_turn,
)
from dialogues.models import Case, IssueType, Judgement, JudgementSource, Turn, Verdict
from tests.dialogues.rows import make_answered, make_person, make_rule, make_scene_named, make_talk


class JudgeTurnTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene_named()
        cls.reviewer = make_person("rita", "reviewer", [cls.scene])
        cls.rule = make_rule(cls.scene, cls.reviewer)
        cls.other_rule = make_rule(cls.scene, cls.reviewer, "Not found here")
        cls.conversation, cls.first = make_talk(cls.scene)
        cls.turn = make_answered(cls.conversation, rules=[cls.rule])

    def judge(self, **fields):
        return judge_turn(
            **{
                "turn": self.turn,
                "by": self.reviewer,
                "source": JudgementSource.REVIEWER,
                "verdict": Verdict.BAD,
                "issue_types": [IssueType.HALLUCINATION],
                **fields,
            }
        )

    def test_a_verdict_classes_the_turn(self):
        rewrite = build_rewrite(self.turn, reply="It is five minutes away.")
        judgement = self.judge(rewrite=rewrite, comment="Look it up.")
        case = Case.objects.get(turn=self.turn)
        assert (case.label, case.issue_types) == (Verdict.BAD, [IssueType.HALLUCINATION])
        assert case.rewrite == judgement.rewrite
        assert case.rewrite == {**self.turn.output, "reply": "It is five minutes away."}
        assert case.rewrite["knowledge"] == [self.rule.pk]
        assert list(Case.objects.pairs()) == [case]

    def test_a_later_verdict_replaces_the_class_and_keeps_the_history(self):
        self.judge()
        self.judge(verdict=Verdict.GOOD, issue_types=[])
        case = Case.objects.get(turn=self.turn)
        assert (case.label, case.issue_types, case.rewrite) == (Verdict.GOOD, [], {})
        verdicts = [judgement.verdict for judgement in self.turn.judgements.all()]
        assert verdicts == [Verdict.GOOD, Verdict.BAD]

    def test_what_a_reviewer_decided_a_customer_does_not_change(self):
        self.judge()
        self.judge(by=None, source=JudgementSource.CUSTOMER, verdict=Verdict.GOOD, issue_types=[])
        assert Case.objects.get(turn=self.turn).label == Verdict.BAD
        assert self.turn.judgements.count() == 2

    def test_a_customer_classes_what_nobody_reviewed(self):
        self.judge(by=None, source=JudgementSource.CUSTOMER, issue_types=[])
        assert Case.objects.get(turn=self.turn).label == Verdict.BAD

    def test_issues_are_kept_once_and_in_order(self):
        named = [IssueType.MECHANICAL_TONE, IssueType.HALLUCINATION, IssueType.MECHANICAL_TONE]
        assert self.judge(issue_types=named).issue_types == [
            IssueType.HALLUCINATION,
            IssueType.MECHANICAL_TONE,
        ]

    def refuse(self, expected, **fields):
        with self.assertRaises(expected):
            self.judge(**fields)
        assert not Judgement.objects.exists()
        assert not Case.objects.exists()

    def test_a_bad_reply_needs_an_issue(self):
        self.refuse(ValidationError, issue_types=[])

    def test_an_unknown_issue_is_refused(self):
        self.refuse(UnknownIssue, issue_types=["rudeness"])

    def test_an_unknown_verdict_is_refused(self):
        self.refuse(ValidationError, verdict="superb")

    def test_a_good_reply_has_no_fault(self):
        self.refuse(NothingWrong, verdict=Verdict.GOOD)

    def test_a_running_turn_is_not_judged(self):
        Turn.objects.filter(pk=self.turn.pk).update(status="running", finished_at=None)
        self.refuse(TurnRunning)

    def test_an_empty_rewrite_is_refused(self):
        self.refuse(RewriteEmpty, rewrite={**self.turn.output, "reply": "  "})
        self.refuse(RewriteEmpty, rewrite={"text": "no action"})

    def test_an_unchanged_rewrite_is_refused(self):
        self.refuse(RewriteUnchanged, rewrite=self.turn.output)
        self.refuse(RewriteUnchanged, rewrite={**self.turn.output, "reply": "On its\n way. "})

    def test_a_rewrite_cites_only_what_was_found(self):
        rewrite = build_rewrite(self.turn, reply="No.", knowledge=[self.other_rule.pk])
        self.refuse(RewriteUnfounded, rewrite=rewrite)

    def test_a_rewrite_calls_no_tool_that_was_not_there(self):
        rewrite = {**self.turn.output, "action": {"name": "launch", "arguments": {}}}
        self.refuse(RewriteUnfounded, rewrite=rewrite)

    def test_building_an_unchanged_rewrite_gives_none(self):
        assert build_rewrite(self.turn, reply="On its way.\r\n") == {}

    def test_another_action_loses_the_arguments(self):
        self.turn.output["action"] = {"name": "refund_order", "arguments": {"order_id": "GW1"}}
        kept = build_rewrite(self.turn, reply="Refunding now.")
        assert kept["action"]["arguments"] == {"order_id": "GW1"}
        asked = build_rewrite(self.turn, reply="Which order?", action="clarify")
        assert asked["action"] == {"name": "clarify", "arguments": {}}
