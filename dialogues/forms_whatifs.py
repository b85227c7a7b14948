from typing import Any

from django import forms

from agents.models import Release
from dialogues.models import Turn
from knowledge.models import Revision


class WhatIfForm(forms.Form):
    """The one thing that is to be changed: a version of a rule that was found, or the release."""

    revision = forms.ModelChoiceField(Revision.objects.none(), required=False)
    release = forms.ModelChoiceField(
        Release.objects.all(), to_field_name="public_id", required=False
    )

    def __init__(self, *args: Any, turn: Turn, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        units = turn.units.values("unit_id")
        allowed = Revision.objects.filter(unit_id__in=units)
        self.fields["revision"].queryset = allowed  # type: ignore[attr-defined]
