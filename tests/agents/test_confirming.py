"""What counts as a customer's yes, what does not, and what the yes is to."""

import pytest

from agents.actions import DialogueAction
from agents.confirming import Call, question, says_no, says_yes
from agents.models import Tool

CANCEL = Call("cancel_order", {"order_id": "GW1009"})
REFUND = Call("refund_order", {"order_id": "GW1009", "reason": "cold"})


def test_a_plain_yes_in_either_language():
    for text in (
        *(
            "Yes",
            "yes please!",
            "OK, thanks",
            "Sure, go ahead.",
            "do it",
            "y",
            "👍",
            "👍🏽",
            "ok then",
        ),
        *("that's right", "That’s correct.", "yes, I confirm", "yes I'm sure", "yes. do it"),
        *("好的", "是的，谢谢", "好的谢谢", "是的 可以", "嗯嗯", "确定", "好吧", "没问题"),
        *("yess", "yea", "yes pls", "yes you can", "sounds good", "ok actually yes", "Yes, I am."),
        *(
            "yes, that's correct, I'd like the refund please",
            "Yes please, go ahead with the refund",
        ),
        *("well… yes", "yes, thank you very much", "ok do it now", "好的，退款吧", "是的请退款"),
    ):
        assert says_yes(text, REFUND), text


def test_conditions_questions_and_refusals_are_no_yes():
    for text in (
        *("No", "not now", "yes but only the fries", "ok and what about my refund?", "yes?"),
        *("Is that ok", "I said yes to the other one", "yesterday", "", "不好", "好像不对"),
        *("I want it", "yes I want it back if you can", "can you refund it", "I wish you could"),
        *(
            "if you can refund it, yes",
            "wait, yes",
            "actually no",
            "fine, but why",
            "要多久",
            "不要",
        ),
        *("please", "退款了吗", "要不要退款", "不想退款", "取消退款", "I don't want to refund it"),
        *("yes if it is free", "right now?", "please", "thanks", "👎", "sure thing is bad"),
    ):
        assert not says_yes(text, REFUND), text


def test_a_yes_may_name_the_deed_that_was_asked_about_and_no_other():
    for text in (
        *("ok cancel it", "Right. Cancel it.", "yes, please cancel that, thanks", "yes cancel"),
        *("Yes, cancel the order", "yes cancel my order gw1009", "go ahead and cancel it"),
        *(
            "cancel",
            "Cancel that",
            "yes, cancel GW1009 please",
            "Yes, GW1009",
            "取消吧",
            "是的，请取消",
        ),
        *(
            "Yes, that's correct, I'd like to cancel it please",
            "yes cancel the whole order gw-1009",
        ),
    ):
        assert says_yes(text, CANCEL), text
        assert not says_yes(text, Call("refund_order", {"order_id": "GW1010"})), text
    for text in (
        *("yes, order it", "yes, cancel order GW1010", "yes, cancel both", "the order", "order"),
        *("yes, cancel GW1009 and GW1010", "cancel it if it is free", "cancel nothing"),
        *("GW1009", "no longer needed"),
        *("yes, cancel it but keep the fries", "don't cancel it", "cancel it?"),
    ):
        assert not says_yes(text, CANCEL), text
    assert not says_yes("cold", REFUND)
    assert not says_yes("yes, order it", Call("order_cancel", {"order_id": "GW1009"}))


def test_the_question_names_what_is_about_to_happen():
    tool = Tool(name="cancel_order", confirmation="Shall I cancel order {order_id}?")
    action = DialogueAction("cancel_order", "Cancelling.", "Asked to", [4], {"order_id": "GW1042"})
    asked = question(tool, action, [])
    assert (asked.name, asked.reply) == ("clarify", "Shall I cancel order GW1042?")
    assert asked.knowledge == [4]
    assert not asked.calls_a_tool


def test_the_question_adds_whatever_else_is_sent():
    given = {
        "order_id": "GW1042",
        "amount": 950,
        "sent_to": "gift card",
        "items": ["soup", {"size": "L", "hot": True}],
    }
    for words, asked in (
        (
            "Refund {order_id}?",
            "Refund GW1042 (amount: 950, sent to: gift card, items: soup, size: L, hot: yes)?",
        ),
        (
            "I refund {amount}.",
            "I refund 950. (order id: GW1042, sent to: gift card, items: soup, size: L, hot: yes)",
        ),
    ):
        action = DialogueAction("refund", "", arguments=given)
        assert question(Tool(name="refund", confirmation=words), action, []).reply == asked


def test_what_a_customer_wrote_is_no_place_to_fill():
    tool = Tool(name="send", confirmation="Send {text} to {address} for {price}?")
    given = {"text": "{address}", "address": "1 Main St"}
    asked = question(tool, DialogueAction("send", "", arguments=given), [])
    assert asked.reply == "Send {address} to 1 Main St for {price}?"


@pytest.mark.parametrize(
    "text", ["需要", "帮我退款", "好的，谢谢您", "是的 麻烦您了", "请帮我退款"]
)
def test_a_yes_in_chinese(text):
    assert says_yes(text, REFUND)
    assert not says_no(text, REFUND)


@pytest.mark.parametrize(
    "text",
    ["不需要", "不退了", "不退", "不必了", "暂时不用", "不可以", "不同意", "不好", "不用了谢谢您"],
)
def test_a_no_in_chinese(text):
    assert says_no(text, REFUND)
    assert not says_yes(text, REFUND)
