"""Forms of the jobs pages: the query string, and the arguments of a call."""

from typing import Any
from uuid import uuid4

from django import forms

from dialogues.forms import FilterForm
from dialogues.models import CallPlan, SubagentState
from dialogues.models.jobs import SubagentJobQuerySet
from dialogues.models.telephone import LONGEST_ADDRESS


class JobFilterForm(forms.Form):
    state = forms.ChoiceField(
        choices=[("", "Any state"), ("open", "Under way"), *SubagentState.choices], required=False
    )
    name = forms.SlugField(label="Sub-agent or tool", max_length=40, required=False)

    def filter(self, jobs: SubagentJobQuerySet) -> SubagentJobQuerySet:
        """Narrow `jobs`; an unreadable query string narrows nothing."""
        if not self.is_valid():
            return jobs
        if name := self.cleaned_data["name"]:
            jobs = jobs.filter(name=name) | jobs.filter(subagent=name)
        state = self.cleaned_data["state"]
        if state == "open":
            return jobs.unfinished()
        return jobs.filter(state=state) if state else jobs

    @property
    def is_narrow(self) -> bool:
        return self.is_valid() and any(self.cleaned_data.values())


class UnwantedFilterForm(FilterForm):
    address = forms.CharField(
        required=False,
        max_length=LONGEST_ADDRESS,
        label="Number or address, or how it begins",
        widget=forms.TextInput(
            attrs={"class": "form-control w-100", "type": "search", "data-key": "/"}
        ),
    )


class CallForm(forms.Form):
    """What a plan of a call asks for, one field a parameter; texts and whole numbers."""

    nonce = forms.CharField(widget=forms.HiddenInput, max_length=40)  # sent twice, called once

    def __init__(self, plan: CallPlan, data: Any = None) -> None:
        super().__init__(data, prefix=plan.name, initial={"nonce": uuid4().hex})
        self.plan = plan
        required = plan.parameters.get("required", [])
        self.parameters = plan.parameters.get("properties", {})
        for name, schema in self.parameters.items():
            kind = forms.IntegerField if schema.get("type") == "integer" else forms.CharField
            field = kind(label=name.replace("_", " ").capitalize(), required=name in required)
            field.widget.attrs["class"] = "form-control"
            self.fields[name] = field

    def arguments(self) -> dict[str, Any]:
        """Return what was filled in, by parameter."""
        given = {name: self.cleaned_data[name] for name in self.parameters}
        return {name: value for name, value in given.items() if value not in (None, "")}
