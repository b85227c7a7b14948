"""Query strings of the lists, and the verdict on a turn."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.db.models import Exists, OuterRef, Q
from django.utils.functional import cached_property

from agents.actions import BUILT_IN
from dialogues.loop.reviewing import build_rewrite, spoken_action
from dialogues.models import (
    Case,
    CaseQuerySet,
    Channel,
    Control,
    ConversationQuerySet,
    Event,
    IssueType,
    Turn,
    TurnUnit,
    Verdict,
)
from knowledge.models import Scene
from wowconsole.roles import AnyUser

NONE = "none"
BAD_ONES = (Verdict.BAD, Verdict.WRONG)
CHECK = {"class": "form-check-input"}
LONGEST_REWRITE = 4000  # characters


def _select(label: str, choices: list[tuple[str, Any]]) -> forms.ChoiceField:
    widget = forms.Select(attrs={"class": "form-select"})
    return forms.ChoiceField(label=label, choices=choices, required=False, widget=widget)


def _day(label: str) -> forms.DateField:
    widget = forms.DateInput(attrs={"class": "form-control", "type": "date"}, format="%Y-%m-%d")
    return forms.DateField(label=label, required=False, widget=widget)


class FilterForm(forms.Form):
    """A query string; a field that can't be read narrows nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})

    def value(self, name: str) -> Any:
        self.is_valid()
        return self.cleaned_data.get(name)

    @cached_property
    def is_narrow(self) -> bool:
        """Whether anything is asked for, so that an empty list can say why it is empty."""
        return any(self.value(name) for name in self.fields)


class ConversationFilterForm(FilterForm):
    q = forms.CharField(
        label="Search",
        max_length=100,
        required=False,
        widget=forms.TextInput(
            attrs={
                "class": "form-control w-100",
                "type": "search",
                "placeholder": "What was said",
                "data-key": "/",
            }
        ),
    )
    scene = forms.ModelChoiceField(
        Scene.objects.none(),
        to_field_name="slug",
        required=False,
        empty_label="Any scene",
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    channel = _select("Channel", [("", "Any channel"), *Channel.choices])
    control = _select("Answered by", [("", "Anybody"), *Control.choices])
    label = _select("Class", [("", "Any class"), *Verdict.choices, (NONE, "Not judged yet")])
    rating = _select(
        "Rating",
        [("", "Any rating"), *((str(n), f"{n} of 5") for n in range(1, 6)), (NONE, "Not rated")],
    )
    since = _day("From")
    until = _day("To")

    def __init__(self, *args: Any, user: AnyUser, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        scenes = self.fields["scene"]
        assert isinstance(scenes, forms.ModelChoiceField)  # noqa: S101 (tells mypy)
        scenes.queryset = Scene.objects.visible_to(user)

    def filter(self, conversations: ConversationQuerySet) -> ConversationQuerySet:
        if q := self.value("q"):
            said = Event.objects.filter(conversation=OuterRef("pk"), text__icontains=q)
            about = Q(customer__icontains=q) | Q(external_id__iexact=q)
            conversations = conversations.filter(Exists(said) | about)
        if scene := self.value("scene"):
            conversations = conversations.filter(scene=scene)
        if channel := self.value("channel"):
            conversations = conversations.filter(channel=channel)
        if control := self.value("control"):
            conversations = conversations.filter(control=control, closed_at=None)
        return self._on_days(self._judged(conversations))

    def _judged(self, conversations: ConversationQuerySet) -> ConversationQuerySet:
        cases = Case.objects.filter(turn__conversation=OuterRef("pk"))
        label, rating = self.value("label"), self.value("rating")
        if label == NONE:
            conversations = conversations.filter(~Exists(cases))
        elif label:
            conversations = conversations.filter(Exists(cases.filter(label=label)))
        if rating:
            conversations = conversations.filter(rating=None if rating == NONE else int(rating))
        return conversations

    def _on_days(self, conversations: ConversationQuerySet) -> ConversationQuerySet:
        if since := self.value("since"):
            conversations = conversations.filter(updated_at__date__gte=since)
        if until := self.value("until"):
            conversations = conversations.filter(updated_at__date__lte=until)
        return conversations


class CaseFilterForm(FilterForm):
    label = _select("Class", [("", "Any class"), *Verdict.choices])
    issue = _select("Issue", [("", "Any issue"), *IssueType.choices])
    rewrite = _select(
        "Rewrite", [("", "With or without"), ("yes", "Rewritten"), ("no", "Not rewritten")]
    )

    def filter(self, cases: CaseQuerySet) -> CaseQuerySet:
        label = self.value("label")
        cases = self.filter_any_label(cases)
        return cases.filter(label=label) if label else cases

    def filter_any_label(self, cases: CaseQuerySet) -> CaseQuerySet:
        """Narrow by all but the class: the counts beside the classes are of these."""
        if issue := self.value("issue"):
            cases = cases.filter(issue_types__contains=[issue])
        if rewrite := self.value("rewrite"):
            cases = cases.filter(rewrite={}) if rewrite == "no" else cases.exclude(rewrite={})
        return cases


class JudgementForm(forms.Form):
    """A verdict on a turn. What is said of a good reply's faults is not looked at.

    The rewrite starts as the reply; left as it is, there is no rewrite.
    """

    verdict = forms.ChoiceField(choices=Verdict.choices, widget=forms.RadioSelect(attrs=CHECK))
    issue_types = forms.MultipleChoiceField(
        label="What is wrong",
        choices=IssueType.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple(attrs=CHECK),
    )
    rewrite = forms.CharField(
        label="What should have been said",
        max_length=LONGEST_REWRITE,
        required=False,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 4}),
    )
    action = _select(
        "What should have been done", [("", "As it was"), *((name, name) for name in BUILT_IN)]
    )
    knowledge = forms.TypedMultipleChoiceField(
        label="Which rules should have been cited",
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple(attrs=CHECK),
    )
    comment = forms.CharField(
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 2}),
    )

    def __init__(self, *args: Any, turn: Turn, found: Sequence[TurnUnit], **kwargs: Any) -> None:
        case: Case | None = getattr(turn, "case", None)
        super().__init__(*args, **{"initial": _initial(turn, case), "label_suffix": "", **kwargs})
        self.turn = turn
        self.found = found
        knowledge = self.fields["knowledge"]
        assert isinstance(knowledge, forms.TypedMultipleChoiceField)  # noqa: S101 (tells mypy)
        knowledge.choices = [
            (unit.unit_id, f"#{unit.unit_id} {unit.revision.title}") for unit in found
        ]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("verdict") in BAD_ONES and not data.get("issue_types"):
            self.add_error("issue_types", "Name at least one issue of a bad reply.")
        if data.get("verdict") == Verdict.GOOD:
            return data | {"issue_types": [], "rewrite": {}}
        return data | {"rewrite": self._rewrite(data)}

    def _rewrite(self, data: dict[str, Any]) -> dict[str, Any]:
        reply = data.get("rewrite", "")
        if not reply and spoken_action(self.turn).reply:
            self.add_error("rewrite", "A rewrite needs a reply; to give none, restore the text.")
            return {}
        return build_rewrite(
            self.turn,
            reply=reply,
            knowledge=data.get("knowledge", []) if self.found else None,
            action=data.get("action", ""),
        )


def _initial(turn: Turn, case: Case | None) -> dict[str, Any]:
    spoken = spoken_action(turn)
    wanted = case.rewrite if case and case.rewrite else spoken.as_dict()
    name = wanted["action"]["name"]
    return {
        "verdict": case.label if case else None,
        "issue_types": case.issue_types if case else [],
        "rewrite": wanted["reply"],
        "action": "" if name == spoken.name else name,
        "knowledge": wanted["knowledge"],
    }
