"""Metrics of a ranking, against values worked out by hand."""

import math

import pytest

from knowledge import evaluating


class TestScores:
    def test_the_right_rule_second(self):
        scores = evaluating.scores([7, 5, 9], {5})
        assert scores["hit_at_1"] == 0
        assert scores["hit_at_3"] == scores["hit_at_5"] == 1
        assert scores["mrr"] == 0.5
        assert scores["ndcg_at_10"] == pytest.approx(1 / math.log2(3))

    def test_two_right_rules_first_and_third(self):
        scores = evaluating.scores([1, 2, 3], {1, 3})
        assert scores["mrr"] == 1
        assert scores["ndcg_at_10"] == pytest.approx((1 + 1 / 2) / (1 + 1 / math.log2(3)))

    def test_nothing_found_scores_nothing(self):
        assert set(evaluating.scores([], {1}).values()) == {0.0}

    def test_depths_end_where_they_say(self):
        ranked = list(range(1, 13))
        assert evaluating.scores(ranked, {6})["hit_at_5"] == 0
        assert evaluating.scores(ranked, {11})["ndcg_at_10"] == 0
        assert evaluating.scores(ranked, {11})["mrr"] == pytest.approx(1 / 11)

    def test_more_right_rules_than_count_can_still_be_perfect(self):
        ranked = list(range(1, 11))
        assert evaluating.scores(ranked, set(range(1, 31)))["ndcg_at_10"] == pytest.approx(1)


class TestSummary:
    def test_false_finds_count_the_unanswerable_alone(self):
        summary = evaluating.summarise([([1], {1}), ([], {2}), ([3], set()), ([], set())])
        assert summary["hit_at_1"]["share"] == 0.5
        assert summary["hit_at_1"]["count"] == 2
        assert summary["false_finds"]["share"] == 0.5
        low, high = summary["false_finds"]["low"], summary["false_finds"]["high"]
        assert low < 0.1
        assert high > 0.9

    def test_what_nobody_asked_is_absent(self):
        assert "false_finds" not in evaluating.summarise([([1], {1})])
        assert set(evaluating.summarise([([1], set())])) == {"false_finds"}
        assert evaluating.summarise([]) == {}

    def test_what_went_wrong(self):
        assert evaluating.went_wrong([2, 1], {1})
        assert evaluating.went_wrong([], {1})
        assert evaluating.went_wrong([1], set())
        assert not evaluating.went_wrong([1, 2], {1})
        assert not evaluating.went_wrong([], set())
