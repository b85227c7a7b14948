"""How customers ask for a rule: wordings from past dialogues, and how often each was hit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.contrib.auth.models import User
from django.db.models import Count, Exists, OuterRef, Q
from pgvector.django import CosineDistance

from dialogues.loop.clustering import Vectors
from dialogues.loop.effects import family
from dialogues.models import Case, TurnQuestion, TurnUnit
from dialogues.texts import distinct, is_small_talk, names_somebody
from knowledge import services
from knowledge.indexing import live_index
from knowledge.models import EmbeddingIndex, HookKind, HookVector, KnowledgeUnit
from knowledge.publishing import hook_texts
from knowledge.scaling import Scale, scale_of
from wowconsole.errors import Refused

MOST_SHOWN = 10
CANDIDATES = 200  # questions nearest to the rule's middle, compared with each of its hooks
LONGEST = 500  # characters, as the table has it
# Cosine of a question to the nearest hook from which it is shown though no turn ties it to
# the rule. Of the demo's wordings 90 % come so near to another hook of their own rule, of
# out-of-scope questions 14 % (see knowledge/searching.py).
NEAR = 0.85


class HookInUse(Refused):
    code = "wording_in_use"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A customer's wording that the rule does not have yet."""

    text: str
    # Cosine to the rule's nearest hook, as by the shipped model; None: not live, has no hooks.
    similarity: float | None
    cited: bool  # the rule was cited for it, or a reviewer says that it should have been


@dataclass(frozen=True, slots=True)
class HookUse:
    """A text by which the rule is found, and in how many turns it was the one."""

    kind: HookKind
    text: str
    hits: int

    @property
    def may_be_cut(self) -> bool:
        return self.kind == HookKind.QUESTION and not self.hits


def hook_uses(unit: KnowledgeUnit) -> list[HookUse]:
    """Return the texts that the latest revision is found by, each with its hits."""
    assert unit.latest is not None  # noqa: S101  # null only while the unit is being created
    found = TurnUnit.objects.filter(unit__in=family(unit)).exclude(matched="")
    hits = dict(found.order_by().values_list("matched").annotate(Count("turn", distinct=True)))
    texts = hook_texts(unit.latest)
    return [HookUse(kind, text, hits.get(text, 0)) for kind, text in texts]


def suggestions(unit: KnowledgeUnit) -> list[Suggestion]:
    """Return wordings of the scene's customers that may be added, the most fitting first.

    Those for which the rule was cited, or should have been, come first; then those whose
    meaning is near. What names somebody, is small talk or nearly a wording of the rule's own
    is left out.
    """
    assert unit.latest is not None  # noqa: S101  # null only while the unit is being created
    index = live_index()
    hooks = _hook_vectors(unit, index)
    questions = _questions(unit, index)
    nearest = [*questions.filter(cited=True).order_by("-turn_id")[:CANDIDATES]]
    if len(hooks):
        distance = CosineDistance("embedding", hooks.mean(axis=0).tolist())
        nearest += _of_no_rule(questions).order_by(distance)[:CANDIDATES]
    items = [_suggestion(question, hooks, scale_of(index)) for question in nearest]
    usable = sorted(filter(_is_usable, items), key=_order)
    known = [unit.latest.title, unit.latest.condition, *unit.latest.questions]
    by_text = {item.text: item for item in reversed(usable)}
    return [by_text[text] for text in distinct([i.text for i in usable], known=known)][:MOST_SHOWN]


def _questions(unit: KnowledgeUnit, index: EmbeddingIndex) -> Any:  # a queryset, annotated
    """Return what customers of the scene asked, with `cited`: the rule belonged to the answer."""
    members = family(unit)
    units = TurnUnit.objects.filter(turn=OuterRef("turn"), unit__in=members, cited=True)
    named = Q()
    for pk in members:
        named |= Q(rewrite__knowledge__contains=[pk])
    rewrites = Case.objects.filter(named, turn=OuterRef("turn"))
    here = Q(turn__conversation__scene=unit.scene_id) | Q(turn__conversation__scene__isnull=True)
    questions = TurnQuestion.objects.filter(here, index=index)
    return questions.annotate(cited=Q(Exists(units)) | Q(Exists(rewrites)))


def _of_no_rule(questions: Any) -> Any:  # querysets, annotated
    """Keep what no rule was cited for and no gap holds: the rest belongs elsewhere."""
    others = TurnUnit.objects.filter(turn=OuterRef("turn"), cited=True)
    return questions.filter(~Exists(others), cited=False, turn__gap__isnull=True)


def _hook_vectors(unit: KnowledgeUnit, index: EmbeddingIndex) -> Vectors:
    """Return the vectors of the live hooks; a draft has none."""
    stored = HookVector.objects.filter(index=index, unit=unit).order_by("pk")
    return np.array(list(stored.values_list("embedding", flat=True)), dtype=np.float32)


def _suggestion(question: TurnQuestion, hooks: Vectors, scale: Scale) -> Suggestion:
    vector = np.array(question.embedding, dtype=np.float32)
    similarity = scale.shipped(float((hooks @ vector).max())) if len(hooks) else None
    cited: bool = question.cited  # type: ignore[attr-defined]  # annotated
    return Suggestion(question.text.strip(), similarity, cited)


def _is_usable(item: Suggestion) -> bool:
    text = item.text
    fits = item.cited or (item.similarity or 0) >= NEAR
    return fits and len(text) <= LONGEST and not is_small_talk(text) and not names_somebody(text)


def _order(item: Suggestion) -> tuple[bool, float, str]:
    return not item.cited, -(item.similarity or 0), item.text


def add(*, unit: KnowledgeUnit, by: User, based_on: int, texts: Sequence[str]) -> KnowledgeUnit:
    """Save a draft revision with further wordings; raises as `services.revise_unit`."""
    assert unit.latest is not None  # noqa: S101  # null only while the unit is being created
    questions = [*unit.latest.questions, *texts]
    return services.revise_unit(unit=unit, author=by, based_on=based_on, questions=questions)


def cut(*, unit: KnowledgeUnit, by: User, based_on: int, text: str) -> KnowledgeUnit:
    """Save a draft revision without a wording that no customer was ever answered by.

    Raises:
        HookInUse: it is no wording of the rule, or it was hit.
        StaleEdit: somebody saved another revision meanwhile.
    """
    assert unit.latest is not None  # noqa: S101  # null only while the unit is being created
    if not any(hook.may_be_cut and hook.text == text for hook in hook_uses(unit)):
        raise HookInUse("Only a wording that was never hit is cut here. Reload the page.")
    questions = [question for question in unit.latest.questions if question != text]
    return services.revise_unit(unit=unit, author=by, based_on=based_on, questions=questions)
