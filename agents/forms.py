from decimal import Decimal
from typing import Any

from django import forms

from agents.models import Composition, ModelVersion, Release, Tool, live_release
from knowledge.models import Scene
from wowconsole.roles import AnyUser


class ReleaseForm(forms.ModelForm[Release]):
    """What a person chooses of a release; the rest follows."""

    tools = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="What the agent may do besides talking.",
    )

    low = forms.ChoiceField(
        label="Replies that rest on low-risk rules",
        choices=Composition.choices,
        initial=Composition.QUOTED,
        required=False,
    )
    medium = forms.ChoiceField(
        label="Replies that rest on medium-risk rules",
        choices=Composition.choices,
        initial=Composition.QUOTED,
        required=False,
    )
    high = forms.ChoiceField(
        label="Replies that rest on high-risk rules",
        choices=Composition.choices,
        initial=Composition.STRICT,
        required=False,
        help_text="As written is quicker, and never wrong about the rule: right for small models "
        "and risky topics. Whoever words it, figures and promises need a source.",
    )
    seconds = forms.IntegerField(
        label="Seconds a turn may take",
        required=False,
        min_value=1,
        max_value=600,
        help_text="Then a rule is said as written, or a person takes over. Empty: as installed.",
    )
    money = forms.DecimalField(
        label="Dollars a turn may cost",
        required=False,
        min_value=Decimal("0.0001"),
        max_digits=10,
        decimal_places=4,
        help_text="By the prices of model and tools. Empty: no limit of its own.",
    )
    rules = forms.IntegerField(
        label="Rules the model reads",
        required=False,
        min_value=1,
        max_value=10,
        help_text="Of those found, best first. One is right for small models, which choose badly. "
        "Empty: all that search shows.",
    )

    class Meta:
        model = Release
        fields = ["name", "version", "tools"]
        help_texts = {
            "name": "Letters, digits and hyphens. It stands on every message it answers.",
            "version": "The weights that answer.",
        }

    def __init__(self, *args: Any, user: AnyUser, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        seen = Tool.objects.visible_to(user).filter(is_active=True)
        names = list(seen.values_list("name", flat=True))
        self.fields["tools"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]
        self.fields["tools"].initial = names
        self.fields["version"].queryset = ModelVersion.objects.all()  # type: ignore[attr-defined]
        if live := live_release():
            self.fields["rules"].initial = live.limits.get("budget", {}).get("rules")

    def release(self) -> dict[str, Any]:
        """Return what `services.make_release` takes."""
        given = self.cleaned_data
        return {
            **{name: given[name] for name in ("name", "version", "tools")},
            "composition": {
                risk: given[risk] or self.fields[risk].initial for risk in ("low", "medium", "high")
            },
            "budget": {name: given[name] for name in ("seconds", "money", "rules")},
        }


class ReasonForm(forms.Form):
    """Why a release goes live or back, and where: no scene is every scene without its own."""

    reason = forms.CharField(max_length=300, required=False)
    scene = forms.ModelChoiceField(
        Scene.objects.none(), to_field_name="slug", required=False, empty_label="Every scene"
    )

    def __init__(self, *args: Any, user: AnyUser, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scene"].queryset = Scene.objects.visible_to(user)  # type: ignore[attr-defined]
