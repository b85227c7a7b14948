"""Files of rules: what is read, what is reported, and that export comes back."""

import io
import json

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import TestCase

from knowledge.exporting import export_rows
from knowledge.importing import Import, make_scene
from knowledge.models import KnowledgeUnit, Scene
from knowledge.reading import read_rows
from tests.factories import make_scene as scene_row
from tests.factories import make_unit, make_user

ROW = {"external_id": "a", "scene": "shop", "title": "T", "condition": "C", "content": "A"}


def jsonl(*rows):
    return io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())


class ImportTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = scene_row(slug="shop")
        cls.author = make_user("operator", [cls.scene])

    def run_rows(self, *rows, dry_run=False, **options):
        job = Import(author=self.author, scenes={"shop": self.scene}, **options)
        return job.run(read_rows(jsonl(*rows), "rules.jsonl"), dry_run=dry_run)

    def test_each_row_is_reported_and_bad_rows_stop_nothing(self):
        report = self.run_rows(
            ROW, {**ROW, "external_id": "b", "title": ""}, {**ROW, "scene": "moon"}, ROW
        )
        assert [line.action for line in report] == ["created", "refused", "refused", "refused"]
        assert "Line 1 has the same external id" in report[3].error
        assert "title" in report[1].error
        assert "moon" in report[2].error
        assert [line.line for line in report] == [1, 2, 3, 4]

    def test_a_known_external_id_is_revised(self):
        self.run_rows(ROW)
        assert self.run_rows({**ROW, "content": "B"})[0].action == "revised"
        unit = KnowledgeUnit.objects.get(external_id="a")
        assert (unit.latest.number, unit.latest.content) == (2, "B")

    def test_a_dry_run_saves_nothing(self):
        assert self.run_rows(ROW, dry_run=True)[0].action == "created"
        assert not KnowledgeUnit.objects.exists()

    def test_publishing_leaves_high_risk_rules_as_drafts_and_says_so(self):
        high = {**ROW, "external_id": "b", "risk": "high"}
        report = self.run_rows(ROW, high, publisher=self.author)
        assert [line.action for line in report] == ["created", "drafted"]
        assert "approver" in report[1].error
        assert KnowledgeUnit.objects.get(live__isnull=False).external_id == "a"

    def test_rows_of_the_abcd_guidelines_are_taken_as_they_are(self):
        row = {"id": "abcd.x.s1", "flow": "product_defect", "level": "step", "step": 1}
        row |= {"title": "T", "condition": "C", "content": "A", "source": "abcd"}
        assert self.run_rows(row, make_scene=make_scene)[0].action == "created"
        assert KnowledgeUnit.objects.get().scene == Scene.objects.get(slug="product_defect")

    def test_values_of_the_wrong_kind_are_refused_by_line(self):
        wrong = [{"priority": "soon"}, {"valid_from": "yesterday"}, {"valid_from": "2026-13-01"}]
        wrong += [{"title": {"a": 1}}, {"risk": "wild"}, {"priority": 10**9}]
        wrong += [{"external_id": ["a"]}, {"external_id": "a" * 121}]
        report = self.run_rows(*({**ROW, **fields} for fields in wrong))
        assert {line.action for line in report} == {"refused"}

    def test_an_older_revision_is_a_stale_edit_unless_it_says_the_same(self):
        self.run_rows(ROW)
        self.run_rows({**ROW, "content": "B"})
        stale = self.run_rows({**ROW, "content": "C", "revision": "1"})[0]
        assert stale.action == "refused"
        assert "Answer or action: now “B”" in stale.error
        assert self.run_rows({**ROW, "content": "B", "revision": 1})[0].action == "unchanged"
        assert self.run_rows({**ROW, "content": "C", "revision": 2})[0].action == "revised"
        assert self.run_rows({**ROW, "content": "D", "revision": 9})[0].action == "refused"

    def test_a_row_that_nobody_touched_is_no_stale_edit_of_what_others_wrote(self):
        self.run_rows(ROW)
        self.run_rows({**ROW, "content": "B"})
        exported = self.run_rows({**ROW, "revision": 1}, publisher=make_user("approver"))[0]
        assert exported.action == "unchanged"
        assert "edited here since" in exported.error
        unit = KnowledgeUnit.objects.get()
        assert (unit.latest.content, unit.live) == ("B", None)

    def test_a_rule_without_a_name_is_known_by_its_number_here_and_not_elsewhere(self):
        unit = make_unit(scene=self.scene, author=self.author)
        [row] = export_rows(KnowledgeUnit.objects.all())
        assert self.run_rows({**row, "content": "B"})[0].action == "revised"
        other = f"#{unit.pk}-00000000"
        assert self.run_rows({**row, "external_id": other})[0].action == "created"

    def test_a_row_of_nothing_new_costs_few_queries(self):
        rows = [{**ROW, "external_id": f"r{number}"} for number in range(5)]
        self.run_rows(*rows)
        with self.assertNumQueries(5):  # savepoint, scenes, known rules: locked, then read
            assert {line.action for line in self.run_rows(*rows)} == {"unchanged"}


class CommandTests(TestCase):
    def test_the_commands_read_and_write_files(self):
        User.objects.create_superuser("root")
        path = self.enterContext(_folder()) / "rules.jsonl"
        path.write_bytes(jsonl(ROW).read())
        out = io.StringIO()
        call_command("import_knowledge", path, "--scene", "kiosk", "--publish", stdout=out)
        assert "1 created" in out.getvalue()
        assert KnowledgeUnit.objects.get().scene.slug == "kiosk"
        call_command("export_knowledge", path.with_suffix(".csv"), stdout=out)
        assert "kiosk" in path.with_suffix(".csv").read_text()
        call_command("export_knowledge", path.with_suffix(".xlsx"), stdout=out)
        call_command("import_knowledge", path.with_suffix(".xlsx"), stdout=out)
        assert "1 unchanged" in out.getvalue()

    def test_an_unknown_user_is_a_clear_refusal(self):
        with pytest.raises(CommandError, match="--by"):
            call_command("import_knowledge", "x.csv", "--by", "nobody")


def _folder():
    import contextlib
    import pathlib
    import tempfile

    @contextlib.contextmanager
    def folder():
        with tempfile.TemporaryDirectory() as name:
            yield pathlib.Path(name)

    return folder()
