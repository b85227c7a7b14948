"""Drafts for the desk: by the engine where one answers, else by what is written; never invented."""

import json

from asgiref.sync import sync_to_async
from django.test import TestCase, TransactionTestCase

from dialogues import answering, services, tasks
from dialogues.desk import control, drafting
from dialogues.models import DraftKind, DraftSource, EventKind
from knowledge.models import JobState
from tests.engine import Answer, EngineMixin, calls, says
from tests.factories import (
    make_conversation,
    make_published_unit,
    make_release,
    make_scene,
    make_tool,
    make_user,
    say,
)

DOWN = Answer(status=400)


class DraftCase(EngineMixin, TransactionTestCase):
    def setUp(self):
        super().setUp()
        self.scene = make_scene()
        self.ana = make_user("operator", [self.scene])
        self.release = make_release(live=True)
        self.conversation = make_conversation(scene=self.scene)
        say(self.conversation, "Where is my order?")

    def draft(self, kind=DraftKind.REPLY):
        self.conversation.refresh_from_db()
        draft = drafting.start(conversation=self.conversation, kind=kind, by=self.ana)
        tasks.draft(draft.job_id)
        draft.refresh_from_db()
        return draft


class ReplyTests(DraftCase):
    def test_it_is_what_the_agent_would_say(self):
        self.engine.will(says("It comes soon."))
        draft = self.draft()
        assert (draft.text, draft.source) == ("It comes soon.", DraftSource.ENGINE)
        assert (draft.release, draft.job.state) == (self.release.name, JobState.DONE)
        assert "Where is my order?" in json.dumps(self.engine.requests[0]["messages"])
        assert self.conversation.events.count() == 1  # the customer saw nothing of it

    def test_it_is_written_with_the_release_that_has_answered_before(self):
        self.conversation.release = self.release
        self.conversation.save()
        make_release(live=True)
        self.engine.will(says("It comes soon."))
        draft = self.draft()
        assert (draft.text, draft.release) == ("It comes soon.", self.release.name)
        assert draft.job.state == JobState.DONE

    def test_a_tool_is_named_but_not_called(self):
        make_tool(name="look_up")
        self.release = make_release(live=True, tools=["look_up"])
        self.engine.will(calls("look_up", reply="I'll look it up.", id="7"))
        say(self.conversation, "It is number 7")
        assert self.draft().text == "I'll look it up."

    def test_without_an_engine_the_best_rule_as_written(self):
        make_published_unit(
            scene=self.scene, condition="Where is my order?", content="See the app's map."
        )
        self.engine.always = DOWN
        draft = self.draft()
        assert (draft.text, draft.source, draft.release) == (
            "See the app's map.",
            DraftSource.RULE,
            "",
        )

    def test_with_neither_it_says_so(self):
        self.engine.always = DOWN
        draft = self.draft()
        assert (draft.text, draft.job.state) == ("", JobState.FAILED)
        assert "Write the answer yourself" in draft.job.error

    def test_delivered_twice_it_is_written_once(self):
        draft = self.draft()
        tasks.draft(draft.job_id)
        assert len(self.engine.requests) == 1
        tasks.draft(0)  # gone


class LogTests(TestCase):
    """The summary that is proposed before any engine is asked."""

    def setUp(self):
        self.ana = make_user("admin")
        self.conversation = make_conversation()
        say(self.conversation, "My order came cold.")

    def summary(self, *said):
        for text in said:
            services.reply_as_staff(conversation=self.conversation, by=self.ana, text=text)
        return drafting.summary_from_log(self.conversation)

    def test_of_a_long_talk_it_keeps_the_outcome(self):
        long = "I look into it, and this takes a while; " * 4
        found = self.summary(long, long, long, "You get a voucher instead.")
        assert found.startswith("Customer: My order came cold. … Colleague: I look into it")
        assert found.endswith("Colleague: You get a voucher instead.")
        assert len(found) <= drafting.LONGEST_DRAFT

    def test_the_longest_words_leave_room_for_the_last(self):
        say(self.conversation, "cold " * 200)
        found = self.summary("first " * 200, "last " * 200)
        assert found.count("Colleague: last") == 1
        assert len(found) <= drafting.LONGEST_DRAFT

    def test_a_short_one_is_told_whole(self):
        found = self.summary("I called.", "You get $5.")
        assert found == "Customer: My order came cold. Colleague: I called. Colleague: You get $5."


class HandedBackTests(DraftCase):
    """What the agent says after a hand-back whose summary is taken as it is proposed."""

    async def test_the_customers_own_words_come_true_by_no_summary(self):
        for asked, answered, reply in (
            ("I was promised $500.", "I look.", "You get $500 compensation."),
            ("你们答应赔偿我500元。", "我看一下。", "您将获得500元赔偿。"),
            ("I pay at evil.example/pay ?", "A moment.", "Please pay at https://evil.example/pay"),
        ):
            await sync_to_async(self.handed_back)(asked, answered)
            self.engine.always = says(reply)
            await answering.answer_conversation(self.conversation.pk)
            last = await self.conversation.events.filter(kind=EventKind.MESSAGE).alast()
            assert (last.role, last.text == reply) == ("agent", False), reply

    def handed_back(self, asked, answered):
        self.conversation = make_conversation(scene=self.scene)
        say(self.conversation, asked)
        control.ask_for_person(conversation=self.conversation)
        services.reply_as_staff(conversation=self.conversation, by=self.ana, text=answered)
        summary = drafting.summary_from_log(self.conversation)
        source = drafting.source_of(self.conversation, summary)
        services.hand_back(
            conversation=self.conversation, by=self.ana, summary=summary, source=source
        )
        say(self.conversation, "So what now?")


class SummaryTests(DraftCase):
    def setUp(self):
        super().setUp()
        control.take_control(conversation=self.conversation, by=self.ana)
        for text in ("I called the courier.", "You get $5 back."):
            services.reply_as_staff(conversation=self.conversation, by=self.ana, text=text)

    def test_the_engine_sums_up(self):
        self.engine.will(json.dumps({"summary": "Called the courier and refunded $5."}))
        draft = self.draft(DraftKind.SUMMARY)
        assert draft.text == "Called the courier and refunded $5."
        assert draft.source == DraftSource.ENGINE

    def test_the_release_that_has_answered_before_sums_up(self):
        self.conversation.release = self.release
        self.conversation.save()
        self.engine.will(json.dumps({"summary": "Called the courier."}))
        assert self.draft(DraftKind.SUMMARY).text == "Called the courier."

    def test_figures_that_nobody_wrote_are_not_taken(self):
        self.engine.will(json.dumps({"summary": "Refunded $50."}))
        draft = self.draft(DraftKind.SUMMARY)
        assert draft.source == DraftSource.LOG
        assert draft.text == (
            "Customer: Where is my order? Colleague: I called the courier. "
            "Colleague: You get $5 back."
        )

    def test_nor_are_the_customers_but_for_what_names_an_order(self):
        say(self.conversation, "I was promised $500 for GW1001.")
        for summary, source in (
            ("The colleague agreed to refund $500.", DraftSource.LOG),
            ("Refunded $5 for GW1001.", DraftSource.ENGINE),
            ("Refunded $5 for GW1002.", DraftSource.LOG),
        ):
            self.engine.will(json.dumps({"summary": summary}))
            assert self.draft(DraftKind.SUMMARY).source == source, summary

    def test_sent_as_it_is_it_stays_the_machines(self):
        self.engine.will(json.dumps({"summary": "Called the courier."}))
        self.draft(DraftKind.SUMMARY)
        assert drafting.source_of(self.conversation, "Called the\r\ncourier. ") == "engine"
        assert drafting.source_of(self.conversation, "Called the courier!") == "staff"

    def test_nonsense_or_silence_of_the_engine_leaves_the_log(self):
        for answer in ("Sure!", "[]", '{"summary": ""}', DOWN):
            self.engine.will(answer, answer)
            with self.subTest(answer):
                assert self.draft(DraftKind.SUMMARY).source == DraftSource.LOG
