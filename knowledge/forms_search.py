"""The test search: a question, whose it is, and thresholds to try on it."""

from typing import Any

from django import forms

from knowledge.forms import MAX_QUERY, SceneChoiceField
from knowledge.models import RetrievalSettings, SceneQuerySet
from knowledge.searching import AUDIENCE

THRESHOLDS = (
    *("min_similarity", "min_companion", "far_behind", "min_coverage"),
    *("min_matched_words", "rules_shown"),
)
TEXT = forms.TextInput(attrs={"class": "form-control"})


def _number(label: str, low: float, high: float, help_text: str) -> forms.FloatField:
    widget = forms.NumberInput(attrs={"class": "form-control", "step": "0.01"})
    return forms.FloatField(
        required=False,
        label=label,
        min_value=low,
        max_value=high,
        help_text=help_text,
        widget=widget,
    )


def _count(label: str, low: int, high: int, help_text: str) -> forms.IntegerField:
    widget = forms.NumberInput(attrs={"class": "form-control"})
    return forms.IntegerField(
        required=False,
        label=label,
        min_value=low,
        max_value=high,
        help_text=help_text,
        widget=widget,
    )


class ThresholdsForm(forms.Form):
    """Thresholds of the search; what is left empty stays as it is in use."""

    min_similarity = _number(
        "Least similarity of the best", -1, 1, "Below it nothing is found, unless words agree."
    )
    min_companion = _number(
        "Least similarity of further rules", -1, 1, "Once the best one has passed."
    )
    far_behind = _number("Farthest behind the best", 0, 2, "What fits worse is not shown.")
    min_coverage = _number("Least share of words", 0, 1, "Of the question, in one wording.")
    min_matched_words = _count("Fewest words", 1, 50, "That must agree, if words alone speak.")
    rules_shown = _count("Rules shown", 1, 10, "To the agent, at most.")

    def tried(self, current: RetrievalSettings) -> RetrievalSettings:
        """Return unsaved settings: those in use with what the form changes."""
        given = {name: self.cleaned_data.get(name) for name in THRESHOLDS}
        values = {
            name: getattr(current, name) if value is None else value
            for name, value in given.items()
        }
        return RetrievalSettings(rrf_k=current.rrf_k, **values)


class SettingsForm(ThresholdsForm):
    """Thresholds that customers' questions are searched with from now on."""

    comment = forms.CharField(max_length=200, label="Why", widget=TEXT)


class SearchForm(ThresholdsForm):
    """Try what the agent would find."""

    q = forms.CharField(
        required=False,
        max_length=MAX_QUERY,
        label="A customer's words",
        widget=forms.TextInput(
            attrs={
                "class": "form-control w-100",
                "type": "search",
                "placeholder": "e.g. my food came cold, what do I get?",
                "data-key": "/",
            }
        ),
    )
    scene = SceneChoiceField(
        required=False,
        empty_label="Every scene",
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    channel = forms.CharField(required=False, max_length=40, widget=TEXT)
    segment = forms.CharField(required=False, max_length=40, widget=TEXT)
    region = forms.CharField(required=False, max_length=40, widget=TEXT)

    def __init__(self, *args: Any, scenes: SceneQuerySet, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["scene"].queryset = scenes  # type: ignore[attr-defined]  # ModelChoiceField

    @property
    def customer_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in AUDIENCE]

    def thresholds_beside(self, current: RetrievalSettings) -> list[tuple[forms.BoundField, Any]]:
        """Return each field with the value in use."""
        return [(self[name], getattr(current, name)) for name in THRESHOLDS]

    def audience(self) -> dict[str, str]:
        values = {name: self.cleaned_data[name].replace("\0", "").strip() for name in AUDIENCE}
        return {name: value for name, value in values.items() if value}
