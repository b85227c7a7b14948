"""Staff answer in a conversation, and hand it back; what was said meanwhile keeps its order."""

from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from dialogues import history, services
from dialogues.models import Control, EventKind, Role, Turn, TurnStatus
from tests.factories import make_conversation, make_release, make_scene, make_user, say


class StaffReplyTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.conversation = make_conversation(scene=cls.scene)
        cls.operator = make_user("operator", [cls.scene])

    def url(self, name="staff-reply"):
        return reverse(f"dialogues:{name}", args=[self.conversation.public_id])

    def reply(self, text="I'm Olivia, let me see."):
        return self.client.post(self.url(), {"text": text})

    def test_the_first_answer_takes_control(self):
        self.client.force_login(self.operator)
        assert self.reply().status_code == 302
        self.conversation.refresh_from_db()
        assert self.conversation.control == Control.HUMAN
        assert self.conversation.fence == 1
        kinds = [(event.kind, event.role) for event in self.conversation.events.order_by("seq")]
        assert kinds == [(EventKind.CONTROL, Role.SYSTEM), (EventKind.MESSAGE, Role.STAFF)]

    def test_a_running_turn_of_the_agent_ends(self):
        asked = say(self.conversation, "Hello?")
        turn = Turn.objects.create(conversation=self.conversation, asked_seq=asked.seq)
        services.reply_as_staff(conversation=self.conversation, by=self.operator, text="Hi.")
        turn.refresh_from_db()
        assert turn.status == TurnStatus.FAILED

    def test_handing_back_lets_the_agent_answer_the_next_message_only(self):
        make_release(live=True)
        say(self.conversation, "Hello?")
        self.client.force_login(self.operator)
        self.reply()
        assert services.begin_turn(self.conversation.pk) is None
        self.client.post(self.url("hand-back"))
        assert services.begin_turn(self.conversation.pk) is None
        say(self.conversation, "And tomorrow?")
        assert services.begin_turn(self.conversation.pk) is not None

    def test_nothing_is_said_with_an_empty_text(self):
        self.client.force_login(self.operator)
        assert self.reply("  ").status_code == 422
        assert not self.conversation.events.exists()

    def test_who_may_not(self):
        stranger = make_user("operator", [make_scene()])
        for user, status in [(make_user("auditor"), 403), (stranger, 404)]:
            self.client.force_login(user)
            with self.subTest(status=status):
                assert self.reply().status_code == status
                assert self.client.post(self.url("hand-back")).status_code == status
        self.client.logout()
        self.assertRedirects(self.reply(), f"{reverse('account_login')}?next={self.url()}")
        assert not self.conversation.events.exists()


class LinesTests(TestCase):
    def test_a_message_sent_during_a_turn_stands_after_its_reply(self):
        conversation = make_conversation()
        first = say(conversation, "Where is it?")
        second = say(conversation, "And who brings it?")
        answered = Turn.objects.create(
            conversation=conversation,
            asked_seq=first.seq,
            status=TurnStatus.DONE,
            finished_at=timezone.now(),
        )
        say(conversation, "On its way.", Role.AGENT, turn=answered)
        running = Turn.objects.create(conversation=conversation, asked_seq=second.seq)
        lines = [str(line) for line in history.lines_for(running)]
        assert lines == [
            "customer: Where is it?",
            "agent: On its way.",
            "customer: And who brings it?",
        ]

    def test_a_turns_own_calls_are_left_out(self):
        conversation = make_conversation()
        asked = say(conversation, "Where is GW1002?")
        turn = Turn.objects.create(conversation=conversation, asked_seq=asked.seq)
        data = {"name": "look_up_order", "arguments": {}, "result": {}}
        services.append(
            conversation=conversation,
            kind=EventKind.ACTION,
            role=Role.AGENT,
            data=data,
            turn=turn,
            fence=0,
        )
        assert [line.role for line in history.lines_for(turn)] == ["customer"]
