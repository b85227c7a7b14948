"""Rows made of turns, cases and rules."""

import json

from django.test import TestCase

from agents.actions import DialogueAction, parse_action
from agents.prompting import Line, build_messages
from dialogues.importing import import_rows
from dialogues.models import Case, Turn, Verdict
from knowledge.models import Scene
from tests.factories import (
    make_conversation,
    make_published_unit,
    make_release,
    make_scene,
    make_tool,
    make_turn,
)
from tests.training.rows import make_case
from training import building
from training.building import Scope, Toolbox

DIALOGUE = {
    "id": "d-1",
    "turns": [
        {"role": "customer", "text": "Where is GW1?"},
        {
            "role": "action",
            "name": "look_up",
            "arguments": {"id": "GW1"},
            "result": {"status": "cooking"},
            "text": "One moment.",
        },
        {"role": "agent", "text": "It is being cooked.", "thought": "Told status"},
        {"role": "customer", "text": "Thanks"},
        {"role": "agent", "text": "With pleasure.", "action": "close"},
    ],
}


def everything():
    return Scope(list(Scene.objects.all()), unsorted=True)


def contents(drafts):
    return [parse_action(draft.data["completion"][0]["content"]) for draft in drafts]


class ServedTurnTests(TestCase):
    def test_the_prompt_is_what_was_served(self):
        case = make_case(reply="Soon.")
        (draft,) = building.message_drafts(building.good_turns(everything()), None)
        assert draft.data["prompt"] == case.turn.steps[0]["messages"]
        assert parse_action(draft.data["completion"][0]["content"]).reply == "Soon."
        assert draft.origin == f"conversation:{case.turn.conversation.public_id}"
        assert draft.turn_id == case.turn_id

    def test_each_step_is_a_row_and_the_last_is_as_spoken(self):
        turn = make_turn(reply="Done.")
        call = DialogueAction("look_up", "One moment.", arguments={"id": "GW1"})
        turn.steps = [{**turn.steps[0], "output": call.as_json()}, turn.steps[0]]
        turn.output = DialogueAction("reply", "Done, really.").as_dict()
        turn.save()
        Case.objects.create(turn=turn, label=Verdict.GOOD)
        first, second = contents(building.message_drafts(building.good_turns(everything()), None))
        assert first == call
        assert second.reply == "Done, really."

    def test_what_a_call_told_by_itself_follows_from_its_result(self):
        turn = make_turn(reply="It is cooking.")
        call = DialogueAction("look_up", "One moment.", arguments={"id": "GW1"})
        result = {"status": "cooking"}
        turn.steps = [{**turn.steps[0], "output": call.as_json(), "result": result}]
        turn.save()
        Case.objects.create(turn=turn, label=Verdict.GOOD)
        drafts = list(building.message_drafts(building.good_turns(everything()), None))
        assert contents(drafts)[0] == call
        assert contents(drafts)[1].reply == "It is cooking."
        first, second = [draft.data["prompt"] for draft in drafts]
        assert first == turn.steps[0]["messages"]
        assert "cooking" in second[1]["content"]
        pair = building.pair_data(turn, DialogueAction("reply", "Cooking.").as_dict(), Toolbox())
        assert pair["prompt"] == second

    def test_of_a_call_proposed_without_a_model_the_call_is_learnt(self):
        make_tool(name="cancel")
        pending = {"name": "cancel", "arguments": {"id": "GW1"}}
        asked = DialogueAction("clarify", "Shall I cancel GW1?").as_dict()
        turn = make_turn(steps=[], output={**asked, "pending": pending})
        Case.objects.create(turn=turn, label=Verdict.GOOD)
        (action,) = contents(building.message_drafts(building.good_turns(everything()), None))
        assert (action.name, action.arguments) == ("cancel", {"id": "GW1"})

    def test_bad_cases_and_other_scenes_give_no_messages(self):
        make_case(Verdict.BAD)
        make_case()
        scope = Scope([make_scene()])
        assert not list(building.message_drafts(building.good_turns(scope), None))


class ImportedTurnTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.tool = make_tool(name="look_up", description="finds an order")
        import_rows([DIALOGUE], scene_of=cls.scene)

    def drafts(self):
        turns = building.imported_turns(everything()).order_by("pk")
        return list(building.message_drafts(turns, None))

    def test_calls_and_replies_are_rows_of_the_one_prompt_builder(self):
        call, reply, goodbye = self.drafts()
        tools = Toolbox().of_scene(self.scene)
        lines = [Line("customer", "Where is GW1?")]
        assert call.data["prompt"] == build_messages(
            prompt="default", tools=tools, rules=[], lines=lines
        )
        lines.append(
            Line("tool", name="look_up", arguments={"id": "GW1"}, result={"status": "cooking"})
        )
        assert reply.data["prompt"] == build_messages(
            prompt="default", tools=tools, rules=[], lines=lines
        )
        assert [action.name for action in contents([call, reply, goodbye])] == [
            "look_up",
            "reply",
            "close",
        ]

    def test_calls_of_tools_we_do_not_have_are_left_out(self):
        self.tool.is_active = False
        self.tool.save()
        assert [action.name for action in contents(self.drafts())] == ["reply", "close"]

    def test_turns_found_bad_are_left_out(self):
        turn = Turn.objects.order_by("pk").first()
        Case.objects.create(turn=turn, label=Verdict.WRONG)
        assert [action.name for action in contents(self.drafts())] == ["close"]

    def test_the_knowledge_slot_holds_the_rules_of_the_turn(self):
        unit = make_published_unit(scene=self.scene, condition="Cooking", content="Say so.")
        row = {**DIALOGUE, "id": "d-2", "turns": [dict(turn) for turn in DIALOGUE["turns"]]}
        row["turns"][2]["knowledge"] = [unit.pk]
        import_rows([row], scene_of=self.scene)
        prompts = [draft.data["prompt"][1]["content"] for draft in self.drafts()]
        assert sum(f"[{unit.pk}] Cooking -> Say so." in prompt for prompt in prompts) == 2
        found = Turn.objects.filter(units__unit=unit).distinct().get().units.get()
        other = make_published_unit(scene=self.scene, condition="Cooled", content="Say sorry.")
        found.turn.units.create(unit=other, revision=other.live, rank=9, score=1)
        found.turn.units.filter(pk=found.pk).update(rank=10, cited=True)
        make_release(live=True, limits={"budget": {"rules": 1}})
        prompts = [draft.data["prompt"][1]["content"] for draft in self.drafts()]
        assert sum("Say so." in prompt for prompt in prompts) == 2
        assert not any("Say sorry." in prompt for prompt in prompts)


class PairTests(TestCase):
    def pairs(self):
        return list(building.pair_drafts(building.paired_cases(everything()), None))

    def test_the_rewrite_is_chosen_over_what_was_said(self):
        case = make_case(Verdict.BAD, DialogueAction("reply", "Better."), reply="Bad.")
        (draft,) = self.pairs()
        assert json.loads(draft.data["chosen"][0]["content"])["reply"] == "Better."
        assert json.loads(draft.data["rejected"][0]["content"])["reply"] == "Bad."
        assert draft.data["prompt"] == case.turn.steps[-1]["messages"]

    def test_an_unreadable_or_unchanged_rewrite_is_no_pair(self):
        make_case(Verdict.BAD, DialogueAction("reply", "Same."), reply="Same.")
        case = make_case(Verdict.BAD)
        case.rewrite = {"reply": "no action"}
        case.save()
        assert self.pairs() == []

    def test_bad_cases_without_a_rewrite_are_no_pairs(self):
        make_case(Verdict.BAD)
        assert self.pairs() == []


class UnitTests(TestCase):
    def test_each_wording_is_asked_and_its_rule_answers(self):
        unit = make_published_unit(
            condition="The customer wants a refund",
            content="We refund within a day.",
            questions=["Can I get my money back?", "I want a refund"],
        )
        drafts = list(building.unit_drafts(building.question_hooks(everything()), None))
        assert {draft.origin for draft in drafts} == {f"unit:{unit.pk}"}
        assert {draft.revision_id for draft in drafts} == {unit.live_id}
        for draft, action in zip(drafts, contents(drafts), strict=True):
            assert f"[{unit.pk}] The customer wants" in draft.data["prompt"][1]["content"]
            assert (action.knowledge, action.reply) == ([unit.pk], "We refund within a day.")
        assert len(drafts) == 2

    def test_a_rule_that_search_misses_is_still_shown(self):
        unit = make_published_unit(content="Ask the florist.", questions=["zxqv"])
        (draft,) = building.unit_drafts(building.question_hooks(everything()), None)
        assert f"[{unit.pk}]" in draft.data["prompt"][1]["content"]

    def test_no_more_rules_are_shown_than_the_live_release_reads(self):
        scene = make_scene()
        for number in range(3):
            make_published_unit(
                scene=scene,
                condition=f"The customer wants refund {number}",
                content=f"We refund within {number} days.",
                questions=[f"Can I get my money back, case {number}?"],
            )

        def shown():
            drafts = building.unit_drafts(building.question_hooks(everything()), None)
            texts = [draft.data["prompt"][1]["content"] for draft in drafts]
            return {text.count("-> We refund") for text in texts}

        assert shown() == {3}
        make_release(live=True, limits={"budget": {"rules": 1}})
        assert shown() == {1}

    def test_a_rule_too_long_to_say_is_no_row(self):
        make_published_unit(content="x" * 501, questions=["What?"])
        assert not building.question_hooks(everything()).exists()


class ScopeTests(TestCase):
    def test_conversations_of_no_scene_count_only_when_asked_for(self):
        make_case(conversation=make_conversation(scene=None))
        assert building.good_turns(Scope([], unsorted=True)).count() == 1
        assert building.good_turns(Scope([])).count() == 0
