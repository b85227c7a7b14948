"""Asking a model the held-out examples of a data set, through the engine as customers do."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import QuerySet

from agents import engines
from agents.models import ModelVersion
from training import measuring
from training.models import (
    Dataset,
    DatasetForm,
    Evaluation,
    Example,
    Run,
    RunEvent,
    RunEventKind,
    Split,
)

logger = logging.getLogger(__name__)

MOST_EXAMPLES = 40  # asked unless told otherwise: some minutes on two cores
NOTE_EVERY = 10  # examples
Data = dict[str, Any]
Told = Callable[[str], None]


def evaluate_run(run: Run) -> None:
    """Evaluate what a run started from and what it made; each model once a data set."""
    for version in (run.base, run.version):
        if version is None or run.dataset.evaluations.filter(version=version).exists():
            continue
        try:
            evaluate(version, run.dataset, limit=MOST_EXAMPLES, tell=_note_to(run))
        except Exception as error:  # the worker's outermost frame: the run itself is fine
            logger.exception("evaluation failed", extra={"run": str(run.public_id)})
            text = f"{version.name} could not be evaluated: {error}"
            data = {"text": text, "gave_up": True}
            RunEvent.objects.create(run=run, kind=RunEventKind.NOTE, data=data)


def evaluate_by_pk(version_pk: int, dataset_pk: int, limit: int) -> Evaluation | None:
    """Evaluate, unless one of the two is gone."""
    version = ModelVersion.objects.filter(pk=version_pk).first()
    dataset = Dataset.objects.filter(pk=dataset_pk).first()
    return evaluate(version, dataset, limit=limit) if version and dataset else None


def evaluate(
    version: ModelVersion, dataset: Dataset, *, limit: int, tell: Told = logger.info
) -> Evaluation:
    """Ask `version` up to `limit` held-out examples and store how it did.

    No grammar holds the answers in shape, so that the shares of valid JSON and of valid
    actions say what the model itself can do. For preference pairs, the held-out rows of
    message sets are asked too: their shares begin with `kept_`, for what must not break.
    """
    asked = _spread(held_out(dataset), limit)
    answers = _ask(version, asked, tell)
    metrics = measuring.summarise(answer["scores"] for answer in answers)
    if dataset.form == DatasetForm.PREFERENCE:
        kept = _ask(version, _spread(_regression_set(), limit), tell)
        shares = measuring.summarise(answer["scores"] for answer in kept)
        metrics |= {f"kept_{name}": share for name, share in shares.items()}
        answers += kept
    return Evaluation.objects.create(
        version=version, dataset=dataset, metrics=metrics, answers=answers
    )


def held_out(dataset: Dataset) -> QuerySet[Example]:
    return dataset.examples.filter(split=Split.HELD_OUT)


def _regression_set() -> QuerySet[Example]:
    newest = Dataset.objects.filter(form=DatasetForm.MESSAGES).order_by("-pk").first()
    return held_out(newest) if newest else Example.objects.none()


def _spread(examples: QuerySet[Example], limit: int) -> list[Example]:
    """Take up to `limit`, evenly from first to last: sources follow each other in a set."""
    pks = list(examples.order_by("dataset", "position").values_list("pk", flat=True))
    count = min(limit, len(pks))
    chosen = [pks[number * len(pks) // count] for number in range(count)]
    return list(examples.filter(pk__in=chosen).order_by("dataset", "position"))


def _ask(version: ModelVersion, examples: Sequence[Example], tell: Told) -> list[Data]:
    answers = []
    for number, example in enumerate(examples, start=1):
        data = example.data
        answer = engines.complete_text(version, data["prompt"], None)
        answers.append({"example": example.pk, "answer": answer, "scores": _scores(data, answer)})
        if number % NOTE_EVERY == 0 or number == len(examples):
            tell(f"{version.name} answered {number} of {len(examples)} held-out examples.")
    return answers


def _scores(data: Data, answer: str) -> measuring.Scores:
    if "completion" in data:
        expected = data["completion"][0]["content"]
        return measuring.score_answer(answer, expected=expected, said=_agent_lines(data))
    chosen, rejected = data["chosen"][0]["content"], data["rejected"][0]["content"]
    return measuring.score_pair(answer, chosen=chosen, rejected=rejected)


def _agent_lines(data: Data) -> list[str]:
    """Return what the agent said before, as the prompt shows it."""
    _, _, dialogue = data["prompt"][-1]["content"].partition("\nDIALOGUE\n")
    lines = dialogue.splitlines()
    return [line.removeprefix("agent: ") for line in lines if line.startswith("agent: ")]


def _note_to(run: Run) -> Told:
    def note(text: str) -> None:
        RunEvent.objects.create(run=run, kind=RunEventKind.NOTE, data={"text": text})

    return note
