"""What the database itself refuses, and how it numbers the log."""

import threading
from datetime import timedelta

from django.db import IntegrityError, InternalError, ProgrammingError, connection, transaction
from django.db.utils import DatabaseError
from django.test import TestCase, TransactionTestCase
from django.utils import timezone

from agents.actions import DialogueAction
from agents.models import Promotion, Release
from dialogues import services
from dialogues.models import (
    Control,
    Conversation,
    Judgement,
    Role,
    Turn,
    TurnStatus,
)
from dialogues.recording import Record, store_end
from knowledge.models import Publication, Revision
from tests.factories import (
    make_conversation,
    make_published_unit,
    make_release,
    make_turn,
    make_user,
    say,
)


def running_turn(conversation, **fields):
    return Turn.objects.create(
        conversation=conversation, status=TurnStatus.RUNNING, **{"asked_seq": 1, **fields}
    )


class NumberTests(TestCase):
    def test_events_are_numbered_from_one_in_each_conversation(self):
        first, second = make_conversation(), make_conversation()
        numbers = [say(first, "a").seq, say(second, "b").seq, say(first, "c").seq]
        assert numbers == [1, 1, 2]
        first.refresh_from_db()
        assert first.last_seq == 2

    def test_a_number_of_our_own_is_overwritten(self):
        conversation = make_conversation()
        assert say(conversation, "a", seq=77).seq == 1

    def test_a_rollback_gives_the_number_back(self):
        conversation = make_conversation()
        say(conversation, "a")
        with self.assertRaises(RuntimeError), transaction.atomic():
            assert say(conversation, "b").seq == 2
            raise RuntimeError
        assert say(conversation, "c").seq == 2
        assert list(conversation.events.values_list("seq", flat=True)) == [1, 2]

    def test_the_log_moves_its_conversation_up_the_list(self):
        conversation = make_conversation(updated_at=timezone.now() - timedelta(days=1))
        event = say(conversation, "a")
        conversation.refresh_from_db()
        assert conversation.updated_at == event.at


class ConcurrentNumberTests(TransactionTestCase):
    def test_writers_at_once_leave_no_gaps(self):
        conversation = make_conversation(scene=None)
        threads = [threading.Thread(target=self.write, args=(conversation, n)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        numbers = list(conversation.events.values_list("seq", flat=True))
        assert numbers == list(range(1, 37))

    def write(self, conversation, writer):
        """Write eight events; two of them are rolled back."""
        try:
            for number in range(8):
                try:
                    with transaction.atomic():
                        say(conversation, f"{writer} {number}")
                        if number in (2, 5):
                            raise InterruptedError
                except InterruptedError:
                    continue
        finally:
            connection.close()

    def test_the_same_client_id_at_once_is_one_message(self):
        conversation = make_conversation(scene=None)
        acks = []

        def write():
            try:
                event = services.say(conversation=conversation, text="Hi", client_id="c-1")
                acks.append(event.seq)
            finally:
                connection.close()

        threads = [threading.Thread(target=write) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert acks == [1] * 6
        assert conversation.events.count() == 1

    def test_turns_begun_at_once_are_one(self):
        conversation = make_conversation(scene=None)
        say(conversation, "Hi")
        begun = []

        def begin():
            try:
                begun.append(services.begin_turn(conversation.pk))
            finally:
                connection.close()

        threads = [threading.Thread(target=begin) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len([turn for turn in begun if turn]) == 1
        assert conversation.turns.count() == 1


class FenceTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.conversation = make_conversation(fence=3)

    def refused(self, name, write):
        with self.assertRaises(IntegrityError) as caught, transaction.atomic():
            write()
        assert caught.exception.__cause__.diag.constraint_name == name

    def test_an_old_fence_is_refused_and_takes_no_number(self):
        for fence in (0, 2, 4):
            self.refused(
                "event_fence_current",
                lambda fence=fence: say(self.conversation, "late", Role.AGENT, fence=fence),
            )
        assert say(self.conversation, "now", Role.AGENT, fence=3).seq == 1

    def test_an_agents_event_without_a_fence_is_refused(self):
        self.refused(
            "event_agent_is_fenced",
            lambda: say(self.conversation, "late", Role.AGENT, fence=None),
        )

    def test_customers_and_staff_need_no_fence(self):
        say(self.conversation, "a")
        assert say(self.conversation, "b", Role.STAFF).seq == 2


class OnceTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.conversation = make_conversation()

    refused = FenceTests.refused

    def test_a_client_id_once_in_a_conversation(self):
        say(self.conversation, "a", client_id="x")
        say(make_conversation(), "a", client_id="x")
        self.refused("event_client_id_once", lambda: say(self.conversation, "b", client_id="x"))

    def test_one_running_turn(self):
        running_turn(self.conversation)
        self.refused(
            "turn_one_running_per_conversation",
            lambda: running_turn(self.conversation, asked_seq=2),
        )
        running_turn(make_conversation())

    def test_a_message_is_answered_once(self):
        turn = make_turn(self.conversation)
        self.refused(
            "turn_answers_a_message_once",
            lambda: running_turn(self.conversation, asked_seq=turn.asked_seq),
        )

    def test_finished_means_a_time_of_finishing(self):
        turn = running_turn(self.conversation)
        done = Turn.objects.filter(pk=turn.pk)
        self.refused("turn_finished_at_when_finished", lambda: done.update(status=TurnStatus.DONE))
        self.refused(
            "turn_finished_at_when_finished", lambda: done.update(finished_at=timezone.now())
        )

    def test_known_values_only(self):
        mine = Conversation.objects.filter(pk=self.conversation.pk)
        self.refused("conversation_control_known", lambda: mine.update(control="dog"))
        self.refused("conversation_channel_known", lambda: mine.update(channel="dog"))
        self.refused("conversation_rating_1_to_5", lambda: mine.update(rating=6))
        turn = running_turn(self.conversation)
        self.refused(
            "turn_status_known",
            lambda: Turn.objects.filter(pk=turn.pk).update(
                status="dog", finished_at=timezone.now()
            ),
        )
        self.refused("event_role_known", lambda: say(self.conversation, "a", "dog"))

    def test_a_bad_verdict_names_an_issue(self):
        turn = make_turn(self.conversation)
        self.refused(
            "judgement_bad_names_an_issue",
            lambda: Judgement.objects.create(turn=turn, source="reviewer", verdict="bad"),
        )
        Judgement.objects.create(turn=turn, source="customer", verdict="bad")


class NeverChangesTests(TestCase):
    def fixed(self, row, **change):
        with (
            self.assertRaises((IntegrityError, InternalError, ProgrammingError, DatabaseError)),
            transaction.atomic(),
        ):
            type(row).objects.filter(pk=row.pk).update(**change)
        row.refresh_from_db()

    def test_events(self):
        event = say(make_conversation(), "what was said")
        self.fixed(event, text="something else")
        self.fixed(event, seq=9)
        self.fixed(event, data={"a": 1})
        assert event.text == "what was said"

    def test_judgements(self):
        judgement = Judgement.objects.create(turn=make_turn(), source="customer", verdict="good")
        self.fixed(judgement, verdict="bad")
        assert judgement.verdict == "good"

    def test_releases_and_promotions(self):
        release = make_release(live=True)
        self.fixed(release, prompt="other")
        self.fixed(release, tools=["refund"])
        self.fixed(Promotion.objects.get(), reason="no")
        assert Release.objects.get() == release

    def test_revisions_and_publications(self):
        unit = make_published_unit()
        self.fixed(Revision.objects.get(), content="other")
        self.fixed(Publication.objects.get(), by=make_user("admin"))
        assert unit.live.content == "Then this is the answer."


class TakeoverRaceTests(TransactionTestCase):
    """A takeover and the end of a turn both need conversation and turn, in the same order."""

    def test_they_wait_for_each_other(self):
        for _ in range(5):
            conversation = make_conversation(scene=None)
            say(conversation, "Hi")
            turn = running_turn(conversation, asked_seq=1)
            assert self.race(conversation, turn) in ([], ["event_fence_current"])
            roles = list(conversation.events.order_by("seq").values_list("role", flat=True))
            assert Role.AGENT not in roles[roles.index(Role.STAFF) :]
            conversation.refresh_from_db()
            assert conversation.control == Control.HUMAN

    def race(self, conversation, turn):
        """Do both at once and return what the database refused."""
        staff = make_user(is_superuser=True)
        refused = []

        def end():
            store_end(turn, Record(), DialogueAction("reply", "Yes."), "")

        def take():
            services.reply_as_staff(conversation=conversation, by=staff, text="Hello")

        def attempt(work):
            try:
                work()
            except DatabaseError as error:
                refused.append(error.__cause__.diag.constraint_name or repr(error))
            finally:
                connection.close()

        threads = [threading.Thread(target=attempt, args=(work,)) for work in (end, take)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return refused
