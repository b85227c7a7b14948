"""What people hold who may not answer any more goes back into the queue."""

from dialogues import services, tasks
from dialogues.desk import control, leaving, queueing
from dialogues.models import Assignment, Control
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
