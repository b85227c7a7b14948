"""The calling agent without a database: cards, readers, moves, words, score."""

import asyncio
import json
from datetime import date
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.test import SimpleTestCase

from agents.subagents import (
    REGISTRY,
    GaveUp,
    Said,
    TryAgain,
    cards,
    flow,
    intents,
    outbound,
    taking,
)
from agents.subagents.callees import Temper, make_sheet
from agents.subagents.cards import Fact, fill, read_card
from agents.subagents.flow import Move, State
from agents.subagents.readers import read
from agents.subagents.transports import (
    FACTORIES,
    Ear,
    Heard,
    LocalTransport,
    Opened,
    Spoken,
    transport_for,
)
from agents.subagents.wording import objection, read_action, template_words, words_for
from tests.engine import Answer, EngineMixin

TODAY = date(2026, 3, 4)  # a Wednesday
CARD = {
    "whom": {"name": "Bangkok Corner", "address": "simulated:cooperative"},
    "why": "order GW1001 is late",
    "facts": [
        {"name": "ready_in", "question": "In how many minutes is it ready?", "kind": "duration"},
        {"name": "replace", "question": "Can you replace a missing dish?", "kind": "yes_no"},
    ],
    "offers": [{"name": "wait", "words": "We can ask the customer to wait."}],
}


class MemoryWork:
    """A job that is kept in memory: what the database does is tested elsewhere."""

    def __init__(self, card, release=None, attempt=1, most_attempts=1):
        self.job, self.key, self.arguments = uuid4(), "key", card
        self.memory, self.lines, self.release = {}, [], release
        self.attempt, self.most_attempts = attempt, most_attempts
        self.progress = []

    async def money_left(self):
        return None

    async def keep(self, *, memory, lines=(), progress=None, tokens=(0, 0), heard=None):
        self.memory = json.loads(json.dumps(memory))  # what can't be stored fails here
        for line in lines:
            self.lines.append(Said(line.speaker, line.text, line.data, len(self.lines) + 1))
        if progress:
            self.progress.append(progress)


def call(address="simulated:cooperative", **fields):
    work = MemoryWork({**CARD, "whom": {"name": "Bangkok Corner", "address": address}}, **fields)
    return work, asyncio.run(outbound.call(work))


class ReaderTests(SimpleTestCase):
    def check(self, kind, text, value, said=None, **fields):
        reading = read(Fact("it", "What?", kind, **fields), text, today=TODAY)
        assert (reading and reading.value) == value, (text, reading)
        if said:
            assert reading.said == said

    def test_durations_in_seconds_and_of_a_range_the_longest(self):
        self.check("duration", "About 25 minutes.", 1500, "About 25 minutes.")
        self.check("duration", "15 to 20 minutes", 1200, "15 to 20 minutes")
        self.check("duration", "大概30分钟", 1800)
        self.check("duration", "Soon.", None)

    def test_numbers_in_digits_and_words(self):
        self.check("number", "We have 12 left", 12)
        self.check("number", "three, I think", 3)
        self.check("number", "a few", None)

    def test_money_with_its_currency(self):
        self.check("money", "That is $12.50", {"amount": 12.5, "currency": "USD"})
        self.check("money", "5元", {"amount": 5, "currency": "CNY"})

    def test_times(self):
        self.check("time", "at 7:30 pm", "19:30")

    def test_dates_named_or_relative(self):
        self.check("date", "on 3 December", "2026-12-03")
        self.check("date", "1 March", "2027-03-01")
        self.check("date", "2026-05-06", "2026-05-06")
        self.check("date", "tomorrow", "2026-03-05")
        self.check("date", "the day after tomorrow", "2026-03-06")
        self.check("date", "Wednesday", "2026-03-11")
        self.check("date", "明天", "2026-03-05")
        self.check("date", "30 February", None)

    def test_yes_and_no(self):
        self.check("yes_no", "No problem!", True)
        self.check("yes_no", "Unfortunately we can't", False)
        self.check("yes_no", "没有", False)
        self.check("yes_no", "可以的", True)
        self.check("yes_no", "I don't know", None)
        self.check("yes_no", "I can't tell you that", None)

    def test_one_choice_that_is_not_denied(self):
        choices = ("beef", "fish")
        self.check("choice", "The fish, please", "fish", choices=choices)
        self.check("choice", "Not the beef, but fish", "fish", choices=choices)
        self.check("choice", "beef or fish", None, choices=choices)

    def test_free_text_is_no_set_phrase(self):
        self.check("text", "The oven broke. And you?", "The oven broke.")
        self.check("text", "Pardon?", None)
        self.check("text", "It depends.", None)

    def test_every_kind_of_fact_has_a_reader(self):
        from agents.subagents.readers import READERS

        assert set(READERS) == set(cards.KINDS)


class IntentTests(SimpleTestCase):
    def test_set_phrases(self):
        said = {
            "Sorry, wrong number": intents.WRONG_NUMBER,
            "That’s none of your business": intents.REFUSAL,
            "Can you call back later": intents.BUSY,
            "Who is this?": intents.WHO,
            "Stop calling us": intents.NEVER,
            "Please don't call me again.": intents.NEVER,
            "Never call this number again!": intents.NEVER,
            "Take us off your list": intents.NEVER,
            "Wrong number, and do not ring here any more": intents.NEVER,
            "不要再打了": intents.NEVER,
            "以后别给我打电话": intents.NEVER,
            "Don't call me again before noon": intents.UNWANTED,
            "Don't call the kitchen again": "",
            "How dare you": intents.ANGRY,
            "您打错了": intents.WRONG_NUMBER,
            "In ten minutes": "",
        }
        assert {text: intents.of(text) for text in said} == said


class CardTests(SimpleTestCase):
    def test_a_plan_is_filled_and_what_is_unknown_stays_empty(self):
        card = fill({"why": "{a} and {b}", "facts": [{"question": "{a}?"}]}, {"a": "x {b}"})
        assert card == {"why": "x {b} and", "facts": [{"question": "x {b}?"}]}

    def test_a_card_outside_the_schema_is_refused(self):
        for wrong in ({}, {**CARD, "facts": []}, {**CARD, "extra": 1}):
            with pytest.raises(GaveUp, match="goal card"):
                read_card(wrong)
        choice = {"name": "x", "question": "?", "kind": "choice"}
        with pytest.raises(GaveUp, match="choices"):
            read_card({**CARD, "facts": [choice]})

    def test_an_address_without_a_line_is_refused(self):
        card = read_card({**CARD, "whom": {"name": "x", "address": "pigeon:7"}})
        with pytest.raises(GaveUp, match="no line for pigeon:"):
            transport_for(MemoryWork(CARD), card)


class CallTests(SimpleTestCase):
    def test_a_cooperative_callee_tells_everything_with_proof(self):
        work, outcome = call()
        result = outcome.result
        assert result["outcome"] == "goal_reached"
        assert REGISTRY["outbound_call"].wrong_result(result) == ""
        for fact in result["facts"].values():
            proof = work.lines[fact["line"] - 1]
            assert proof.speaker == "callee"
            assert fact["said"] in proof.text
        assert "that's right" in work.lines[result["commitment"]["line"] - 1].text
        assert result["score"] == 100
        assert work.progress == ["Talking with Bangkok Corner", "Reading back what was said"]

    def test_the_tempers_come_out_as_they_are(self):
        outcomes = {temper: call(f"simulated:{temper}")[1].result for temper in Temper}
        named = {str(temper): result["outcome"] for temper, result in outcomes.items()}
        assert named == {
            "cooperative": "goal_reached",
            "terse": "goal_reached",
            "evasive": "goal_reached",
            "angry": "goal_reached",
            "talkative": "goal_reached",
            "wrong_number": "wrong_number",
            "no_answer": "no_answer",
        }
        assert outcomes["wrong_number"]["score"] < 50 < outcomes["angry"]["score"]

    def test_the_same_seed_is_the_same_call(self):
        texts = [[line.text for line in call("simulated:terse?seed=4")[0].lines] for _ in "12"]
        assert texts[0] == texts[1]
        facts = read_card(CARD).facts
        sheets = {tuple(entry.answer for entry in make_sheet(facts, seed)) for seed in range(9)}
        assert len(sheets) > 1

    def test_nobody_simulated_by_that_name(self):
        for address in ("simulated:nice", "simulated:terse?seed=x"):
            with pytest.raises(GaveUp, match="Nobody simulated"):
                call(address)

    def test_no_answer_is_tried_again_first(self):
        with pytest.raises(TryAgain, match="does not answer"):
            call("simulated:no_answer", most_attempts=2)

    def test_it_goes_on_in_another_process_after_every_line(self):
        whole, _ = call("simulated:evasive")
        for stop in range(1, len(whole.lines)):
            work = MemoryWork({**CARD, "whom": {"name": "B", "address": "simulated:evasive"}})
            stopped = _StoppingWork(work, stop)
            with pytest.raises(KeyboardInterrupt):
                asyncio.run(outbound.call(stopped))
            work.attempt = 2
            outcome = asyncio.run(outbound.call(work))
            assert outcome.result["outcome"] == "goal_reached", stop
            questions = [line.text for line in work.lines if line.speaker == "agent"]
            greetings = [text for text in questions if text.startswith("Hello, this is")]
            assert len(greetings) == 1, stop

    def test_chinese(self):
        card = {**CARD, "language": "zh", "why": "订单晚了", "for_whom": "绿道"}
        card["facts"] = [{"name": "ready", "question": "还要多少分钟?", "kind": "duration"}]
        work = MemoryWork(card)
        outcome = asyncio.run(outbound.call(work))
        assert outcome.result["outcome"] == "goal_reached"
        assert "自动语音助手" in work.lines[0].text
        said = outcome.result["facts"]["ready"]["said"].rstrip(".。")
        name = card["whom"]["name"]
        assert outcome.result["summary"] == f"{name}的答复：“还要多少分钟?”——“{said}”。"


class _StoppingWork:
    """Dies as a killed process does, after a number of stored lines."""

    def __init__(self, work, stop):
        self._work, self._stop = work, stop

    def __getattr__(self, name):
        return getattr(self._work, name)

    async def keep(self, **fields):
        await self._work.keep(**fields)
        if len(self._work.lines) >= self._stop:
            raise KeyboardInterrupt


class FlowTests(SimpleTestCase):
    def setUp(self):
        self.card, self.state = read_card(CARD), State()

    def hear(self, text, ear=Ear.SPEECH):
        return taking.take(self.card, self.state, Heard(ear, text), line=9, today=TODAY)

    def say(self):
        move = flow.next_move(self.card, self.state)
        flow.note_said(self.state, move)
        return move.kind, move.about

    def test_silence_is_asked_about_and_then_ends_the_call(self):
        self.say()
        self.hear("", Ear.SILENCE)
        assert self.say()[0] == "still_there"
        self.hear("", Ear.SILENCE)
        assert self.say()[0] == "goodbye"
        assert flow.outcome_of(self.card, self.state) == "silent"

    def test_refusals_get_the_offer_and_then_end_the_call(self):
        self.say()
        self.hear("Yes?")
        assert self.say() == ("ask", "ready_in")
        self.hear("I can't tell you.")
        assert self.say() == ("offer", "wait")
        self.hear("I won't say.")
        assert self.say()[0] == "goodbye"
        assert flow.outcome_of(self.card, self.state) == "refused"

    def test_yes_to_an_offer_answers_no_question(self):
        self.say()
        self.hear("Yes?")
        self.say()
        self.hear("20 minutes")
        assert self.say() == ("ask", "replace")
        self.hear("I'd rather not say")
        assert self.say()[0] == "offer"
        self.hear("Yes")
        assert "replace" not in self.state.facts
        assert self.say() == ("ask_again", "replace")

    def test_a_correction_while_reading_back_counts(self):
        for words in ("Yes?", "20 minutes", "yes"):
            self.say()
            self.hear(words)
        assert self.say()[0] == "confirm"
        self.hear("No, 30 minutes")
        assert self.state.facts["ready_in"]["value"] == 1800
        assert not self.state.agreed
        assert self.say()[0] == "confirm"
        self.hear("Right.")
        assert self.say()[0] == "goodbye"
        assert self.state.agreed

    def test_who_asks_who_is_calling_is_told(self):
        self.say()
        self.hear("Who is this?")
        assert self.say()[0] == "explain"

    def test_the_call_is_no_longer_than_the_card_permits(self):
        self.card = read_card({**CARD, "most_exchanges": 3})
        kinds = []
        while not self.state.over:
            kinds.append(self.say()[0])
            if not self.state.over:
                self.hear("Hmm")
        assert len(kinds) == 4
        assert flow.outcome_of(self.card, self.state) == "too_long"

    def test_who_hangs_up_ends_it_and_what_they_said_stays(self):
        self.say()
        self.hear("20 minutes, bye")
        self.hear("", Ear.HUNG_UP)
        assert self.state.over
        assert flow.outcome_of(self.card, self.state) == "unconfirmed"

    def test_the_model_is_believed_only_where_the_callee_said_it(self):
        claims = {"ready_in": "20 minutes", "replace": "yes", "other": "x"}
        heard = "It will be 20 minutes from now"
        taken = taking.accept(self.card, self.state, claims, heard, line=2, today=TODAY)
        assert taken == ["ready_in"]


class WordingTests(EngineMixin, SimpleTestCase):
    databases = "__all__"

    def setUp(self):
        super().setUp()
        from agents.models import ModelVersion, Release

        self.card, self.state = read_card(CARD), State()
        version = ModelVersion(name="m")
        self.work = MemoryWork(CARD, release=Release(name="r", version=version))
        self.move = Move("ask", "ready_in")

    def words(self, say="In how many minutes is it ready, please?", **fields):
        action = {"say": say, "facts": {}, "offer": "", "stop": "", **fields}
        self.engine.will(Answer(json.dumps(action)))
        return asyncio.run(words_for(self.work, self.card, self.state, self.move))

    def test_the_models_words_are_said_when_they_keep_to_the_card(self):
        words = self.words()
        assert (words.by, words.say) == ("model", "In how many minutes is it ready, please?")
        assert words.tokens == (7, 5)
        schema = self.engine.requests[0]["response_format"]["json_schema"]["schema"]
        assert schema["properties"]["offer"] == {"enum": [""]}

    def test_offers_outside_the_card_are_refused(self):
        words = self.words(offer="refund")
        assert words.by == "template"
        assert words.why == "offers refund, which the card does not permit"
        assert self.words(offer="wait").why == "offers wait, which is not due"

    def test_promises_and_figures_of_its_own_are_refused(self):
        ask = "In how many minutes is it ready?"
        self.state.withheld = -9
        assert "promises beyond the card: refund" in self.words(f"We will refund you. {ask}").why
        assert self.words(f"We pay $20. {ask}").why == "says $20, which nobody did"
        self.work.lines.append(Said("callee", "It costs $20"))
        assert self.words(f"So it is $20. {ask}").by == "model"

    def test_unusable_json_and_a_silent_engine_fall_back(self):
        self.engine.will(Answer("{not json"), Answer(status=500), Answer(status=500))
        for why in ("unusable JSON", "the engine did not answer in time"):
            words = asyncio.run(words_for(self.work, self.card, self.state, self.move))
            assert (words.by, words.why) == ("template", why)
            assert "In how many minutes" in words.say

    def test_a_slow_engine_keeps_nobody_waiting(self):
        self.engine.will(Answer("{}", delay=0.3))
        with patch("agents.subagents.wording.WORDING_SECONDS", 0.05):
            words = asyncio.run(words_for(self.work, self.card, self.state, self.move))
        assert words.why == "the engine did not answer in time"

    def test_by_voice_it_is_waited_for_less(self):
        self.engine.will(Answer("{}", delay=0.3))
        with patch("agents.subagents.wording.SPOKEN_SECONDS", 0.05):
            words = asyncio.run(
                words_for(self.work, self.card, self.state, self.move, by_voice=True)
            )
        assert words.why == "the engine did not answer in time"

    def test_a_model_that_is_withheld_twice_is_not_asked_again(self):
        for _ in range(2):
            self.words("How are you today?")
        assert self.words().why == "its words were withheld before"
        assert len(self.engine.requests) == 2

    def test_another_question_than_the_steps_is_refused(self):
        assert self.words("How are you today?").why == "asks something else"
        self.state.withheld = 0
        assert self.words("In how many minutes is it ready.").why == "asks nothing"

    def test_offers_and_readings_back_are_never_the_models(self):
        self.move = Move("confirm")
        self.state.facts = {"ready_in": {"value": 60, "said": "1 minute.", "line": 2}}
        words = asyncio.run(words_for(self.work, self.card, self.state, self.move))
        assert words.say == "So, to be sure: ready in: 1 minute. Is that right?"
        assert not self.engine.requests

    def test_what_the_card_says_may_be_said(self):
        move, step = Move("greet"), template_words(self.card, self.state, Move("greet"))
        assert objection(step, "", card=self.card, move=move, step=step, lines=[]) == ""
        assert read_action("[]", self.card) is None


class InterruptingLine:
    """A spoken line: it is interrupted once, and it dies with its process."""

    outlives_process = False

    def __init__(self, opened=Opened.ANSWERED):
        self.opened, self.said, self.hung_up = opened, [], False

    async def open(self):
        return self.opened

    async def say(self, text):
        self.said.append(text)
        return Spoken(text[:12], interrupted=len(self.said) == 1)

    async def hear(self, seconds, after=0):
        return Heard(Ear.SPEECH, "You have the wrong number", confidence=0.8)

    async def hang_up(self):
        self.hung_up = True

    async def release(self):
        """Nothing is held."""


class LineTests(SimpleTestCase):
    def on(self, line, **fields):
        FACTORIES["tested"] = lambda work, card: line
        self.addCleanup(FACTORIES.pop, "tested")
        return call("tested:1", **fields)

    def test_an_interruption_stands_in_the_transcript(self):
        line = InterruptingLine()
        work, outcome = self.on(line)
        assert work.lines[1].text == "Interrupted after: Hello, this "
        assert work.lines[2].data == {"confidence": 0.8}
        assert outcome.result["outcome"] == "wrong_number"
        assert line.hung_up

    def test_after_a_dead_process_it_dials_again_and_says_so(self):
        line = InterruptingLine()
        FACTORIES["tested"] = lambda work, card: line
        self.addCleanup(FACTORIES.pop, "tested")
        work = MemoryWork({**CARD, "whom": {"name": "Bangkok Corner", "address": "tested:1"}})
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(outbound.call(_StoppingWork(work, 1)))
        asyncio.run(outbound.call(work))
        assert [entry.text for entry in work.lines][1] == "The line was cut off."
        assert "we were cut off" in line.said[0]

    def test_a_machine_gets_a_message(self):
        line = InterruptingLine(Opened.VOICEMAIL)
        _, outcome = self.on(line)
        assert "We will call again" in line.said[0]
        assert outcome.result["outcome"] == "voicemail"
        assert "a message was left" in outcome.result["summary"]

    def test_a_local_callee_who_says_nothing_is_silence(self):
        class Mute:
            def opens(self):
                return Opened.ANSWERED

            def answer(self, said):
                return ""

        FACTORIES["tested"] = lambda work, card: LocalTransport(Mute(), patience=0.01)
        self.addCleanup(FACTORIES.pop, "tested")
        _, outcome = call("tested:1")
        assert outcome.result["outcome"] == "silent"


class CutOffTests(SimpleTestCase):
    """What is said again to somebody who interrupted it."""

    def state_after(self, move, share, exchanges=0):
        state = State(exchanges=exchanges)
        flow.note_said(state, move)
        flow.note_cut_off(state, move, share)
        return state

    def test_a_greeting_nobody_heard_is_said_again(self):
        card = read_card(CARD)
        assert flow.next_move(card, self.state_after(Move("greet"), 0.2)) == Move("greet")
        assert flow.next_move(card, self.state_after(Move("greet"), 0.8)) != Move("greet")

    def test_a_question_nobody_heard_was_not_asked(self):
        assert self.state_after(Move("ask", "ready_in"), 0.2).asked == {"ready_in": 0}
        assert self.state_after(Move("ask", "ready_in"), 0.6).asked == {"ready_in": 1}

    def test_a_reading_back_nobody_heard_does_not_count(self):
        assert self.state_after(Move("confirm"), 0.0).confirmed == 0

    def test_who_interrupts_everything_is_not_asked_for_ever(self):
        state = self.state_after(Move("ask", "ready_in"), 0.0, flow.CUT_OFF_AT_MOST)
        assert state.asked == {"ready_in": 1}
