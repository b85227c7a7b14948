from django import forms

from agents.models import ModelVersion, Release, Tool


class ReleaseForm(forms.ModelForm[Release]):
    """What a person chooses of a release; the rest follows."""

    tools = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="What the agent may do besides talking.",
    )

    quote_rules = forms.BooleanField(
        label="Say rules in their own words",
        required=False,
        initial=True,
        help_text="A reply that rests on one rule is the rule as written: quicker, and never "
        "wrong about it. Right for small models and risky topics.",
    )

    class Meta:
        model = Release
        fields = ["name", "version", "tools"]
        help_texts = {
            "name": "Letters, digits and hyphens. It stands on every message it answers.",
            "version": "The weights that answer.",
        }

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through
        names = list(Tool.objects.filter(is_active=True).values_list("name", flat=True))
        self.fields["tools"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]
        self.fields["tools"].initial = names
        self.fields["version"].queryset = ModelVersion.objects.all()  # type: ignore[attr-defined]


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=300, required=False)
