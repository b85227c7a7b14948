"""Whatever a rule says comes back from each format as it was."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from openpyxl import load_workbook

from knowledge.exporting import KINDS, export_rows, reference, write
from knowledge.importing import Import
from knowledge.models import KnowledgeUnit
from knowledge.reading import read_rows
from tests.factories import make_scene, make_unit, make_user

# What the database can't keep, and what stands for bytes that were lost.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufffd")
AWKWARD = st.sampled_from(
    ["=", "+", "-", "@", "'", '"', "\t", "\n", "\r", ",", ";", "[", "_x0041_", "\x0b", "退款", " "]
)
TEXTS = st.lists(st.one_of(AWKWARD, CHARACTERS), min_size=1, max_size=12).map("".join)
FILLED = TEXTS.filter(str.strip)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-3.5))])
MOMENTS = st.datetimes(datetime(1850, 1, 1), datetime(2150, 1, 1), timezones=ZONES)  # noqa: DTZ001
RULES = st.fixed_dictionaries(
    {
        "title": FILLED,
        "condition": FILLED,
        "content": FILLED,
        "questions": st.lists(TEXTS, max_size=3),
        "channels": st.lists(TEXTS, max_size=2),
        "regions": st.lists(TEXTS, max_size=2),
        "source": TEXTS,
        "priority": st.integers(-1000, 1000),
        "risk": st.sampled_from(["low", "medium", "high"]),
        "valid_from": st.none() | MOMENTS,
    }
)


def exported(kind, units=None):
    units = KnowledgeUnit.objects.all() if units is None else units
    return b"".join(write(export_rows(units), kind))


class RoundTripTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene(slug="shop")
        cls.author = make_user("operator", [cls.scene])

    def imported(self, data, kind, scene=None):
        scene = scene or self.scene
        work = Import(author=self.author, scenes={scene.slug: scene}, scene=scene)
        return work.run(read_rows(io.BytesIO(data), f"rules.{kind}"))

    @settings(
        max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(rule=RULES, named=st.booleans())
    def test_any_rule_comes_back_and_another_base_exports_the_same(self, rule, named):
        name = "=e,1" if named else None
        make_unit(scene=self.scene, author=self.author, external_id=name, **rule)
        before = list(export_rows(KnowledgeUnit.objects.all()))
        for kind in KINDS:
            data = exported(kind, self.scene.units.all())
            assert [line.action for line in self.imported(data, kind)] == ["unchanged"], kind
            other = make_scene()
            assert [line.action for line in self.imported(data, kind, other)] == ["created"]
            [copy] = export_rows(other.units.all())
            assert {**copy, "scene": "shop"} == before[0], kind

    def test_no_cell_is_a_formula(self):
        make_unit(scene=self.scene, title="=1+1", condition="'-5", content="@you", questions=["+1"])
        cells = [cell for row in csv.reader(io.StringIO(exported("csv").decode())) for cell in row]
        assert "'=1+1" in cells
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
        sheet = load_workbook(io.BytesIO(exported("xlsx"))).active
        types = {cell.data_type for row in sheet.iter_rows() for cell in row}
        assert "f" not in types
        assert sheet["C2"].value == "'=1+1"

    def test_times_are_times_in_a_workbook(self):
        moment = datetime(2026, 3, 1, 9, tzinfo=timezone(timedelta(hours=8)))
        make_unit(scene=self.scene, valid_from=moment)
        sheet = load_workbook(io.BytesIO(exported("xlsx"))).active
        assert sheet["I2"].value == datetime(2026, 3, 1, 1)  # noqa: DTZ001  # UTC, as the page says

    def test_an_export_is_one_query_however_many_rules(self):
        for _ in range(3):
            make_unit(scene=self.scene)
        with self.assertNumQueries(1):
            rows = exported("jsonl").splitlines()
        assert [json.loads(row)["revision"] for row in rows] == [1, 1, 1]

    def test_a_reference_differs_between_deployments(self):
        one = reference(1, datetime(2026, 1, 1, tzinfo=UTC))
        assert one != reference(1, datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC))
        assert one.startswith("#1-")
