"""What people do: freeze a data set, launch a run, stop it, go on with it, ask for figures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import chain
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet

from agents.models import ModelVersion
from knowledge.models import Scene
from training import building, dpo, freezing, rows, sft, tasks
from training.building import Draft, Scope
from training.freezing import NameTaken, NothingToBuild
from training.models import (
    FINISHED,
    Dataset,
    DatasetForm,
    Run,
    RunStatus,
    Split,
    Stage,
)
from wowconsole.committing import after_commit
from wowconsole.errors import Invalid, Refused
from wowconsole.roles import AnyUser, sees_every_scene

RECIPES: dict[str, type[Any]] = {Stage.SFT: sft.Recipe, Stage.DPO: dpo.Recipe}
FORM_OF_STAGE = {Stage.SFT: DatasetForm.MESSAGES, Stage.DPO: DatasetForm.PREFERENCE}
MESSAGE_SOURCES = ("good_cases", "imported_dialogues", "units")
PAIR_SOURCES = ("bad_cases",)


class UnknownField(Invalid):
    code = "recipe_field"


class WrongForm(Invalid):
    code = "dataset_form"


class RunFinished(Refused):
    code = "run_finished"


class RunNotResumable(Refused):
    code = "run_not_resumable"


# Data sets


def visible_datasets(user: AnyUser) -> QuerySet[Dataset]:
    """Keep the sets made of the user's scenes only, and the user's own."""
    if sees_every_scene(user):
        return Dataset.objects.all()
    slugs = list(Scene.objects.visible_to(user).values_list("slug", flat=True))
    inside = Q(recipe__scenes__contained_by=slugs) | Q(recipe__scenes__isnull=True)
    return Dataset.objects.filter(inside | Q(created_by=user.pk))


def visible_runs(user: AnyUser) -> QuerySet[Run]:
    """Keep the runs on data sets that the user may read."""
    if sees_every_scene(user):
        return Run.objects.all()
    return Run.objects.filter(dataset__in=visible_datasets(user))


def preview_dataset(
    *, by: User, form: str, scenes: Sequence[Scene], sources: Sequence[str]
) -> dict[str, int]:
    """Count what each source holds now: turns, cases or wordings, not yet rows."""
    scope = _scope(by, scenes)
    return {name: building.SOURCES[name](scope).count() for name in _known(form, sources)}


def build_dataset(
    *,
    by: User,
    name: str,
    form: str,
    scenes: Sequence[Scene] = (),
    sources: Sequence[str] = MESSAGE_SOURCES,
    held_out_share: float = 0.2,
    limit: int | None = None,
) -> Dataset:
    """Freeze a data set of what the database holds now.

    Args:
        scenes: none means all that `by` may see, and conversations of no scene yet.
        sources: of a message set; preference pairs come from bad cases with a rewrite.
        held_out_share: of the conversations and rules, not of the rows.
        limit: the most turns, cases or wordings of each source; None takes all.

    Raises:
        NothingToBuild: no row came of it, or none to train on.
        NameTaken: there is a set of that name.
        Invalid: form, sources, scenes, share or limit are none.
    """
    if not 0 <= held_out_share < 1 or (limit is not None and limit < 1):
        raise Invalid("Hold out a share from 0 up to 1, and take at least one row.")
    scope, sources = _scope(by, scenes), _known(form, sources)
    drafts, left_out = freezing.usable(chain.from_iterable(_drafts(scope, sources, limit)))
    recipe = {
        "scenes": [scene.slug for scene in scope.scenes],
        "sources": list(sources),
        "held_out_share": held_out_share,
        "limit": limit,
        "left_out": left_out,
    }
    return freezing.freeze(drafts, by=by, name=name, form=form, recipe=recipe)


def _drafts(scope: Scope, sources: Sequence[str], limit: int | None) -> Iterable[Iterable[Draft]]:
    makers = {"units": building.unit_drafts, "bad_cases": building.pair_drafts}
    for source in sources:
        rows_of: Any = makers.get(source, building.message_drafts)
        yield rows_of(building.SOURCES[source](scope), limit)


def _scope(by: User, scenes: Sequence[Scene]) -> Scope:
    visible = Scene.objects.visible_to(by)
    if not scenes:
        return Scope(list(visible), unsorted=sees_every_scene(by))
    if set(scenes) - set(visible):
        raise Invalid("You can build from your own scenes only.")
    return Scope(sorted(scenes, key=lambda scene: scene.slug))


def _known(form: str, sources: Sequence[str]) -> Sequence[str]:
    if form not in DatasetForm.values:
        raise Invalid(f"A data set is of form {' or '.join(DatasetForm.values)}.")
    if form == DatasetForm.PREFERENCE:
        return PAIR_SOURCES
    if not sources or set(sources) - set(MESSAGE_SOURCES):
        raise Invalid(f"Choose sources among {', '.join(MESSAGE_SOURCES)}.")
    return [name for name in MESSAGE_SOURCES if name in sources]


# Runs


def launch_run(
    *,
    by: User,
    name: str,
    stage: str,
    dataset: Dataset,
    base: ModelVersion,
    recipe: Mapping[str, Any] | None = None,
) -> Run:
    """Queue a training run; `recipe` holds the changed fields of the stage's Recipe.

    Raises:
        WrongForm: the stage learns from the other form of data set.
        UnknownField: a field of the recipe is unknown or its value can't be.
        NameTaken: a run or a model has that name.
        NothingToBuild: all of the set is held out.
        ValidationError: the name is no slug.
    """
    if FORM_OF_STAGE.get(Stage(stage) if stage in Stage.values else Stage.SFT) != dataset.form:
        raise WrongForm(f"{stage.upper()} can't learn from “{dataset}”, which is {dataset.form}.")
    if not dataset.examples.filter(split=Split.TRAIN).exists():
        raise NothingToBuild("All examples of this data set are held out.")
    changed = read_recipe(stage, recipe or {})
    run = Run(name=name, stage=stage, dataset=dataset, base=base, recipe=changed, created_by=by)
    taken = Run.objects.filter(name=name), ModelVersion.objects.filter(name=name)
    if any(rows_.exists() for rows_ in taken):
        raise NameTaken(f"A run or a model is named “{name}”. Choose another name.")
    run.full_clean(exclude=["recipe"])  # checked above; empty means all defaults
    with transaction.atomic():
        run.save()
        after_commit(tasks.execute_run.delay, run.pk)
    return run


def read_recipe(stage: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that differ from the stage's defaults; text is read as their type.

    Raises:
        UnknownField: with the field and what is wrong.
    """
    if stage not in RECIPES:
        raise WrongForm(f"A run is of stage {' or '.join(Stage.values)}.")
    defaults = {field.name: field.default for field in fields(RECIPES[stage])}
    try:
        values = {name: _typed(value, defaults.get(name)) for name, value in said.items()}
        rows.read_recipe(RECIPES[stage], values)
    except ValueError as error:  # JobRefused among them
        raise UnknownField(str(error)) from None
    return {name: value for name, value in values.items() if value != defaults[name]}


def _typed(value: Any, default: Any) -> Any:
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    if isinstance(value, str) and is_number:
        return type(default)(value)
    return value


def cancel_run(*, run: Run) -> Run:
    """Stop a run; its worker sees it within a second and keeps a checkpoint.

    Raises:
        RunFinished: it has ended already.
    """
    if not run.finish(RunStatus.CANCELLED):
        raise RunFinished(f"This run has {run.get_status_display().lower()} already.")
    return run


@transaction.atomic
def resume_run(*, run: Run) -> Run:
    """Queue a cancelled or failed run again; it goes on from its last checkpoint.

    Raises:
        RunNotResumable: it is still at work, or has succeeded.
    """
    resumable = Run.objects.filter(pk=run.pk, status__in=[RunStatus.CANCELLED, RunStatus.FAILED])
    changed = resumable.update(status=RunStatus.QUEUED, finished_at=None, error="", attempts=0)
    run.refresh_from_db()
    if not changed:
        is_done = run.status in FINISHED
        raise RunNotResumable("This run is done." if is_done else "This run is still at work.")
    after_commit(tasks.execute_run.delay, run.pk)
    return run


def evaluate_version(*, version: ModelVersion, dataset: Dataset, limit: int) -> None:
    """Ask a worker to evaluate; the Evaluation appears when it is done.

    Raises:
        NothingToBuild: the set holds nothing out.
    """
    if not dataset.examples.filter(split=Split.HELD_OUT).exists():
        raise NothingToBuild(f"“{dataset}” holds nothing out to be measured on.")
    tasks.evaluate_version.delay(version.pk, dataset.pk, limit)
