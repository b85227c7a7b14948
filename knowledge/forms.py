"""What arrives from pages is valid here; the words of fields are for operators."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.db.models import F, Q

from knowledge.forms_publishing import comment_field, later_moment
from knowledge.models import (
    TEXT_LENGTH,
    TITLE_LENGTH,
    KnowledgeUnit,
    Revision,
    Risk,
    Scene,
    SceneQuerySet,
    UnitQuerySet,
    UnitStatus,
    Validity,
)
from knowledge.services import AUDIENCE_FIELDS, REVISION_FIELDS

MAX_QUERY = 2000  # characters of a question to search for
LOCAL_TIME = "%Y-%m-%dT%H:%M"


class SceneChoiceField(forms.ModelChoiceField):  # type: ignore[type-arg]  # not subscriptable
    """A scene by its slug, as in every address and file."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Scene.objects.none(), to_field_name="slug", **options)


def _control(kind: type[forms.Widget], **attrs: Any) -> forms.Widget:
    style = "form-select" if issubclass(kind, forms.Select) else "form-control"
    return kind(attrs={"class": f"{style} {attrs.pop('more', '')}".strip()} | attrs)


class UnitFilterForm(forms.Form):
    """The query string of the list."""

    q = forms.CharField(
        required=False,
        max_length=200,
        label="Words",
        widget=_control(
            forms.TextInput,
            more="w-100",
            type="search",
            placeholder="Words or rule number",
            **{"data-key": "/"},
        ),
    )
    scene = SceneChoiceField(
        required=False, empty_label="Every scene", widget=_control(forms.Select)
    )
    status = forms.ChoiceField(
        required=False,
        choices=[("", "Every status"), *UnitStatus.choices],
        widget=_control(forms.Select),
    )
    validity = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Any validity"),
            *((kind.value, kind.label) for kind in Validity if kind != Validity.NOW),
        ],
        widget=_control(forms.Select),
    )
    edited = forms.BooleanField(
        required=False,
        label="With an unpublished edit",
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )

    def __init__(self, *args: Any, scenes: SceneQuerySet, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["scene"].queryset = scenes  # type: ignore[attr-defined]  # ModelChoiceField

    def narrow(self, units: UnitQuerySet) -> UnitQuerySet:
        """Keep what the form asks for; what is not valid narrows nothing."""
        self.is_valid()
        wanted = self.cleaned_data
        if words := wanted.get("q"):
            units = units.filter(_mentions(words.replace("\0", "")))
        if scene := wanted.get("scene"):
            units = units.filter(scene=scene)
        if status := wanted.get("status"):
            units = units.filter(status=status)
        if validity := wanted.get("validity"):
            units = units.with_validity(validity)
        if wanted.get("edited"):
            units = units.filter(live__isnull=False).exclude(live=F("latest"))
        return units


def _mentions(words: str) -> Q:
    texts = Q(external_id__icontains=words)
    for field in ("title", "condition", "content"):
        texts |= Q(**{f"latest__{field}__icontains": words})
    number = words.lstrip("#")
    return texts | Q(pk=int(number)) if number.isdecimal() and len(number) < 10 else texts


def _names(label: str, help_text: str) -> forms.CharField:
    """A field of short names, with commas between."""
    return forms.CharField(
        required=False,
        max_length=400,
        label=label,
        help_text=help_text,
        widget=_control(forms.TextInput),
    )


class UnitForm(forms.Form):
    """Write or edit a rule."""

    title = forms.CharField(
        max_length=TITLE_LENGTH,
        help_text="A short name that colleagues recognise.",
        widget=_control(forms.TextInput, autofocus=True),
    )
    scene = SceneChoiceField(
        widget=_control(forms.Select),
        empty_label="Choose…",
        help_text="The business line whose customers it answers.",
    )
    condition = forms.CharField(
        label="When does it apply?",
        max_length=TEXT_LENGTH,
        help_text="The situation, as one sentence: “When an order arrives 20 minutes late”.",
        widget=_control(forms.Textarea, rows=3),
    )
    content = forms.CharField(
        label="What is the answer, or what must be done?",
        max_length=TEXT_LENGTH,
        help_text="With amounts, limits and times. The agent says what stands here, no more.",
        widget=_control(forms.Textarea, rows=5),
    )
    questions = forms.CharField(
        label="How do customers ask it?",
        required=False,
        max_length=20_000,
        help_text="Other wordings, one per line. Two or three make the rule easier to find.",
        widget=_control(forms.Textarea, rows=4),
    )
    risk = forms.ChoiceField(
        choices=Risk.choices,
        initial=Risk.LOW,
        widget=_control(forms.Select),
        help_text="High: money, law, safety. Such a rule is published by an approver other "
        "than its author; so is an edit that lowers the risk of a live one.",
    )
    priority = forms.IntegerField(
        initial=0,
        min_value=-1000,
        max_value=1000,
        help_text="Of two equally good rules the higher number wins.",
        widget=_control(forms.NumberInput),
    )
    valid_from = forms.DateTimeField(
        required=False,
        widget=_control(forms.DateTimeInput, type="datetime-local"),
        help_text=f"Empty: from the moment it is published. Times are {settings.TIME_ZONE}.",
    )
    valid_until = forms.DateTimeField(
        required=False,
        widget=_control(forms.DateTimeInput, type="datetime-local"),
        help_text="Empty: until it is archived.",
    )
    source = forms.CharField(
        required=False,
        max_length=300,
        help_text="Where the rule comes from: handbook, contract, ticket.",
        widget=_control(forms.TextInput),
    )
    external_id = forms.CharField(
        required=False,
        label="External id",
        max_length=120,
        help_text="The rule's name in another system, if it has one.",
        widget=_control(forms.TextInput),
    )
    channels = _names("Only in these channels", "For example: web, app. Empty: in every channel.")
    segments = _names("Only for these customers", "For example: plus. Empty: for everybody.")
    regions = _names("Only in these regions", "For example: london. Empty: everywhere.")
    based_on = forms.IntegerField(required=False, widget=forms.HiddenInput)
    publish_at = later_moment("Publish at", "Empty: at once, or as soon as it is approved.")
    comment = comment_field()

    rare: ClassVar = [
        *("risk", "priority", "valid_from", "valid_until", *AUDIENCE_FIELDS),
        *("source", "external_id"),
    ]

    def __init__(
        self,
        *args: Any,
        scenes: SceneQuerySet,
        unit: KnowledgeUnit | None = None,
        **options: Any,
    ) -> None:
        options["initial"] = _initial(unit)
        super().__init__(*args, **options)
        self.fields["scene"].queryset = scenes  # type: ignore[attr-defined]  # ModelChoiceField
        for name in ("scene", "external_id"):
            self.fields[name].disabled = unit is not None  # a rule keeps its place and name
        for name in ("valid_from", "valid_until"):
            self.fields[name].widget.format = LOCAL_TIME

    @property
    def main_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in ("title", "scene", "condition", "content", "questions")]

    @property
    def rare_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.rare]

    @property
    def publishing_fields(self) -> list[forms.BoundField]:
        return [self["publish_at"], self["comment"]]

    @property
    def has_publishing_errors(self) -> bool:
        return any(name in self.errors for name in ("publish_at", "comment"))

    @property
    def has_rare_errors(self) -> bool:
        return any(name in self.errors for name in self.rare)

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        begin, end = values.get("valid_from"), values.get("valid_until")
        if begin and end and end <= begin:
            self.add_error("valid_until", "The rule must end after it begins.")
        return values

    def clean_questions(self) -> list[str]:
        return str(self.cleaned_data["questions"]).splitlines()

    def revision_fields(self) -> Any:
        """Return the cleaned RevisionFields."""
        values = {name: self.cleaned_data[name] for name in REVISION_FIELDS}
        return values | {name: values[name].split(",") for name in AUDIENCE_FIELDS}


def _initial(unit: KnowledgeUnit | None) -> dict[str, Any]:
    if unit is None or unit.latest is None:
        return {}
    latest: Revision = unit.latest
    values = {name: getattr(latest, name) for name in REVISION_FIELDS}
    return values | {
        "questions": "\n".join(latest.questions),
        **{name: ", ".join(getattr(latest, name)) for name in AUDIENCE_FIELDS},
        "scene": unit.scene.slug,
        "external_id": unit.external_id,
        "based_on": latest.number,
    }
