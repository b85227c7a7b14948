"""Reviewers' corrections as labelled questions: what search is measured on grows by itself."""

from django.contrib.auth.models import User
from django.db import transaction

from dialogues.models import Case, Event
from knowledge import labelling
from knowledge.models import KnowledgeUnit, LabelledSet


@transaction.atomic
def add_corrections(*, labelled_set: LabelledSet, by: User) -> int:
    """Add the questions of corrected turns whose rewrite cites rules; return how many.

    A question that the set has is labelled anew: the last word is the reviewer's. Only what
    `by` may read counts, in the scene of the set if it has one.
    """
    cases = Case.objects.visible_to(by).pairs().select_related("turn").order_by("pk")
    if labelled_set.scene_id is not None:
        cases = cases.filter(turn__conversation__scene=labelled_set.scene_id)
    citing = [case for case in cases if case.rewrite.get("knowledge")]
    questions = _questions(citing)
    units = _units(citing, by)
    labels = {}
    for case in citing:
        text = questions.get((case.turn.conversation_id, case.turn.asked_seq), "").strip()
        relevant = [pk for pk in case.rewrite["knowledge"] if pk in units]
        if relevant and not labelling.text_problem(text):
            labels[text] = relevant
    labelling.add_queries(labelled_set, labels)
    return len(labels)


def _questions(cases: list[Case]) -> dict[tuple[int, int], str]:
    events = Event.objects.filter(
        conversation__in={case.turn.conversation_id for case in cases},
        seq__in={case.turn.asked_seq for case in cases},
    )
    rows = events.order_by().values_list("conversation_id", "seq", "text")
    return {(conversation, seq): text for conversation, seq, text in rows}


def _units(cases: list[Case], by: User) -> set[int]:
    cited = {pk for case in cases for pk in case.rewrite["knowledge"]}
    visible = KnowledgeUnit.objects.visible_to(by).filter(pk__in=cited)
    return set(visible.order_by().values_list("pk", flat=True))
