"""What arrives with a file of rules."""

from typing import Any

from django import forms

from knowledge.forms import SceneChoiceField
from knowledge.models import SceneQuerySet
from knowledge.reading import MAX_ROWS
from knowledge.uploading import MAX_FILE_BYTES


class ImportForm(forms.Form):
    """Upload a file of rules."""

    file = forms.FileField(
        max_length=200,
        help_text=f"CSV, Excel (.xlsx) or JSON lines, up to {MAX_FILE_BYTES // 2**20} MB and "
        f"{MAX_ROWS:,} rules.",
        widget=forms.FileInput(attrs={"class": "form-control", "accept": ".csv,.xlsx,.jsonl"}),
    )
    scene = SceneChoiceField(
        required=False,
        empty_label="As each row says",
        widget=forms.Select(attrs={"class": "form-select"}),
        help_text="Or put every row into this scene.",
    )
    publish = forms.BooleanField(
        required=False,
        label="Publish what nothing speaks against",
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )

    def __init__(self, *args: Any, scenes: SceneQuerySet, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["scene"].queryset = scenes  # type: ignore[attr-defined]  # ModelChoiceField

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if (file.size or 0) > MAX_FILE_BYTES:
            raise forms.ValidationError(
                f"The file is larger than {MAX_FILE_BYTES // 2**20} MB. Cut it into several."
            )
        return file


class ReportFilterForm(forms.Form):
    """The query string of an import's report."""

    problems = forms.BooleanField(
        required=False,
        label="Only problems",
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )
