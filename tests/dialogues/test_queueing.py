"""The queue for a person: places, hours, when an answer is due, what the waiting are told."""

from datetime import UTC, datetime, timedelta
from unittest import mock
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.utils import timezone

from dialogues import services
from dialogues.desk import control, queueing
from dialogues.models import Desk, EventKind, Handover, Holiday, OpenPeriod
from tests.dialogues.test_control import ControlCase
from tests.factories import make_conversation, make_scene


class QueueTests(ControlCase):
    def others(self, count=2, **fields):
        talks = [make_conversation(**{"scene": self.scene, **fields}) for _ in range(count)]
        for talk in talks:
            control.ask_for_person(conversation=talk)
        return talks

    def test_places_count_from_one_in_each_scene(self):
        self.others(2)
        self.others(1, scene=make_scene())
        control.ask_for_person(conversation=self.conversation)
        frame = queueing.standing(self.conversation)
        assert frame == {
            "type": "status",
            "state": "queued",
            "position": 3,
            "back_at": None,
            "detail": "You are number 3 in the queue.",
        }

    def test_who_is_taken_leaves_the_queue_and_the_rest_is_told(self):
        first, second = self.others()
        with (
            mock.patch.object(queueing.events, "passing", mock.AsyncMock()) as passing,
            self.captureOnCommitCallbacks(execute=True),
        ):
            control.take_control(conversation=first, by=self.ana)
        told = [call.args for call in passing.await_args_list]
        assert [public_id for public_id, _ in told] == [second.public_id]
        assert told[0][1]["detail"] == "You are next."

    def test_who_does_not_wait_stands_nowhere(self):
        assert queueing.standing(self.conversation) is None
        control.ask_for_person(conversation=self.conversation)
        services.close(conversation=self.conversation)
        assert queueing.standing(self.conversation) is None

    def test_moves_cost_the_same_however_long_the_queue(self):
        self.others(5)
        with self.assertNumQueries(2):
            queueing._tell(self.scene, [])


class HoursTests(ControlCase):
    def shut(self, scene):
        """A desk that is open at a minute of yesterday only."""
        desk = Desk.objects.create(scene=scene, time_zone="Asia/Shanghai", answer_minutes=5)
        now = timezone.now().astimezone(ZoneInfo("Asia/Shanghai"))
        yesterday = (now - timedelta(days=1)).weekday()
        OpenPeriod.objects.create(desk=desk, weekday=yesterday, opens="09:00", closes="10:00")
        return desk

    def test_outside_the_hours_the_customer_is_told_when_people_are_back(self):
        self.shut(self.scene)
        control.ask_for_person(conversation=self.conversation)
        frame = queueing.standing(self.conversation)
        assert frame["back_at"].endswith("01:00:00+00:00")  # 9 in Shanghai
        assert "at 09:00 (Asia/Shanghai). Leave a message" in frame["detail"]
        asked = self.conversation.events.get(kind=EventKind.CONTROL)
        told = {"back_at": frame["back_at"], "detail": frame["detail"]}
        assert asked.data == {"state": "queued", **told}
        assert self.handover().due_at.hour == 1
        assert self.handover().due_at.minute == 5

    def test_within_the_hours_nothing_is_said_of_them(self):
        Desk.objects.create(scene=self.scene)
        control.ask_for_person(conversation=self.conversation)
        asked = self.conversation.events.get(kind=EventKind.CONTROL)
        assert asked.data == {"state": "queued"}

    def test_who_is_put_back_when_people_have_left_is_told_when_they_are_back(self):
        control.take_control(conversation=self.conversation, by=self.ana)
        self.shut(self.scene)
        event = control.release(conversation=self.conversation, by=self.ana)
        assert event.data["back_at"] == queueing.standing(self.conversation)["back_at"]

    def told_of_hours(self, at):
        with (
            mock.patch.object(queueing.events, "passing", mock.AsyncMock()) as passing,
            mock.patch.object(queueing.timezone, "now", return_value=at),
        ):
            queueing.tell_of_hours()
        return [(call.args[0], call.args[1]["back_at"]) for call in passing.await_args_list]

    def test_who_waits_is_told_when_people_come_or_go(self):
        desk = Desk.objects.create(scene=self.scene, time_zone="UTC")
        OpenPeriod.objects.create(desk=desk, weekday=0, opens="09:00", closes="17:00")
        control.ask_for_person(conversation=self.conversation)
        elsewhere = make_conversation(scene=make_scene())
        control.ask_for_person(conversation=elsewhere)
        monday, key = datetime(2026, 11, 23, tzinfo=UTC), self.conversation.public_id
        assert self.told_of_hours(monday.replace(hour=8, minute=59)) == []
        assert self.told_of_hours(monday.replace(hour=9, minute=1)) == [(key, None)]
        assert self.told_of_hours(monday.replace(hour=12)) == []
        assert self.told_of_hours(monday.replace(hour=17)) == [(key, "2026-11-30T09:00:00+00:00")]
        control.take_control(conversation=self.conversation, by=self.ana)
        assert self.told_of_hours(monday.replace(hour=17)) == []

    def test_a_scene_without_a_desk_has_the_one_of_the_deployment(self):
        desk = self.shut(None)
        assert queueing.desk_of(self.scene) == desk
        own = Desk.objects.create(scene=self.scene)
        assert queueing.desk_of(self.scene) == own
        assert queueing.desk_of(None) == desk

    def test_a_desk_shut_for_good_says_so(self):
        desk = Desk.objects.create(scene=self.scene)
        today = timezone.now().date()
        OpenPeriod.objects.create(desk=desk, weekday=today.weekday(), opens="00:00", closes="00:00")
        weeks = [today + timedelta(weeks=number) for number in range(-1, 60)]
        Holiday.objects.bulk_create([Holiday(desk=desk, day=day) for day in weeks])
        control.ask_for_person(conversation=self.conversation)
        assert queueing.standing(self.conversation)["detail"].startswith("Our people are away.")

    def test_the_first_answer_of_a_person_stops_the_clock(self):
        control.ask_for_person(conversation=self.conversation)
        assert not self.handover().is_overdue
        Handover.objects.update(due_at=timezone.now() - timedelta(minutes=1))
        assert self.handover().is_overdue
        services.reply_as_staff(conversation=self.conversation, by=self.ana, text="Hello")
        first = self.handover().answered_at
        services.reply_as_staff(conversation=self.conversation, by=self.ana, text="More")
        assert self.handover().answered_at == first

    def test_constraints_of_hours(self):
        desk = Desk.objects.create(scene=None)
        nonsense = [
            ("period_closes_after_it_opens", {"weekday": 0, "opens": "10:00", "closes": "09:00"}),
            ("period_weekday_known", {"weekday": 7, "opens": "09:00", "closes": "10:00"}),
        ]
        for name, fields in nonsense:
            with self.assertRaisesMessage(IntegrityError, name), transaction.atomic():
                OpenPeriod.objects.create(desk=desk, **fields)
        with self.assertRaisesMessage(IntegrityError, "desk_one_per_scene"), transaction.atomic():
            Desk.objects.create(scene=None)
