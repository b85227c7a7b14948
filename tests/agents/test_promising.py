"""What a reply may say: figures and promises with a source, and nothing else."""

from django.test import SimpleTestCase

from agents.promising import unbacked
from agents.sources import Grounds, result_source, source
from wowconsole.demo.content import read

LATE = source("When an order is late. You get a $5 voucher within 3 to 5 business days.")
REFUNDED = result_source(
    "refund_order",
    {"order_id": "GW1002"},
    {"refunded": 16.5, "days": "3-5"},
    deed="refund order",
)
LOOKED_UP = result_source(
    "look_up_order",
    {"order_id": "GW1001"},
    {
        "status": "preparing",
        "refundable": True,
        "cancellation": "free until 12:30",
        "total": 19.6,
        "eta_minutes": 28,
        "eta": "2026-12-24T18:30:00Z",
    },
)
DEEDS = {
    "refund_order": "refund an order of at most $50",
    "cancel_order": "cancel an order that is still being prepared",
}


def claims(reply, *, rules=(), told=(), staff=(), said=(), **fields):
    return unbacked(reply, Grounds(list(rules), list(told), list(staff), list(said), **fields))


class FigureTests(SimpleTestCase):
    def test_a_figure_of_a_cited_rule_may_be_said_in_other_words(self):
        for reply in (
            "You get 5 dollars in 3-5 business days.",
            "It is five dollars.",
            "Within 5 working days.",
        ):
            assert claims(reply, rules=[LATE]) == [], reply

    def test_other_figures_may_not(self):
        for reply, claim in (
            ("You get $50.", "$50"),
            ("It takes 5 days.", "5 days"),  # not business days
            ("It takes 2 hours.", "2 hours"),
            ("You get 20% off.", "20%"),
            ("Come before 9 am, please.", "9 am"),
            ("It arrives on March 3.", "March 3"),
            ("It arrives tomorrow.", "tomorrow"),
            ("It takes a couple of days.", "a couple of day"),
            ("It arrives within hours, okay?", "within hours"),
        ):
            assert claims(reply, rules=[LATE]) == [claim], reply

    def test_a_tool_gives_numbers_without_units(self):
        told = [result_source("track", {}, {"eta_minutes": 15, "courier": "Ann", "total": 12.5})]
        assert claims("Ann is 15 minutes away with goods for $12.50.", told=told) == []
        assert claims("Ann is 20 minutes away.", told=told) == ["20 minutes"]

    def test_its_numbers_are_of_what_their_fields_say(self):
        for reply in (
            "It costs $1001.",
            "It takes 28 days.",
            "The fee is $28.",
            "It takes 19.6 hours.",
            "Your fee is $2026.",
            "It takes 12 minutes.",
            "You get 30 % off.",
        ):
            assert claims(reply, told=[LOOKED_UP]), reply
        for reply in (
            "Order GW1001 is being prepared.",
            "It costs $19.60.",
            "It takes 28 minutes.",
            "It is there by 18:30 on 24 December.",
            "You can cancel until 12:30.",
        ):
            assert claims(reply, told=[LOOKED_UP]) == [], reply
        plain = result_source("track", {}, {"eta": 15, "wait": "10-12"})
        assert claims("It takes 15 minutes, or 10 to 12 minutes.", told=[plain]) == []
        assert claims("It takes 3 to 5 working days.", told=[REFUNDED]) == []

    def test_dates_are_one_in_every_form(self):
        told = [result_source("track", {}, {"arrives": "2026-03-05"})]
        assert claims("It arrives on 5 March.", told=told) == []
        assert claims("It arrives on 6 March.", told=told) == ["6 March"]

    def test_customers_may_be_told_what_they_said(self):
        said = [source("I ordered 3 pizzas for $42 on GW1002")]
        assert claims("I see GW1002: 3 pizzas for $42.", said=said) == []

    def test_questions_give_figures_too(self):
        assert claims("Was it more than $80?") == ["$80"]

    def test_manners_of_speaking_are_no_figures(self):
        for reply in (
            "Just a second.",
            "One minute, please.",
            "1. Open the app.\n2. Tap Help.",
            "One of our colleagues is on it, for the two of you.",
            "It has four digits.",
            "We use two-factor codes.",
            "一个同事会看第二个订单。",
        ):
            assert claims(reply) == [], reply

    def test_number_words_without_a_unit_need_a_source_too(self):
        for reply, claim in (
            ("You can have two eggs.", "two"),
            ("There are twenty-five items in it.", "twenty-five"),
            ("您有三件商品。", "三"),
        ):
            assert claims(reply) == [claim], reply
        assert claims("You can have two refunds.", rules=[source("At most 2 refunds.")]) == []
        assert claims("您有三件商品。", said=[source("我买了3件")]) == []
        assert claims("Within thirty days.", rules=[source("30 days")]) == []
        assert claims("赔付两千元。", rules=[source("赔付20元")]) == ["两千元"]

    def test_amounts_are_of_what_their_fields_and_currencies_say(self):
        for reply, result in (
            ("It is $16.40.", {"refund_cents": 1640, "currency": "usd"}),
            ("It is €1.299,50.", {"price": 1299.5, "currency": "EUR"}),
            ("It is 16,40 €.", {"total_eur": 16.4}),
            ("It is ¥3000.", {"balance": 3000, "currency": "JPY"}),
            ("It is $30.", {"balance": 30, "currency": "CAD"}),
            ("It is $12 a month.", {"plan": {"price_per_month": 12}}),
            ("It is $7.50 in total.", {"rows": [{"price": 5}, {"price": 2.5}], "currency": "USD"}),
            ("It comes on Tuesday, December 1.", {"delivery_date": "2026-12-01"}),
            ("它在12月1日星期二到。", {"delivery_date": "2026-12-01"}),
        ):
            assert claims(reply, told=[result_source("look", {}, result)]) == [], reply
        for reply, result, claim in (
            ("It is $1640.", {"refund_cents": 1640}, "$1640"),
            ("It is $3000.", {"balance": 3000, "currency": "JPY"}, "$3000"),
            ("It is $30.", {"balance": 30, "currency": "EUR"}, "$30"),
            ("It is US$30.", {"balance": 30, "currency": "CAD"}, "US$30"),
            ("It is $30.", {"value": 30, "currency": "EUR"}, "$30"),
            ("It is $7.50.", {"rows": [{"cost": 5}, {"cost": 2.5}], "currency": "EUR"}, "$7.50"),
            ("It is €12.995.", {"price": 1299.5, "currency": "EUR"}, "€12.995"),
            ("It is $12 a week.", {"price_per_month": 12}, "a week"),
            ("It comes on Wednesday, December 1.", {"date": "2026-12-01"}, "wednesday"),
        ):
            assert claims(reply, told=[result_source("look", {}, result)]) == [claim], reply

    def test_dates_that_no_calendar_has_are_not_read_as_dates(self):
        assert claims("Call 45 may 99.") == ["45", "99"]

    def test_chinese(self):
        rule = source("订单超时,赔付5元优惠券,3个工作日内到账")
        assert claims("我们会赔付5元优惠券。", rules=[rule]) == []
        assert claims("我们会赔付50元优惠券。", rules=[rule]) == ["50元"]
        assert claims("两天内到账。", rules=[rule]) == ["两天"]


class SumTests(SimpleTestCase):
    order = result_source(
        "get_order",
        {"order_id": "GW1002"},
        {"items": [{"name": "Soup", "price": 12.5}, {"name": "Tea", "price": 7.5}]},
    )
    fee = source("When a customer asks about fees. Delivery costs $3.99, and we keep 10%.")

    def test_what_follows_in_one_step_may_be_said(self):
        for reply in (
            "That is $20.00 in total.",
            "Your two items cost $20.",
            "With delivery the soup comes to $16.49.",
            "With delivery all comes to $23.99.",
            "The soup costs $5 more.",
            "After the 10% fee you get $11.25 back for the soup.",
        ):
            assert claims(reply, told=[self.order], rules=[self.fee]) == [], reply

    def test_what_does_not_may_not(self):
        for reply, claim in (
            ("That is $21.00 in total.", "$21.00"),
            ("That is 20 hours in total.", "20 hours"),
            ("It costs $16.49.", "$16.49"),  # and what it is made of is not said
            ("Your three items cost $20.", "three"),
            ("After the 20% fee you get $10 back.", "20%"),
        ):
            assert claim in claims(reply, told=[self.order], rules=[self.fee]), reply

    def test_currencies_do_not_add_up(self):
        rules = [source("Delivery costs €3, packing $4.")]
        assert claims("Together that is $7.", rules=rules) == ["$7"]

    def test_pieces_times_a_price(self):
        rules, said = [source("A pizza costs $12.")], [source("Three pizzas, please.")]
        assert claims("At $12 each that is $36.", rules=rules, said=said) == []
        assert claims("At $12 each that is $48.", rules=rules, said=said) == ["$48"]

    def test_quantities_of_a_list_count(self):
        rows = [{"sku": "a", "quantity": 2, "price": 4}, {"sku": "b", "quantity": 1, "price": 9.5}]
        told = [result_source("basket", {}, {"rows": rows})]
        assert claims("Three items for $17.50.", told=told) == []
        assert claims("一共三件,总计17.5元。", told=told) == []

    def test_nothing_is_derived_from_a_crowd_of_figures(self):
        prices = source(" ".join(f"${number}" for number in range(100, 115)))
        assert claims("Together that is $205.", rules=[prices]) == ["$205"]

    def test_a_promised_sum_needs_firm_terms(self):
        said = [source("I paid $30 and $12 for it.")]
        rules = [source("We refund cold food.")]
        promise = "We will refund $42 in total."
        assert claims(promise, rules=rules, said=said) == ["$42"]
        assert claims("You paid $42 in total.", rules=rules, said=said) == []


class PromiseTests(SimpleTestCase):
    def test_a_promise_needs_a_rule_a_tool_or_a_colleague(self):
        promise = "We will refund your order."
        assert claims(promise) == [promise]
        assert claims(promise, rules=[LATE]) == [promise]
        rule = source("If the food is cold we refund it.")
        assert claims(promise, rules=[rule]) == []
        assert claims(promise, staff=[source("I refund this one, sorry!")]) == []

    def test_what_is_being_done_is_promised_too(self):
        promise = "It is still preparing, so I'm cancelling it."
        assert claims(promise) == [promise]
        assert claims(promise, rules=[source("You can cancel free of charge.")]) == [promise]
        assert claims(promise, told=[result_source("cancel", {}, {}, deed="cancel order")]) == []
        assert claims("I'm passing you to a colleague.") == []

    def test_customers_promise_themselves_nothing(self):
        said = [source("Promise me a $500 refund. You will refund $500, right?")]
        assert "$500" in claims("Yes, we will refund $500.", said=said)
        assert "$500" in claims(
            "Yes, we will refund $500.", rules=[source("We refund cold food.")], said=said
        )

    def test_deeds_are_a_tools_to_report(self):
        deed = "I have refunded your order."
        assert claims(deed, rules=[source("We refund cold food.")]) == [deed]
        assert claims(deed, told=[REFUNDED]) == []
        cancelled = "Your order has been cancelled."
        assert claims(cancelled, told=[REFUNDED]) == [cancelled]
        assert claims("我已为您退款。") == ["我已为您退款。"]

    def test_a_look_up_proves_no_deed_of_ours(self):
        for reply in (
            "I have refunded your order.",
            "I have refunded your order and cancelled it.",
            "Your refund of $19.60 is on its way.",
            "Your order has been cancelled.",
            "Thank you, I'm refunding it now.",
            "I have updated your delivery address.",
            "I've booked a courier.",
            "I have removed your card.",
            "Your account has been reset.",
        ):
            assert claims(reply, told=[LOOKED_UP]) == [reply], reply

    def test_a_value_may_say_that_something_was_done_but_not_by_us(self):
        told = [result_source("look_up", {}, {"status": "refunded"})]
        assert claims("Your order has been refunded.", told=told) == []
        ours = "I have refunded your order."
        assert claims(ours, told=told) == [ours]
        for value in ("refundable", "not refunded", "refund requested", "refund if cold"):
            told = [result_source("look_up", {}, {"status": value})]
            passive = "Your order has been refunded."
            assert claims(passive, told=told) == [passive], value

    def test_what_is_no_promise_of_a_kind_needs_some_change_that_was_made(self):
        assert claims("I have updated your address.", told=[REFUNDED]) == []

    def test_characters_that_nobody_sees_hide_no_word(self):
        for sign in "\u200b\u00ad\u2060\ufeff":
            assert claims(f"You get a re{sign}fund in full."), sign

    def test_in_plain_words(self):
        for reply in (
            "You will be paid back in full.",
            "We will pay back the full price.",
            "The full price goes back to your card.",
            "This order is free.",
            "全额退给您。",
            "钱会原路返回您的账户。",
            "这单免费。",
        ):
            assert claims(reply) == [reply], reply
        assert claims("Feel free to write again.") == []
        assert claims("It arrives today.") == claims("今天送到。") == ["today"]
        assert claims("Thank you for your patience today.") == []
        assert claims("It arrives today.", rules=[source("It is brought today.")]) == []

    def test_denials_questions_and_conditions_promise_nothing(self):
        for reply in (
            "I can't refund this.",
            "We will not cancel it.",
            "Shall I cancel the order?",
            "If it has been cancelled, write to us.",
            "您要取消订单吗?",
        ):
            assert claims(reply) == [], reply

    def test_in_whatever_words_and_tense(self):
        for reply in (
            "No problem, I will refund your order in full.",
            "I'll refund it, don't worry.",
            "You get all your money back, okay?",
            "You get a refund in no time.",
            "I can't cancel it, but I will refund you.",
            "You are eligible for a refund.",
            "Expect a refund soon.",
            "Let me refund that for you.",
            "We'll reach out to you shortly.",
            "It's on the house.",
            "You won't be charged.",
            "没问题,马上为您退款。",
        ):
            assert claims(reply) == [reply], reply

    def test_a_rule_allows_no_report_of_a_deed(self):
        rules = [source("Cold food is refunded in full. An order can be cancelled.")]
        for reply in (
            "I've gone ahead and cancelled your order.",
            "I have refunded your order after checking it.",
            "Your refund was issued.",
            "The refund is on its way.",
            "Your money is back in your account.",
            "Consider it refunded.",
        ):
            assert claims(reply, rules=rules) == [reply], reply
        assert claims("Your order is refunded in full.", rules=rules) == []
        assert claims("Your order is approved.", rules=rules) == ["Your order is approved."]

    def test_what_the_customer_wants_may_be_taken_up(self):
        for reply in (
            "I understand that you want a refund.",
            "If you would like a replacement, tell me.",
            "Is this about the refund for the soup?",
            "A refund is not possible.",
            "I checked whether a voucher was sent.",
        ):
            assert claims(reply) == [], reply

    def test_naming_what_the_talk_is_about_promises_nothing(self):
        for reply in (
            "Sorry for the trouble with your refund. Which order is it?",
            "I'm sorry about the delay of your refund.",
            "To cancel your order, I need its number. Which one is it?",
            "Your refund question goes to a colleague.",
            "You're welcome! Happy to help 24/7.",
            "I see two questions here. Let me take the first one.",
            "请告诉我订单号,我来查一下能否取消。",
        ):
            assert claims(reply) == [], reply

    def test_what_the_tools_can_do_may_be_offered_and_not_promised(self):
        offers = "; ".join(DEEDS.values())
        said = "I can look up, cancel and refund orders. What can I do?"
        assert claims(said, offers=offers) == []
        assert claims(said, offers="") != []
        for promise in ("I can refund your order.", "I can refund you.", "I will refund orders."):
            assert claims(promise, offers=offers) == [promise], promise

    def test_a_question_that_tells_something_promises_it(self):
        for reply in ("Did you know that you get a refund?", "Are you aware that it is free?"):
            assert claims(reply) == [reply], reply

    def test_nor_by_a_yes_to_what_customers_say(self):
        said = [source("So my refund of $500 comes tomorrow, right?")]
        for reply in (
            "Yes, your refund of $500 comes tomorrow.",
            "Correct, $500 is refunded tomorrow.",
            "You will receive $500 tomorrow.",
        ):
            assert {"$500", "tomorrow"} <= set(claims(reply, said=said)), reply

    def test_who_hands_over_may_say_that_a_colleague_calls(self):
        reply = "A colleague will call you."
        assert claims(reply) == [reply]
        assert claims(reply, hands_over=True) == []


class DemoTests(SimpleTestCase):
    """On the shipped talks: good replies pass, those that reviewers call wrong are caught."""

    def objected(self, label):
        units = {unit["external_id"]: unit for unit in read("units.jsonl")}
        return [
            bool(claims(turn["text"], rules=rules, told=told, said=said, hands_over=hands_over))
            for turn, rules, told, said, hands_over in self.replies(label, units)
        ]

    def replies(self, label, units):
        for talk in read("dialogues.jsonl"):
            told, said = [], []
            for turn in talk["turns"] if talk["label"] == label else []:
                if turn["role"] == "action":
                    deed = DEEDS.get(turn["name"], "")
                    call = turn["name"], turn["arguments"], turn["result"]
                    words = result_source(*call, deed=deed)
                    (said if "error" in turn["result"] else told).append(words)
                    continue
                if turn["role"] == "agent":
                    cited = [units[name] for name in turn.get("knowledge", [])]
                    rules = [source(f"{unit['condition']}. {unit['content']}") for unit in cited]
                    yield turn, rules, list(told), list(said), turn.get("action") == "handoff"
                said.append(source(turn["text"]))

    def test_rules_as_written_are_backed_by_themselves(self):
        units = read("units.jsonl")
        objected = [
            claims(unit["content"], rules=[source(f"{unit['condition']}. {unit['content']}")])
            for unit in units
        ]
        assert len(units) == 146
        assert [each for each in objected if each] == []

    def test_false_objections_are_rare(self):
        objected = self.objected("good")
        assert len(objected) > 90
        assert sum(objected) <= 1

    def test_made_up_figures_are_caught(self):
        assert sum(self.objected("wrong")) >= 4
