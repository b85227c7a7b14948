"""Forms of the tool catalogue and of MCP servers."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms.fields import InvalidJSONInput

from agents import vetting
from agents.models import MCPServer, Tool, ToolKind
from agents.reaching import OWN_PATH
from agents.schemas import indented
from knowledge.models import Scene

NOT_OF_SERVERS = ("method", "url", "parameters", "token_setting")  # the server decides these
MADE_BY_HAND = [ToolKind.HTTP, ToolKind.SUBAGENT]
EXAMPLE = {
    "type": "object",
    "properties": {"order_id": {"type": "string", "pattern": "^[A-Z]{2}[0-9]{4}$"}},
    "required": ["order_id"],
}


class SchemaField(forms.JSONField):
    """JSON that people read: indented, but for what is no JSON yet."""

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, InvalidJSONInput) else indented(value)


class ToolForm(forms.ModelForm[Tool]):
    """A tool as a person describes it; `based_on` is the revision that the page showed."""

    based_on = forms.IntegerField(required=False, widget=forms.HiddenInput)
    parameters = SchemaField(
        label="Arguments, as a JSON schema",
        help_text="A property with a pattern is an identifier: an agent may copy one from the "
        "dialogue, never invent one. References are written out when you save.",
        widget=forms.Textarea(attrs={"rows": 12, "class": "font-monospace"}),
    )
    cost_per_call = forms.DecimalField(
        min_value=0,
        max_digits=12,
        decimal_places=6,
        initial=0,
        help_text="Counted into the cost of a conversation.",
    )
    note = forms.CharField(
        max_length=200,
        required=False,
        label="Why",
        help_text="Stands in the tool's history.",
    )

    class Meta:
        model = Tool
        fields = [
            *("kind", "name", "description", "method", "url", "parameters", "token_setting"),
            *("confirmation", "confirmation_zh", "occasions"),
            *("result_template", "result_template_zh", "personal", "scenes"),
            *("timeout_seconds",),
            *("largest_answer", "cost_per_call", "uses_fixtures", "is_active"),
        ]
        labels = {
            "url": "Address",
            "token_setting": "Variable that holds the bearer token",
            "confirmation": "Question before the call",
            "confirmation_zh": "Question before the call, in Chinese",
            "occasions": "Occasions",
            "result_template": "What is said of a result",
            "result_template_zh": "What is said of a result, in Chinese",
            "personal": "Personal data",
            "timeout_seconds": "Timeout, seconds",
            "largest_answer": "Largest answer, bytes",
            "uses_fixtures": "Answer from fixtures",
            "is_active": "Switched on",
        }
        help_texts = {
            "name": "The model calls it by this name; it never changes.",
            "description": "What it does, in the words that the model is shown.",
            "url": f"https://…, or {OWN_PATH}… of the demo. Arguments in braces: "
            "/orders/{order_id}/.",
            "token_setting": f"Never the token itself. {vetting.TOKEN_HELP}",
            "confirmation": "For what can't be undone: the customer is asked this, and the tool "
            "is called after a yes only. Arguments in braces.",
            "confirmation_zh": "For customers who write Chinese. Empty: they are asked as above.",
            "occasions": "Words, separated by commas, in English or Chinese; between those that "
            "mean the same a stroke: “cold/lukewarm, burnt”. A tool that asks first is offered to "
            "the model only where the customer speaks of one, or the first rule found of what "
            "name and description say (empty: customers too by these), and offered to the "
            "customer where a rule has such a word in its condition or other wordings. Others "
            "are called at once, by releases that say rules in their own words, where a customer "
            "says one: “where is my order”.",
            "result_template": "The reply in a release that says rules in their own words: “Order "
            "{order_id} is {status}. It takes {eta_minutes} more minutes.” A sentence whose field "
            "has no value is left out. Empty: the model words it. Customers see the fields "
            "named here on the card of a call, and nothing else of the result.",
            "result_template_zh": "For customers who write Chinese. Empty: they are told as above.",
            "personal": "It reads or changes what belongs to one customer: called only for "
            "identified customers.",
            "scenes": "None chosen: every scene.",
            "uses_fixtures": "Nothing is called; only recorded arguments have an answer. For "
            "tests and rehearsals.",
        }
        widgets = {"scenes": forms.CheckboxSelectMultiple}

    def __init__(self, *args: Any, visible_scenes: QuerySet[Scene], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scenes"].queryset = visible_scenes  # type: ignore[attr-defined]
        tool = self.instance
        self.initial["based_on"] = tool.revision
        if tool._state.adding:
            self._for_new()
            return
        for name in ("kind", "name"):
            self.fields[name].disabled = True
        for name in NOT_OF_SERVERS if tool.kind == ToolKind.MCP else ():
            del self.fields[name]

    def _for_new(self) -> None:
        kinds = [(kind.value, kind.label) for kind in MADE_BY_HAND]
        self.fields["kind"].choices = kinds  # type: ignore[attr-defined]
        self.initial.setdefault("parameters", EXAMPLE)

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # which the stubs leave out
        if self.errors:
            return
        try:
            vetting.check_tool(self.instance)
        except ValidationError as error:
            for name, texts in error.message_dict.items():
                self.add_error(name if name in self.fields else None, texts)


class ServerForm(forms.ModelForm[MCPServer]):
    """Where an MCP server is, and what it wants to be told."""

    class Meta:
        model = MCPServer
        fields = ["name", "url", "token_setting", "timeout_seconds", "is_active"]
        labels = {
            "url": "Address",
            "token_setting": "Variable that holds the bearer token",
            "timeout_seconds": "Timeout, seconds",
            "is_active": "Switched on",
        }
        help_texts = {
            "name": "Letters, digits and hyphens; it never changes.",
            "url": "Of its streamable HTTP endpoint. Another address holds its tools back until "
            "somebody approves them again.",
            "token_setting": f"Never the token itself. {vetting.TOKEN_HELP}",
            "is_active": "Off: none of its tools is called.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["name"].disabled = True

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # which the stubs leave out
        if self.errors:
            return
        try:
            vetting.check_server(self.instance)
        except ValidationError as error:
            for name, texts in error.message_dict.items():
                self.add_error(name if name in self.fields else None, texts)


class ImportForm(forms.Form):
    """Which tools of a server are taken over."""

    tool = forms.MultipleChoiceField()
    personal = forms.BooleanField(required=False)

    def __init__(self, *args: Any, server: MCPServer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [offer["name"] for offer in server.listing]
        self.fields["tool"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]


class ObjectField(forms.JSONField):
    """A JSON object; an empty one is something given, too."""

    empty_values = (None, "")


class FixtureForm(forms.Form):
    """A fixture that is written by hand."""

    arguments = ObjectField()
    result = ObjectField()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for name in ("arguments", "result"):
            if name in data and not isinstance(data[name], dict):
                self.add_error(name, "This is no JSON object.")
        return data
