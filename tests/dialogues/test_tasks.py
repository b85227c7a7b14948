"""Turns whose process died are finished once."""

import asyncio
from datetime import timedelta
from unittest import mock

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models import QuerySet
from django.test import TransactionTestCase
from django.utils import timezone

from agents.actions import REPLY, DialogueAction
from agents.master import SORRY, Called
from dialogues import answering, recording, services, tasks
from dialogues.models import Event, EventKind, Role, Turn, TurnStatus
from dialogues.recording import Record
from tests.dialogues.test_answering import ORDER_ID, make_talk
from tests.engine import EngineMixin, calls, says
from tests.factories import make_conversation, make_release, make_scene, make_tool, say
from tests.toolserver import business


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

    def sweep(self, task=tasks.finish_abandoned_turns, seconds=services.LEASE_SECONDS):
        """Run beat's task and return what it put into the queue, where all of it expires."""
        with (
            mock.patch.object(tasks.finish_turn, "apply_async") as finish,
            mock.patch.object(tasks.answer_conversation, "apply_async") as take_up,
        ):
            task()
        sent = [*finish.mock_calls, *take_up.mock_calls]
        assert all(call.kwargs == {"expires": seconds} for call in sent)
        return [call.args[0][0] for call in finish.mock_calls], [
            call.args[0][0] for call in take_up.mock_calls
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

    def test_a_message_left_through_an_outage_of_days(self):
        left = {}
        for days in (3, 8):
            left[days] = make_conversation(scene=None)
            at = timezone.now() - timedelta(days=days)
            say(left[days], "Hi", at=at)
        assert self.sweep() == ([], [])
        assert self.sweep(tasks.take_up_old_messages, seconds=600) == ([], [left[3].pk])

    def test_the_sweep_itself_does_not_pile_up(self):
        for name in ("finish-abandoned-turns", "take-up-old-messages"):
            sweep = settings.CELERY_BEAT_SCHEDULE[name]
            assert sweep["options"]["expires"] <= sweep["schedule"]

    def test_rows_that_are_gone(self):
        tasks.finish_turn(0)
        tasks.answer_conversation(0)
        assert self.engine.requests == []
        assert not Turn.objects.exists()


class TwoProcessesTests(EngineMixin, TransactionTestCase):
    """One dies over a turn, or stands still for longer than its lease; another goes on."""

    def setUp(self):
        super().setUp()
        self.shop = self.enterContext(business())
        self.enterContext(self.settings(PUBLIC_URL=self.shop.url))
        make_tool(name="cancel", method="POST", url="/orders/{order_id}/", parameters=ORDER_ID)
        self.conversation = make_talk("Cancel GW1001", tools=["cancel"])
        self.cancel = calls("cancel", order_id="GW1001")

    def begin(self):
        return answering.with_parts(services.begin_turn(self.conversation.pk).pk)

    def lapse(self, turn):
        Turn.objects.filter(pk=turn.pk).update(leased_until=timezone.now() - timedelta(seconds=1))

    def actions(self):
        made = self.conversation.events.filter(kind=EventKind.ACTION)
        return [(event.role, event.data["result"]) for event in made]

    def test_what_the_dead_one_did_is_not_done_again(self):
        turn, died = self.begin(), mock.AsyncMock()
        self.engine.will(self.cancel)
        with mock.patch.object(answering, "_finish", died):
            async_to_sync(answering.answer_turn)(turn)
        self.lapse(turn)
        self.shop.answer, self.shop.status = b'{"error": "it is cancelled already"}', 409
        self.engine.will(self.cancel, says("It is cancelled."))
        tasks.finish_turn(turn.pk)
        assert len(self.shop.requests) == 1
        assert self.actions() == [(Role.AGENT, {"status": "on the way"})]
        turn.refresh_from_db()
        assert turn.steps[0]["result"] == {"status": "on the way"}
        assert turn.output["reply"] == "It is cancelled."

    def test_only_the_one_that_took_over_may_act(self):
        slow = self.begin()
        self.lapse(slow)
        other = services.take_over(slow.pk)
        assert not async_to_sync(answering._may_act)(slow)
        assert async_to_sync(answering._may_act)(other)

    def test_the_slow_one_neither_renews_the_lease_nor_ends_the_turn(self):
        slow = self.begin()
        self.lapse(slow)
        services.take_over(slow.pk)
        assert not async_to_sync(answering._renewed)(slow)
        recording.store_end(slow, Record(), DialogueAction(REPLY, "Too late."), "")
        slow.refresh_from_db()
        assert slow.status == TurnStatus.RUNNING
        assert not self.conversation.events.filter(role=Role.AGENT).exists()

    def test_what_the_slow_one_did_is_a_fact(self):
        slow = self.begin()
        self.lapse(slow)
        services.take_over(slow.pk)
        for _ in range(2):
            assert not recording.store_call(slow, Called("cancel", {}, {"cancelled": True}))
        assert self.actions() == [(Role.SYSTEM, {"cancelled": True})]

    def test_a_renewal_that_fails_is_tried_again(self):
        turn = self.begin()
        for fault in (OperationalError("it has gone"), InterfaceError("it is closed")):
            with mock.patch.object(QuerySet, "aupdate", side_effect=fault):
                assert async_to_sync(answering._renewed)(turn)


class LostConnectionTests(TransactionTestCase):
    """The database drops a thread's connection while an answer is written in it."""

    def setUp(self):
        conversation = make_conversation(scene=None)
        services.say(conversation=conversation, text="Hi", client_id="a")
        self.turn = answering.with_parts(services.begin_turn(conversation.pk).pk)

    def cut_off(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            process = cursor.fetchone()
        other = connection.copy()
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", process)
        other.close()

    async def test_the_same_process_ends_the_turn(self):
        first = self.turn.leased_until
        await sync_to_async(self.cut_off)()
        with self.assertLogs("dialogues.answering", "WARNING"):
            assert await answering._renewed(self.turn)
        assert await answering._renewed(self.turn)
        await sync_to_async(self.turn.refresh_from_db)()
        assert self.turn.leased_until > first
        assert await answering._may_act(self.turn)
        await answering._take(Called("look_up", {}, {"found": 1}), self.turn, Record())
        await answering._finish(self.turn, Record(), DialogueAction(REPLY, "Hello."), "")
        await sync_to_async(self.turn.refresh_from_db)()
        assert self.turn.status == TurnStatus.DONE

    async def test_what_breaks_off_in_the_background_is_logged(self):
        with (
            mock.patch.object(services, "begin_turn", side_effect=OperationalError("it has gone")),
            self.assertLogs("dialogues.answering", "ERROR") as logs,
        ):
            task = answering.in_background(answering.answer_conversation(1))
            await asyncio.wait([task])
            await asyncio.sleep(0)
        assert "it has gone" in logs.output[0]
        assert not task._log_traceback  # asyncio has nothing left to complain of


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
