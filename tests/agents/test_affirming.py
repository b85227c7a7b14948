"""A source that says no backs no promise of a yes."""

from django.test import SimpleTestCase

from agents.sources import result_source, source
from tests.agents.test_promising import claims

REFUND = "You'll get your refund by card."


class ResultTests(SimpleTestCase):
    def objected(self, result, reply=REFUND, deed=""):
        told = [result_source("find_refunds", {"reason": "refund"}, result, deed=deed)]
        return reply in claims(reply, told=told)

    def test_a_field_that_denies_is_empty_or_false_backs_nothing(self):
        for result in (
            {},
            {"refundable": False},
            {"refund": None, "refunds": [], "refund_amount": 0},
            {"refund_status": "rejected: not eligible"},
            {"refund_status": "none"},
            {"refund": {"status": "declined", "amount": 28}},
            {"refundable": False, "refund_amount": 28},
            {"refund_status": "cancelled", "refund_amount": 28},
            {"note": "A refund is not possible after 30 days."},
            {"non_refundable": True},
            {"refund_error": "card expired"},
            {"退款": "已拒绝"},
        ):
            assert self.objected(result), result

    def test_one_that_affirms_does(self):
        for result in (
            {"refundable": True},
            {"refundable": True, "refunded": False},  # not yet
            {"refundable": True, "non_refundable": False, "refund_error": None},
            {"refund": {"status": "approved", "amount": 28}},
            {"refund_status": "pending"},
            {"note": "Call us first. A refund is possible within 30 days."},
            {"orders": [{"id": "GW1", "refundable": False}, {"id": "GW2", "refundable": True}]},
        ):
            assert not self.objected(result), result

    def test_a_price_of_nothing_denies_no_cancellation(self):
        told = [result_source("look_up", {}, {"cancellation": "possible, no fee"})]
        assert claims("You can cancel it.", told=told) == []

    def test_a_call_that_says_it_failed_did_nothing(self):
        for result in ({"status": "rejected"}, {"ok": False}, {"result": "failed: bank is down"}):
            assert self.objected(result, "I have refunded it.", deed="refund order"), result
            assert self.objected(result, deed="refund order"), result
        for result in ({"status": "ok"}, {"refunded": 16.5}, {}):
            assert not self.objected(result, "I have refunded it.", deed="refund order"), result

    def test_a_field_of_that_name_tells_what_was_done(self):
        issued = "Your refund of $30 was issued on 27 November."
        row = {"amount": 30, "issued": "2026-11-27", "status": "issued"}
        assert not self.objected({"refunds": [row]}, issued)
        assert self.objected({"invoice": row}, issued)
        assert self.objected({"refunds": [row | {"status": "reversed", "issued": ""}]}, issued)
        approved = "The refund has been approved and is pending."
        assert not self.objected({"refund": {"status": "approved, pending payout"}}, approved)


class RuleTests(SimpleTestCase):
    def test_a_rule_that_denies_backs_no_promise(self):
        for rule in (
            "When a customer wants a refund of a gift card. Gift cards can't be refunded.",
            "When food was cold. You get a $5 voucher instead of a refund.",
            "When it is late. Refunds are not given for that.",
        ):
            assert claims(REFUND, rules=[source(rule)]) == [REFUND], rule

    def test_one_that_affirms_somewhere_does(self):
        for rule in (
            "When an order never came. An order that never arrived is refunded.",
            "When food was cold. Fees are not refunded. The food is refunded in full.",
            "When a customer waits for a refund. It takes 3 days.",
        ):
            assert claims(REFUND, rules=[source(rule)]) == [], rule

    def test_what_is_given_instead_of_it_is_no_promise_of_it(self):
        rule = source("When food was cold. You get a $5 voucher instead of a refund.")
        assert claims("You get a $5 voucher instead of a refund.", rules=[rule]) == []
