"""What a callee's words come to: agreed to, unconfirmed, asked again, or dropped."""

from datetime import date

from django.test import SimpleTestCase

from agents.subagents import flow, intents, reporting, taking
from agents.subagents.cards import Fact, read_card
from agents.subagents.flow import State
from agents.subagents.readers import read
from agents.subagents.transports import Ear, Heard
from agents.subagents.values import in_words
from agents.subagents.wording import template_words

TODAY = date(2026, 3, 4)  # a Wednesday
READY = {"name": "ready_in", "question": "When is it ready?", "kind": "duration"}
COMPLETE = {"name": "complete", "question": "Is everything available?", "kind": "yes_no"}
AGAIN = {"name": "again", "question": "Can you cook it again?", "kind": "yes_no"}


class Call:
    """A call led by the flow; `said` are the callee's lines, after which they hang up."""

    def __init__(self, *said, facts=(READY, COMPLETE), **fields):
        whom = {"name": "Burger Yard"}
        self.card = read_card({"whom": whom, "why": "it is late", "facts": [*facts], **fields})
        self.state, self.words, lines = State(), [], list(said)
        while not self.state.over:
            move = flow.next_move(self.card, self.state)
            self.words.append(template_words(self.card, self.state, move))
            flow.note_said(self.state, move)
            if not self.state.over:
                heard = self.heard(lines.pop(0) if lines else None)
                number = 2 * len(self.words)
                taking.take(self.card, self.state, heard, line=number, today=TODAY)

    def heard(self, line):
        match line:
            case None:
                return Heard(Ear.HUNG_UP)
            case (text, confidence):
                return Heard(Ear.SPEECH, text, confidence=confidence)
        return Heard(Ear.SPEECH, line)

    @property
    def outcome(self):
        return flow.outcome_of(self.card, self.state)

    @property
    def summary(self):
        return reporting.summary(self.card, self.state, self.outcome)


class ConfirmingTests(SimpleTestCase):
    def test_a_no_to_the_reading_back_is_asked_again(self):
        call = Call("Hello?", "20 minutes", "Yes", "No, that's wrong", "30 minutes", "Yes", "Right")
        assert call.words[4] == "Let me ask once more: When is it ready?"
        assert call.outcome == "goal_reached"
        assert call.state.facts["ready_in"]["value"] == 1800

    def test_after_a_second_no_nothing_is_told(self):
        call = Call("Hello?", "20 minutes", "Yes", "No, wrong", "20 minutes", "Yes", "No!")
        assert (call.outcome, call.state.facts) == ("disputed", {})
        assert call.summary == "Burger Yard took back what they had said."

    def test_what_came_of_a_call_in_chinese_is_said_so(self):
        call = Call("喂", "20分钟", "是的", "不对", "20分钟", "是的", "不对！", language="zh")
        assert call.summary == "Burger Yard收回了说过的话。"
        call = Call("喂", "20分钟", None, language="zh")
        assert call.summary == (
            "Burger Yard的答复：“When is it ready?”——“20分钟”，但没有确认，因此还不能确定。"
            "其余的没有问到。"
        )

    def test_who_takes_it_back_and_says_why_is_not_told_as_having_agreed(self):
        why = "No, sorry, that is wrong, the fryer broke and we have closed"
        call = Call("Hello", "20 minutes", "Yes", why, "No!!", "No!!")
        assert "20 minutes" not in call.summary
        assert call.outcome != "goal_reached"

    def test_what_was_not_agreed_to_is_told_as_unconfirmed(self):
        ends = (["Hmm", "Right, but I am not sure at all"], [None], ["Who knows", "Bye"])
        for end in ends:
            call = Call("Hello?", "20 minutes", "Yes", *end)
            assert call.outcome == "unconfirmed", end
            assert "but did not confirm it: it is not certain." in call.summary

    def test_the_agent_is_given_as_facts_what_was_agreed_to_alone(self):
        for agreed, facts in (("Right", {"ready_in": "20 minutes", "complete": "Yes"}), (None, {})):
            call = Call("Hello?", "20 minutes", "Yes", agreed)
            result = reporting.outcome(call.card, call.state, []).result
            assert reporting.tell(result)["facts"] == facts

    def test_the_same_once_more_with_a_yes_agrees(self):
        assert Call("Hello?", "20 minutes", "Yes", "Yes, 20 minutes").state.agreed
        assert not Call("Hello?", "20 minutes", "Yes", "Yes, 30 minutes").state.agreed

    def test_what_was_understood_is_read_back_not_what_was_said(self):
        call = Call("Hello?", "An hour and 20 minutes, love", "No, sorry", "Right")
        assert "ready in: 1 hour 20 minutes; complete: no. Is that right?" in call.words[3]

    def test_silence_while_it_is_read_back_is_asked_about_and_ends_the_call(self):
        card = read_card({"whom": {"name": "B"}, "why": "x", "facts": [READY]})
        state = State()
        for heard in ("Hello?", "20 minutes", "", ""):
            flow.note_said(state, flow.next_move(card, state))
            ear = Ear.SPEECH if heard else Ear.SILENCE
            taking.take(card, state, Heard(ear, heard), line=2, today=TODAY)
            if state.hint == "silence" and not state.ended:
                assert flow.next_move(card, state) == flow.Move("still_there")
        assert flow.outcome_of(card, state) == "unconfirmed"


class WhoAnswersTests(SimpleTestCase):
    def test_what_another_shop_says_is_nobodys_answer(self):
        for said in (
            "No no, wrong number, this is a pharmacy",
            "We are not Burger Yard",
            "This is Napoli Due, not Burger Yard",
            "There's no Burger Yard here",
            "No, this is Napoli Uno, Burger Yard is next door. 20 minutes walk",
            "I think you misdialled",
            "You want the pizzeria next door",
        ):
            call = Call("Hello?", "20 minutes", said)
            assert (call.outcome, call.state.facts) == ("wrong_number", {}), said
            assert "wrong number" in call.words[-1]

    def test_in_chinese_too(self):
        for said in ("我们不是汉堡店", "你找错人了", "不是这个店", "您打错了", "没有绿厨房"):
            assert intents.of(said) == "wrong_number" or intents.denies(said, "绿厨房"), said

    def test_a_no_to_the_name_is_asked_about(self):
        call = Call("No.", "No")
        assert call.words[1] == "Am I speaking with Burger Yard?"
        assert call.outcome == "wrong_number"
        assert Call("No.", "Yes", "20 minutes", "Yes", "Yes").outcome == "goal_reached"

    def test_who_says_no_to_the_name_answers_nothing_else(self):
        call = Call("No, this is Napoli Uno. 20 minutes walk to the one you want")
        assert call.state.facts == {}

    def test_of_others_wrong_numbers_and_of_the_shop_itself_one_may_speak(self):
        for said in (
            "The driver had the wrong number",
            "This is not the first time",
            "Burger Yard is not open yet",
            "That is not Burger Yard's fault",
        ):
            assert intents.of(said) != "wrong_number"
            assert not intents.denies(said, "Burger Yard"), said


class NoAnswerTests(SimpleTestCase):
    """Words that name a figure or a no, and answer nothing: it is asked again."""

    def read(self, kind, text):
        fact = Fact("it", "?", kind, choices=("refund", "replace"))
        reading = read(fact, text, today=TODAY)
        return reading and reading.value

    def test_set_phrases_answer_nothing(self):
        for kind, text in (
            ("duration", "Call me back in 10 minutes, I'm busy"),
            ("duration", "Please call back in two hours"),
            ("duration", "Give me 5 minutes, I am serving somebody"),
            ("duration", "I'm busy, phone me in 20 minutes"),
            ("duration", "I'm busy for 20 minutes"),
            ("duration", "Hold on, two minutes please"),
            ("duration", "Damn, I'm busy, call back in 10 minutes"),
            ("duration", "20 minutes, hmm, hold on, I'm not sure"),
            ("duration", "我在忙,20分钟后再打"),
            ("duration", "稍等,给我5分钟"),
            ("duration", "What a day!"),
            ("number", "One moment please"),
            ("duration", "One minute, please"),
            ("number", "No one is here"),
            ("yes_no", "Okay, let me check with the chef"),
            ("yes_no", "I can't hear you"),
            ("yes_no", "This is not a good time"),
            ("yes_no", "No hablo inglés"),
            ("yes_no", "No need to call back"),
            ("yes_no", "No! Leave me alone"),
            ("yes_no", "不好意思"),
            ("yes_no", "对不起,请问什么事"),
            ("yes_no", "请稍等"),
            ("text", "Hold on please"),
            ("text", "No entiendo, no hablo inglés"),
            ("text", "Yes."),
        ):
            assert self.read(kind, text) is None, text

    def test_what_is_conditional_doubtful_or_contradicts_itself_is_not_read(self):
        for kind, text in (
            ("yes_no", "Yes, but only if the customer pays again"),
            ("yes_no", "Yes, everything except the soup"),
            ("yes_no", "Yes. The kitchen is closed now"),
            ("yes_no", "I think so, yes"),
            ("yes_no", "可能吧"),
            ("yes_no", "可以,但是要加钱"),
            ("duration", "20 minutes if the driver comes"),
            ("duration", "We can't make it in 20 minutes"),
            ("duration", "It left 10 minutes ago"),
            ("duration", "10 minutes. No, 15 minutes"),
            ("duration", "Did you say 20 minutes?"),
            ("duration", "an hour and a half"),
            ("duration", "如果骑手来,20分钟"),
            ("duration", "About 40 minutes, but the oven broke"),
            ("duration", "I'm busy, but about 40 minutes if the driver comes"),
            ("duration", "Hold on, we can't make it in 20 minutes"),
            ("number", "two. No, three"),
            ("money", "It was $30, but sending again is free"),
            ("date", "today, not tomorrow"),
            ("date", "Monday or Tuesday"),
            ("choice", "We would never refund such a thing"),
            ("choice", "We can neither replace nor anything"),
            ("choice", "Refund, if the boss agrees"),
        ):
            assert self.read(kind, text) is None, text

    def test_plain_answers_are_read_whatever_surrounds_them(self):
        for kind, text, value in (
            ("duration", "We're very busy today, so 40 minutes", 2400),
            ("duration", "You'll have to wait 20 minutes", 1200),
            ("duration", "I'm busy, 20 minutes", 1200),
            ("duration", "Sorry, I'm a bit busy, but about 40 minutes", 2400),
            ("duration", "About 40 minutes, but I'm busy", 2400),
            ("duration", "I'm busy, you'll have to wait 20 minutes", 1200),
            ("duration", "20 minutes, give me a second", 1200),
            ("duration", "hold on... 15 minutes", 900),
            ("duration", "Can you hold on? 15 minutes", 900),
            ("duration", "我在忙,20分钟", 1200),
            ("duration", "稍等,但是要等20分钟", 1200),
            ("number", "One moment please. Twelve", 12),
            ("duration", "No more than 20 minutes", 1200),
            ("duration", "20 minutes, damn it", 1200),
            ("duration", "1 hour and 20 minutes", 4800),
            ("duration", "不用担心,20分钟", 1200),
            ("number", "twenty five portions", 25),
            ("number", "Just one", 1),
            ("yes_no", "Fine. No, sorry. Are we done?", False),
            ("yes_no", "No worries, yes, we can", True),
            ("yes_no", "不好意思,可以的", True),
            ("yes_no", "不用担心,可以重做", True),
            ("yes_no", "差不多可以", True),
            ("yes_no", "不好意思,不行", False),
            ("yes_no", "没错", True),
            ("choice", "Not a refund, but we replace it", "replace"),
            ("text", "The driver took the wrong bag", "The driver took the wrong bag"),
        ):
            assert self.read(kind, text) == value, text

    def test_the_whole_answer_is_the_proof(self):
        text = "No sorry, that was another order. Yours is cancelled. Anything else?"
        reading = read(Fact("it", "?", "yes_no"), text, today=TODAY)
        assert reading.said == "No sorry, that was another order. Yours is cancelled."

    def test_a_condition_stays_with_the_answer_that_is_read_at_last(self):
        call = Call("Hello?", "Yes, but only if they pay again", "Yes", "Yes", facts=[AGAIN])
        assert call.summary == (
            "Burger Yard answered “Yes, but only if they pay again … Yes” to "
            "“Can you cook it again?”."
        )

    def test_who_asks_for_a_moment_is_given_it(self):
        call = Call("Hello?", "Let me check with the chef", "20 minutes", "Yes", "Right")
        assert call.words[2] == "Of course, take your time."
        assert call.outcome == "goal_reached"
        assert call.state.facts["ready_in"]["value"] == 1200

    def test_who_asks_to_be_called_back_is_not_quoted(self):
        call = Call("Hello?", "Call me back in 10 minutes, I'm busy", facts=[READY])
        assert (call.state.ended, call.state.facts) == ("call_back", {})

    def test_who_is_busy_and_answers_is_not_hung_up_on(self):
        for said in ("I'm busy, 20 minutes", "20 minutes, give me a second"):
            call = Call("Hello?", said, "Yes", "Right")
            assert call.state.facts["ready_in"]["value"] == 1200, said
            assert call.outcome == "goal_reached", said

    def test_who_is_busy_before_anything_was_asked_says_when_to_call(self):
        call = Call("I'm busy, 20 minutes")
        assert (call.state.ended, call.state.facts) == ("call_back", {})

    def test_who_says_wait_corrects_what_is_read_back(self):
        call = Call("Hello?", "20 minutes", "Hold on, 30 minutes", "Right", facts=[READY])
        assert call.state.facts["ready_in"]["value"] == 1800

    def test_the_model_may_not_leave_out_half(self):
        card = read_card({"whom": {"name": "B"}, "why": "x", "facts": [READY, AGAIN]})
        for heard, claim in (
            ("20 minutes if the driver comes", {"ready_in": "20 minutes"}),
            ("Yes, speaking", {"again": "Yes"}),
            ("Call me in 20 minutes, I'm busy", {"ready_in": "20 minutes"}),
            ("I'm busy, 20 minutes", {"ready_in": "20 minutes"}),
        ):
            assert taking.accept(card, State(), claim, heard, line=2, today=TODAY) == [], heard


class UnclearTests(SimpleTestCase):
    """A recogniser that is not sure of what it heard."""

    def test_what_was_hardly_heard_is_asked_again(self):
        call = Call("Hello?", ("yes", 0.03), "No", "Right", facts=[COMPLETE])
        assert call.words[2].startswith("Let me ask once more")
        assert call.state.facts["complete"]["value"] is False

    def test_it_agrees_to_nothing_and_denies_nothing(self):
        call = Call("Hello?", "Yes", ("yes", 0.2), ("no", 0.2), facts=[COMPLETE])
        assert call.outcome == "unconfirmed"

    def test_a_wish_to_be_left_alone_is_noted_all_the_same(self):
        call = Call("Hello?", ("Never call us again", 0.3), facts=[COMPLETE])
        assert call.state.unwanted
        assert call.state.ended != flow.NEVER


class NeverAgainTests(SimpleTestCase):
    def test_many_ways_to_say_it(self):
        for said in (
            "You must not call us again",
            "No more calls, please",
            "Please stop these calls",
            "Do not contact us again",
            "Don't you ever call here again",
            "Please don't call us",
            "I don't want to be called again",
            "I asked you not to call",
            "Never again call us",
            "别打了",
            "不要再联系我们",
            "请勿再来电",
            "不要给我打电话了",
            "No me llamen más",
            "No vuelva a llamar",
            "Ne m'appelez plus",
            "Rufen Sie hier nie wieder an!",
            "Keine Anrufe mehr",
        ):
            assert intents.of(said) == intents.NEVER, said

    def test_in_doubt_it_is_for_people_to_decide(self):
        for said in (
            "don't call back, I'll be there",
            "Don't call me again before noon",
            "You don't have to call again",
            "今天别打了",
            "今天不要再打电话",
        ):
            assert intents.of(said) == intents.UNWANTED, said

    def test_what_is_about_something_else_is_neither(self):
        for said in (
            "Don't call the customer, we will",
            "不要打包",
            "不用打折",
            "no calls came in",
        ):
            assert intents.of(said) == "", said

    def test_who_does_not_want_it_is_told_of_as_nothing_else(self):
        call = Call("Hello?", "20 minutes", "Yes. And never call us again")
        assert (call.outcome, call.state.facts) == ("never_again", {})


class ValueTests(SimpleTestCase):
    def test_values_have_their_units(self):
        for kind, value, words in (
            ("duration", 1500, "25 minutes"),
            ("duration", 3660, "1 hour 1 minute"),
            ("money", {"amount": 12.5, "currency": "USD"}, "12.50 dollars"),
            ("money", {"amount": 20, "currency": "CNY"}, "20 yuan"),
            ("date", "2026-12-03", "3 December 2026"),
            ("time", "19:30", "19:30"),
            ("number", 12, "12"),
            ("yes_no", False, "no"),
            ("text", "The oven broke.", "The oven broke"),
        ):
            assert in_words(kind, value) == words
        assert in_words("duration", 5400, "zh") == "1小时30分钟"
        assert in_words("yes_no", True, "zh") == "是"
