"""What the model writes is read back whole, or not at all."""

import json

import jsonschema
from django.test import SimpleTestCase

from agents.actions import (
    BUILT_IN,
    DialogueAction,
    UnreadableAction,
    action_schema,
    parse_action,
    read_action,
)

TOOL = {
    "name": "look_up",
    "description": "finds",
    "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
}


def written(**changes):
    action = DialogueAction("reply", "Yes.", "Rule 3", [3]).as_dict()
    return json.dumps({**action, **changes})


class ReadingTests(SimpleTestCase):
    def refused(self, text):
        with self.assertRaises(UnreadableAction):
            parse_action(text)

    def test_what_is_written_is_read_back(self):
        action = DialogueAction("look_up", "Moment “ß” 🙂\n", "x", [3, 4], {"id": "a"})
        assert parse_action(action.as_json()) == action
        assert list(json.loads(action.as_json())) == ["thought", "knowledge", "action", "reply"]
        assert "🙂" in action.as_json()

    def test_anything_cut_off_is_refused(self):
        whole = written()
        for length in range(len(whole)):
            self.refused(whole[:length])

    def test_other_shapes_are_refused(self):
        self.refused("[]")
        self.refused('"reply"')
        self.refused("null")
        self.refused(written(reply=None))
        self.refused(written(reply=["a"]))
        self.refused(written(action="reply"))
        self.refused(written(action={"arguments": {}}))
        self.refused(written(action={"name": 4, "arguments": {}}))
        self.refused(written(action={"name": "reply", "arguments": "abc"}))
        self.refused(written(knowledge=["twelve"]))
        self.refused(written(knowledge=4))

    def test_numbers_beyond_all_bounds_are_refused(self):
        self.refused(written().replace("[3]", "[1e999]"))
        self.refused(written().replace("[3]", "[NaN]"))
        self.refused("[" * 100_000)

    def test_what_the_database_refuses_is_left_out(self):
        text = written(reply="a\0b", action={"name": "reply", "arguments": {"n": float("inf")}})
        action = parse_action(text.replace('"Rule 3"', '"x\\ud800y"'))
        assert (action.reply, action.thought, action.arguments) == ("ab", "xy", {"n": None})

    def test_missing_parts_that_say_nothing_may_be_absent(self):
        action = read_action({"action": {"name": "reply"}, "reply": "Yes."})
        assert action == DialogueAction("reply", "Yes.")

    def test_only_tools_are_called(self):
        assert not any(DialogueAction(name, "").calls_a_tool for name in BUILT_IN)
        assert DialogueAction("look_up", "").calls_a_tool


class SchemaTests(SimpleTestCase):
    schema = action_schema(tools=[TOOL], unit_ids=[7, 9])

    def allows(self, action, schema=None):
        validator = jsonschema.Draft202012Validator(schema or self.schema)
        return validator.is_valid(action.as_dict())

    def test_it_is_a_schema(self):
        jsonschema.Draft202012Validator.check_schema(self.schema)

    def test_built_in_actions_and_tools_are_allowed(self):
        assert all(self.allows(DialogueAction(name, "x")) for name in BUILT_IN)
        assert self.allows(DialogueAction("look_up", "x", arguments={"id": "a"}))

    def test_other_tools_and_arguments_are_not(self):
        assert not self.allows(DialogueAction("refund", "x"))
        assert not self.allows(DialogueAction("look_up", "x"))
        assert not self.allows(DialogueAction("look_up", "x", arguments={"id": "a", "b": 1}))
        assert not self.allows(DialogueAction("reply", "x", arguments={"id": "a"}))

    def test_only_rules_that_were_found_may_be_cited(self):
        assert self.allows(DialogueAction("reply", "x", "", [9, 7]))
        assert not self.allows(DialogueAction("reply", "x", "", [8]))
        nothing = action_schema(tools=[], unit_ids=[])
        assert self.allows(DialogueAction("reply", "x"), nothing)
        assert not self.allows(DialogueAction("reply", "x", "", [7]), nothing)

    def test_the_order_is_that_of_training(self):
        assert list(self.schema["properties"]) == list(DialogueAction("reply", "").as_dict())
        assert self.schema["required"] == list(self.schema["properties"])
