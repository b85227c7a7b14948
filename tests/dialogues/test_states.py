"""Who may speak when, played through by hypothesis: any order of customer, agent, staff, crashes.

Each step calls what the doors call; the database and the socket are the real ones. What must
hold after every step is in the invariants, what must hold at the end in `teardown`.
"""

import json
from contextlib import suppress
from datetime import timedelta

from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from channels.routing import URLRouter
from django.db import IntegrityError
from django.test import TestCase
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agents.actions import CLOSE, HANDOFF, REPLY, DialogueAction
from agents.master import Called
from dialogues import answering, recording, services
from dialogues.desk import control
from dialogues.models import Control, Conversation, EventKind, Handover, Role, Turn, TurnStatus
from dialogues.recording import Record
from dialogues.routing import websocket_urlpatterns
from tests.dialogues.test_consumers import Socket
from tests.factories import make_release, make_user
from wowconsole.errors import Refused

MOST_MESSAGES = 7  # few, since a later answer covers what is lost before it
PAST = timedelta(minutes=1)
HANDING_BACK = ["hand back", "hand back", "hand back with a summary"]


class InThisThread(Socket):
    """A socket that reads by the test's own connection, so that it sees what is not committed."""

    def __init__(self, path, query):
        scope = {"type": "websocket", "path": path, "query_string": query, "headers": []}
        ApplicationCommunicator.__init__(self, URLRouter(websocket_urlpatterns), scope)


class Talk(RuleBasedStateMachine):
    """One conversation, its customer's client, two colleagues, and processes that answer."""

    def __init__(self):
        super().__init__()
        self.conversation, self.token = services.start_conversation(scene=None)
        self.staff = [make_user("operator"), make_user("admin")]
        self.said = {}  # client_id → seq, of what was acknowledged
        self.ended_by_customer = False
        self.dealt_with = set()  # client_ids of what a person answered, or says they saw to
        self.processes = []  # turns as the processes that run them hold them, dead ones too
        self.client = {}  # seq → event, as the customer's window has it
        self.checked = 0  # seq up to which the log was checked
        self.before = (0, Control.BOT)  # fence and control before the step

    def fresh(self):
        return Conversation.objects.get(pk=self.conversation.pk)

    def running(self):
        return self.conversation.turns.filter(status=TurnStatus.RUNNING)

    @precondition(lambda self: len(self.said) < MOST_MESSAGES)
    @rule(heard=st.booleans())
    def write(self, heard):
        """The customer writes; the process that stores it takes it up, or dies before that."""
        client_id = f"m{len(self.said)}"
        try:
            event = services.say(
                conversation=self.conversation, text=client_id, client_id=client_id
            )
        except services.ConversationClosed:
            assert self.fresh().closed_at
            return
        self.said[client_id] = event.seq
        if heard:
            self.take_up()

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def write_again(self, data):
        """The acknowledgement got lost, so the client sends the message once more."""
        client_id = data.draw(st.sampled_from(sorted(self.said)))
        event = services.say(conversation=self.conversation, text="again", client_id=client_id)
        assert (event.seq, event.text) == (self.said[client_id], client_id)

    @rule(then=st.sampled_from(["waits", "customer goes back", "staff hands back"]))
    def ask_for_a_person(self, then):
        """The customer asks for a person; perhaps somebody decides otherwise at once."""
        services.ask_for_person(conversation=self.conversation)
        if then == "customer goes back":
            control.leave_queue(conversation=self.conversation)
        elif then == "staff hands back" and self.fresh().control == Control.QUEUED:
            services.hand_back(conversation=self.conversation, by=self.staff[0])

    @precondition(lambda self: len(self.said) > 4)
    @rule()
    def end(self):
        self.ended_by_customer |= services.close(conversation=self.conversation) is not None

    @rule(lost=st.integers(0, 3))
    def reconnect(self, lost):
        """The client reloads, having stored all but the last few events it was sent."""
        for seq in sorted(self.client)[len(self.client) - lost :]:
            del self.client[seq]
        after = max(self.client, default=0)
        events = async_to_sync(self._read)(after)
        assert [event["seq"] for event in events] == [*range(after + 1, self.fresh().last_seq + 1)]
        self.client |= {event["seq"]: event for event in events}

    async def _read(self, after):
        last_seq = (await Conversation.objects.aget(pk=self.conversation.pk)).last_seq
        path = f"/ws/chat/{self.conversation.public_id}/"
        socket = InThisThread(path, f"token={self.token}".encode())
        assert await socket.connect()
        events = []
        await socket.send(text=json.dumps({"type": "resume", "after": after}))
        while after + len(events) < last_seq:
            event = await socket.receive()
            if event["type"] not in ("ready", "status"):
                events.append(event)
        await socket.disconnect()
        return events

    @rule()
    def take_up(self):
        state = self.fresh()
        turn = services.begin_turn(self.conversation.pk)
        if turn:
            assert state.control != Control.HUMAN
            assert state.closed_at is None
            self.processes.append(answering.with_parts(turn.pk))

    @precondition(lambda self: self.processes)
    @rule(data=st.data(), more=st.booleans())
    def call_a_tool(self, data, more):
        """A tool is called; the customer may write more meanwhile."""
        turn = data.draw(st.sampled_from(self.processes))
        if not async_to_sync(answering._may_act)(turn):
            return
        if more:
            self.write(heard=False)
        with suppress(IntegrityError):
            recording.store_call(turn, Called("look_up", {}, {"turn": turn.pk}))

    @precondition(lambda self: self.processes)
    @rule(data=st.data(), name=st.sampled_from([REPLY, REPLY, HANDOFF, CLOSE]))
    def finish(self, data, name):
        """A process ends its turn, though another may have taken it over meanwhile."""
        turn = data.draw(st.sampled_from(self.processes))
        self.processes.remove(turn)
        self._finish(turn, name)

    def _finish(self, turn, name=REPLY):
        async_to_sync(answering._finish)(turn, Record(), DialogueAction(name, "Said."), "")

    @precondition(lambda self: self.processes)
    @rule(goes_on=st.booleans(), noticed=st.booleans(), data=st.data())
    def crash(self, goes_on, noticed, data):
        """A process dies, or only stands still until it is thought dead; another may go on."""
        turn = data.draw(st.sampled_from(self.processes))
        if not goes_on:
            self.processes.remove(turn)
        self.running().filter(pk=turn.pk).update(leased_until=timezone.now() - PAST)
        if noticed:
            self._take_up_what_is_abandoned()

    def _take_up_what_is_abandoned(self):
        for turn in Turn.objects.abandoned().filter(conversation=self.conversation):
            if taken := services.take_over(turn.pk):
                self.processes.append(taken)

    @rule(number=st.integers(0, 1))
    def take_over(self, number):
        self.act_as_staff("take", number, force=True)

    @rule(
        action=st.sampled_from(["take", "answer", "assign", "release", *HANDING_BACK]),
        number=st.integers(0, 1),
        force=st.booleans(),
    )
    def act_as_staff(self, action, number, force):
        talk, person = self.conversation, self.staff[number]
        with suppress(Refused):
            match action:
                case "take":
                    control.take_control(conversation=talk, by=person, force=force)
                case "answer":
                    services.reply_as_staff(conversation=talk, by=person, text="Person")
                    self.dealt_with |= set(self.said)
                case "assign":
                    control.assign(conversation=talk, to=person, by=self.staff[0])
                case "release":
                    control.release(conversation=talk, by=person)
                case "hand back":
                    services.hand_back(conversation=talk, by=person)
                case _:
                    held = self.fresh().control == Control.HUMAN
                    services.hand_back(conversation=talk, by=person, summary="Looked into it.")
                    self.dealt_with |= set(self.said) if held else set()

    @invariant()
    def the_log_has_no_gaps(self):
        state = self.fresh()
        seqs = list(state.events.order_by("seq").values_list("seq", flat=True))
        assert seqs == [*range(1, state.last_seq + 1)]

    @invariant()
    def the_agent_speaks_only_while_it_may(self):
        fence, who = self.before
        newer = self.conversation.events.filter(seq__gt=self.checked).order_by("seq")
        for event in newer:
            if event.role == Role.AGENT:
                assert who != Control.HUMAN
                assert event.fence == fence
            self.checked = event.seq
        state = self.fresh()
        self.before = (state.fence, state.control)

    @invariant()
    def the_agent_does_one_thing_at_a_time(self):
        assert self.running().count() <= 1
        for turn in self.conversation.turns.all():
            assert turn.events.filter(kind=EventKind.MESSAGE).count() <= 1

    @invariant()
    def each_reply_answers_what_nobody_has_answered(self):
        answered_seq = staff_seq = 0
        for event in self.conversation.events.order_by("seq"):
            if event.kind != EventKind.MESSAGE or event.role == Role.CUSTOMER:
                continue
            if event.role == Role.STAFF:
                staff_seq = event.seq
                continue
            asked_seq = event.turn.asked_seq
            news = [seq for seq in self.said.values() if answered_seq < seq <= asked_seq]
            assert news
            assert max(news) > staff_seq
            answered_seq = asked_seq

    @invariant()
    def the_agent_owes_what_nobody_has_answered(self):
        state = self.fresh()
        if state.closed_at or state.control == Control.HUMAN or self.running().exists():
            return
        newest = max(self.said, key=self.said.__getitem__, default=None)
        is_open = newest is not None and newest not in self.dealt_with
        owed = Conversation.objects.unanswered(after_seconds=0).filter(pk=state.pk).exists()
        assert owed == (is_open and not self._answered(self.said[newest]))

    @invariant()
    def who_waits_has_a_place_and_who_is_with_a_person_a_holder(self):
        state = self.fresh()
        holders = [row.holder for row in Handover.objects.open().filter(conversation=state)]
        if state.closed_at or state.control == Control.BOT:
            assert holders == []
        elif state.control == Control.QUEUED:
            assert holders == [None]
        else:
            assert holders[0] in self.staff

    @invariant()
    def nothing_is_said_after_the_end(self):
        kinds = list(self.conversation.events.order_by("seq").values_list("kind", flat=True))
        if EventKind.CLOSED in kinds:
            assert kinds[-1] == EventKind.CLOSED

    def teardown(self):
        """Let the sweep do its work; then nothing may be left over or lost."""
        self.running().update(leased_until=timezone.now() - PAST)
        self._take_up_what_is_abandoned()
        for turn in self.processes:
            self._finish(turn)
        self._sweep()
        for client_id, seq in self.said.items():
            assert self.conversation.events.filter(client_id=client_id).count() == 1
            assert self._is_dealt_with(client_id, seq), client_id
        self.reconnect(lost=2)
        assert sorted(self.client) == [*range(1, self.fresh().last_seq + 1)]

    def _sweep(self):
        """Answer until nothing is unanswered; the sweep and `begin_turn` must agree on that."""
        while True:
            waiting = Conversation.objects.unanswered(after_seconds=0)
            found = waiting.filter(pk=self.conversation.pk).exists()
            turn = services.begin_turn(self.conversation.pk)
            assert found == (turn is not None)
            if turn is None:
                return
            self._finish(answering.with_parts(turn.pk))

    def _is_dealt_with(self, client_id, seq):
        with_people = self.fresh().control == Control.HUMAN or client_id in self.dealt_with
        return with_people or self.ended_by_customer or self._answered(seq)

    def _answered(self, seq):
        """Say whether the agent has replied to what stands at `seq`."""
        turns = self.conversation.turns.filter(asked_seq__gte=seq)
        return turns.filter(events__kind=EventKind.MESSAGE).exists()


class StateTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        make_release(live=True)

    def test_no_order_of_events_loses_doubles_or_talks_over(self):
        run_state_machine_as_test(
            Talk,
            settings=settings(
                max_examples=60,
                stateful_step_count=30,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
