"""What arrives with a publication, a decision upon one, and a snapshot."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils import timezone

from knowledge.models import Scene, SceneQuerySet, Snapshot
from knowledge.publishing import LONGEST_REASON, SHORTEST_REASON

CONTROL = {"class": "form-control"}
SELECT = {"class": "form-select"}


class LaterField(forms.DateTimeField):
    """A moment that is still to come."""

    def clean(self, value: Any) -> Any:
        moment = super().clean(value)
        if moment and moment <= timezone.now():
            raise forms.ValidationError("That moment is over. Choose a later one.")
        return moment


def later_moment(label: str, help_text: str, *, required: bool = False) -> LaterField:
    """A field for a time to come, as the browser's own date picker gives it."""
    return LaterField(
        required=required,
        label=label,
        help_text=f"{help_text} Times are {settings.TIME_ZONE}.",
        widget=forms.DateTimeInput(attrs={**CONTROL, "type": "datetime-local"}),
    )


def comment_field() -> forms.CharField:
    return forms.CharField(
        required=False,
        max_length=1000,
        label="A word to the approver",
        help_text="What changed and why. Only high-risk rules are read by an approver.",
        widget=forms.Textarea(attrs={**CONTROL, "rows": 2}),
    )


class SubmissionForm(forms.Form):
    """Ask for a revision to be published; `revision` is the number that was read."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    publish_at = later_moment("Publish at", "Empty: as soon as it is approved.")
    comment = comment_field()


class ScheduleForm(forms.Form):
    """Publish later what needs nobody's approval."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    publish_at = later_moment("Publish at", "It goes live by itself.", required=True)


class OverrideForm(forms.Form):
    """Publish over a check, with a reason."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    reason = forms.CharField(
        min_length=SHORTEST_REASON,
        max_length=LONGEST_REASON,
        label="Why it cannot wait",
        help_text="It stays in the rule's ledger and in the list of overrides.",
        widget=forms.Textarea(attrs={**CONTROL, "rows": 2}),
    )


class RejectionForm(forms.Form):
    """Send a submission back."""

    reason = forms.CharField(
        max_length=1000,
        label="What is to be changed",
        widget=forms.Textarea(attrs={**CONTROL, "rows": 2}),
    )


class OwnerForm(forms.Form):
    """Hand a rule to somebody else."""

    owner = forms.ModelChoiceField(
        queryset=User.objects.none(),
        to_field_name="username",
        empty_label=None,
        help_text="Whom colleagues ask about the rule: somebody who works in its scene.",
        widget=forms.Select(attrs=SELECT),
    )

    def __init__(self, *args: Any, people: QuerySet[User], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["owner"].queryset = people  # type: ignore[attr-defined]  # ModelChoiceField


class SnapshotForm(forms.ModelForm[Snapshot]):
    """Name what is live now."""

    scene = forms.ModelChoiceField(
        queryset=Scene.objects.none(),
        to_field_name="slug",
        required=False,
        empty_label="The whole base",
        widget=forms.Select(attrs=SELECT),
    )

    class Meta:
        model = Snapshot
        fields = ("name", "scene", "comment")
        widgets = {
            "name": forms.TextInput(attrs={**CONTROL, "placeholder": "Before the winter menu"}),
            "comment": forms.Textarea(attrs={**CONTROL, "rows": 2}),
        }

    def __init__(
        self, *args: Any, scenes: SceneQuerySet, may_take_all: bool, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        scene = self.fields["scene"]
        scene.queryset = scenes  # type: ignore[attr-defined]  # ModelChoiceField
        if not may_take_all:
            scene.required, scene.empty_label = True, "Choose…"  # type: ignore[attr-defined]  # as above
