"""What programs do at the desk: take, answer, hand back; notes, surveys."""

from django.test import TestCase

from dialogues import tasks
from dialogues.chat import surveying
from dialogues.desk import control, drafting
from dialogues.models import CannedReply, Draft, EventKind, Handover, Note, Survey
from knowledge.models import Job
from tests.factories import make_conversation, make_scene, make_user, say
from wowconsole.apikeys import issue_key


class DeskApiTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.conversation = make_conversation(scene=cls.scene)
        cls.ana = make_user("operator", [cls.scene])
        cls.ben = make_user("reviewer", [cls.scene])
        _, cls.key = issue_key(user=cls.ana, name="desk", scopes=["dialogues.reply"])
        say(cls.conversation, "Where is it?")

    def call(self, name="", method="post", key=None, data=None):
        path = f"/api/desk/{self.conversation.public_id}/{name}/" if name else "/api/desk/"
        headers = {"Authorization": f"Bearer {key or self.key}"}
        send = getattr(self.client, method)
        return send(path, data or {}, content_type="application/json", headers=headers)

    def test_the_queue_by_waiting_time(self):
        for talk in (self.conversation, make_conversation(scene=self.scene), make_conversation()):
            control.ask_for_person(conversation=talk)
        first, second = self.call(method="get").json()["results"]
        assert first["conversation"] == str(self.conversation.public_id)
        assert (first["place"], first["holder"], first["overdue"]) == (1, None, False)
        assert second["place"] == 2

    def test_the_number_of_queries_does_not_grow(self):
        for _ in range(3):
            control.ask_for_person(conversation=make_conversation(scene=self.scene))
        self.call(method="get")
        with self.assertNumQueries(5):
            self.call(method="get")

    def test_take_answer_hand_back(self):
        assert self.call("take").json()["holder"] == self.ana.username
        assert self.call("reply", data={"text": "It comes."}).status_code == 201
        assert self.call("hand-back", data={"summary": "Told them."}).status_code == 204
        assert Handover.objects.get().summary == "Told them."
        assert self.call("hand-back").status_code == 204  # the agent answers already

    def test_what_came_after_the_last_event_that_was_seen_is_owed(self):
        self.call("take")
        seen = self.conversation.events.last().seq
        say(self.conversation, "And now?")
        told = {"summary": "Told them.", "seen": seen}
        assert self.call("hand-back", data={**told, "seen": -1}).status_code == 400
        assert self.call("hand-back", data=told).status_code == 204
        assert self.conversation.events.last().data["owes"]

    def test_a_summary_as_a_machine_drafted_it_is_the_machines(self):
        self.call("reply", data={"text": "I look."})
        summary = drafting.summary_from_log(self.conversation)
        assert self.call("hand-back", data={"summary": f"{summary}\n"}).status_code == 204
        assert Handover.objects.get().summary_source == "log"

    def test_it_ends_the_conversation(self):
        control.take_control(conversation=self.conversation, by=self.ben)
        assert self.call("close").json()["code"] == "held_by_other"
        self.call("take", data={"force": True})
        for _ in range(2):
            assert self.call("close").status_code == 204
        self.conversation.refresh_from_db()
        assert self.conversation.closed_at

    def test_drafts(self):
        self.call("reply", data={"text": "I look."})
        refused = self.call("drafts", data={"kind": "reply"})
        assert (refused.status_code, refused.json()["code"]) == (409, "nothing_to_draft")
        assert self.call("drafts", data={"kind": "x"}).status_code == 400
        begun = self.call("drafts", data={"kind": "summary"})
        assert (begun.status_code, begun.json()["text"]) == (201, "")
        tasks.draft(Draft.objects.get().job_id)
        [draft] = self.call("drafts", method="get").json()
        assert (draft["id"], draft["state"]) == (begun.json()["id"], "done")
        assert (draft["source"], draft["use"]) == ("log", "")
        told = {"summary": draft["text"], "draft": draft["id"]}
        with self.captureOnCommitCallbacks(execute=True):
            assert self.call("hand-back", data=told).status_code == 204
        assert Handover.objects.get().summary_source == "log"
        assert Draft.objects.get().use == "accepted"
        assert self.call("drafts", method="get").json() == []

    def test_an_answer_that_began_with_a_draft(self):
        job = Job.objects.create(task=drafting.TASK, title="Draft", by=self.ana, total=2)
        draft = Draft.objects.create(
            conversation=self.conversation, job=job, kind="reply", after_seq=1
        )
        with self.captureOnCommitCallbacks(execute=True):
            self.call("reply", data={"text": "I look.", "draft": str(draft.public_id)})
        draft.refresh_from_db()
        assert draft.use == "edited"

    def test_assign_and_release(self):
        given = self.call("assign", data={"to": self.ben.username}).json()
        assert given["holder"] == self.ben.username
        for name in ("release", "hand-back"):
            assert self.call(name).json()["code"] == "held_by_other"
        self.call("take", data={"force": True})
        assert self.call("release").json()["control"] == "queued"
        assert self.call("release").json()["code"] == "not_held"
        assert self.call("assign", data={"to": "nobody"}).status_code == 404

    def test_what_a_colleague_holds_is_refused(self):
        control.take_control(conversation=self.conversation, by=self.ben)
        refused = self.call("take")
        assert (refused.status_code, refused.json()["code"]) == (409, "held_by_other")
        assert self.call("take", data={"force": True}).json()["holder"] == self.ana.username

    def test_notes(self):
        assert self.call("notes", data={"text": "VIP"}).status_code == 201
        [note] = self.call("notes", method="get").json()
        assert (note["text"], note["author"]) == ("VIP", self.ana.username)
        assert self.conversation.events.count() == 1

    def test_canned_replies(self):
        CannedReply.objects.create(shortcut="hi", text="Hello!", updated_by=self.ana)
        [reply] = self.call("canned-replies", method="get").json()
        assert reply == {"shortcut": "hi", "text": "Hello!"}

    def test_a_survey_on_request_and_its_results(self):
        assert self.call("survey").json()["code"] == "no_survey"
        survey = Survey.objects.create(scene=self.scene, at_end=False)
        surveying.ask_the_usual(survey=survey)
        assert self.call("survey").status_code == 204
        assert self.call("survey").json()["code"] == "already_asked"
        event = self.conversation.events.get(kind=EventKind.SURVEY)
        words = str(survey.questions.get(kind="text").public_id)
        surveying.answer(
            conversation=self.conversation,
            survey=event.data["survey"],
            answers={words: "Be quicker"},
        )
        self.client.force_login(self.ana)
        results = self.client.get(f"/api/surveys/{survey.public_id}/results/").json()
        assert (results["asked"], results["answered"]) == (1, 1)
        solved, ease, said = results["questions"]
        assert (ease["answered"], ease["missing"], ease["mean"]) == (0, 1, None)
        assert (solved["missing"], said["texts"]) == (1, ["Be quicker"])
        assert self.client.get("/api/surveys/").json()["results"][0]["scene"] == self.scene.slug

    def test_who_may_not(self):
        _, outsider = issue_key(
            user=make_user("operator", [make_scene()]), name="x", scopes=["dialogues.reply"]
        )
        _, reader = issue_key(user=self.ana, name="y", scopes=["dialogues.read"])
        for name in (
            "take",
            "reply",
            "notes",
            "release",
            "hand-back",
            "survey",
            "assign",
            "close",
            "drafts",
        ):
            data = {"text": "x", "to": self.ben.username, "kind": "reply"}
            with self.subTest(name):
                assert self.call(name, key=reader, data=data).status_code == 403
                assert self.call(name, key=outsider, data=data).status_code == 404
        assert self.call("take", key="wow_nonsense").status_code == 401
        assert self.call(method="get", key=outsider).json()["results"] == []
        assert not Note.objects.exists()
