"""The labelled set that ships: what demo customers ask first, and which rule answers it."""

from django.contrib.auth.models import User

from knowledge import labelling
from knowledge.labelling import Label
from knowledge.models import KnowledgeUnit, LabelledSet
from wowconsole.demo.content import read

NAME = "Demo openings"
SOURCE = "First words of the demo dialogues; practice questions that no rule answers"


def openings() -> list[tuple[str, list[str]]]:
    """Return (question, external ids of the rules that answer it), in words of no hook.

    Each dialogue that nobody judged bad and whose first reply rests on rules gives one; so
    does each practice question that no rule answers, with no id.
    """
    trusted = [talk for talk in read("dialogues.jsonl") if talk["label"] in ("good", "neutral")]
    talks = [talk["turns"][:2] for talk in trusted]
    asked = [(said["text"], reply.get("knowledge") or []) for said, reply in talks]
    nothing: list[tuple[str, list[str]]]
    nothing = [(row["customer"], []) for row in read("practice.jsonl") if row["kind"] == "no_rule"]
    return [(text, cited) for text, cited in asked if cited] + nothing


def make_demo_set(by: User) -> LabelledSet | None:
    """Store the set once; None if it is there or the demo's rules are not."""
    units = dict(
        KnowledgeUnit.objects.filter(external_id__startswith="gw.").values_list("external_id", "pk")
    )
    if not units or LabelledSet.objects.filter(name=NAME).exists():
        return None
    labels = [
        Label(f"demo-{number}", text, [units[name] for name in cited if name in units])
        for number, (text, cited) in enumerate(openings(), start=1)
        if not cited or set(cited) & units.keys()
    ]
    return labelling.make_set(name=NAME, labels=labels, by=by, scene=None, source=SOURCE)
