"""What an agent says that it did or does needs somebody who did it, whatever the verb."""

from time import process_time

from django.test import SimpleTestCase

from agents.sources import result_source, source
from tests.agents.test_promising import LOOKED_UP, REFUNDED, claims


class BoastingTests(SimpleTestCase):
    def test_deeds_of_any_kind_need_a_call(self):
        for reply in (
            "I've told the restaurant about your peanut allergy, so your pad thai is safe.",
            "I've let the shop know that you are allergic.",
            "I've stopped the payment.",
            "I've checked your order and marked it as urgent.",
            "I have put your order on hold.",
            "I took it out of the system.",
            "I managed to stop the courier.",
            "I'm telling the restaurant right now.",
            "We've squared your account.",
            "A new pizza is being made right now.",
            "I've escalated this to my manager.",
            "I've passed you to a colleague.",
            "我已经通知商家了。",
            "我把订单撤了。",
            "我帮您把钱退了,还送您一张券。",
        ):
            assert claims(reply, told=[LOOKED_UP]) == [reply], reply

    def test_verbs_that_change_nothing_do_not(self):
        for reply in (
            "I've checked your order and looked at its status.",
            "Thanks, I've noted your order number.",
            "I have understood that it came late.",
            "I've received your message and read it.",
            "I took a look at it.",
            "I'm checking that now.",
            "I'm sorry that we kept you waiting and sent the wrong dish.",
            "I have not cancelled anything.",
            "If I refunded it, it would show there.",
            "As I told you, it takes a moment.",
            "I'm passing you to a colleague.",
            "We are located at the river.",
            "Should I have called you?",
            "我查了一下。",
            "我明白了,我们收到了您的消息。",
            "让您久等了。",
        ):
            assert claims(reply) == [], reply

    def test_words_that_only_look_like_a_past(self):
        for reply in (
            "We need your order number before we proceed.",
            "We have limited stock today.",
            "I indeed see it.",
            "I'm asking for your order number so that I can help.",
            "I'm guessing you mean another order.",
            "We're experiencing delays.",
        ):
            assert claims(reply) == [], reply

    def test_who_hands_over_may_say_so(self):
        for reply in ("I've passed you to a colleague.", "I've escalated this to a specialist."):
            assert claims(reply, hands_over=True) == [], reply
        told = "I've told the restaurant."
        assert claims(told, hands_over=True) == [told]

    def test_a_call_proves_what_it_is_about_and_nothing_besides(self):
        called = result_source(
            "call_shop", {}, {"summary": "They make it without nuts."}, deed="call the restaurant"
        )
        told = "I've told the restaurant that you are allergic to nuts."
        assert claims(told, told=[called]) == []
        assert claims(told, told=[REFUNDED]) == [told]
        assert claims(told, staff=[source("I told the restaurant.")]) == []

    def test_what_a_rule_says_that_we_do_may_be_under_way(self):
        rule = source("When a courier was rude. We block the courier at once.")
        assert claims("I'm blocking this courier at once.", rules=[rule]) == []
        done = "I have blocked this courier."
        assert claims(done, rules=[rule]) == [done]
        closed = source("When it rains. We have closed the garden.")
        assert claims("We have closed the garden.", rules=[closed]) == []

    def test_more_words_for_giving(self):
        for reply in (
            "We'll send you another pizza at once.",
            "You won't have to pay for this order.",
            "We cover the cost.",
            "Your next order is on me.",
            "You'll have every cent back soon.",
            "The charge will disappear from your statement.",
            "我送您一张券。",
            "给您打八折。",
            "免配送费。",
            "会给您返现。",
        ):
            assert claims(reply)[:1] == [reply], reply

    def test_adversarial_replies_are_read_in_no_time(self):
        for words in (
            "i ",
            "i refunded ",
            "we have just ",
            "我把",
            "refund and ",
            "your order is ",
        ):
            started = process_time()
            claims((words * 2000)[:2000])
            assert process_time() - started < 0.5, words
