"""A policy of speaking first as people write it, its conditions, and the ledger's filter."""

import json
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from dialogues.forms import FilterForm
from dialogues.models import Outcome, ProactiveDecision, ProactivePolicy, ProactiveVersion
from dialogues.proactive import policies
from dialogues.proactive.conditions import FIELD, OPERATORS, read_value
from knowledge.models import Scene
from wowconsole.roles import AnyUser, sees_every_scene

CONTROL, SELECT = {"class": "form-control"}, {"class": "form-select"}
MOST_CONDITIONS, SPARE = 8, 2
FIELDS = [
    *("event_type", "scene", "template", "wording", "reach", "delay_minutes", "stale_minutes"),
    *("cooldown_hours", "priority", "valid_from", "valid_until", "holdout_percent"),
    *("contact_hours", "promise", "promise_minutes", "kept_by", "over_by", "kept_field"),
]
LABELS = {
    "event_type": "When this event comes",
    "template": "Message",
    "wording": "Said",
    "reach": "Where",
    "delay_minutes": "Wait (minutes)",
    "stale_minutes": "No news after (minutes)",
    "cooldown_hours": "At most once in (hours)",
    "valid_from": "In force from",
    "valid_until": "Until",
    "holdout_percent": "Held out (%)",
    "contact_hours": "Compare within (hours)",
    "promise": "Promise it makes",
    "promise_minutes": "Due in (minutes)",
    "kept_by": "Kept by event",
    "over_by": "No longer news after",
    "kept_field": "With the same field",
}
HELP = {
    "event_type": "As the business system calls it: order_late.",
    "template": "{field} is filled from the event: {order_id}, {order.minutes_late}.",
    "wording": "In the agent's words: only if each sentence stands in them as it is written here.",
    "delay_minutes": "After the event.",
    "stale_minutes": "After the event; quiet hours may delay a message so long.",
    "priority": "The higher one speaks where a customer may be told only one thing.",
    "holdout_percent": "Customers who are not told, so that the effect can be seen. 0 to 50.",
    "promise": "If an event does not keep it in time, a person is called. May be empty.",
    "over_by": "Events, with commas: order_cancelled. Nothing is told after one, and what was "
    "promised is no longer due.",
    "kept_field": "order_id: these events must be of the same order. Empty: any of the customer's.",
}


class PolicyForm(forms.ModelForm[ProactiveVersion]):
    """A policy's name and its next version. `expected` is the version that was read."""

    name = forms.CharField(max_length=80, widget=forms.TextInput(attrs=CONTROL))
    expected = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = ProactiveVersion
        fields = FIELDS
        labels = LABELS
        help_texts = HELP
        widgets = {
            "template": forms.Textarea(attrs={**CONTROL, "rows": 3}),
            **{
                name: forms.DateTimeInput(
                    attrs={**CONTROL, "type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
                )
                for name in ("valid_from", "valid_until")
            },
        }

    def __init__(
        self, *args: Any, user: AnyUser, policy: ProactivePolicy | None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.policy = policy
        self._limit_scenes(user)  # before anything asks for errors
        for name in ("valid_from", "valid_until"):
            self.fields[name].help_text = f"May be empty. Times are {settings.TIME_ZONE}."
        for name, field in self.fields.items():
            is_choice = isinstance(field, forms.ChoiceField)
            field.widget.attrs.update(SELECT if is_choice else CONTROL)
            if field.help_text or name in self.errors:
                field.widget.attrs["aria-describedby"] = f"id_{name}_helptext"

    def _limit_scenes(self, user: AnyUser) -> None:
        """Offer the user's scenes; what concerns every scene is for those who see all."""
        scene = self.fields["scene"]
        assert isinstance(scene, forms.ModelChoiceField)  # noqa: S101 (tells mypy)
        sees_all = sees_every_scene(user)
        scene.queryset, scene.required = Scene.objects.visible_to(user), not sees_all
        scene.empty_label = "Every scene" if sees_all else "One of your scenes"

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        others = ProactivePolicy.objects.all()
        if self.policy:
            others = others.exclude(pk=self.policy.pk)
        if others.filter(name=name).exists():
            raise ValidationError("Another policy has this name.")
        return name

    def version(self, conditions: list[dict[str, Any]]) -> ProactiveVersion | None:
        """Return the version as it would be, not saved; None: errors are at the fields."""
        wanted = {name: self.cleaned_data[name] for name in FIELDS}
        version = ProactiveVersion(number=1, conditions=conditions, **wanted)
        try:
            policies.check(version)
        except ValidationError as error:
            for name, messages in error.message_dict.items():
                self.add_error(name if name in self.fields else None, messages)
            return None
        return version


class ConditionForm(forms.Form):
    """One row: a field of the event's data, an operator, a value. An empty row is none."""

    field = forms.CharField(
        required=False,
        max_length=120,
        widget=forms.TextInput(attrs={**CONTROL, "aria-label": "Field"}),
    )
    op = forms.ChoiceField(
        choices=[(name, words) for name, (words, _) in OPERATORS.items()],
        initial="gte",
        widget=forms.Select(attrs={**SELECT, "aria-label": "Comparison"}),
    )
    value = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={**CONTROL, "aria-label": "Value"}),
    )

    def clean_field(self) -> str:
        field = str(self.cleaned_data["field"])
        if field and not FIELD.fullmatch(field):
            raise ValidationError("Write a field as minutes_late or order.minutes_late.")
        return field

    @property
    def row(self) -> dict[str, Any] | None:
        told = self.cleaned_data
        if not told.get("field"):
            return None
        value = True if told["op"] == "exists" and not told["value"] else read_value(told["value"])
        return {"field": told["field"], "op": told["op"], "value": value}


ConditionFormSet = forms.formset_factory(
    ConditionForm, extra=SPARE, max_num=MOST_CONDITIONS, validate_max=True
)


def rows_of(conditions: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return stored conditions as the rows of the formset show them."""
    return [
        {
            "field": row["field"],
            "op": row["op"],
            "value": row["value"]
            if isinstance(row["value"], str) and isinstance(read_value(row["value"]), str)
            else json.dumps(row["value"], ensure_ascii=False),
        }
        for row in conditions
    ]


class LedgerFilterForm(FilterForm):
    outcome = forms.ChoiceField(
        choices=[("", "Every outcome"), *Outcome.choices],
        required=False,
        widget=forms.Select(attrs=SELECT),
    )
    customer = forms.CharField(
        required=False,
        max_length=120,
        widget=forms.TextInput(attrs={**CONTROL, "placeholder": "Customer"}),
    )

    def filter(self, decisions: QuerySet[ProactiveDecision]) -> QuerySet[ProactiveDecision]:
        if outcome := self.value("outcome"):
            decisions = decisions.filter(outcome=outcome)
        if customer := self.value("customer"):
            decisions = decisions.filter(customer_ref=customer)
        return decisions
