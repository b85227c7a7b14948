"""What a bulk edit asks for, by operation; the page and the API share these."""

from datetime import datetime
from typing import Any

from django import forms

from knowledge.bulk import Operation, Wanted
from knowledge.models import TEXT_LENGTH, Risk
from knowledge.texts import MAX_NAMES

TEXT = {"class": "form-control"}
CHECK = {"class": "form-check-input"}
SELECT = {"class": "form-select"}
NAME_LENGTH = 40
AUDIENCES = [("channels", "Channels"), ("segments", "Customer segments"), ("regions", "Regions")]


class OperationForm(forms.Form):
    """An operation that needs nothing but the rules."""

    operation: Operation

    def wanted(self) -> Wanted:
        return Wanted(self.operation, self.parameters())

    def parameters(self) -> dict[str, Any]:
        return dict(self.cleaned_data)


class ReplaceForm(OperationForm):
    find = forms.CharField(
        max_length=TEXT_LENGTH,
        strip=False,
        help_text="Exactly as it stands there; in title, condition, answer and other wordings.",
        widget=forms.TextInput(attrs=TEXT),
    )
    replacement = forms.CharField(
        required=False,
        max_length=TEXT_LENGTH,
        strip=False,
        label="Replace with",
        help_text="Empty: the words are cut out.",
        widget=forms.TextInput(attrs=TEXT),
    )
    match_case = forms.BooleanField(
        required=False, label="Match case", widget=forms.CheckboxInput(attrs=CHECK)
    )


class RiskForm(OperationForm):
    risk = forms.ChoiceField(choices=Risk.choices, widget=forms.Select(attrs=SELECT))


class PriorityForm(OperationForm):
    priority = forms.IntegerField(
        min_value=-1000,
        max_value=1000,
        help_text="Of two equally good rules the higher number wins.",
        widget=forms.NumberInput(attrs=TEXT),
    )


class ValidityForm(OperationForm):
    """A time that is left empty stays as it is in each rule, unless limits are taken away."""

    valid_from = forms.DateTimeField(
        required=False,
        help_text="Times are UTC.",
        widget=forms.DateTimeInput(attrs={**TEXT, "type": "datetime-local"}),
    )
    valid_until = forms.DateTimeField(
        required=False, widget=forms.DateTimeInput(attrs={**TEXT, "type": "datetime-local"})
    )
    clear = forms.BooleanField(
        required=False,
        label="Take away the limits that are left empty here",
        widget=forms.CheckboxInput(attrs=CHECK),
    )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        begin, end = data.get("valid_from"), data.get("valid_until")
        if not (begin or end or data.get("clear") or self.errors):
            raise forms.ValidationError("Name a time, or take the limits away.")
        if begin and end and end <= begin:
            raise forms.ValidationError("The rules must end after they begin.")
        return data

    def parameters(self) -> dict[str, Any]:
        times: dict[str, datetime | None]
        times = {name: self.cleaned_data[name] for name in ("valid_from", "valid_until")}
        return {
            name: time.isoformat() if time else None
            for name, time in times.items()
            if time or self.cleaned_data["clear"]
        }


class AudienceForm(OperationForm):
    field = forms.ChoiceField(
        choices=AUDIENCES, label="What is set", widget=forms.Select(attrs=SELECT)
    )
    names = forms.CharField(
        required=False,
        max_length=MAX_NAMES * NAME_LENGTH,
        help_text="With commas between. None: the rules are for everybody.",
        widget=forms.TextInput(attrs=TEXT),
    )
    add = forms.BooleanField(
        required=False,
        label="Add to the names a rule has; rules for everybody stay so",
        widget=forms.CheckboxInput(attrs=CHECK),
    )

    def clean_names(self) -> list[str]:
        names = [name.strip().lower() for name in self.cleaned_data["names"].split(",")]
        if too_long := next((name for name in names if len(name) > NAME_LENGTH), ""):
            raise forms.ValidationError(f"“{too_long[:60]}” is longer than {NAME_LENGTH}.")
        return list(dict.fromkeys(name for name in names if name))


class OwnerForm(OperationForm):
    owner = forms.CharField(
        max_length=150, help_text="A user name.", widget=forms.TextInput(attrs=TEXT)
    )


FORMS: dict[str, type[OperationForm]] = {
    Operation.REPLACE: ReplaceForm,
    Operation.RISK: RiskForm,
    Operation.PRIORITY: PriorityForm,
    Operation.VALIDITY: ValidityForm,
    Operation.AUDIENCE: AudienceForm,
    Operation.OWNER: OwnerForm,
}


def form_for(operation: Operation, data: Any = None) -> OperationForm:
    """Return the operation's form, bound where there is data."""
    form = FORMS.get(operation, OperationForm)(data)
    form.operation = operation
    return form


class ChoiceForm(forms.Form):
    """Which operation; the query string of the page's first step."""

    operation = forms.ChoiceField(
        choices=[("", "Choose…"), *Operation.choices],
        label="What shall happen to them?",
        widget=forms.Select(attrs=SELECT),
    )


def seen_of(text: str) -> dict[int, int]:
    """Read which revision of which rule was previewed: "12:3,14:1"; raises ValueError."""
    pairs = (pair.split(":") for pair in text.split(",") if pair)
    return {int(pk): int(number) for pk, number in pairs}
