"""Files of rules in three formats: what is read, and what is refused in words."""

import io
import zipfile
from datetime import datetime
from unittest import mock

import pytest
from openpyxl import Workbook

from knowledge import reading
from knowledge.reading import Unreadable, listed, read_rows
from wowconsole.errors import Invalid

HEADING = b"title,condition,content\n"


def rows_of(data, name="rules.csv"):
    return list(read_rows(io.BytesIO(data), name))


def workbook(*rows):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


class TestText:
    def test_utf_8_with_and_without_a_mark_and_utf_16_are_read(self):
        text = "title,condition,content\n退款,b,c\n"
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):
            assert rows_of(text.encode(encoding))[0][1]["title"] == "退款", encoding

    def test_semicolons_and_tabs_are_separators_where_the_heading_has_them(self):
        for mark in (b";", b"\t"):
            data = HEADING.replace(b",", mark) + mark.join([b"a", b"b, c", b"d"])
            assert rows_of(data)[0][1] == {"title": "a", "condition": "b, c", "content": "d"}

    @pytest.mark.parametrize(
        ("data", "name", "words"),
        [
            (b"{}", "rules.pdf", ".csv"),
            (b"", "rules.csv", "missing"),
            (HEADING, "rules.csv", "no rules"),
            (b"", "rules.jsonl", "no rules"),
            (b"title,content\n1,2", "rules.csv", "condition"),
            (HEADING + b'"a"b,c,d', "rules.csv", "Line 2"),
            (HEADING + b"a,b,c,d", "rules.csv", "more cells"),
            (HEADING + "é,b,c".encode("latin-1"), "rules.csv", "UTF-8"),
            (b"\xff\xfea", "rules.csv", "UTF-8"),
            (HEADING + b"a" * 200_000 + b",b,c", "rules.csv", "Line"),
            (b'{"a": 1}\nnonsense', "rules.jsonl", "Line 2"),
            (b"[1]", "rules.jsonl", "Line 1"),
            (b'{"title": "\\ud800"}', "rules.jsonl", "Line 1"),
            (b'{"priority": ' + b"9" * 5000 + b"}", "rules.jsonl", "Line 1"),
            (b"[" * 100_000, "rules.jsonl", "Line 1"),
            (b" " * 1_100_000, "rules.jsonl", "longer"),
        ],
    )
    def test_unreadable_files_are_refused_in_words(self, data, name, words):
        with pytest.raises(Invalid, match=words):
            rows_of(data, name)

    def test_too_many_rows_are_refused(self):
        with mock.patch.object(reading, "MAX_ROWS", 2), pytest.raises(Invalid, match="More than"):
            rows_of(HEADING + b"a,b,c\n" * 3)

    def test_several_texts_in_a_cell(self):
        assert listed("a\n\n b ") == ["a", "b"]
        assert listed("web, app\nkiosk", ",\n") == ["web", "app", "kiosk"]
        assert listed('["a\\nb", "c"]') == ["a\nb", "c"]
        assert listed("[not json") == ["[not json"]


class TestWorkbook:
    def test_numbers_times_and_guards_are_read(self):
        when = datetime(2026, 3, 1, 9, 0)  # noqa: DTZ001  # a sheet knows no zone
        data = workbook(
            ["title", "condition", "content", "priority", "valid_from"],
            ["'=1+1", "b", "c", 5, when],
            [None] * 5,
            ["_x0041_", "b", "c", None, None],
        )
        first, second = rows_of(data, "rules.xlsx")
        assert first == (2, first[1])
        assert [*first[1].values()] == ["=1+1", "b", "c", 5, when]
        assert second[0] == 4
        assert second[1]["title"] == "A"

    def test_a_formula_spoils_its_cell_alone(self):
        data = workbook(["title", "condition", "content"], ["=1+1", "b", "c"], ["a", "b", "c"])
        spoilt, fine = rows_of(data, "rules.xlsx")
        assert isinstance(spoilt[1]["title"], Unreadable)
        assert fine[1]["title"] == "a"

    def test_broken_workbooks_and_bombs_are_refused(self):
        good = workbook(["title", "condition", "content"], ["a", "b", "c"])
        hollow = io.BytesIO()
        with zipfile.ZipFile(hollow, "w") as archive:
            archive.writestr("a.txt", "a")
        broken = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(broken, "w") as new:
            for name in old.namelist():
                content = b"<a" if name.endswith("sheet1.xml") else old.read(name)
                new.writestr(name, content)
        for data in (b"PK nonsense", good[:200], hollow.getvalue(), broken.getvalue(), b""):
            with pytest.raises(Invalid, match="workbook"):
                rows_of(data, "rules.xlsx")
        with (
            mock.patch.object(reading, "MAX_UNPACKED_BYTES", 100),
            pytest.raises(Invalid, match="Unpacked"),
        ):
            rows_of(good, "rules.xlsx")

    def test_wrong_columns_are_named(self):
        with pytest.raises(Invalid, match="condition, content"):
            rows_of(workbook(["title"], ["a"]), "rules.xlsx")
