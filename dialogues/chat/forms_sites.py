"""What arrives from the pages of chat sites and their keys."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from dialogues.chat import site_keys
from dialogues.desk.forms import SceneForm
from dialogues.forms_arranging import CHECK, FIELD, SELECT, ArrangedForm
from dialogues.models import Algorithm, Position, Site, WidgetLanguage
from dialogues.models.sites import COLOR, MOST_ORIGINS, USUAL_COLOR, validate_origins

LOOK = ("color", "position", "language", "title", "greeting")


class SiteForm(ArrangedForm, SceneForm):
    """A site; its origins are written one a line. Its slug never changes: snippets name it."""

    origins = forms.CharField(
        required=False,
        label="Pages that may embed the chat",
        help_text=f"Origins, one a line, at most {MOST_ORIGINS}: https://shop.example. "
        "No path, no asterisk.",
        widget=forms.Textarea(attrs={**FIELD, "rows": 4, "spellcheck": "false"}),
    )

    class Meta:
        model = Site
        fields = (
            *("slug", "name", "scene", "origins", "identity_required", "citations"),
            *LOOK,
        )
        labels: ClassVar[dict[str, str]] = {
            "slug": "Short name",
            "identity_required": "Only customers whom the site vouches for",
            "citations": "Sources of answers",
            "color": "Colour",
            "language": "Language",
            "title": "Title of the window",
        }
        help_texts: ClassVar[dict[str, str]] = {
            "slug": "Letters, digits and hyphens. The snippet names the site by it; it never "
            "changes.",
            "color": "Text on it is made readable by itself.",
            "title": "Empty: in the widget’s own words.",
            "greeting": "Empty: the usual one.",
        }
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "slug": forms.TextInput(attrs=FIELD),
            "name": forms.TextInput(attrs=FIELD),
            "identity_required": forms.CheckboxInput(attrs=CHECK),
            "citations": forms.Select(attrs=SELECT),
            "color": forms.TextInput(attrs={**FIELD, "type": "color"}),
            "position": forms.Select(attrs=SELECT),
            "language": forms.Select(attrs=SELECT),
            "title": forms.TextInput(attrs=FIELD),
            "greeting": forms.TextInput(attrs=FIELD),
        }

    def __init__(self, *args: Any, revision: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["based_on"] = revision
        del self.fields["color"].widget.attrs["maxlength"]  # no text: nothing to count
        self.initial["origins"] = "\n".join(self.instance.origins)
        if self.instance.pk:
            del self.fields["slug"]
        if self.fields["scene"].required is False:
            self.fields["scene"].empty_label = "As the customer's need shows"  # type: ignore[attr-defined]

    def clean_origins(self) -> list[str]:
        lines = [line.strip() for line in self.cleaned_data["origins"].splitlines()]
        origins = list(dict.fromkeys(line for line in lines if line))
        validate_origins(origins)
        return origins

    def clean_color(self) -> str:
        return str(self.cleaned_data["color"]).lower()


class LookForm(forms.Form):
    """A look that is not saved yet, as the preview is asked for it; what is wrong is left out."""

    color = forms.RegexField(rf"^{COLOR}$", required=False, empty_value=USUAL_COLOR)
    position = forms.ChoiceField(choices=Position.choices, required=False)
    language = forms.ChoiceField(choices=WidgetLanguage.choices, required=False)
    title = forms.CharField(max_length=60, required=False)
    greeting = forms.CharField(max_length=200, required=False)
    open = forms.BooleanField(required=False)

    def look(self) -> dict[str, Any]:
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


class SiteKeyForm(forms.Form):
    algorithm = forms.ChoiceField(
        choices=Algorithm.choices, label="Kind", widget=forms.Select(attrs=SELECT)
    )
    public_key = forms.CharField(
        required=False,
        label="Public key, PEM",
        help_text="For RS256 only; of a shared secret we make one and show it once.",
        widget=forms.Textarea(attrs={**FIELD, "rows": 4, "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        pem = cleaned.get("public_key", "")
        if bool(pem) != (cleaned.get("algorithm") == Algorithm.RS256):
            raise ValidationError("A public key is for RS256, which needs one.")
        if pem:
            site_keys.check_public_key(pem)
        return cleaned
