"""What people ask of training: a data set to build, a run to launch."""

import shlex
from dataclasses import fields
from typing import Any

from django import forms
from django.contrib.auth.models import User

from agents.models import ModelVersion, WeightsKind
from knowledge.models import Scene
from training import services
from training.models import Dataset, DatasetForm, Run, Stage

SOURCE_LABELS = {
    "good_cases": "Good cases: turns that a reviewer marked good",
    "imported_dialogues": "Imported dialogues: human agents' replies",
    "units": "Published rules: each other wording is asked, its rule answers",
}
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    Stage.SFT: {"balanced": {}, "quick": {"epochs": 1}, "thorough": {"epochs": 4}},
    Stage.DPO: {
        "balanced": {},
        "quick": {"epochs": 1},
        "careful": {"learning_rate": 2e-5, "beta": 0.2},
    },
}
EXPLAINED = {
    "epochs": "Times each row is seen. More learns more, and repeats mistakes more surely.",
    "learning_rate": "Highest step size. Too large breaks other answers, too small changes none.",
    "warmup_steps": "Steps over which the learning rate grows to its highest value.",
    "beta": "Pull towards the model it starts from. Larger changes less.",
    "sft_weight": "Weight of simply learning the rewrite, beside preferring it.",
    "batch_size": "Rows in memory at once on each device.",
    "gradient_accumulation": "Batches gathered before each step of the weights.",
    "max_length": "Most tokens of a row. A longer row stops the run before it begins.",
    "lora_rank": "Size of the adapter. Ignored when going on from an adapter.",
    "lora_alpha": "Scale of the adapter, usually twice its rank.",
    "lora_dropout": "Share of the adapter left out at random while it learns.",
    "threads": "Processor cores the trainer may use. The chat engine needs the others.",
    "seed": "Start of the random numbers. The same seed repeats the same run.",
    "save_steps": "Steps between checkpoints: the most work lost when a worker dies.",
    "save_dtype": "Number format of the saved adapter.",
}


class DatasetBuildForm(forms.Form):
    """The question that a data set answers."""

    name = forms.CharField(max_length=120, help_text="How people will find it again.")
    form = forms.ChoiceField(
        choices=DatasetForm.choices,
        initial=DatasetForm.MESSAGES,
        help_text="Messages teach good replies (SFT). Pairs teach to prefer rewrites (DPO); "
        "they come from bad cases with a rewrite.",
    )
    sources = forms.MultipleChoiceField(
        choices=list(SOURCE_LABELS.items()),
        initial=list(SOURCE_LABELS),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Where messages come from. Pairs need no choice here.",
    )
    scenes = forms.ModelMultipleChoiceField(
        queryset=Scene.objects.none(),
        to_field_name="slug",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen means all of yours.",
    )
    held_out_share = forms.FloatField(
        initial=0.2,
        min_value=0,
        max_value=0.9,
        help_text="Share of conversations and rules kept away from training, to measure on.",
    )
    limit = forms.IntegerField(
        initial=200,
        min_value=1,
        max_value=5000,
        help_text="Most turns, cases or wordings of each source, newest first.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        scenes = self.fields["scenes"]
        assert isinstance(scenes, forms.ModelMultipleChoiceField)  # noqa: S101 - for the types
        scenes.queryset = Scene.objects.visible_to(user)

    def asked(self) -> dict[str, Any]:
        """Return the arguments of `services.build_dataset`."""
        data = dict(self.cleaned_data)
        return {**data, "scenes": list(data["scenes"])}


class RunLaunchForm(forms.ModelForm[Run]):
    """A run, with a field for each number of its stage's recipe."""

    class Meta:
        model = Run
        fields = ["name", "dataset", "base"]
        labels = {"dataset": "Learns from", "base": "Starts from"}
        help_texts = {
            "name": "Letters, digits and dashes. The model gets the same name.",
            "dataset": "What it learns from. Held-out examples are never trained on.",
            "base": "What it starts from: the base model, or an adapter to go on with.",
        }

    def __init__(self, *args: Any, user: User, stage: str, preset: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stage = stage
        datasets = services.visible_datasets(user)
        form = services.FORM_OF_STAGE[Stage(stage)]
        self._choose("dataset", datasets.filter(form=form))
        models = ModelVersion.objects.select_related("base")
        self._choose("base", models)
        if stage == Stage.SFT:  # DPO mends what SFT has made: the newest model
            self.fields["base"].initial = models.filter(kind=WeightsKind.BASE).first()
        changed = PRESETS[stage].get(preset, {})
        for field in fields(services.RECIPES[stage]):
            value = changed.get(field.name, field.default)
            self.fields[f"recipe_{field.name}"] = _number(field.name, field.default, value)

    def _choose(self, name: str, queryset: Any) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the types
        field.queryset = queryset
        field.empty_label = None
        field.initial = queryset.first()

    def recipe_fields(self) -> list[forms.BoundField]:
        return [field for field in self if field.name.startswith("recipe_")]

    def recipe(self) -> dict[str, Any]:
        """Return the recipe as it stands in the form, valid or not."""
        return {field.name[7:]: field.value() for field in self.recipe_fields()}

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors:
            said = {name[7:]: data[name] for name in data if name.startswith("recipe_")}
            data["recipe"] = services.read_recipe(self.stage, said)
        return data

    def asked(self) -> dict[str, Any]:
        """Return the arguments of `services.launch_run`."""
        data = self.cleaned_data
        return {name: data[name] for name in ("name", "dataset", "base", "recipe")}

    def command(self) -> str:
        """Return the shell command that launches the same run."""
        recipe = services.read_recipe(self.stage, self.recipe()) if self._recipe_is_fine() else {}
        chosen = {name: self._label(name) for name in ("dataset", "base")}
        words = ["python", "manage.py", "train", "--stage", self.stage]
        words += [word for name, label in chosen.items() for word in (f"--{name}", label)]
        words += ["--name", self["name"].value() or "NAME"]
        words += [word for name in recipe for word in ("--set", f"{name}={recipe[name]}")]
        return shlex.join(words)

    def _recipe_is_fine(self) -> bool:
        return not any(field.errors for field in self.recipe_fields())

    def _label(self, name: str) -> str:
        value = str(self[name].value() or "")
        kind: Any = Dataset if name == "dataset" else ModelVersion
        row = kind.objects.filter(pk=value).first() if value.isdigit() else None
        return str(row or name.upper())


def _number(name: str, default: Any, value: Any) -> forms.Field:
    common: dict[str, Any] = {
        "label": name.replace("_", " ").capitalize(),
        "help_text": EXPLAINED.get(name, ""),
        "initial": value,
    }
    if isinstance(default, int):
        return forms.IntegerField(min_value=0, **common)
    if isinstance(default, float):
        return forms.FloatField(min_value=0, widget=forms.NumberInput({"step": "any"}), **common)
    return forms.ChoiceField(choices=[(name, name) for name in ("float16", "float32")], **common)
