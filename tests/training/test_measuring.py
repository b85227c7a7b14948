"""Scores of single answers, and what many of them amount to."""

import json

from agents.actions import DialogueAction
from training import measuring


def action(name="reply", reply="It is on its way.", **fields):
    return DialogueAction(name, reply, **fields).as_json()


class TestAnswers:
    def test_the_expected_answer_is_right_in_everything(self):
        expected = action("look_up_order", arguments={"order_id": "GW1"}, knowledge=[3])
        scores = measuring.score_answer(expected, expected=expected, said=["Hello there"])
        assert scores.pop("repeats") == 0
        assert set(scores.values()) == {1.0}
        assert "arguments" in scores

    def test_text_that_is_no_json_is_wrong_in_everything(self):
        scores = measuring.score_answer("Hello", expected=action())
        assert set(scores.values()) == {0.0}

    def test_json_that_is_no_action_is_valid_json_only(self):
        scores = measuring.score_answer(json.dumps({"reply": "x"}), expected=action())
        assert (scores["valid_json"], scores["valid_action"]) == (1.0, 0.0)

    def test_arguments_are_asked_of_tool_calls_only(self):
        assert "arguments" not in measuring.score_answer(action(), expected=action())

    def test_another_order_is_the_right_action_with_wrong_arguments(self):
        expected = action("look_up_order", arguments={"order_id": "GW1"})
        answer = action("look_up_order", arguments={"order_id": "GW2"})
        scores = measuring.score_answer(answer, expected=expected)
        assert (scores["action"], scores["arguments"]) == (1.0, 0.0)

    def test_order_of_citations_does_not_matter(self):
        scores = measuring.score_answer(action(knowledge=[1, 2]), expected=action(knowledge=[2, 1]))
        assert scores["knowledge"] == 1

    def test_a_reply_said_before_is_a_repetition(self):
        said = ["Your order is on its way to you."]
        answer = action(reply="Your order is on its way to you!")
        assert measuring.score_answer(answer, expected=action(), said=said)["repeats"] == 1


class TestPairs:
    def test_nearer_to_the_rewrite_is_repaired(self):
        chosen, rejected = action(reply="I refunded $5."), action(reply="Please wait.")
        repaired = measuring.score_pair(
            action(reply="I have refunded $5"), chosen=chosen, rejected=rejected
        )
        assert repaired["repaired"] == 1

    def test_a_tie_or_no_action_repairs_nothing(self):
        chosen, rejected = action(reply="I refunded $5."), action(reply="Please wait.")
        for answer in (action(reply="Bananas"), "not JSON"):
            scores = measuring.score_pair(answer, chosen=chosen, rejected=rejected)
            assert scores["repaired"] == 0


class TestSummary:
    def test_each_name_counts_the_rows_that_have_it(self):
        summary = measuring.summarise([{"action": 1.0, "arguments": 0.0}, {"action": 0.0}])
        assert summary["action"]["share"] == 0.5
        assert summary["arguments"]["count"] == 1

    def test_token_f1_of_half_the_words(self):
        assert measuring.token_f1("one two", "two three") == 0.5
