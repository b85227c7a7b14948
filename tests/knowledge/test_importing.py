"""Files of rules: what is read, what is reported, and that export comes back."""

import io
import json

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import TestCase

from knowledge.importing import Import, as_csv, as_jsonl, export_rows, make_scene, read_rows
from knowledge.models import KnowledgeUnit, Scene
from tests.factories import make_scene as scene_row
from tests.factories import make_unit, make_user
from wowconsole.errors import Invalid

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
        report = self.run_rows(ROW, {**ROW, "title": ""}, {**ROW, "scene": "moon"}, ROW)
        assert [line.action for line in report] == ["created", "refused", "refused", "unchanged"]
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

    def test_unreadable_files_are_refused_with_the_line(self):
        for data, name in (
            (b"{}", "rules.xlsx"),
            (b'{"a": 1}\nnonsense', "rules.jsonl"),
            (b'{"title": "\\ud800"}', "rules.jsonl"),
            (b'{"priority": ' + b"9" * 5000 + b"}", "rules.jsonl"),
            (b"title,content\n1,2", "rules.csv"),
            ("title,condition,content\n\u00e9,b,c".encode("latin-1"), "rules.csv"),
        ):
            with pytest.raises(Invalid):
                list(read_rows(io.BytesIO(data), name))

    def test_an_export_comes_back_as_it_was_and_holds_no_formulas(self):
        make_unit(
            scene=self.scene,
            external_id="e",
            title="=1+1",
            condition="'-5 degrees",
            content='@you, say "hi"\nand, go',
            questions=["+1?", "第二"],
            priority=-3,
        )
        units = KnowledgeUnit.objects.with_latest()
        before = list(export_rows(units))
        table = "".join(as_csv(before))
        assert "'=1+1" in table
        assert not any(cell.startswith(("=", "@", "+")) for cell in table.split(","))
        for name, text in (("r.csv", table), ("r.jsonl", "".join(as_jsonl(before)))):
            job = Import(author=self.author, scenes={"shop": self.scene})
            report = job.run(read_rows(io.BytesIO(text.encode()), name))
            assert [line.action for line in report] == ["unchanged"], name


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
