"""Query strings of the gaps and of the rules' effect."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils import timezone

from dialogues.forms import FilterForm
from dialogues.loop import effects
from dialogues.loop.effects import Use
from dialogues.models import Gap, GapState
from knowledge.models import Scene
from wowconsole.roles import AnyUser

ALL = "all"
PERIODS = [("7", "7 days"), ("30", "30 days"), ("90", "90 days"), (ALL, "All time")]
PERIOD = "30"

# The figures that sort the list; the first ones are known without looking at ratings.
QUICK_SORTS = ("unit_id", "found", "cited", "last_used")
SORTS = (*QUICK_SORTS, "conversations", "likes", "rating", "bad", "handed_share")
SORT = "-cited"


def _select(choices: list[tuple[str, Any]], **options: Any) -> forms.ChoiceField:
    widget = forms.Select(attrs={"class": "form-select"})
    return forms.ChoiceField(choices=choices, required=False, widget=widget, **options)


class SceneFilterForm(FilterForm):
    """A query string with a scene of the user's."""

    scene = forms.ModelChoiceField(
        Scene.objects.none(),
        to_field_name="slug",
        required=False,
        empty_label="Every scene",
        widget=forms.Select(attrs={"class": "form-select"}),
    )

    def __init__(self, *args: Any, user: AnyUser, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        scenes = self.fields["scene"]
        assert isinstance(scenes, forms.ModelChoiceField)  # noqa: S101 (tells mypy)
        scenes.queryset = Scene.objects.visible_to(user)


class GapFilterForm(SceneFilterForm):
    state = _select([("", "Open"), *GapState.choices[1:], (ALL, "Every state")], label="State")

    def filter(self, gaps: QuerySet[Gap]) -> QuerySet[Gap]:
        """Keep what is asked for: the open ones unless another state is named."""
        if scene := self.value("scene"):
            gaps = gaps.filter(scene=scene)
        state = self.value("state") or GapState.OPEN
        return gaps if state == ALL else gaps.filter(state=state)


class EffectFilterForm(SceneFilterForm):
    period = _select([("", "30 days"), *(pair for pair in PERIODS if pair[0] != PERIOD)])
    sort = forms.CharField(required=False, widget=forms.HiddenInput)
    unused = forms.BooleanField(
        required=False,
        label="Not found in 90 days",
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )

    @property
    def since(self) -> datetime | None:
        return since_of(self.value("period"))

    @property
    def order(self) -> tuple[str, bool]:
        """The figure and whether its largest value comes first."""
        name: str = self.value("sort") or SORT
        name = name if name.removeprefix("-") in SORTS else SORT
        return name.removeprefix("-"), name.startswith("-")

    def ranked(self) -> list[int]:
        """Return the keys of the rules asked for, in order; what is not known comes last."""
        figure, descending = self.order
        found = self._found(figure)
        known = [use for use in found if getattr(use, figure) is not None]
        missing = [use for use in found if getattr(use, figure) is None]
        known.sort(key=lambda use: getattr(use, figure), reverse=descending)
        return [use.unit_id for use in [*known, *missing]]

    def _found(self, figure: str) -> Sequence[Use]:
        """Return the rules with the figure, by the cheapest way to it."""
        of = {"visible_to": self.user, "scene": self.value("scene")}
        if self.value("unused"):
            return effects.effects(**of, since=self.since, units=effects.unused(**of))
        ask = effects.uses if figure in QUICK_SORTS else effects.effects
        return ask(**of, since=self.since)


def since_of(period: str | None) -> datetime | None:
    """Return when a period began; one that is not known is the usual one."""
    known = dict(PERIODS)
    period = period if period in known else PERIOD
    return None if period == ALL else timezone.now() - timedelta(days=int(period))
