"""Data sets and runs for tests."""

from itertools import count

from agents.actions import DialogueAction
from dialogues.models import Case, Verdict
from tests.factories import make_turn, make_user, make_version
from training.models import Dataset, DatasetForm, Example, Run, Split, Stage

_numbers = count(1)
PROMPT = [
    {"role": "system", "content": "Answer with JSON."},
    {"role": "user", "content": "RULES\nnone\nDIALOGUE\nagent: Hello.\ncustomer: Where is it?"},
]


def answer(reply="It is on its way."):
    return [{"role": "assistant", "content": DialogueAction("reply", reply).as_json()}]


def make_dataset(*, train=2, held_out=1, **fields):
    """Every row has an origin of its own."""
    number = next(_numbers)
    defaults = {"name": f"Set {number}", "form": DatasetForm.MESSAGES, "sha256": "0" * 64}
    fields.setdefault("created_by", fields.pop("by", None) or make_user())
    dataset = Dataset.objects.create(**{**defaults, **fields})
    splits = [Split.TRAIN] * train + [Split.HELD_OUT] * held_out
    Example.objects.bulk_create(
        Example(
            dataset=dataset,
            position=position,
            split=split,
            origin=f"conversation:{number}-{position}",
            data=_data(dataset.form, position),
        )
        for position, split in enumerate(splits)
    )
    return dataset


def _data(form, position):
    if form == DatasetForm.MESSAGES:
        return {"prompt": PROMPT, "completion": answer(f"It is order {position}.")}
    return {"prompt": PROMPT, "chosen": answer(f"Yes {position}."), "rejected": answer("No.")}


def make_run(**fields):
    dataset = fields.pop("dataset", None) or make_dataset()
    defaults = {
        "name": f"run-{next(_numbers)}",
        "stage": Stage.SFT,
        "dataset": dataset,
        "created_by": dataset.created_by,
    }
    base = fields.pop("base", None) or make_version()
    return Run.objects.create(**{**defaults, "base": base, **fields})


def make_case(label=Verdict.GOOD, rewrite=None, **turn_fields):
    issue_types = ["hallucination"] if label == Verdict.BAD else []
    return Case.objects.create(
        turn=make_turn(**turn_fields),
        label=label,
        issue_types=issue_types,
        rewrite=rewrite.as_dict() if rewrite else {},
    )
