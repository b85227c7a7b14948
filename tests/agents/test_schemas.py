"""Schemas of arguments are checked before they are used, and nothing is ever fetched."""

from django.test import SimpleTestCase

from agents.schemas import BadSchema, check_schema, fault, flattened

ORDER = {
    "type": "object",
    "properties": {"order_id": {"type": "string", "pattern": "^GW[0-9]{4}$"}},
    "required": ["order_id"],
}


class CheckTests(SimpleTestCase):
    def test_good_ones(self):
        check_schema(ORDER)
        check_schema({"type": "object"})
        check_schema({**ORDER, "$schema": "https://json-schema.org/draft/2020-12/schema"})

    def test_bad_ones(self):
        for schema in (
            None,
            [],
            {},
            {"type": "string"},
            {"type": "object", "properties": {"a": {"type": "nonsense"}}},
            {"type": "object", "properties": 5},
            {"type": "object", "required": ["a"]},
            {"type": "object", "properties": {"a": {"$ref": "http://10.0.0.1/x"}}},
            {"type": "object", "allOf": [{"$dynamicRef": "https://evil.example/x"}]},
            {"type": "object", "$id": "http://10.0.0.1/x"},
            {"type": "object", "description": "x" * 20_000},
        ):
            with self.assertRaises(BadSchema, msg=str(schema)[:80]):
                check_schema(schema)


class FaultTests(SimpleTestCase):
    def test_arguments(self):
        assert fault({"order_id": "GW1001"}, ORDER) is None
        assert "GW1" in fault({"order_id": "GW1"}, ORDER)
        assert "required" in fault({}, ORDER)

    def test_nothing_is_fetched(self):
        schema = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/x"}}}
        with self.assertRaises(BadSchema):
            fault({"a": 1}, schema)

    def test_a_broken_schema(self):
        with self.assertRaises(BadSchema):
            fault({}, {"type": "nonsense"})


class FlattenedTests(SimpleTestCase):
    def test_references_are_written_out_and_titles_left_out(self):
        schema = {
            "type": "object",
            "title": "Arguments",
            "properties": {
                "title": {"title": "Title", "type": "string"},
                "to": {"$ref": "#/$defs/Address", "description": "where to"},
            },
            "$defs": {
                "Address": {"type": "object", "properties": {"zip": {"$ref": "#/$defs/Zip"}}},
                "Zip": {"type": "string"},
            },
        }
        to = {
            "type": "object",
            "properties": {"zip": {"type": "string"}},
            "description": "where to",
        }
        assert flattened(schema) == {
            "type": "object",
            "properties": {"title": {"type": "string"}, "to": to},
        }

    def test_circles_and_strangers(self):
        for reference in ("#/$defs/A", "#/$defs/Nowhere", "http://x/", "#"):
            schema = {
                "type": "object",
                "properties": {"a": {"$ref": reference}},
                "$defs": {"A": {"items": {"$ref": "#/$defs/A"}}},
            }
            with self.assertRaises(BadSchema, msg=reference):
                flattened(schema)
