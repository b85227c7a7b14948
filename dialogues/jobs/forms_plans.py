"""A plan of calls as people write it: a form, rows of facts, offers and callees, and a try-out."""

from functools import cached_property
from typing import Any

from django import forms
from django.core.validators import RegexValidator, validate_slug

from agents.forms_tools import SchemaField
from agents.models import Tool, ToolKind
from agents.subagents import cards
from agents.subagents.callees import Temper
from dialogues.forms_arranging import CHECK, FIELD, SELECT, ArrangedForm
from dialogues.jobs.trying import LARGEST_SEED
from dialogues.models import CallPlan
from dialogues.models.jobs import no_parameters

LONGEST = 300  # characters of a text on the card
SPARE = 2  # empty rows beyond those there are
KINDS = {
    "yes_no": "Yes or no",
    "number": "Number",
    "duration": "Duration",
    "money": "Money",
    "date": "Date",
    "time": "Time",
    "choice": "One of several",
    "text": "Text",
}
LANGUAGES = [("en", "English"), ("zh", "Chinese")]
OF_THE_PLAN = (
    *("description", "confirmation", "confirmation_zh", "look_up", "parameters", "is_active"),
)
named = RegexValidator(r"^[a-z][a-z0-9_]{0,29}$", "Small letters, digits and underscores.")


def _text(label: str, *, most: int = LONGEST, help_text: str = "", **attrs: Any) -> forms.CharField:
    widget = forms.TextInput(attrs={**FIELD, **attrs})
    return forms.CharField(
        label=label, max_length=most, help_text=help_text, widget=widget, required=False
    )


def _number(label: str, low: int, high: int, initial: int) -> forms.IntegerField:
    widget = forms.NumberInput(attrs=FIELD)
    return forms.IntegerField(
        label=label, min_value=low, max_value=high, initial=initial, widget=widget
    )


class PlanForm(ArrangedForm):
    """All of a plan but its rows. The name never changes: releases and calls name it."""

    name = _text("Name", most=40, help_text="The model calls it by this name; it never changes.")
    description = _text("What it is for", most=200, help_text="The model decides by these words.")
    confirmation = _text(
        "Question before the call",
        most=200,
        help_text="The customer is asked this first: Shall I call about {order_id}? May be empty.",
    )
    confirmation_zh = _text(
        "Question before the call, in Chinese",
        most=200,
        help_text="For customers who write Chinese. Empty: they are asked as above.",
    )
    whom = _text("Whom", help_text="{shop}: filled from the arguments and the look-up.")
    why = _text("Why", help_text="Said at the beginning: “I am calling because …”.")
    for_whom = _text("On behalf of", help_text="Empty: this business.")
    language = forms.ChoiceField(choices=LANGUAGES, widget=forms.Select(attrs=SELECT))
    look_up = forms.ChoiceField(
        required=False,
        label="Looked up first",
        help_text="A tool that is given the arguments; its answer fills blanks of the card.",
        widget=forms.Select(attrs=SELECT),
    )
    most_exchanges = _number("Lines at most", 2, 40, cards.MOST_EXCHANGES)
    refusals = _number("Stop after refusals", 1, 5, cards.REFUSALS)
    silences = _number("Stop after silences", 1, 5, cards.SILENCES)
    parameters = SchemaField(
        label="What the agent passes, as a JSON schema",
        widget=forms.Textarea(
            attrs={
                **FIELD,
                "rows": 8,
                "class": "form-control font-monospace",
                "spellcheck": "false",
            }
        ),
    )
    is_active = forms.BooleanField(
        required=False,
        initial=True,
        label="Agents may have these calls made",
        widget=forms.CheckboxInput(attrs=CHECK),
    )

    def __init__(self, *args: Any, plan: CallPlan | None, revision: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", "initial": _initial(plan), **kwargs})
        self.initial["based_on"] = revision
        tools = Tool.objects.filter(is_active=True).exclude(kind=ToolKind.SUBAGENT)
        names = [(name, name) for name in tools.values_list("name", flat=True)]
        self.fields["look_up"].choices = [("", "Nothing"), *names]  # type: ignore[attr-defined]
        for name in ("description", "whom", "why"):
            self.fields[name].required = True
        if plan is not None:
            del self.fields["name"]
            return
        self.fields["name"].required = True
        self.fields["name"].validators.append(validate_slug)


def _initial(plan: CallPlan | None) -> dict[str, Any]:
    if plan is None:
        return {"parameters": no_parameters()}
    card = plan.card
    return {
        **{name: getattr(plan, name) for name in OF_THE_PLAN},
        **card.get("stop", {}),
        **{name: card[name] for name in ("why", "for_whom", "language") if name in card},
        "most_exchanges": card.get("most_exchanges", cards.MOST_EXCHANGES),
        "whom": card.get("whom", {}).get("name", ""),
    }


class FactForm(forms.Form):
    """Something to find out. A row without a question is none."""

    name = _text("Fact", most=30)
    question = _text("Question")
    kind = forms.ChoiceField(
        choices=list(KINDS.items()), label="Answer", widget=forms.Select(attrs=SELECT)
    )
    choices = _text("Choices, with commas")
    required = forms.BooleanField(
        required=False, initial=True, label="Needed", widget=forms.CheckboxInput(attrs=CHECK)
    )

    def clean(self) -> dict[str, Any]:
        told: dict[str, Any] = super().clean() or {}
        if told.get("question") or told.get("name"):
            for field in ("name", "question"):
                if not told.get(field):
                    self.add_error(field, "A fact has a name and a question.")
            if told.get("name"):
                named(told["name"])
        return told

    @property
    def row(self) -> dict[str, Any] | None:
        told = self.cleaned_data
        if not told.get("question"):
            return None
        fact = {name: told[name] for name in ("name", "question", "kind", "required")}
        if told["kind"] == "choice":
            parts = told["choices"].replace("\uff0c", ",").split(",")
            fact["choices"] = [part.strip() for part in parts if part.strip()]
        return fact


class OfferForm(forms.Form):
    """Something the agent may offer, in these words only. A row without words is none."""

    name = _text("Offer", most=30)
    words = _text("In these words")

    def clean(self) -> dict[str, Any]:
        told: dict[str, Any] = super().clean() or {}
        if told.get("words"):
            named(told.get("name", ""))
        return told

    @property
    def row(self) -> dict[str, Any] | None:
        told = self.cleaned_data
        return {"name": told["name"], "words": told["words"]} if told.get("words") else None


class CalleeForm(forms.Form):
    """Where somebody is reached. A row without a name is none."""

    whom = _text("Name, * for all others")
    address = _text("Address", most=200)

    @property
    def row(self) -> tuple[str, str] | None:
        told = self.cleaned_data
        return (told["whom"], told["address"]) if told.get("whom") else None


FactRows = forms.formset_factory(FactForm, extra=SPARE, max_num=8, validate_max=True)
OfferRows = forms.formset_factory(OfferForm, extra=1, max_num=5, validate_max=True)
CalleeRows = forms.formset_factory(CalleeForm, extra=SPARE, max_num=50, validate_max=True)


class PlanForms:
    """The form of a plan with its rows, as one."""

    def __init__(self, data: Any, *, plan: CallPlan | None, revision: int = 0) -> None:
        self.plan = plan
        card = plan.card if plan else {}
        facts = [_shown_fact(fact) for fact in card.get("facts", [])]
        addresses = plan.addresses if plan else {"*": "link:"}
        callees = [{"whom": whom, "address": address} for whom, address in addresses.items()]
        self.form = PlanForm(data, plan=plan, revision=revision)
        self.facts = FactRows(data, initial=facts, prefix="facts")
        self.offers = OfferRows(data, initial=card.get("offers", []), prefix="offers")
        self.callees = CalleeRows(data, initial=callees, prefix="callees")

    @cached_property
    def is_filled(self) -> bool:
        """Whether the fields are well formed; a plan may still refuse what they hold."""
        rows = (self.facts, self.offers, self.callees)
        return all([self.form.is_valid(), *(formset.is_valid() for formset in rows)])

    def written(self) -> CallPlan:
        """Return the plan as the forms hold it, not saved."""
        told = self.form.cleaned_data
        plan = self.plan or CallPlan(name=told["name"])
        for name in OF_THE_PLAN:
            setattr(plan, name, told[name])
        plan.card = self._card(told)
        plan.addresses = dict(row for one in self.callees if (row := one.row))
        return plan

    def _card(self, told: dict[str, Any]) -> dict[str, Any]:
        card: dict[str, Any] = {
            "whom": {"name": told["whom"]},
            "why": told["why"],
            "facts": [row for one in self.facts if (row := one.row)],
            "offers": [row for one in self.offers if (row := one.row)],
            "stop": {"refusals": told["refusals"], "silences": told["silences"]},
            "most_exchanges": told["most_exchanges"],
            "language": told["language"],
        }
        return card | ({"for_whom": told["for_whom"]} if told["for_whom"] else {})


def _shown_fact(fact: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, **fact, "choices": ", ".join(fact.get("choices", []))}


class TrialForm(forms.Form):
    """Whom to try a plan on, and what its blanks are then: one field each."""

    temper = forms.ChoiceField(
        choices=[(temper.value, temper.value.replace("_", " ").capitalize()) for temper in Temper],
        widget=forms.Select(attrs=SELECT),
    )
    seed = forms.IntegerField(
        label="Which of them",
        min_value=0,
        max_value=LARGEST_SEED,
        initial=0,
        help_text="The same number is the same person.",
        widget=forms.NumberInput(attrs=FIELD),
    )
    model_words = forms.BooleanField(
        required=False,
        label="The live release’s model words the questions",
        widget=forms.CheckboxInput(attrs=CHECK),
    )

    def __init__(self, data: Any = None, *, plan: CallPlan) -> None:
        super().__init__(data, label_suffix="")
        self.blanks = sorted(cards.blanks(plan.card))
        for name in self.blanks:
            words = name.replace("_", " ")
            field = _text(words.capitalize(), most=120)
            field.required, field.initial = True, f"the {words}"
            self.fields[f"blank-{name}"] = field

    def values(self) -> dict[str, Any]:
        return {name: self.cleaned_data[f"blank-{name}"] for name in self.blanks}

    def chosen(self) -> dict[str, Any]:
        told = self.cleaned_data
        return {name: told[name] for name in ("temper", "seed", "model_words")}
