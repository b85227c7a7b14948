"""Folders of public retrieval sets to rules and labels."""

import json
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.core.management import CommandError, call_command
from django.test import TestCase

from knowledge import corpora
from knowledge.models import KnowledgeUnit, LabelledSet, Scene, UnitStatus
from tests.factories import make_user

CORPUS = [
    {"id": "a", "title": "Late food", "text": "Late food\nmy food is late"},
    {"id": "b", "title": "Cold food", "text": "Cold food", "similar_questions": ["soup is cold"]},
    {"id": "c1", "text": "A step", "dup_group": "x"},
    {"id": "c2", "text": "A step", "dup_group": "x"},
]
QUERIES = [
    {"id": "q1", "text": "where is my food"},
    {"id": "q2", "text": "the soup is cold"},
    {"id": "q3", "text": "sing me a song", "out_of_scope": True},
    {"id": "q4", "text": "next step", "context": []},
    {"id": "q5", "text": "nobody knows what answers this"},
    {"id": "q6", "text": "hm", "needs_knowledge": False},
]
QRELS = "query_id\tdoc_id\tscore\nq1\ta\t1\nq2\tb\t1\nq2\ta\t0\nq4\tc1\t1\n"


class CorpusTests(TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.write("corpus.jsonl", "\n".join(map(json.dumps, CORPUS)))
        self.write("queries.jsonl", "\n".join(map(json.dumps, QUERIES)))
        self.write("qrels.tsv", QRELS)

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")

    def run_command(self, **options):
        make_user("admin", username="root", is_superuser=True)
        out = StringIO()
        call_command("import_labelled_set", self.folder, scene="food", stdout=out, **options)
        return out.getvalue()


class ReadingTests(CorpusTests):
    def test_twins_are_equally_relevant_and_score_zero_is_not(self):
        corpus = corpora.read(self.folder)
        assert corpus.relevant == {"q1": ["a"], "q2": ["b"], "q4": ["c1", "c2"]}

    def test_a_query_of_which_nothing_is_known_is_left_out(self):
        assert [row["id"] for row in corpora.read(self.folder).queries] == [
            "q1",
            "q2",
            "q3",
            "q4",
            "q6",
        ]

    def test_a_limit_is_spread_over_the_file(self):
        rows = [{"id": number} for number in range(10)]
        assert corpora.spread(rows, 3) == [{"id": 0}, {"id": 3}, {"id": 6}]
        assert corpora.spread(rows, 30) == corpora.spread(rows, None) == rows


class CommandTests(CorpusTests):
    def test_rules_are_published_and_the_set_labelled(self):
        told = self.run_command(name="Food", limit=None)
        assert "4 of 4 rules published" in told
        assert "4 rules in food, 5 questions in “Food”" in told
        assert KnowledgeUnit.objects.filter(status=UnitStatus.PUBLISHED).count() == 4
        queries = LabelledSet.objects.get(scene__slug="food").queries
        labels = {q.text: {u.external_id for u in q.relevant.all()} for q in queries.all()}
        assert labels["next step"] == {"c1", "c2"}
        assert labels["sing me a song"] == set()

    def test_a_second_set_of_the_same_rules_publishes_nothing_anew(self):
        self.run_command()
        out = StringIO()
        call_command("import_labelled_set", self.folder, scene="food", name="B", stdout=out)
        assert "published" not in out.getvalue()
        assert KnowledgeUnit.objects.count() == 4
        with pytest.raises(CommandError, match="already"):
            call_command("import_labelled_set", self.folder, scene="food", name="B")

    def test_what_is_no_such_folder_is_refused(self):
        self.write("qrels.tsv", "query_id\tdoc_id\tscore\nq1\tnowhere\t1\n")
        with pytest.raises(CommandError, match="is not such a set"):
            self.run_command()
        (self.folder / "corpus.jsonl").unlink()
        with pytest.raises(CommandError, match="is not such a set"):
            call_command("import_labelled_set", self.folder, scene="food")
        assert not Scene.objects.filter(slug="food").exists()

    def test_somebody_must_have_written_the_rules(self):
        with pytest.raises(CommandError, match="no such user"):
            call_command("import_labelled_set", self.folder, scene="food")
