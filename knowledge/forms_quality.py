"""What arrives from the pages of search quality and of indexes."""

from typing import Any

from django import forms
from django.contrib.auth.models import User

from knowledge.embedding import EMBEDDERS
from knowledge.forms import SceneChoiceField
from knowledge.labelling import MAX_FILE_BYTES, read_labels
from knowledge.models import EmbeddingIndex, KnowledgeUnit, LabelledSet, Scene

CONTROL = {"class": "form-control"}
SELECT = {"class": "form-select"}
OPTIONS = ("url", "model", "query_prefix", "passage_prefix", "api_key_env")


class LabelledSetForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable
    """A name, where to ask, and a file of labelled questions, read whole or not at all."""

    scene = SceneChoiceField(
        required=False,
        empty_label="In every scene",
        help_text="Where the questions are asked.",
        widget=forms.Select(attrs=SELECT),
    )
    file = forms.FileField(
        label="Questions (.csv or .jsonl)",
        widget=forms.FileInput(attrs=CONTROL | {"accept": ".csv,.jsonl"}),
        help_text="Columns: query, and relevant: the external ids or numbers of the rules that "
        "answer it, with semicolons between. Leave relevant empty where nothing should be found.",
    )

    class Meta:
        model = LabelledSet
        fields = ("name", "scene", "source")
        widgets = {  # as Django wants it
            "name": forms.TextInput(attrs=CONTROL),
            "source": forms.TextInput(attrs=CONTROL),
        }
        help_texts = {"source": "Where the questions come from, and their licence."}

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user = user
        self.fields["scene"].queryset = Scene.objects.visible_to(user)  # type: ignore[attr-defined]  # ModelChoiceField

    def clean(self) -> dict[str, Any]:
        """Read the file once it is known in which scene its rules are."""
        cleaned = super().clean() or {}
        file, scene = cleaned.get("file"), cleaned.get("scene")
        if file is None:
            return cleaned
        if file.size > MAX_FILE_BYTES:
            self.add_error("file", "The file is larger than 2 MB.")
            return cleaned
        units = KnowledgeUnit.objects.visible_to(self.user)
        try:
            cleaned["labels"] = read_labels(
                file, file.name, units.filter(scene=scene) if scene else units
            )
        except forms.ValidationError as problems:
            self.add_error("file", problems)
        return cleaned


class IndexForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable
    """A second index: its name, its embedder and what that needs."""

    embedder = forms.ChoiceField(
        choices=[
            (kind, {"e5": "The shipped model", "openai": "A server with the OpenAI API"}[kind])
            for kind in EMBEDDERS
        ],
        initial="openai",
        widget=forms.Select(attrs=SELECT),
    )
    url = forms.URLField(
        required=False,
        assume_scheme="http",
        label="Address",
        help_text="Up to and with /v1. Of a server only.",
        widget=forms.URLInput(attrs=CONTROL),
    )
    model = forms.CharField(required=False, max_length=200, widget=forms.TextInput(attrs=CONTROL))
    query_prefix = forms.CharField(
        required=False,
        strip=False,
        max_length=200,
        help_text="What the model wants before a question, such as “query: ”.",
        widget=forms.TextInput(attrs=CONTROL),
    )
    passage_prefix = forms.CharField(
        required=False,
        strip=False,
        max_length=200,
        help_text="And before a text of a rule, such as “passage: ”.",
        widget=forms.TextInput(attrs=CONTROL),
    )
    api_key_env = forms.CharField(
        required=False,
        max_length=100,
        label="Variable with the key",
        help_text="Of the server's environment; its name begins with EMBEDDING_.",
        widget=forms.TextInput(attrs=CONTROL),
    )

    class Meta:
        model = EmbeddingIndex
        fields = ("name", "embedder")
        widgets = {"name": forms.TextInput(attrs=CONTROL)}

    def asked(self) -> dict[str, Any]:
        """Return the arguments of `reindexing.create_index`, but `by`."""
        values = self.cleaned_data
        options = {name: values[name] for name in OPTIONS if values[name]}
        return {"name": values["name"], "embedder": values["embedder"], "options": options}
