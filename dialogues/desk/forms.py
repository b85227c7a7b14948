"""What arrives from the pages of the desk."""

from typing import Any, ClassVar
from zoneinfo import available_timezones

from django import forms

from dialogues.models import (
    CannedReply,
    Desk,
    Holiday,
    OpenPeriod,
    QuestionKind,
    Survey,
    SurveyQuestion,
)
from knowledge.models import Scene
from wowconsole.roles import AnyUser, sees_every_scene

FIELD = {"class": "form-control"}
SELECT = {"class": "form-select"}
CHECK = {"class": "form-check-input"}


class SceneForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable
    """A row of one scene of the user's; those of every scene are for who sees all."""

    def __init__(self, *args: Any, user: AnyUser, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        everywhere = sees_every_scene(user)
        self.fields["scene"] = forms.ModelChoiceField(
            Scene.objects.visible_to(user),
            to_field_name="slug",
            required=not everywhere,
            empty_label="Every other scene" if everywhere else "Choose one",
            widget=forms.Select(attrs=SELECT),
        )
        self.initial["scene"] = self.instance.scene  # the field names it by slug, not by key


class DeskForm(SceneForm):
    time_zone = forms.ChoiceField(label="Time zone", widget=forms.Select(attrs=SELECT))

    class Meta:
        model = Desk
        fields = ("scene", "time_zone", "answer_minutes")
        labels: ClassVar[dict[str, str]] = {"answer_minutes": "First answer within, minutes"}
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "answer_minutes": forms.NumberInput(attrs={**FIELD, "min": 1, "max": 10080})
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = sorted(available_timezones())
        self.fields["time_zone"].choices = [(zone, zone) for zone in zones]  # type: ignore[attr-defined]


class PeriodForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable
    class Meta:
        model = OpenPeriod
        fields = ("weekday", "opens", "closes")
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "weekday": forms.Select(attrs=SELECT),
            "opens": forms.TimeInput(attrs={**FIELD, "type": "time"}, format="%H:%M"),
            "closes": forms.TimeInput(attrs={**FIELD, "type": "time"}, format="%H:%M"),
        }


class HolidayForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable
    class Meta:
        model = Holiday
        fields = ("day", "name")
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "day": forms.DateInput(attrs={**FIELD, "type": "date"}, format="%Y-%m-%d"),
            "name": forms.TextInput(attrs=FIELD),
        }


class CannedReplyForm(SceneForm):
    class Meta:
        model = CannedReply
        fields = ("scene", "shortcut", "text")
        help_texts: ClassVar[dict[str, str]] = {
            "shortcut": "Typed after a slash in the answer: /refund. Letters, digits and hyphens."
        }
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "shortcut": forms.TextInput(attrs=FIELD),
            "text": forms.Textarea(attrs={**FIELD, "rows": 4}),
        }


class SurveyForm(SceneForm):
    class Meta:
        model = Survey
        fields = ("scene", "at_end")
        labels: ClassVar[dict[str, str]] = {"at_end": "Ask at the end of every conversation"}
        widgets: ClassVar[dict[str, forms.Widget]] = {"at_end": forms.CheckboxInput(attrs=CHECK)}


class QuestionForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable
    """A question; its choices are written one a line."""

    choices = forms.CharField(
        required=False,
        label="Choices, one a line",
        help_text="For the kind “One of several” only.",
        widget=forms.Textarea(attrs={**FIELD, "rows": 3}),
    )

    class Meta:
        model = SurveyQuestion
        fields = ("text", "kind", "choices", "place")
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "text": forms.TextInput(attrs=FIELD),
            "kind": forms.Select(attrs=SELECT, choices=QuestionKind.choices),
            "place": forms.NumberInput(attrs={**FIELD, "min": 1, "max": 99}),
        }
        labels: ClassVar[dict[str, str]] = {"text": "Question", "place": "Place in the form"}

    def clean_choices(self) -> list[str]:
        lines = [line.strip() for line in self.cleaned_data["choices"].splitlines()]
        return list(dict.fromkeys(line for line in lines if line))
