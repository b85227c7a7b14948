"""What counts as a customer's yes, and what does not."""

from agents.actions import DialogueAction
from agents.confirming import question, says_yes
from agents.models import Tool


def test_a_plain_yes_in_either_language():
    for text in (
        *("Yes", "yes please!", "OK, thanks", "Sure, go ahead.", "do it"),
        *("好的", "是的，谢谢"),
    ):
        assert says_yes(text, "refund_order"), text


def test_conditions_questions_and_refusals_are_no_yes():
    for text in (
        *("No", "not now", "yes but only the fries", "ok and what about my refund?", "yes?"),
        *("Is that ok", "I said yes to the other one", "yesterday", "", "不好", "好像不对"),
    ):
        assert not says_yes(text, "refund_order"), text


def test_a_yes_may_name_the_deed_that_was_asked_about_and_no_other():
    for text in ("ok cancel it", "Right. Cancel it.", "yes, please cancel that, thanks"):
        assert says_yes(text, "cancel_order"), text
        assert not says_yes(text, "refund_order"), text


def test_the_question_names_what_is_about_to_happen():
    tool = Tool(name="cancel_order", confirmation="Shall I cancel order {order_id}?")
    action = DialogueAction("cancel_order", "Cancelling.", "Asked to", [4], {"order_id": "GW1042"})
    asked = question(tool, action)
    assert (asked.name, asked.reply) == ("clarify", "Shall I cancel order GW1042?")
    assert asked.knowledge == [4]
    assert not asked.calls_a_tool


def test_what_a_customer_wrote_is_no_place_to_fill():
    tool = Tool(name="send", confirmation="Send {text} to {address} for {price}?")
    given = {"text": "{address}", "address": "1 Main St"}
    asked = question(tool, DialogueAction("send", "", arguments=given))
    assert asked.reply == "Send {address} to 1 Main St for {price}?"
