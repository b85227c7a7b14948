from django.test import TestCase
from django.utils import timezone

from dialogues.models import Case, Conversation, Judgement, Site
from tests.dialogues.rows import make_answered, make_person, make_rule, make_scene_named, make_talk
from wowconsole.apikeys import issue_key

JSON = "application/json"


class DialogueApi(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene_named()
        cls.reviewer = make_person("rita", "reviewer", [cls.scene])
        cls.stranger = make_person("sam", "reviewer", [make_scene_named("shops")])
        cls.rule = make_rule(cls.scene, cls.reviewer)
        cls.conversation, cls.first = make_talk(cls.scene)
        cls.turn = make_answered(cls.conversation, rules=[cls.rule])

    def setUp(self):
        self.scopes = ["dialogues.read", "dialogues.judge"]
        self.user = self.reviewer

    def headers(self):
        _, secret = issue_key(user=self.user, name="test", scopes=self.scopes)
        return {"Authorization": f"Bearer {secret}"}

    def get(self, path):
        return self.client.get(f"/api/{path}", headers=self.headers())

    def judge(self, **fields):
        data = {
            "turn": str(self.turn.public_id),
            "verdict": "bad",
            "issue_types": ["hallucination"],
            **fields,
        }
        return self.client.post("/api/judgements/", data, content_type=JSON, headers=self.headers())


class ConversationApiTests(DialogueApi):
    def test_conversations_of_the_users_scenes(self):
        (row,) = self.get("dialogues/").json()["results"]
        assert (row["id"], row["scene"]) == (str(self.conversation.public_id), "delivery")
        assert self.get(f"dialogues/{row['id']}/").json() == row
        self.user = self.stranger
        assert self.get("dialogues/").json()["results"] == []
        assert self.get(f"dialogues/{row['id']}/").status_code == 404

    def test_whom_a_site_proved_the_customer_to_be(self):
        (row,) = self.get("dialogues/").json()["results"]
        assert (row["site"], row["customer_ref"], row["identified_at"]) == (None, "", None)
        site = Site.objects.create(slug="shop", name="Corner Shop")
        known = {"customer_ref": "C-7", "identified_at": timezone.now(), "site": site}
        Conversation.objects.filter(pk=self.conversation.pk).update(**known)
        row = self.get(f"dialogues/{row['id']}/").json()
        assert (row["site"], row["customer_ref"]) == ("shop", "C-7")
        assert row["identified_at"]

    def test_events_after_a_number(self):
        path = f"dialogues/{self.conversation.public_id}/events/"
        assert [event["seq"] for event in self.get(path).json()] == [1, 2, 3, 4]
        events = self.get(f"{path}?after=2").json()
        assert [event["role"] for event in events] == ["customer", "agent"]
        assert [event["turn"] for event in events] == [None, str(self.turn.public_id)]
        assert self.get(f"{path}?after=-1").status_code == 400
        assert self.get(f"{path}?after=x").json()["code"] == "invalid"

    def test_keys_without_the_scope_are_refused(self):
        self.scopes = ["knowledge.read"]
        answer = self.get("dialogues/")
        assert answer.status_code == 403
        assert answer["Content-Type"] == "application/problem+json"
        assert self.client.get("/api/dialogues/").status_code == 401

    def test_rows_take_no_query_each(self):
        headers = self.headers()
        for _ in range(3):
            make_talk(self.scene)
        with self.assertNumQueries(4):  # key, its use, roles, rows
            self.client.get("/api/dialogues/", headers=headers)


class TurnApiTests(DialogueApi):
    def test_the_stored_turn_is_whole(self):
        turn = self.get(f"turns/{self.turn.public_id}/").json()
        assert turn["steps"] == self.turn.steps
        assert turn["output"] == self.turn.output
        assert turn["timings"]["engine_ms"] == 340.0
        (unit,) = turn["units"]
        assert (unit["unit"], unit["title"], unit["cited"]) == (
            self.rule.pk,
            "Late delivery",
            True,
        )
        self.user = self.stranger
        assert self.get(f"turns/{self.turn.public_id}/").status_code == 404


class JudgementApiTests(DialogueApi):
    def test_a_verdict_with_other_words(self):
        answer = self.judge(rewrite_text="Five minutes.")
        assert answer.status_code == 201, answer.json()
        assert answer.json()["rewrite"] == {**self.turn.output, "reply": "Five minutes."}
        assert answer.json()["author"] == "rita"
        (listed,) = self.get("judgements/").json()["results"]
        assert listed == answer.json()

    def test_a_verdict_with_another_action(self):
        rewrite = {
            "thought": "",
            "knowledge": [self.rule.pk],
            "action": {"name": "handoff", "arguments": {}},
            "reply": "A colleague will call.",
        }
        assert self.judge(rewrite=rewrite).json()["rewrite"] == rewrite

    def test_judging_twice_keeps_both(self):
        self.judge()
        self.judge(verdict="good", issue_types=[])
        assert Judgement.objects.count() == 2
        assert Case.objects.get().label == "good"

    def test_refusals_have_codes(self):
        unfounded = {**self.turn.output, "knowledge": [999999], "reply": "x"}
        expected = [
            ({"issue_types": ["rudeness"]}, 400, "invalid"),
            ({"issue_types": []}, 422, "invalid"),
            ({"verdict": "superb"}, 400, "invalid"),
            ({"verdict": "good"}, 422, "good_reply_has_no_fault"),
            ({"rewrite_text": "On its way."}, 422, "rewrite_unchanged"),
            ({"rewrite": {"reply": ""}}, 422, "rewrite_empty"),
            ({"rewrite": unfounded}, 422, "rewrite_unfounded"),
            ({"rewrite": "text"}, 400, "invalid"),
            ({"rewrite": {}, "rewrite_text": "x"}, 400, "invalid"),
        ]
        for fields, status, code in expected:
            answer = self.judge(**fields)
            assert (answer.status_code, answer.json()["code"]) == (status, code), fields
        assert not Judgement.objects.exists()

    def test_who_may_not(self):
        self.scopes = ["dialogues.read"]
        assert self.judge().status_code == 403
        self.scopes = ["dialogues.judge"]
        self.user = self.stranger
        assert self.judge().status_code == 404
        assert not Judgement.objects.exists()


class CaseApiTests(DialogueApi):
    def test_cases_show_reply_and_rewrite(self):
        self.judge(rewrite_text="Five minutes.")
        (case,) = self.get("cases/").json()["results"]
        assert case["output"]["reply"] == "On its way."
        assert case["rewrite"]["reply"] == "Five minutes."
        assert self.get(f"cases/{case['id']}/").json() == case
        self.user = self.stranger
        assert self.get("cases/").json()["results"] == []
