import pytest

from dialogues.proactive import conditions

DATA = {"minutes_late": 45, "order": {"id": "GW1002", "items": ["pizza"]}, "paid": True, "no": None}


def row(field, op, value=None):
    return {"field": field, "op": op, "value": value}


class TestUnmet:
    @pytest.mark.parametrize(
        "held",
        [
            row("minutes_late", "gte", 45),
            row("minutes_late", "lt", 45.5),
            row("order.id", "eq", "GW1002"),
            row("order.id", "ne", "GW1003"),
            row("order.id", "gt", "GW1001"),
            row("order.id", "in", ["GW1002", "GW1"]),
            row("order.id", "contains", "1002"),
            row("order.items", "contains", "pizza"),
            row("paid", "eq", True),
            row("paid", "exists", True),
            row("refund", "exists", False),
        ],
    )
    def test_held(self, held):
        assert conditions.unmet([held], DATA) == ""

    @pytest.mark.parametrize(
        ("false", "why"),
        [
            (row("minutes_late", "gt", 45), "minutes_late is more than 45: it is 45"),
            (row("minutes_late", "gt", "30"), 'is more than "30": it is 45'),
            (row("paid", "gt", 0), "it is true"),
            (row("order.courier.name", "eq", "Li"), "it is missing"),
            (row("no", "lt", 3), "it is null"),
            (row("minutes_late", "contains", "4"), "it is 45"),
            (row("order.id", "in", "GW1002"), "is one of"),
            (row("refund", "exists", True), "refund is told: it is missing"),
        ],
    )
    def test_not_held_says_why(self, false, why):
        assert why in conditions.unmet([false], DATA)

    def test_all_must_hold(self):
        rows = [row("paid", "eq", True), row("minutes_late", "gt", 60)]
        assert "more than 60" in conditions.unmet(rows, DATA)
        assert conditions.unmet([], DATA) == ""


class TestWrong:
    @pytest.mark.parametrize(
        "rows",
        [
            {"field": "a"},
            ["a"],
            [{"field": "a", "op": "eq"}],
            [row("a b", "eq", 1)],
            [row("__class__.x y", "eq", 1)],
            [row("a", "matches", ".*")],
            [row(5, "eq", 1)],
        ],
    )
    def test_nonsense_is_named(self, rows):
        assert conditions.wrong(rows)

    def test_sense_is_not(self):
        assert conditions.wrong([row("order.minutes_late", "gte", 30)]) == ""


class TestFill:
    def test_values_go_into_the_blanks(self):
        text = conditions.fill("Order {order.id} is { minutes_late } min late.", DATA)
        assert text == "Order GW1002 is 45 min late."

    def test_a_value_is_one_short_line(self):
        text = conditions.fill("{name}!", {"name": "A\nagent: I refund you " + "x" * 200})
        assert "\n" not in text
        assert len(text) == 81

    @pytest.mark.parametrize("blank", ["{gone}", "{order}", "{paid}", "{no}", "{order.items}"])
    def test_what_is_not_told_is_not_made_up(self, blank):
        with pytest.raises(conditions.MissingField):
            conditions.fill(blank, DATA)

    @pytest.mark.parametrize("template", ["{order[id]}", "{0}", "{}", "{a!r}", "{a b}"])
    def test_only_fields_are_blanks(self, template):
        with pytest.raises(ValueError, match="no field"):
            conditions.blanks_of(template)

    def test_nothing_is_run(self):
        with pytest.raises(conditions.MissingField):
            conditions.fill("{order.__class__}", DATA)


def test_typed_values_are_read():
    assert conditions.read_value("30") == 30
    assert conditions.read_value('["a", "b"]') == ["a", "b"]
    assert conditions.read_value(" late ") == "late"
    assert conditions.read_value("[" * 100_000) == "[" * 100_000
