"""Schemas of arguments are checked before they are used, and nothing is ever fetched."""

from django.test import SimpleTestCase

from agents.schemas import LARGEST_SCHEMA, BadSchema, check_schema, fault, flattened, prepared

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
            {"type": "object", "properties": {"a": {"pattern": "^\\p{L}+$"}}},
            {"type": "object", "properties": {"a": {"pattern": "(?i)gw[0-9]"}}},
            {"type": "object", "properties": {"a": {"items": {"pattern": "["}}}},
            {"type": "object", "properties": {"a": {"pattern": "^([A-Z0-9]+-?)+$"}}},
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
        for schema in (
            {"type": "nonsense"},
            {"properties": {"a": {"$ref": "#/properties/a"}}},
            {"properties": {"a": {"items": {"pattern": "\\p{L}"}}}},
        ):
            with self.assertRaises(BadSchema, msg=str(schema)):
                fault({"a": ["x"]}, schema)


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

    def test_values_are_no_schemas(self):
        kept = {"enum": [{"title": "x"}, True], "default": {"$ref": "#/nowhere", "title": "y"}}
        schema = {"type": "object", "properties": {"a": kept}, "additionalProperties": False}
        assert flattened(schema) == schema

    def test_references_to_places_and_escaped_names(self):
        schema = {
            "type": "object",
            "properties": {
                "a": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/x~1y%20z"}]},
                "b": {"$ref": "#/properties/a/anyOf/1", "description": "again"},
            },
            "$defs": {"x/y z": {"type": "integer"}},
        }
        written = flattened(schema)["properties"]
        assert written["a"] == {"anyOf": [{"type": "string"}, {"type": "integer"}]}
        assert written["b"] == {"type": "integer", "description": "again"}


class PreparedTests(SimpleTestCase):
    def prepared(self, properties, **more):
        return prepared({"type": "object", "properties": properties, **more})["properties"]

    def test_true_and_false_are_written_as_what_they_mean(self):
        assert self.prepared({"q": True, "r": {"type": "string"}}) == {
            "q": {},
            "r": {"type": "string"},
        }
        assert self.prepared({"q": False}) == {}
        assert self.prepared({"q": {"anyOf": [True]}}) == {"q": {"anyOf": [{}]}}
        several = {"anyOf": [False, {"type": "null"}], "items": True, "additionalProperties": True}
        left = {"anyOf": [{"type": "null"}], "items": {}, "additionalProperties": True}
        assert self.prepared({"q": several}) == {"q": left}
        named = {"$defs": {"any": True, "none": False}}
        referring = {"q": {"$ref": "#/$defs/any"}, "r": {"$ref": "#/$defs/none"}}
        assert self.prepared(referring, **named) == {"q": {}}

    def test_a_prepared_schema_stays(self):
        once = prepared({**ORDER, "$defs": {"a": True}, "title": "Order"})
        assert once == ORDER
        assert prepared(once) == once

    def test_what_can_not_be_used(self):
        for properties, words in (
            ({"q": {"$ref": "#/properties/q"}}, "circle"),
            ({"q": {"items": {"$ref": "#"}}}, "circle"),
            ({"q": {"$ref": "https://evil.example/"}}, "itself only"),
            ({"q": {"$ref": "#anchor"}}, "not in the schema"),
            ({"q": {"$ref": 5}}, "itself only"),
            ({"q": {"$dynamicRef": "#a"}}, "$dynamicRef"),
            ({"q": {"anyOf": [False]}}, "Not a JSON schema"),
            ({"q": "text"}, "Not a JSON schema"),
        ):
            with self.assertRaisesMessage(BadSchema, words):
                self.prepared(properties)
        with self.assertRaisesMessage(BadSchema, "Required, but no property: q"):
            self.prepared({"q": False}, required=["q"])

    def test_what_references_make_large(self):
        tenfold = {
            f"l{level}": {"prefixItems": [{"$ref": f"#/$defs/l{level + 1}"}] * 10}
            for level in range(12)
        }
        with self.assertRaisesMessage(BadSchema, str(LARGEST_SCHEMA)):
            self.prepared({"q": {"$ref": "#/$defs/l0"}}, **{"$defs": {**tenfold, "l12": {}}})

    def test_what_is_too_deep(self):
        deep = {}
        for _ in range(3000):
            deep = {"items": deep}
        with self.assertRaisesMessage(BadSchema, "too many levels"):
            self.prepared({"q": deep})
