"""News in the agent's words: what they may say, what they cost, and when they are not asked for."""

from decimal import Decimal
from unittest.mock import patch

import pytest
from django.test import TestCase, override_settings

from agents import engines
from dialogues import tasks
from dialogues.costs import capping, costing
from dialogues.models import EventKind, Outcome, Role
from dialogues.proactive.wording import may_be_said
from tests.dialogues.policies import handled, make_chat, make_event, make_policy
from tests.engine import EngineMixin, says
from tests.factories import make_release, make_user, make_version, say

TEXT = "Your order GW1002 is 45 minutes late."
WORDS = "Sorry, your order GW1002 is 45 minutes late. Thank you for your patience!"


@override_settings(QUIET_FROM_HOUR=0, QUIET_UNTIL_HOUR=0)
class WordingTests(EngineMixin, TestCase):
    def told(self, *answers, version=None, **chat):
        make_release(live=True, version=version or make_version())
        make_policy(wording="agent")
        self.chat = make_chat(**chat)
        say(self.chat, "Hello")
        self.engine.will(*answers)
        self.decision = handled(make_event())
        tasks.decide_contact(self.decision.pk)
        self.decision.refresh_from_db()
        agent = self.chat.events.filter(kind=EventKind.MESSAGE, role=Role.AGENT)
        return list(agent.values_list("text", flat=True))

    def test_the_agent_says_it_in_its_words(self):
        assert self.told(says(WORDS)) == [WORDS]
        prompt = self.engine.requests[0]["messages"][-1]["content"]
        assert TEXT in prompt

    def test_a_chat_in_which_the_agent_has_spoken_is_told_in_its_words_too(self):
        assert self.told(says(WORDS), release=make_release()) == [WORDS]

    def test_other_figures_are_refused(self):
        assert self.told(says("GW1002 comes in 5 minutes, and you get $10.")) == [TEXT]

    def test_only_a_reply_is_said(self):
        assert self.told(says(WORDS, name="handoff")) == [TEXT]

    def test_without_an_engine_it_is_said_as_written(self):
        with patch.object(engines, "stream", side_effect=engines.EngineUnavailable("down")):
            assert self.told(says("")) == [TEXT]
        assert self.decision.cost == 0

    def test_its_cost_is_kept_with_the_decision_and_taken_off_what_caps_leave(self):
        self.told(says(WORDS), version=make_version(input_price=1000, output_price=1000))
        decision = self.decision
        assert decision.outcome == Outcome.SENT
        tokens = decision.prompt_tokens + decision.completion_tokens
        assert min(decision.prompt_tokens, decision.completion_tokens) > 0
        assert decision.cost == Decimal(tokens) / 1000
        with self.settings(CONVERSATION_CAP_CENTS=100_000):
            assert capping.money_left(self.chat) == 1000 - decision.cost
            assert capping.money_left(None) is None
        with self.settings(DAY_CAP_CENTS=100_000):
            assert capping.money_left(None) == 1000 - decision.cost

        spending = costing.spending_since(make_user("admin"), decision.created_at)
        for share in (costing.whole(spending), *costing.by_group(spending, "subagent")):
            assert (share.cost, share.tokens) == (decision.cost, tokens)
        assert costing.dearest(spending) == [(self.chat, decision.cost)]

    def test_words_that_are_not_said_cost_too(self):
        dear = make_version(input_price=1000, output_price=1000)
        assert self.told(says("GW1002 comes.", name="handoff"), version=dear) == [TEXT]
        assert self.decision.cost > 0

    @override_settings(DAY_CAP_CENTS=1)
    def test_above_a_cap_it_is_said_as_written(self):
        with patch.object(capping, "_spent", return_value=Decimal(1)):
            assert self.told(says(WORDS)) == [TEXT]
        assert self.engine.requests == []


LOST = "The shop could not find your parcel. It is lost."
REFUSED = "Your refund for order GW1 was refused."
CLOSED = "Your order GW1002 can not be delivered today. The shop has closed."
MOVED = "Your table is at 18:45 instead of 18:15."
HOUR = "Your order GW1 is late, I am sorry. It arrives within an hour; you need not do anything."
ZH = "您的订单 GW1002 今天不能送达，商家已关门。"


@pytest.mark.parametrize(
    ("plain", "said", "keeps"),
    [
        (LOST, "I'm sorry: the shop could not find your parcel, so it is lost.", True),
        (LOST, "I'm sorry it's lost. A colleague can find it for you.", False),
        (LOST, f"{LOST} We will refund your money.", False),
        (LOST, f"{LOST} We will call you tomorrow.", False),
        (REFUSED, "I'm sorry, your refund for order GW1 was refused.", True),
        (REFUSED, "Your refund for order GW1 was issued. We have sent you a voucher.", False),
        (TEXT, "Your order GW1002 is late.", False),
        # One small word turns it round.
        (CLOSED, "Your order GW1002 can be delivered today. The shop has not closed.", False),
        (CLOSED, "Your order GW1002 can't be delivered today. The shop has closed.", True),
        (CLOSED, "Your order GW1002 can be delivered today. The shop hasn't closed.", False),
        (CLOSED, f"{CLOSED} It can be delivered today after all.", False),
        (CLOSED, f"It isn't true that: {CLOSED}", False),
        (CLOSED, f"If you like: {CLOSED}", False),
        (CLOSED, "The shop has closed. Your order GW1002 can not be delivered today.", False),
        (MOVED, "Your table is at 18:15 instead of 18:45.", False),
        (MOVED, "I'm so sorry, but your table is at 18:45 instead of 18:15. Thank you!", True),
        (MOVED, "Your table is at 18:45. It is not at 18:15.", False),
        (TEXT, "Your order GW1002 is 45 minutes early.", False),
        (TEXT, "Your order GW1002 is only 45 minutes late.", False),
        (TEXT, "Your order GW1002 is 45 minutes late. It comes within 2 hours.", False),
        (TEXT, "Maybe your order GW1002 is 45 minutes late.", False),
        (TEXT, "Your order GW1002 is 45 minutes late at most.", False),
        (HOUR, "I'm really sorry: your order GW1 is late. It arrives within an hour, so you need "
         "not do anything. Thank you for your patience!", True),
        (HOUR, "Your order GW1 is late. It arrives within an hour; you need do anything.", False),
        (ZH, "很抱歉，您的订单 GW1002 今天不能送达，商家已关门。感谢您的耐心。", True),
        (ZH, "您的订单GW1002今天能送达，商家没有关门。", False),
        (ZH, "您的订单 GW1002 今天能送达，商家不已关门。", False),
        (ZH, "您的订单 GW1002 今天不能送达，商家已关门。商家又开门，可以送达。", False),
        ("晚到20分钟，原定18:15，现为18:45。", "晚到20分钟，原定18:45，现为18:15。", False),
    ],
)  # fmt: skip
def test_words_keep_to_what_was_written(plain, said, keeps):
    assert may_be_said(plain, said) is keeps
