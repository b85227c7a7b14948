"""Identifiers can be copied from the dialogue and come from nowhere else."""

import random
import re

from django.test import SimpleTestCase

from agents.grounding import grounded, invents


def tool(pattern="^GW[0-9]{4}$", **properties):
    properties = {"order_id": {"type": "string", "pattern": pattern}, **properties}
    return {
        "name": "look_up",
        "description": "finds",
        "parameters": {"type": "object", "properties": properties, "required": ["order_id"]},
    }


def allowed(dialogue, pattern="^GW[0-9]{4}$"):
    found = grounded([tool(pattern)], dialogue)
    return found[0]["parameters"]["properties"]["order_id"]["enum"] if found else []


class GroundingTests(SimpleTestCase):
    def test_what_was_named_is_allowed_newest_first_and_once(self):
        assert allowed("customer: GW1001, no, gw1002!\ncustomer: GW1001") == ["GW1001", "GW1002"]

    def test_where_the_end_of_a_dialogue_names_some_only_those_are_allowed(self):
        for latest, found in (("gw1003!", ["GW1003"]), ("it was cold", ["GW1003", "GW1002"])):
            [limited] = grounded([tool()], "GW1002, then gw1003!", latest=latest)
            assert limited["parameters"]["properties"]["order_id"]["enum"] == found, latest

    def test_without_an_identifier_the_tool_is_gone(self):
        assert allowed("customer: where is my order?") == []

    def test_parts_of_longer_words_are_no_identifiers(self):
        assert allowed("GW10010 XGW1001 GW100 GW1001x _GW1001") == []

    def test_tools_without_identifiers_stay_as_they_are(self):
        plain = tool()
        plain["parameters"]["properties"] = {"text": {"type": "string"}}
        assert grounded([plain], "") == [plain]

    def test_the_tool_itself_is_not_changed(self):
        original = tool()
        grounded([original], "GW1001")
        assert original == tool()

    def test_groups_and_alternatives_in_a_pattern(self):
        assert allowed("my AB12 and XY34", "^(AB|XY)[0-9]{2}$") == ["XY34", "AB12"]
        assert allowed("A12 B34", "^A[0-9]+$|^B[0-9]+$") == []  # only the outer ends are taken off
        assert allowed("order #17, please", "^#[0-9]+$") == ["#17"]

    def test_what_was_called_is_left_out_where_there_is_nothing_else_to_vary(self):
        made = {"look_up": [{"order_id": "GW1001"}]}
        (limited,) = grounded([tool()], "GW1001 GW1002", made)
        assert limited["parameters"]["properties"]["order_id"] == {"enum": ["GW1002"]}
        assert grounded([tool()], "GW1001", made) == []
        (varied,) = grounded([tool(reason={"type": "string"})], "GW1001", made)
        assert varied["parameters"]["properties"]["order_id"] == {"enum": ["GW1001"]}
        bare = {"name": "hours", "parameters": {"type": "object", "properties": {}}}
        assert grounded([bare], "", {"hours": [{}]}) == []
        assert grounded([bare], "", made) == [bare]

    def test_random_dialogues_ground_only_what_they_hold(self):
        dice = random.Random(3)  # noqa: S311 (not a secret)
        for _ in range(300):
            dialogue = "".join(dice.choices("GWgw0123 \n-x", k=80))
            for identifier in allowed(dialogue):
                assert identifier in dialogue.upper()
                assert re.fullmatch("GW[0-9]{4}", identifier)

    def test_invented_arguments_are_told_from_copied_ones(self):
        (limited,) = grounded([tool(reason={"type": "string"})], "GW1001")
        assert not invents({"order_id": "GW1001", "reason": "late"}, limited)
        assert invents({"order_id": "GW9999"}, limited)
        assert invents({"order_id": "GW1001\n"}, limited)
        assert invents({"order_id": ["GW1001"]}, limited)
