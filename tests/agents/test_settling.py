"""What a judge says of suspected conflicts: taken only with sentences that stand in the rules."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

from django.test import TestCase, override_settings

from agents import judging, settling, tasks
from knowledge import conflicts
from knowledge.models import Conflict, ConflictKind, ConflictState, FoundBy
from tests.factories import make_scene, make_unit, make_user

FIRST, SECOND = "Ask the shop.", "Call the courier before noon."


@contextmanager
def judge(*answers):
    """Serve an OpenAI API that gives these answers in turn; yields what it was asked."""
    asked, left = [], list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            answer = left.pop(0) if left else None
            content = answer if isinstance(answer, str) else json.dumps(answer)
            body = json.dumps({"choices": [{"message": {"content": content}}]}).encode()
            self.send_response(200 if answer else 400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            """Stay quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        with override_settings(
            JUDGE_URL=f"http://127.0.0.1:{server.server_port}/v1", JUDGE_MODEL="judge"
        ):
            yield asked
    finally:
        server.shutdown()
        server.server_close()


def says(verdict, first=FIRST, second=SECOND, reason="They differ."):
    return {"verdict": verdict, "first": first, "second": second, "reason": reason}


class SettlingTests(TestCase):
    def setUp(self):
        scene = make_scene()
        self.author = make_user("operator", [scene])
        condition = "When a customer asks where the parcel is"
        right = make_unit(scene=scene, condition=condition, content=SECOND)
        left = make_unit(scene=scene, condition=condition, content=f"{FIRST} Be kind.")
        [self.conflict] = conflicts.check(left.latest)
        assert (self.conflict.right, self.conflict.kind) == (right.latest, ConflictKind.OVERLAP)

    def test_what_the_database_cannot_hold_is_left_out_of_the_reason(self):
        self.settle(says("contradiction", reason="They\0 differ."))
        assert (self.conflict.state, self.conflict.reason) == ("proven", "They differ.")

    def settle(self, answer):
        with judge(answer) as asked:
            tasks.settle_conflicts()
            tasks.settle_conflicts()  # delivered twice
        self.conflict.refresh_from_db()
        return asked

    def test_without_a_judge_nothing_is_asked(self):
        assert settling.settle_some() == 0
        self.conflict.refresh_from_db()
        assert self.conflict.found_by == FoundBy.RULES

    def test_a_contradiction_is_proven_with_its_sentences(self):
        [asked] = self.settle(says("contradiction", second="call the courier\nbefore noon."))
        shown = json.loads(asked["messages"][1]["content"])
        assert shown["second"]["answer"] == SECOND
        assert self.conflict.kind == ConflictKind.CONTRADICTION
        assert self.conflict.state == ConflictState.PROVEN
        assert self.conflict.found_by == FoundBy.JUDGE
        assert (self.conflict.left_text, self.conflict.reason) == (FIRST, "They differ.")

    def test_no_conflict_is_dismissed(self):
        self.settle(says("none", "", ""))
        assert self.conflict.state == ConflictState.DISMISSED

    def test_sentences_that_stand_nowhere_prove_nothing(self):
        for made_up in ("Shops are closed.", ""):
            Conflict.objects.update(found_by=FoundBy.RULES)
            [_] = self.settle(says("contradiction", first=made_up))
            assert self.conflict.state == ConflictState.SUSPECTED
            assert self.conflict.found_by == FoundBy.JUDGE  # asked once; the rest is a person's
            assert self.conflict.left_text != made_up

    def test_a_kind_that_is_known_already_is_not_stored_twice(self):
        fields = {"left_text": "a", "right_text": "b", "reason": "c", "similarity": 1}
        Conflict.objects.create(
            left=self.conflict.left,
            right=self.conflict.right,
            kind=ConflictKind.DUPLICATE,
            state=ConflictState.PROVEN,
            **fields,
        )
        self.settle(says("duplicate"))
        assert self.conflict.state == ConflictState.RESOLVED

    def test_what_a_person_decided_meanwhile_stands(self):
        with judge(says("contradiction")):
            conflicts.dismiss(conflict=self.conflict, by=self.author)
            assert not settling.settle(self.conflict)
        self.conflict.refresh_from_db()
        assert self.conflict.state == ConflictState.DISMISSED

    def test_nonsense_leaves_it_for_the_next_round(self):
        with judge("I obey the rule.", says("overlap")):
            assert settling.settle_some() == 0
            with self.assertRaises(judging.JudgeUnavailable), judge():
                settling.settle(self.conflict)
            assert settling.settle_some() == 1
        self.conflict.refresh_from_db()
        assert self.conflict.state == ConflictState.PROVEN
