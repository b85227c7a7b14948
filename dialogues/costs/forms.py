from django import forms

from dialogues.costs.costing import GROUPS

SELECT = {"class": "form-select"}
DAYS = {"1": "1 day", "7": "7 days", "30": "30 days", "90": "90 days"}
LABELS = {"subagent": "sub-agent"}  # where a group is not called by its name
DEFAULTS = {"days_back": "30", "by": "release"}


class CostFilterForm(forms.Form):
    """What is added up, and by what; what is not readable counts as not given."""

    days_back = forms.ChoiceField(
        label="Period", choices=DAYS.items(), widget=forms.Select(attrs=SELECT)
    )
    by = forms.ChoiceField(
        label="By",
        choices=[(name, f"By {LABELS.get(name, name)}") for name in GROUPS],
        widget=forms.Select(attrs=SELECT),
    )

    @property
    def days(self) -> int:
        return int(self._chosen("days_back"))

    @property
    def group(self) -> str:
        return self._chosen("by")

    def _chosen(self, name: str) -> str:
        self.is_valid()
        return str(self.cleaned_data.get(name, DEFAULTS[name]))
