"""What arrives from the page of contact rules."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings

from dialogues.forms import FilterForm
from dialogues.forms_arranging import FIELD, ArrangedForm
from dialogues.models import ContactRules
from dialogues.proactive.contact import LONGEST_REF


class ContactRulesForm(ArrangedForm, forms.ModelForm[ContactRules]):
    class Meta:
        model = ContactRules
        fields = ("quiet_from", "quiet_until", "most", "days", "silent_until", "holdout_percent")
        labels: ClassVar[dict[str, str]] = {
            "quiet_from": "Quiet from",
            "quiet_until": "Until",
            "most": "At most so many messages to one customer",
            "days": "Within so many days",
            "silent_until": "Do not disturb until",
            "holdout_percent": "New policies hold out (%)",
        }
        help_texts: ClassVar[dict[str, str]] = {
            "quiet_from": "By the customer’s clock.",
            "quiet_until": "The same time twice: no quiet hours.",
            "most": "Of all policies together; 0: nobody is told anything unasked.",
            "silent_until": f"Nobody is told anything before, {settings.TIME_ZONE}. May be empty.",
            "holdout_percent": "Customers who are not told, so that the effect can be seen; "
            "0 to 50. Policies that exist keep their share.",
        }
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "quiet_from": forms.TimeInput(attrs={**FIELD, "type": "time"}, format="%H:%M"),
            "quiet_until": forms.TimeInput(attrs={**FIELD, "type": "time"}, format="%H:%M"),
            "most": forms.NumberInput(attrs={**FIELD, "min": 0, "max": 100}),
            "days": forms.NumberInput(attrs={**FIELD, "min": 1, "max": 90}),
            "silent_until": forms.DateTimeInput(
                attrs={**FIELD, "type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
            ),
            "holdout_percent": forms.NumberInput(attrs={**FIELD, "min": 0, "max": 50}),
        }

    def __init__(self, *args: Any, revision: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.initial["based_on"] = revision


class OptOutFilterForm(FilterForm):
    customer = forms.CharField(
        required=False,
        max_length=LONGEST_REF,
        label="Customer’s id, or how it begins",
        widget=forms.TextInput(
            attrs={"class": "form-control w-100", "type": "search", "data-key": "/"}
        ),
    )
