"""Takeover, queue, hand-back: who speaks, and what the agent may still say."""

import time
from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4

from django.db import IntegrityError, transaction
from django.test import TestCase
from django.utils import timezone

from agents.actions import CLARIFY, CLOSE, REPLY, DialogueAction
from agents.confirming import Call
from dialogues import answering, history, recording, services
from dialogues.chat import stopping
from dialogues.desk import control, holding, queueing
from dialogues.models import (
    Assignment,
    Control,
    Conversation,
    EventKind,
    Handover,
    Role,
    TurnStatus,
)
from dialogues.recording import Record
from tests.factories import make_conversation, make_release, make_scene, make_user, say
from wowconsole.errors import Invalid


class ControlCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.conversation = make_conversation(scene=cls.scene)
        cls.ana = make_user("operator", [cls.scene], first_name="Ana")
        cls.ben = make_user("reviewer", [cls.scene], first_name="Ben")

    def fresh(self):
        self.conversation.refresh_from_db()
        return self.conversation

    def handover(self):
        return Handover.objects.get(conversation=self.conversation)

    def back(self, **fields):
        return services.hand_back(conversation=self.conversation, by=self.ana, **fields)

    def begin(self, text="Where is it?"):
        services.say(conversation=self.conversation, text=text, client_id=text)
        return answering.with_parts(services.begin_turn(self.conversation.pk).pk)


class TakeControlTests(ControlCase):
    def test_one_click_silences_the_agent_within_a_second(self):
        turn = self.begin()
        started = time.perf_counter()
        control.take_control(conversation=self.conversation, by=self.ana)
        assert time.perf_counter() - started < 1
        turn.refresh_from_db()
        assert (self.fresh().control, self.fresh().fence) == (Control.HUMAN, 1)
        assert turn.status == TurnStatus.FAILED
        with self.assertRaises(IntegrityError), transaction.atomic():
            services.append(
                conversation=self.conversation,
                kind=EventKind.MESSAGE,
                role=Role.AGENT,
                text="Too late",
                fence=turn.fence,
            )
        assert self.handover().holder == self.ana

    def test_taking_twice_changes_nothing(self):
        for _ in range(2):
            control.take_control(conversation=self.conversation, by=self.ana)
        assert self.fresh().fence == 1
        assert Assignment.objects.count() == 1

    def test_a_colleague_takes_it_only_on_purpose(self):
        control.take_control(conversation=self.conversation, by=self.ana)
        for refused in (
            lambda: control.take_control(conversation=self.conversation, by=self.ben),
            lambda: services.reply_as_staff(conversation=self.conversation, by=self.ben, text="Hi"),
        ):
            with self.assertRaisesMessage(holding.HeldByOther, "Ana holds"):
                refused()
        control.take_control(conversation=self.conversation, by=self.ben, force=True)
        assert self.handover().holder == self.ben
        assert self.fresh().fence == 1  # the agent was silent already

    def test_who_does_not_hold_it_gives_it_to_nobody(self):
        control.take_control(conversation=self.conversation, by=self.ana)
        by_ben = {"conversation": self.conversation, "by": self.ben}
        for refused in (services.hand_back, services.close, control.release):
            with self.assertRaisesMessage(holding.HeldByOther, "Ana holds"):
                refused(**by_ben)
        assert self.handover().holder == self.ana
        services.close(conversation=self.conversation)  # the customer may
        assert self.fresh().closed_at

    def test_an_answer_sent_twice_from_one_form_is_said_once(self):
        form = uuid4()
        answer = {"conversation": self.conversation, "by": self.ana, "form": form}
        first = services.reply_as_staff(text="It comes.", **answer)
        assert services.reply_as_staff(text=" It comes.", **answer) == first
        assert services.reply_as_staff(text="At six.", **answer) != first  # after going back
        services.close(conversation=self.conversation)
        assert services.reply_as_staff(text="It comes.", **answer) == first
        assert self.conversation.events.filter(role=Role.STAFF).count() == 2

    def test_nothing_of_an_ended_conversation_is_taken(self):
        services.close(conversation=self.conversation)
        with self.assertRaises(services.ConversationClosed):
            control.take_control(conversation=self.conversation, by=self.ana)

    def test_assigned_are_only_people_who_may_answer_here(self):
        outsider, auditor = make_user("operator", [make_scene()]), make_user("auditor")
        for person in (outsider, auditor):
            with self.assertRaises(holding.CannotHold):
                control.assign(conversation=self.conversation, to=person, by=self.ana)
        control.assign(conversation=self.conversation, to=self.ben, by=self.ana)
        assert self.handover().holder == self.ben
        assert self.fresh().control == Control.HUMAN

    def test_released_it_waits_at_its_old_place(self):
        first = control.ask_for_person(conversation=self.conversation)
        control.ask_for_person(conversation=make_conversation(scene=self.scene))
        control.take_control(conversation=self.conversation, by=self.ana)
        control.release(conversation=self.conversation, by=self.ana)
        assert first
        assert self.fresh().control == Control.QUEUED
        assert queueing.standing(self.conversation)["position"] == 1
        assert [row.to for row in Assignment.objects.all()] == [self.ana, None]
        with self.assertRaises(holding.NotHeld):
            control.release(conversation=self.conversation, by=self.ana)

    def test_who_was_answered_waits_anew_once_it_is_put_back(self):
        control.ask_for_person(conversation=self.conversation)
        past = timezone.now() - timedelta(hours=1)
        Handover.objects.update(due_at=past)
        control.take_control(conversation=self.conversation, by=self.ana)
        control.release(conversation=self.conversation, by=self.ana)
        assert self.handover().due_at == past  # nobody has answered yet
        services.reply_as_staff(conversation=self.conversation, by=self.ana, text="A moment.")
        control.release(conversation=self.conversation, by=self.ana)
        assert self.handover().answered_at is None
        assert self.handover().due_at > timezone.now()

    def test_history_of_who_held_it_does_not_change(self):
        control.take_control(conversation=self.conversation, by=self.ana)
        with self.assertRaises(IntegrityError), transaction.atomic():
            Assignment.objects.update(to=self.ben)

    def test_one_open_handover_at_a_time(self):
        control.take_control(conversation=self.conversation, by=self.ana)
        with (
            self.assertRaisesMessage(IntegrityError, "handover_one_open_per_conversation"),
            transaction.atomic(),
        ):
            Handover.objects.create(conversation=self.conversation, due_at=timezone.now())


class HandBackTests(ControlCase):
    def test_from_the_queue_a_running_answer_goes_on(self):
        turn = self.begin()
        services.ask_for_person(conversation=self.conversation)
        self.back()
        turn.refresh_from_db()
        assert turn.status == TurnStatus.RUNNING
        assert self.fresh().fence == turn.fence

    def test_from_the_queue_what_nobody_took_up_is_taken_up(self):
        services.say(conversation=self.conversation, text="Hello?", client_id="a")
        services.ask_for_person(conversation=self.conversation)
        control.leave_queue(conversation=self.conversation)
        assert services.begin_turn(self.conversation.pk) is not None

    def test_from_the_queue_a_summary_is_kept_too(self):
        self.begin()
        control.take_control(conversation=self.conversation, by=self.ana)
        control.release(conversation=self.conversation, by=self.ana)
        self.back(summary="A courier comes tomorrow.")
        assert self.handover().summary == "A courier comes tomorrow."
        assert self.handover().summary_source == "staff"

    def test_nothing_ended_is_handed_back(self):
        services.ask_for_person(conversation=self.conversation)
        services.close(conversation=self.conversation)
        with self.assertRaises(services.ConversationClosed):
            self.back(summary="I refunded it.")

    def test_leaving_the_queue_is_for_those_in_it(self):
        assert control.leave_queue(conversation=self.conversation) is None
        control.take_control(conversation=self.conversation, by=self.ana)
        assert control.leave_queue(conversation=self.conversation) is None
        assert self.fresh().control == Control.HUMAN

    def test_the_agent_is_shown_what_the_person_did(self):
        self.begin("Where is it?")
        services.reply_as_staff(conversation=self.conversation, by=self.ana, text="Refunded $5.")
        self.back(summary="Refunded $5 for the delay.")
        turn = self.begin("And tomorrow?")
        lines = [str(line) for line in history.lines_for(turn)]
        assert lines == [
            "customer: Where is it?",
            "agent: Refunded $5.",
            'colleague {} -> {"did": "Refunded $5 for the delay."}',
            "customer: And tomorrow?",
        ]
        ended = self.handover()
        assert (ended.summary_source, ended.ended_at is None) == ("staff", False)

    def hearsay(self, summary, **fields):
        control.take_control(conversation=self.conversation, by=self.ana)
        self.back(summary=summary, **fields)
        return history.lines_for(self.begin(f"After {summary}"[:64]))[-2].is_hearsay

    def test_what_quotes_the_customer_or_a_machine_worded_is_hearsay(self):
        for source in ("log", "engine"):
            assert self.hearsay(f"You get $5, says the {source}.", source=source)
        assert self.hearsay("Customer: I was promised $5. Colleague: I look. Waiting for the shop.")
        assert not self.hearsay("Refunded $5 to the customer: it came cold.")

    def test_customers_never_read_the_summary(self):
        services.reply_as_staff(conversation=self.conversation, by=self.ana, text="Hello.")
        event = self.back(summary="Difficult customer.")
        assert event.data == {"state": "bot"}
        texts = " ".join(str(event.data) + event.text for event in self.conversation.events.all())
        assert "Difficult" not in texts

    def test_a_summary_too_long_hands_nothing_back(self):
        control.take_control(conversation=self.conversation, by=self.ana)
        with self.assertRaisesMessage(Invalid, "at most 1000"):
            self.back(summary="x" * 1001)
        assert self.fresh().control == Control.HUMAN

    def test_the_longest_summary_is_shown_to_its_end(self):
        control.take_control(conversation=self.conversation, by=self.ana)
        words = '"Nothing",\r\n' * 70
        self.back(summary=f"{words}{'x' * 100} Never offer it again.")
        line = str(history.lines_for(self.begin("And tomorrow?"))[-2])
        assert line.endswith('Never offer it again."}')


class CloseByAgentTests(ControlCase):
    """The model's own `close` ends the conversation, where nothing else is under way."""

    def finish(self, turn):
        action = DialogueAction(CLOSE, "Goodbye!")
        recording.store_end(turn, Record(), action, "")

    def test_it_ends_after_the_goodbye(self):
        self.finish(self.begin("Thanks, bye"))
        kinds = list(self.conversation.events.values_list("kind", flat=True))
        assert kinds == ["message", "message", "closed"]
        assert self.fresh().closed_at
        assert self.conversation.turns.get().status == TurnStatus.DONE

    def test_not_while_a_newer_message_waits(self):
        turn = self.begin("Thanks, bye")
        say(self.conversation, "One more thing")
        self.finish(turn)
        assert self.fresh().closed_at is None
        assert services.begin_turn(self.conversation.pk) is not None

    def test_not_while_a_person_is_awaited(self):
        turn = self.begin("Thanks, bye")
        services.ask_for_person(conversation=self.conversation)
        self.finish(turn)
        assert self.fresh().closed_at is None


class RoundTripTests(ControlCase):
    """What a takeover silenced: answered once, by a person or by the agent."""

    def taken(self):
        """A talk whose answer was silenced half way."""
        self.silenced = self.begin("Where is it?")
        control.take_control(conversation=self.conversation, by=self.ana)

    def answered(self):
        """Have the agent answer what it owes; say how often it found something."""
        times = 0
        while turn := services.begin_turn(self.conversation.pk):
            recording.store_end(turn, Record(), DialogueAction(REPLY, "On its way."), "")
            times += 1
        return times

    def test_handed_back_without_a_word_it_is_answered_once(self):
        self.taken()
        with (
            patch("celery.current_app.send_task") as send,
            self.captureOnCommitCallbacks(execute=True),
        ):
            event = self.back()
        assert event.data == {"state": "bot", "owes": True}
        send.assert_called_once_with("dialogues.tasks.answer_conversation", (self.conversation.pk,))
        assert Conversation.objects.unanswered(after_seconds=0).get() == self.conversation
        assert self.answered() == 1
        assert not Conversation.objects.unanswered(after_seconds=0).exists()
        control.take_control(conversation=self.conversation, by=self.ana)
        assert self.back().data == {"state": "bot"}
        assert self.answered() == 0

    def test_its_prompt_ends_with_what_was_asked(self):
        self.taken()
        self.back()
        turn = services.begin_turn(self.conversation.pk)
        assert [str(line) for line in history.lines_for(turn)] == ["customer: Where is it?"]

    def test_back_in_the_queue_too(self):
        self.taken()
        assert control.release(conversation=self.conversation, by=self.ana).data["owes"]
        assert self.answered() == 1
        control.leave_queue(conversation=self.conversation)
        assert self.answered() == 0

    def test_silenced_twice_it_is_still_answered_once(self):
        self.taken()
        self.back()
        assert services.begin_turn(self.conversation.pk)
        control.take_control(conversation=self.conversation, by=self.ana)
        self.back()
        assert self.answered() == 1

    def test_what_was_said_to_a_silent_person_is_answered(self):
        make_release(live=True)
        control.take_control(conversation=self.conversation, by=self.ana)
        say(self.conversation, "Hello?")
        self.back()
        assert self.answered() == 1

    def test_never_after_a_person_dealt_with_it(self):
        self.taken()
        services.reply_as_staff(conversation=self.conversation, by=self.ana, text="At the door.")
        assert self.back().data == {"state": "bot"}
        assert self.answered() == 0

    def test_a_summary_in_a_persons_words_says_that_it_is_dealt_with(self):
        self.taken()
        self.back(summary="I telephoned.")
        assert self.answered() == 0
        control.take_control(conversation=self.conversation, by=self.ana)
        assert self.back().data == {"state": "bot"}

    def test_it_does_not_of_what_its_writer_had_not_seen(self):
        self.taken()
        seen = say(self.conversation, "Hello?").seq
        say(self.conversation, "And may I pay by card?")
        told = {"summary": "I telephoned."}
        assert self.back(**told, seen=seen).data == {"state": "bot", "owes": True}
        assert self.answered() == 1
        control.take_control(conversation=self.conversation, by=self.ana)
        seen = say(self.conversation, "Thanks").seq
        assert self.back(**told, seen=seen).data == {"state": "bot"}
        assert self.answered() == 0

    def test_a_drafted_summary_does_not(self):
        self.taken()
        self.back(summary="They asked.", source="log")
        turn = services.begin_turn(self.conversation.pk)
        lines = [str(line) for line in history.lines_for(turn)]
        assert lines == ["customer: Where is it?", 'colleague {} -> {"did": "They asked."}']

    def test_what_the_customer_stopped_is_not_owed(self):
        self.begin("Where is it?")
        stopping.stop_answer(conversation=self.conversation)
        control.take_control(conversation=self.conversation, by=self.ana)
        self.back()
        assert self.answered() == 0

    def test_a_yes_is_not_taken_up_again(self):
        self.begin("Cancel it")
        pending = Record(pending=Call("cancel", {}))
        turn = self.conversation.turns.get()
        recording.store_end(turn, pending, DialogueAction(CLARIFY, "Shall I?"), "")
        say(self.conversation, "yes")
        assert history.answer_by(services.begin_turn(self.conversation.pk))
        control.take_control(conversation=self.conversation, by=self.ana)
        self.back()
        assert history.answer_by(services.begin_turn(self.conversation.pk)) is None
