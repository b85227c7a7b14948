import json
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from django.core.management import CommandError, call_command
from django.test import TestCase

from dialogues.importing import import_rows
from dialogues.models import (
    Case,
    Channel,
    Conversation,
    EventKind,
    IssueType,
    JudgementSource,
    Role,
    Turn,
    TurnStatus,
    Verdict,
)
from dialogues.reading import UnreadableRow, read_file, read_transcript
from tests.dialogues.rows import make_person, make_rule, make_scene_named

SHARED = {
    "id": "abcd-1",
    "turns": [
        {"role": "agent", "text": "Hello."},
        {"role": "customer", "text": "I forgot my username"},
        {"role": "customer", "text": "David Williams"},
        {"role": "agent", "text": "One moment."},
        {
            "role": "action",
            "text": "Account has been pulled up.",
            "action": "pull-up-account",
            "arguments": {"customer_name": "David Williams"},
        },
        {"role": "agent", "text": "It is dwilliams1."},
        {"role": "agent", "text": "Anything else?"},
        {"role": "customer", "text": "No"},
        {"role": "action", "text": "Done.", "action": "log-out", "arguments": {}},
    ],
}
OURS = {
    "id": "demo-1",
    "scene": "delivery",
    "customer": "Marcus Hill",
    "started_minutes_ago": 90,
    "rating": 2,
    "label": "bad",
    "turns": [
        {"role": "customer", "text": "stop GW1016"},
        {
            "role": "action",
            "name": "cancel_order",
            "arguments": {"order_id": "GW1016"},
            "result": {"status": "cancelled"},
            "thought": "Still preparing",
            "text": "Cancelling now.",
        },
        {
            "role": "agent",
            "text": "Send a photo.",
            "thought": "Ask",
            "knowledge": ["gw.cancel", "gw.unknown"],
            "action": "clarify",
            "issues": ["script_repetition"],
            "rewrite": "It is cancelled, Marcus.",
        },
    ],
}


class CustomerTests(TestCase):
    def test_the_number_of_a_card_is_no_name(self):
        import_rows([OURS | {"customer": "4111111111111111"}])
        assert Conversation.objects.get().customer == "•••• 1111"


class SharedFormTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.summary = import_rows([SHARED])
        cls.conversation = Conversation.objects.get(external_id="abcd-1")
        cls.turns = list(cls.conversation.turns.all())

    def test_the_log_is_numbered_without_gaps(self):
        seqs = list(self.conversation.events.values_list("seq", flat=True))
        assert seqs == list(range(1, 10))
        assert self.conversation.last_seq == 9
        times = list(self.conversation.events.values_list("at", flat=True))
        assert times == sorted(set(times))
        assert self.conversation.updated_at == times[-1]

    def test_entries_after_one_message_are_one_turn(self):
        assert [turn.asked_seq for turn in self.turns] == [3, 8]
        assert {turn.status for turn in self.turns} == {TurnStatus.DONE}
        assert self.turns[0].events.count() == 4

    def test_what_was_said_before_a_call_belongs_to_it(self):
        turn = self.turns[0]
        (step,) = turn.steps
        assert step["action"]["action"]["name"] == "pull-up-account"
        assert step["result"] == {"text": "Account has been pulled up."}
        assert json.loads(step["output"])["reply"] == "One moment."
        assert turn.output["reply"] == "It is dwilliams1. Anything else?"
        assert turn.output["action"] == {"name": "reply", "arguments": {}}

    def test_a_call_that_ends_a_turn_is_its_action(self):
        assert self.turns[1].output["action"]["name"] == "log-out"
        assert self.turns[1].steps == []

    def test_a_greeting_answers_nobody(self):
        first = self.conversation.events.first()
        assert (first.text, first.turn_id, first.fence) == ("Hello.", None, 0)

    def test_what_a_person_of_ours_said_is_no_turn_of_the_agent(self):
        turns = [
            {"role": "customer", "text": "Do you deliver to boats?"},
            {"role": "agent", "text": "A colleague knows.", "action": "handoff"},
            {"role": "staff", "text": "Only to the harbour office."},
            {"role": "customer", "text": "Thanks"},
        ]
        import_rows([{"id": "by-staff", "turns": turns}])
        conversation = Conversation.objects.get(external_id="by-staff")
        assert conversation.turns.get().output["reply"] == "A colleague knows."
        said = conversation.events.get(role=Role.STAFF)
        assert (said.text, said.turn) == ("Only to the harbour office.", None)

    def test_a_second_import_stores_nothing(self):
        again = import_rows([SHARED, SHARED])
        assert (again.dialogues, again.skipped) == (0, 2)
        assert (Conversation.objects.count(), Turn.objects.count()) == (1, 2)


class OwnFormTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene_named()
        cls.admin = make_person("ada", "admin")
        cls.rule = make_rule(cls.scene, cls.admin, external_id="gw.cancel")
        cls.summary = import_rows([OURS], scene_of=cls.scene, by=cls.admin, channel=Channel.CHAT)
        cls.turn = Turn.objects.get()

    def test_cited_rules_are_found_by_external_id(self):
        assert self.turn.output["knowledge"] == [self.rule.pk]
        (unit,) = self.turn.units.all()
        assert (unit.unit, unit.revision, unit.cited) == (self.rule, self.rule.latest, True)
        assert self.summary.unknown_units == {"gw.unknown"}

    def test_a_faulty_turn_becomes_a_case(self):
        judgement = self.turn.judgements.get()
        assert (judgement.source, judgement.author) == (JudgementSource.IMPORT, self.admin)
        case = Case.objects.get()
        assert (case.label, case.issue_types) == (Verdict.BAD, [IssueType.SCRIPT_REPETITION])
        assert case.rewrite == {**self.turn.output, "reply": "It is cancelled, Marcus."}
        assert list(Case.objects.pairs()) == [case]

    def test_a_call_is_one_entry(self):
        kinds = list(self.turn.events.values_list("kind", "text"))
        assert kinds == [
            (EventKind.ACTION, "Cancelling now."),
            (EventKind.MESSAGE, "Send a photo."),
        ]

    def test_the_rating_is_of_the_conversation_and_in_its_log(self):
        conversation = self.turn.conversation
        assert (conversation.rating, conversation.channel) == (2, Channel.CHAT)
        assert conversation.events.last().data["score"] == 2

    def test_a_good_dialogue_has_one_good_turn_that_matters(self):
        turns = [
            {"role": "customer", "text": "cancel it"},
            {"role": "agent", "text": "Done.", "knowledge": ["gw.cancel"]},
            {"role": "customer", "text": "thanks"},
            {"role": "agent", "text": "Bye.", "action": "close"},
        ]
        import_rows([{"id": "demo-2", "label": "good", "turns": turns}])
        case = Case.objects.get(label=Verdict.GOOD)
        assert case.turn.output["reply"] == "Done."


class UnreadableRowTests(TestCase):
    def test_each_bad_row_is_named_and_the_others_are_stored(self):
        said = [{"role": "customer", "text": "Hi"}]
        rows = [
            {"turns": said},
            {"id": "a", "turns": []},
            {"id": "b", "turns": [{"role": "robot", "text": "x"}]},
            {"id": "c", "turns": [{"role": "agent", "text": " "}]},
            {"id": "d", "turns": said, "rating": 9},
            {"id": "e", "turns": said, "label": "superb"},
            {"id": "f", "turns": [{**said[0], "issues": ["rudeness"]}]},
            {"id": "g" * 121, "turns": said},
            {"id": "h", "turns": "none"},
            {"id": "good", "turns": said, "customer": "No\0body"},
        ]
        summary = import_rows(rows)
        assert [line for line, _ in summary.errors] == list(range(1, 10))
        assert Conversation.objects.get().customer == "Nobody"

    def test_a_broken_line_says_so(self):
        with self.assertRaisesMessage(UnreadableRow, "not JSON"):
            read_transcript({"error": "not JSON: x"})


class CommandTests(TestCase):
    def setUp(self):
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def run_import(self, *args):
        out = StringIO()
        call_command("import_dialogues", *map(str, args), stdout=out, stderr=out)
        return out.getvalue()

    def test_jsonl_is_stored_once(self):
        make_scene_named()
        path = self.write("d.jsonl", f"{json.dumps(SHARED)}\n\n{json.dumps(OURS)}\n")
        assert "Stored 2 dialogues" in self.run_import(path)
        assert "2 were there already" in self.run_import(path)
        assert Conversation.objects.get(external_id="demo-1").scene.slug == "delivery"

    def test_a_dry_run_stores_nothing(self):
        path = self.write("d.jsonl", json.dumps(SHARED))
        assert "Would store 1 dialogues" in self.run_import(path, "--dry-run")
        assert not Conversation.objects.exists()

    def test_lines_that_are_wrong_are_counted_from_one(self):
        path = self.write("d.jsonl", f"{json.dumps(SHARED)}\n{{broken\n{json.dumps(OURS)}\n")
        with self.assertRaisesMessage(CommandError, "2 lines were not imported."):
            self.run_import(path)
        assert Conversation.objects.count() == 1

    def test_a_line_nested_without_end_is_no_json(self):
        [row] = read_file(self.write("d.jsonl", "[" * 100_000))
        assert row["error"].startswith("not JSON")

    def test_csv_lines_of_a_conversation_come_together(self):
        path = self.write(
            "d.csv",
            "conversation_id,role,text,at\n"
            "c1,customer,Where is GW1?,2026-01-31T12:00:00Z\n"
            'c1,action,"look_up_order {""order_id"": ""GW1""} -> {""status"": ""late""}",\n'
            "c1,agent,It is late.,2026-01-31T12:00:30Z\n"
            "c2,customer,Hello,\n",
        )
        assert "Stored 2 dialogues" in self.run_import(path)
        turn = Turn.objects.get()
        assert turn.steps[0]["action"]["action"]["arguments"] == {"order_id": "GW1"}
        assert turn.steps[0]["result"] == {"status": "late"}
        assert turn.conversation.created_at.isoformat() == "2026-01-31T12:00:00+00:00"
        assert len(list(read_file(path))) == 2

    def test_unknown_names_stop_it(self):
        path = self.write("d.jsonl", json.dumps(SHARED))
        for args in (["--scene", "nowhere"], ["--by", "nobody"]):
            with self.assertRaises(CommandError):
                self.run_import(path, *args)
        with self.assertRaisesMessage(CommandError, "There is no file"):
            self.run_import(self.folder / "gone.jsonl")
