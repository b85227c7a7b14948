"""What the forms of arrangements share: who saves second sees what the first one changed."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from dialogues import arranging
from dialogues.arranging import Arrangeable
from wowconsole.http import UserRequest

FIELD, SELECT = {"class": "form-control"}, {"class": "form-select"}
CHECK = {"class": "form-check-input"}


class ArrangedForm(forms.Form):
    """`based_on` is the number of the change that the page showed."""

    based_on = forms.IntegerField(required=False, widget=forms.HiddenInput)
    theirs: dict[str, Any] | None = None

    @property
    def status(self) -> int:
        """Return the HTTP status of the page that shows the form."""
        return 409 if self.theirs else 422 if self.errors else 200


def store(
    form: ArrangedForm,
    row: Arrangeable,
    request: UserRequest,
    save: Callable[..., Any] = arranging.save,
) -> bool:
    """Save the row that a valid form holds; what is refused is shown on the form."""
    based_on = (form.cleaned_data["based_on"] or 0) if row.pk else None
    try:
        save(row, by=request.user, based_on=based_on)
    except arranging.ChangedMeanwhile as refused:
        form.add_error(None, str(refused))
        _show_theirs(form, row)
    except ValidationError as error:
        add_errors(form, error)
    else:
        return True
    return False


def add_errors(form: forms.Form, error: ValidationError) -> None:
    """Show what a model refused: at its field where the form has that."""
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for name, texts in error.message_dict.items():
        form.add_error(name if name in form.fields else None, texts)


def _show_theirs(form: ArrangedForm, row: Arrangeable) -> None:
    """Let the form show what somebody else changed; the next save answers that."""
    changes = arranging.changes_of(row.ARRANGED, row.arranged_as)
    newest = changes.select_related("by")[0]
    seen = changes.filter(number=max(form.cleaned_data["based_on"] or 0, 1)).first()
    before = seen.data if seen else {}
    form.theirs = {"row": newest, "changes": arranging.differences(before, newest.data)}
    form.data = {**form.data.dict(), "based_on": str(newest.number)}  # type: ignore[attr-defined]  # a QueryDict
