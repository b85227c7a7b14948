"""Identifiers can be copied from the dialogue and come from nowhere else."""

import random
import re

from django.test import SimpleTestCase

from agents.grounding import grounded, made_up, mistyped, objection


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

    def test_scripts_that_set_no_spaces_end_a_word(self):
        long = "取消GW1001，谢谢" * 20
        for text in ("订单GW1001到哪里了", "GW1001은 어디에", "นี่GW1001ครับ", long):
            assert allowed(text)[0] == "GW1001", text
            assert not mistyped(text, ["^GW[0-9]{4}$"]), text
        assert mistyped("订单GW10019到哪里了", ["^GW[0-9]{4}$"])
        assert allowed("车牌粤B12345在哪", "^粤B[0-9]{5}$") == ["粤B12345"]

    def test_a_sign_or_a_space_before_the_figures_is_none_of_it(self):
        for text in ("GW-1016", "gw 1016", "gw_1016!"):
            assert allowed(text) == ["GW1016"], text
            assert not mistyped(text, ["^GW[0-9]{4}$"]), text
        assert allowed("gw1001 or GW 1002", "^GW-[0-9]{4}$") == ["GW-1002", "GW-1001"]
        assert allowed("at 1930", "^[A-Z]{2}[0-9]{4}$") == []

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

    def test_identifiers_are_found_however_deep_they_stand(self):
        order = {"type": "string", "pattern": "^GW[0-9]{4}$"}
        deep = tool(
            orders={"type": "array", "items": order},
            more={"properties": {"id": order, "note": {}}, "required": ["id"]},
            other={"anyOf": [order, {"type": "null"}]},
        )
        (limited,) = grounded([deep], "GW1001")
        known = {"enum": ["GW1001"]}
        properties = limited["parameters"]["properties"]
        assert properties["orders"]["items"] == known
        assert properties["more"]["properties"] == {"id": known, "note": {}}
        assert properties["other"]["anyOf"] == [known, {"type": "null"}]

    def test_what_may_be_left_out_is_left_out_where_nobody_named_it(self):
        order = {"type": "string", "pattern": "^#[0-9]{4}$"}
        deep = tool(
            orders={"type": "array", "items": order},
            more={"properties": {"id": order}, "required": ["id"]},
            other={"anyOf": [order, {"type": "null"}]},
            loose={"properties": {"id": order, "note": {}}, "required": []},
        )
        (limited,) = grounded([deep], "GW1001")
        properties = limited["parameters"]["properties"]
        assert sorted(properties) == ["loose", "order_id", "other"]
        assert properties["other"]["anyOf"] == [{"type": "null"}]
        assert properties["loose"]["properties"] == {"note": {}}
        deep["parameters"]["required"] = ["order_id", "orders"]
        assert grounded([deep], "GW1001") == []

    def test_what_breaks_the_limits_is_objected_to(self):
        item = {"type": "array", "items": {"pattern": "^GW[0-9]{4}$"}}
        (limited,) = grounded([tool(reason={"type": "string"}, items=item)], "GW1001")
        assert not objection({"order_id": "GW1001", "reason": "late"}, limited)
        for arguments in (
            {"order_id": "GW9999"},
            {"order_id": "GW1001\n"},
            {"order_id": ["GW1001"]},
            {"reason": "late"},
            {"order_id": "GW1001", "amount": 900},
            {"order_id": "GW1001", "reason": 7},
            {"order_id": "GW1001", "items": ["GW1001", "GW1002"]},
        ):
            assert objection(arguments, limited), arguments


class MistypedTests(SimpleTestCase):
    def test_what_looks_like_an_identifier_and_is_none(self):
        for text in ("cancel GW10099", "gw1O09", "GW-100", "order 1018", "GW1009 or GW10099"):
            assert mistyped(text, ["^GW[0-9]{4}$"]), text

    def test_what_is_one_or_is_said_of_other_things(self):
        for text in (
            *("cancel gw1009!", "the 2 cold burgers", "at 2pm", "it was $1200.50", "18:30", "x2"),
            *(
                "GW1009 and #W1234567",
                "100%",
                "my card ending in 4242",
                "I live at SW1A 1AA",
                "WD40",
            ),
            *(
                "stuck on the M25",
                "ordered in 2026",
                "flat B12",
                "call me at 5551234",
                "尾号4242的卡",
            ),
        ):
            assert not mistyped(text, ["^GW[0-9]{4}$", "^#W[0-9]{7}$"]), text
        assert not mistyped("GW10099", [])


class MadeUpTests(SimpleTestCase):
    def made_up(self, *said, **arguments):
        lists = {"pay": {"enum": ["$9"]}, "parts": {"items": {"const": "$8"}}}
        return made_up(arguments, tool(**lists), said)

    def test_figures_promises_and_addresses_need_somebody_who_gave_them(self):
        for arguments in (
            {"amount": 5000},
            {"note": "with a voucher"},
            {"note": "see http://evil.example"},
            {"more": {"notes": ["fine", "within 2 days"]}},
        ):
            assert self.made_up("refund GW1001, it was cold", **arguments), arguments
            assert not self.made_up(str(arguments), **arguments), arguments

    def test_other_words_and_what_is_chosen_from_a_list_do_not(self):
        chosen = {"pay": "$9", "parts": ["$8"], "is_new": True, "other": None, "order_id": "GW1001"}
        assert not self.made_up("refund GW1001", note="It came cold", **chosen)
