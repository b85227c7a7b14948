"""Turns whose process died are finished once."""

from datetime import timedelta
from unittest import mock

from asgiref.sync import async_to_sync, sync_to_async
from django.test import TransactionTestCase
from django.utils import timezone

from agents.master import SORRY
from dialogues import answering, recording, services, tasks
from dialogues.models import Event, EventKind, Role, Turn, TurnStatus
from tests.engine import EngineMixin
from tests.factories import make_conversation, make_release, make_scene


class DeadProcessTests(EngineMixin, TransactionTestCase):
    def setUp(self):
        super().setUp()
        self.release = make_release(live=True)
        self.conversation = make_conversation(scene=None)
        services.say(conversation=self.conversation, text="Hi", client_id="a")

    def begin_and_die(self, **fields):
        """Begin a turn in a process that goes away: its lease has run out."""
        turn = services.begin_turn(self.conversation.pk)
        past = timezone.now() - timedelta(seconds=1)
        Turn.objects.filter(pk=turn.pk).update(leased_until=past, **fields)
        return turn

    def sweep(self):
        """Run beat's task and return what it put into the queue."""
        with (
            mock.patch.object(tasks.finish_turn, "delay") as finish,
            mock.patch.object(tasks.answer_conversation, "delay") as take_up,
        ):
            tasks.finish_abandoned_turns()
        return [call.args[0] for call in finish.mock_calls], [
            call.args[0] for call in take_up.mock_calls
        ]

    def replies(self):
        messages = self.conversation.events.filter(kind=EventKind.MESSAGE, role=Role.AGENT)
        return list(messages.values_list("text", flat=True))

    def test_a_living_turn_is_left_alone(self):
        turn = services.begin_turn(self.conversation.pk)
        assert self.sweep() == ([], [])
        tasks.finish_turn(turn.pk)
        assert self.replies() == []

    def test_a_dead_turn_is_finished_once_however_often_it_is_delivered(self):
        turn = self.begin_and_die()
        assert self.sweep() == ([turn.pk], [])
        for _ in range(3):
            tasks.finish_turn(turn.pk)
        assert self.replies() == ["Hello from the engine."]
        assert len(self.engine.requests) == 1
        turn.refresh_from_db()
        assert (turn.status, turn.attempts) == (TurnStatus.DONE, 2)
        assert self.sweep() == ([], [])

    def test_a_dead_turn_of_a_scene_is_finished_too(self):
        self.conversation = make_conversation(scene=make_scene())
        services.say(conversation=self.conversation, text="Hi", client_id="a")
        turn = self.begin_and_die()
        tasks.finish_turn(turn.pk)
        turn.refresh_from_db()
        assert (turn.status, turn.error) == (TurnStatus.DONE, "")
        assert self.replies() == ["Hello from the engine."]

    def test_what_was_said_meanwhile_is_answered_next(self):
        turn = self.begin_and_die()
        services.say(conversation=self.conversation, text="Hello?", client_id="b")
        tasks.finish_turn(turn.pk)
        tasks.answer_conversation(self.conversation.pk)
        assert len(self.replies()) == 1  # one answer to both
        statuses = Turn.objects.values_list("asked_seq", "status")
        assert list(statuses) == [(1, TurnStatus.DROPPED), (2, TurnStatus.DONE)]

    def test_a_turn_over_which_processes_die_ends_with_an_apology(self):
        turn = self.begin_and_die(attempts=answering.MOST_ATTEMPTS)
        tasks.finish_turn(turn.pk)
        assert self.replies() == [SORRY]
        assert self.engine.requests == []
        turn.refresh_from_db()
        assert turn.status == TurnStatus.FAILED

    def test_a_late_process_adds_nothing(self):
        """The first process was only slow: both reach the end, one is heard."""
        turn = self.begin_and_die()
        first = answering.with_parts(turn.pk)
        tasks.finish_turn(turn.pk)
        async_to_sync(answering.answer_turn)(first)
        assert self.replies() == ["Hello from the engine."]

    def test_a_message_that_nobody_took_up(self):
        past = timezone.now() - timedelta(seconds=60)
        other = make_conversation(scene=None)
        Event.objects.create(
            conversation=other, kind=EventKind.MESSAGE, role=Role.CUSTOMER, text="Hi", at=past
        )
        assert self.sweep() == ([], [other.pk])
        for _ in range(2):
            tasks.answer_conversation(other.pk)
        assert other.events.filter(role=Role.AGENT).count() == 1
        assert self.sweep() == ([], [])

    def test_rows_that_are_gone(self):
        tasks.finish_turn(0)
        tasks.answer_conversation(0)


class LeaseTests(EngineMixin, TransactionTestCase):
    async def test_it_is_renewed_while_the_answer_is_written(self):
        def begin():
            make_release(live=True)
            conversation = make_conversation(scene=None)
            services.say(conversation=conversation, text="Hi", client_id="a")
            return answering.with_parts(services.begin_turn(conversation.pk).pk)

        turn = await sync_to_async(begin)()
        first = turn.leased_until
        self.engine.always.delay = 0.3
        seen = []
        store = recording.store_end

        def watch(turn, *rest):
            seen.append(Turn.objects.get(pk=turn.pk).leased_until)
            store(turn, *rest)

        with (
            mock.patch.object(services, "LEASE_SECONDS", 0.3),
            mock.patch.object(recording, "store_end", watch),
        ):
            await answering.answer_turn(turn)
        assert seen[0] != first
