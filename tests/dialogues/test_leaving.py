"""What people hold who may not answer any more, or let wait, goes back into the queue."""

from datetime import timedelta
from unittest.mock import patch

from django.utils import timezone

from dialogues import services, tasks
from dialogues.desk import control, leaving, presenting, queueing
from dialogues.models import Assignment, Control, Desk, OpenPeriod
from tests.dialogues.test_control import ControlCase
from tests.factories import say


class LeavingTests(ControlCase):
    def setUp(self):
        say(self.conversation, "Where is it?")
        services.reply_as_staff(conversation=self.conversation, by=self.ana, text="A moment.")
        say(self.conversation, "Hello? Anybody there?")

    def test_whose_holder_has_left_waits_in_the_queue_and_the_agent_answers(self):
        self.ana.is_active = False
        self.ana.save()
        for _ in range(2):
            tasks.sweep_desk()
        assert self.fresh().control == Control.QUEUED
        assert queueing.standing(self.conversation)["position"] == 1
        assert self.conversation.events.last().data["owes"]
        assert services.begin_turn(self.conversation.pk)
        assert [(row.to, row.by) for row in Assignment.objects.all()] == [
            (self.ana, self.ana),
            (None, None),
        ]

    def test_so_does_whose_holder_lost_the_role_or_the_scene(self):
        self.ana.groups.clear()
        leaving.put_back_what_is_left()
        assert self.handover().holder is None
        control.take_control(conversation=self.conversation, by=self.ben)
        self.scene.members.remove(self.ben)
        leaving.put_back_what_is_left()
        assert self.handover().holder is None

    def test_whose_holder_may_answer_stays(self):
        leaving.put_back_what_is_left()
        assert self.handover().holder == self.ana


class SilenceTests(ControlCase):
    """Whom their holder lets wait: after a few minutes where people are away, else after more."""

    def setUp(self):
        self.desk = Desk.objects.create(scene=self.scene, time_zone="UTC", answer_minutes=10)
        say(self.conversation, "Where is it?")
        services.reply_as_staff(conversation=self.conversation, by=self.ana, text="I look.")

    def shut(self):
        """Leave only an open minute of three days ago."""
        day = (timezone.now() - timedelta(days=3)).weekday()
        OpenPeriod.objects.create(desk=self.desk, weekday=day, opens="09:00", closes="09:01")

    def holder_after(self, minutes):
        now = timezone.now() + timedelta(minutes=minutes)
        with patch("django.utils.timezone.now", return_value=now):
            tasks.sweep_desk()
        return self.handover().holder

    def test_after_the_hours_they_wait_a_few_minutes_and_are_told_when_people_are_back(self):
        self.shut()
        say(self.conversation, "Hello? Anybody there?")
        assert self.holder_after(4) == self.ana
        assert self.holder_after(6) is None
        assert self.fresh().control == Control.QUEUED
        told = self.conversation.events.last().data
        assert told["owes"]
        assert told["detail"].startswith("Our people are back")
        assert control.leave_queue(conversation=self.conversation)

    def test_within_the_hours_three_times_as_long_as_a_first_answer_may_take(self):
        say(self.conversation, "Hello? Anybody there?")
        assert self.holder_after(29) == self.ana
        say(self.conversation, "Hello??")
        assert self.holder_after(31) is None
        assert self.conversation.events.last().data == {"state": "queued", "owes": True}

    def test_who_was_answered_thanks_or_says_goodbye_waits_for_nothing(self):
        self.shut()
        for text in ("Thanks, bye", "谢谢"):
            assert self.holder_after(600) == self.ana
            say(self.conversation, text)
        assert self.holder_after(600) == self.ana

    def test_what_was_asked_before_counts_from_when_its_holder_has_it(self):
        say(self.conversation, "Anybody there?", at=timezone.now() - timedelta(hours=2))
        control.assign(conversation=self.conversation, to=self.ben, by=self.ana)
        assert self.holder_after(29) == self.ben
        assert self.holder_after(31) is None

    def test_the_inbox_marks_by_the_clock_outside_the_hours_whom_their_holder_lets_wait(self):
        self.shut()
        asked = say(self.conversation, "Hello? Anybody there?")
        for minutes, since in ((4, None), (6, asked.at)):
            later = timezone.now() + timedelta(minutes=minutes)
            with patch("django.utils.timezone.now", return_value=later):
                assert presenting.rows([self.conversation])[0].unanswered_since == since

    def test_whoever_answers_at_the_last_moment_keeps_it(self):
        self.shut()
        say(self.conversation, "Hello? Anybody there?")
        after = timezone.now() + timedelta(minutes=6)
        found = leaving.whom_holders_left

        def answered(held):
            late = list(found(held))
            if len(late) and not self.said:
                self.said = services.reply_as_staff(
                    conversation=self.conversation, by=self.ana, text="Here it is."
                )
            return late

        self.said = None
        with (
            patch("django.utils.timezone.now", return_value=after),
            patch.object(leaving, "whom_holders_left", answered),
        ):
            leaving.put_back_what_is_left()
        assert self.said
        assert self.handover().holder == self.ana
