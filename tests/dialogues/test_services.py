"""What customers and staff do in a conversation."""

from datetime import timedelta
from unittest import mock

from django.db import transaction
from django.test import TestCase
from django.utils import timezone

from agents.prompting import Line
from dialogues import services
from dialogues.chat import programs
from dialogues.models import Control, Conversation, EventKind, Judgement, Role, Turn, TurnStatus
from tests.factories import make_conversation, make_release, make_turn, make_user, say
from wowconsole.errors import Invalid, TooMany


def speak(conversation, text="Hi", client_id="c-1"):
    return services.say(conversation=conversation, text=text, client_id=client_id)


def lapse(turn):
    Turn.objects.filter(pk=turn.pk).update(leased_until=timezone.now() - timedelta(seconds=1))


class StartTests(TestCase):
    def test_only_a_digest_of_the_secret_is_stored(self):
        conversation, token = services.start_conversation(scene=None, customer="Maya")
        assert services.opens(conversation, token)
        assert token not in str(Conversation.objects.values().get())

    def test_other_secrets_do_not_open(self):
        conversation, token = services.start_conversation(scene=None)
        _, other = services.start_conversation(scene=None)
        for wrong in (other, "", token[:-1], token + "x", "\udcff", conversation.token_sha256):
            assert not services.opens(conversation, wrong.encode("utf-8", "replace").decode())

    def test_an_imported_conversation_opens_to_nobody(self):
        assert not services.opens(make_conversation(), "")


class SayTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.conversation = make_conversation()

    def test_the_number_of_a_card_is_not_kept(self):
        said = speak(self.conversation, "Charge 4111 1111 1111 1111 please")
        assert said.text == "Charge •••• 1111 please"

    def test_a_repeated_client_id_is_the_same_event(self):
        first = speak(self.conversation, "Hi", "a")
        again = speak(self.conversation, "Hi again", "a")
        assert (again.pk, again.seq, again.text) == (first.pk, 1, "Hi")
        assert self.conversation.events.count() == 1

    def test_a_client_id_of_ours_is_refused(self):
        say(self.conversation, "Your order is late.", Role.AGENT, client_id="proactive-1")
        with self.assertRaisesMessage(Invalid, "Choose another one."):
            speak(self.conversation, "Hi", "proactive-1")
        assert speak(self.conversation, "Hi", "a").seq == 2

    def test_a_repetition_is_known_even_after_the_end(self):
        first = speak(self.conversation)
        services.close(conversation=self.conversation)
        assert speak(self.conversation) == first

    def test_sockets_are_told_after_the_commit(self):
        with self.captureOnCommitCallbacks() as callbacks:
            speak(self.conversation)
            speak(self.conversation)
        assert len(callbacks) == 1

    def test_empty_and_endless_texts_are_refused(self):
        for text in ("", "  \n", "\0", "\ud800", "x" * (services.LONGEST_MESSAGE + 1)):
            with self.assertRaises(Invalid):
                speak(self.conversation, text)
        assert speak(self.conversation, " a\0b\udfff ").text == "ab"

    def test_what_nobody_can_see_is_no_text(self):
        for text in ("\u200b", "\u200d \ufeff", "\u2800\u3164", "\ufe0f", "\u2067\u2069", "\u3000"):
            with self.assertRaises(Invalid):
                speak(self.conversation, text)
        for text in ("?", "。", "❤️", "👩‍👩‍👧", "می‌خواهم", "क्‍ष", "1"):
            assert speak(self.conversation, text, text).text == text

    def test_the_search_for_it_begins_unless_a_person_answers(self):
        with mock.patch.object(services, "expect") as expect:
            speak(self.conversation, "Where is my order?", "a")
            speak(self.conversation, "Where is my order?", "a")
            Conversation.objects.update(control=Control.HUMAN)
            said = speak(self.conversation, "Are you there?", "b")
        expect.assert_called_once_with("Where is my order?")
        assert said.conversation.control == Control.HUMAN

    def test_storing_takes_six_statements(self):
        with self.assertNumQueries(6):  # the savepoint, lock, looks back, running turn, event
            speak(self.conversation)

    def test_a_closed_conversation_takes_nothing(self):
        services.close(conversation=self.conversation)
        with self.assertRaises(services.ConversationClosed):
            speak(self.conversation)

    def test_twenty_a_minute(self):
        for number in range(services.MESSAGES_A_MINUTE):
            speak(self.conversation, "Hi", str(number))
        with self.assertRaises(TooMany):
            speak(self.conversation, "Hi", "one more")
        assert speak(self.conversation, "Hi", "3").seq == 4  # a repetition costs nothing
        for costly in (
            lambda: services.rate(conversation=self.conversation, score=5),
            lambda: services.give_feedback(
                conversation=self.conversation, message="x", value="like", reason=""
            ),
        ):
            with self.assertRaises(TooMany):
                costly()


class BeginTurnTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.release = make_release(live=True)
        cls.conversation = make_conversation()

    def begin(self):
        return services.begin_turn(self.conversation.pk)

    def test_the_user_of_a_program_is_kept_without_the_number_of_a_card(self):
        card, lines = "4111111111111111", [Line("customer", "Hi")]
        turn = programs.begin(
            by=make_user(), release=self.release, scene=None, customer=card, lines=lines
        )
        assert turn.conversation.customer == "•••• 1111"

    def test_several_quick_messages_are_one_turn(self):
        for number in range(3):
            speak(self.conversation, "Hi", str(number))
        turn = self.begin()
        assert (turn.asked_seq, turn.attempts, turn.fence) == (3, 1, 0)
        turn.refresh_from_db()
        assert turn.leased_until > timezone.now()
        assert self.begin() is None

    def test_nothing_said_is_nothing_to_answer(self):
        assert self.begin() is None

    def test_what_was_answered_is_not_answered_again(self):
        make_turn(self.conversation)
        assert self.begin() is None
        speak(self.conversation)
        assert self.begin().asked_seq == 3

    def test_the_release_is_chosen_once(self):
        speak(self.conversation)
        assert self.begin().release == self.release
        Turn.objects.update(status=TurnStatus.DONE, finished_at=timezone.now())
        make_release(live=True)
        speak(self.conversation, "And?", "c-2")
        assert self.begin().release == self.release
        other = make_conversation()
        speak(other)
        assert services.begin_turn(other.pk).release != self.release

    def test_nothing_is_begun_while_a_person_has_control_or_after_the_end(self):
        speak(self.conversation)
        person = make_user()
        services.reply_as_staff(conversation=self.conversation, by=person, text="I'm here")
        assert self.begin() is None
        services.hand_back(conversation=self.conversation, by=person)
        services.close(conversation=self.conversation)
        assert self.begin() is None

    def test_a_dead_turn_is_taken_over_once(self):
        speak(self.conversation)
        turn = self.begin()
        assert services.take_over(turn.pk) is None
        lapse(turn)
        taken = services.take_over(turn.pk)
        assert (taken.pk, taken.attempts) == (turn.pk, 2)
        assert services.take_over(turn.pk) is None

    def test_leases_go_by_the_clock_of_the_database(self):
        speak(self.conversation)
        for minutes in (-1, 1):  # the clock of this host is slow, then it is fast
            wrong = timezone.now() + timedelta(minutes=minutes)
            with mock.patch.object(timezone, "now", return_value=wrong):
                turn = Turn.objects.first() or self.begin()
                assert services.take_over(turn.pk) is None


class ControlTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.conversation = make_conversation()
        cls.staff = make_user(first_name="Ana")

    def fresh(self):
        return Conversation.objects.get(pk=self.conversation.pk)

    def test_asking_for_a_person_queues_once(self):
        event = services.ask_for_person(conversation=self.conversation)
        assert (event.kind, event.data) == (EventKind.CONTROL, {"state": "queued"})
        assert services.ask_for_person(conversation=self.conversation) is None
        assert self.fresh().control == Control.QUEUED

    def test_a_reply_of_staff_takes_control_and_stops_the_agent(self):
        speak(self.conversation)
        turn = services.begin_turn(self.conversation.pk)
        event = services.reply_as_staff(
            conversation=self.conversation, by=self.staff, text=" Hello "
        )
        assert (event.role, event.text, event.data) == (Role.STAFF, "Hello", {"by": "Ana"})
        turn.refresh_from_db()
        assert turn.status == TurnStatus.FAILED
        assert (self.fresh().control, self.fresh().fence) == (Control.HUMAN, 1)
        services.reply_as_staff(conversation=self.conversation, by=self.staff, text="More")
        assert self.fresh().fence == 1

    def test_handing_back_lets_the_agent_answer_what_is_said_next(self):
        assert services.hand_back(conversation=self.conversation, by=self.staff) is None
        services.reply_as_staff(conversation=self.conversation, by=self.staff, text="Hello")
        event = services.hand_back(conversation=self.conversation, by=self.staff)
        assert event.data == {"state": "bot"}
        speak(self.conversation)
        assert services.begin_turn(self.conversation.pk).fence == 2

    def test_the_end_stops_the_agent_and_comes_once(self):
        speak(self.conversation)
        turn = services.begin_turn(self.conversation.pk)
        assert services.close(conversation=self.conversation).kind == EventKind.CLOSED
        assert services.close(conversation=self.conversation) is None
        turn.refresh_from_db()
        assert turn.status == TurnStatus.FAILED
        with self.assertRaises(services.ConversationClosed):
            services.reply_as_staff(conversation=self.conversation, by=self.staff, text="x")
        assert services.ask_for_person(conversation=self.conversation) is None


class UnansweredTests(TestCase):
    """What the sweep finds when no process was left to begin a turn."""

    @classmethod
    def setUpTestData(cls):
        cls.conversation = make_conversation()
        cls.past = timezone.now() - timedelta(seconds=60)

    def found(self):
        with transaction.atomic():
            return list(Conversation.objects.unanswered(after_seconds=15)) == [self.conversation]

    def test_a_message_that_no_turn_took_up(self):
        say(self.conversation, "Hello?", at=self.past)
        assert self.found()
        services.begin_turn(self.conversation.pk)
        assert not self.found()

    def test_young_messages_are_being_taken_up(self):
        say(self.conversation, "Hello?")
        assert not self.found()

    def test_what_a_person_answered_stays_answered_after_handing_back(self):
        say(self.conversation, "Hello?", at=self.past)
        person = make_user()
        services.reply_as_staff(conversation=self.conversation, by=person, text="Hi")
        assert not self.found()
        services.hand_back(conversation=self.conversation, by=person)
        assert services.begin_turn(self.conversation.pk) is None

    def test_ended_conversations_stay_silent(self):
        say(self.conversation, "Hello?", at=self.past)
        services.close(conversation=self.conversation)
        assert not self.found()


class RatingTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.turn = make_turn()
        cls.conversation = cls.turn.conversation
        cls.reply = cls.turn.events.get()

    def feedback(self, value="like", message=None, reason=""):
        return services.give_feedback(
            conversation=self.conversation,
            message=message or str(self.reply.public_id),
            value=value,
            reason=reason,
        )

    def test_the_last_rating_counts(self):
        for score in (2, 5):
            services.rate(conversation=self.conversation, score=score, comment="ok")
        self.conversation.refresh_from_db()
        assert self.conversation.rating == 5
        assert self.conversation.events.filter(kind=EventKind.RATING).count() == 2

    def test_numbers_of_cards_are_not_kept(self):
        card = "4111 1111 1111 1111 did not work"
        services.rate(conversation=self.conversation, score=1, comment=card)
        self.feedback("dislike", reason=card)
        kept = [event.data for event in self.conversation.events.exclude(kind=EventKind.MESSAGE)]
        assert kept[0]["comment"] == kept[1]["reason"] == "•••• 1111 did not work"
        assert Judgement.objects.get().comment == "•••• 1111 did not work"

    def test_other_scores_are_refused(self):
        for score in (0, 6, -1, 4.0, "5", None, True, [5], 10**30):
            with self.assertRaises(Invalid):
                services.rate(conversation=self.conversation, score=score)

    def test_feedback_is_a_judgement_of_the_turn(self):
        self.feedback("dislike", reason="Too slow")
        judgement = Judgement.objects.get()
        assert (judgement.turn, judgement.verdict, judgement.source, judgement.comment) == (
            self.turn,
            "bad",
            "customer",
            "Too slow",
        )

    def test_a_reason_that_the_page_offers_is_kept_in_words_with_the_customers_own(self):
        for reason, words in (
            ("wrong", "The answer is wrong"),
            ("wrong: 太慢了: 三天", "The answer is wrong: 太慢了: 三天"),
            ("I said: no", "I said: no"),
        ):
            self.feedback("dislike", reason=reason)
            assert Judgement.objects.first().comment == words

    def test_the_same_feedback_again_is_the_same_judgement(self):
        first = self.feedback("dislike", reason="slow")
        assert self.feedback("dislike", reason="slow") == first
        assert Judgement.objects.count() == 1
        for value in ("like", "dislike"):  # a customer may think better of it, and again
            self.feedback(value, reason="slow")
        assert [each.verdict for each in Judgement.objects.order_by("pk")] == ["bad", "good", "bad"]

    def test_only_replies_of_the_agent_here_get_feedback(self):
        asked = self.conversation.events.first()
        other = make_turn().events.get()
        for message in (asked.public_id, other.public_id, "x", "' OR 1=1"):
            with self.assertRaises(services.NothingToRate):
                self.feedback(message=str(message))
        with self.assertRaises(Invalid):
            self.feedback("love")
        assert not Judgement.objects.exists()
