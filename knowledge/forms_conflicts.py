"""What arrives from the pages of conflicts, merging and splitting."""

import re
from collections.abc import Sequence
from typing import Any

from django import forms
from django.db.models import QuerySet

from knowledge.forms import SceneChoiceField
from knowledge.lineage import MOST_PARTS, MOST_SOURCES, united_questions
from knowledge.models import (
    TEXT_LENGTH,
    TITLE_LENGTH,
    Conflict,
    ConflictKind,
    KnowledgeUnit,
    SceneQuerySet,
)
from knowledge.texts import RevisionFields

CONTROL = {"class": "form-control"}
SELECT = {"class": "form-select"}
EMPTY_PARTS = 1  # beyond those that hold something


class ConflictFilterForm(forms.Form):
    """The query string of the list."""

    kind = forms.ChoiceField(
        required=False,
        choices=[("", "Every kind"), *ConflictKind.choices],
        widget=forms.Select(attrs=SELECT),
    )
    scene = SceneChoiceField(
        required=False, empty_label="Every scene", widget=forms.Select(attrs=SELECT)
    )

    def __init__(self, *args: Any, scenes: SceneQuerySet, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["scene"].queryset = scenes  # type: ignore[attr-defined]  # ModelChoiceField

    def narrow(self, rows: QuerySet[Conflict]) -> QuerySet[Conflict]:
        """Keep what the form asks for; what is not valid narrows nothing."""
        self.is_valid()
        if kind := self.cleaned_data.get("kind"):
            rows = rows.filter(kind=kind)
        if scene := self.cleaned_data.get("scene"):
            rows = rows.filter(left__unit__scene=scene)
        return rows


class MergeForm(forms.Form):
    """The merged text; `others` are numbers of rules, with commas or spaces between."""

    others = forms.CharField(
        label="Rules to merge into this one",
        max_length=400,
        help_text="Their numbers, with commas between.",
        widget=forms.TextInput(attrs=CONTROL | {"inputmode": "numeric"}),
    )
    title = forms.CharField(max_length=TITLE_LENGTH, widget=forms.TextInput(attrs=CONTROL))
    condition = forms.CharField(
        label="When does it apply?",
        max_length=TEXT_LENGTH,
        widget=forms.Textarea(attrs=CONTROL | {"rows": 3}),
    )
    content = forms.CharField(
        label="What is the answer, or what must be done?",
        max_length=TEXT_LENGTH,
        widget=forms.Textarea(attrs=CONTROL | {"rows": 6}),
    )
    questions = forms.CharField(
        label="How do customers ask it?",
        required=False,
        max_length=20_000,
        help_text="Other wordings, one per line; those of the merged rules are among them.",
        widget=forms.Textarea(attrs=CONTROL | {"rows": 6}),
    )
    based_on = forms.IntegerField(widget=forms.HiddenInput)

    def clean_others(self) -> list[int]:
        return numbers_in(self.cleaned_data["others"])

    def fields_of_revision(self) -> RevisionFields:
        return _as_revision(self.cleaned_data)


class PartForm(forms.Form):
    """One part of a rule that is split; an empty one is left out."""

    title = forms.CharField(max_length=TITLE_LENGTH, widget=forms.TextInput(attrs=CONTROL))
    condition = forms.CharField(
        label="When does it apply?",
        max_length=TEXT_LENGTH,
        widget=forms.Textarea(attrs=CONTROL | {"rows": 2}),
    )
    content = forms.CharField(
        label="Answer or action",
        max_length=TEXT_LENGTH,
        widget=forms.Textarea(attrs=CONTROL | {"rows": 3}),
    )
    questions = forms.CharField(
        label="How do customers ask it?",
        required=False,
        max_length=20_000,
        help_text="Other wordings, one per line.",
        widget=forms.Textarea(attrs=CONTROL | {"rows": 2}),
    )

    def fields_of_revision(self) -> RevisionFields:
        return _as_revision(self.cleaned_data)


PartFormSet = forms.formset_factory(
    PartForm, extra=EMPTY_PARTS, max_num=MOST_PARTS, absolute_max=MOST_PARTS, validate_max=True
)


class SplitForm(forms.Form):
    keep = forms.BooleanField(
        required=False,
        label="The first part stays this rule",
        help_text="Its number, hits and live text stay until you publish the new one. Otherwise "
        "this rule is archived and agents stop using it at once.",
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )
    based_on = forms.IntegerField(widget=forms.HiddenInput)


def _as_revision(data: dict[str, Any]) -> RevisionFields:
    return RevisionFields(
        title=data["title"],
        condition=data["condition"],
        content=data["content"],
        questions=data["questions"].splitlines(),
    )


def numbers_in(text: str) -> list[int]:
    """Return the rule numbers of a text, each once; numbers no database holds are left out."""
    found = [int(number) for number in re.findall(r"(?<!\d)\d{1,9}(?!\d)", text)]
    return list(dict.fromkeys(found))[: MOST_SOURCES + 1]


def merged_initial(units: Sequence[KnowledgeUnit]) -> dict[str, Any]:
    """Return the first rule's text with the wordings of all."""
    latest = units[0].latest
    assert latest is not None  # noqa: S101  # null only while the unit is being created
    return {
        "others": ", ".join(str(unit.pk) for unit in units[1:]),
        "title": latest.title,
        "condition": latest.condition,
        "content": latest.content,
        "questions": "\n".join(united_questions(units)),
        "based_on": latest.number,
    }
