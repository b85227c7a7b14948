"""Pages of what is learnt. Each view: read the request, call a service, render."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents.models import Release
from training import evaluating, presenting, services
from training.forms import PRESETS, DatasetBuildForm, RunLaunchForm
from training.models import Dataset, DatasetForm, Run, Split, Stage
from wowconsole.http import UserRequest, render_page, wants_partial
from wowconsole.roles import requires

PAGE_SIZE = 25
EXAMPLES_SHOWN = 10
RUN = "training/run_detail.html"
LAUNCH = "training/run_launch.html"
BUILD = "training/dataset_build.html"


# Runs


@require_GET
@requires("training.read")
def run_list(request: UserRequest) -> HttpResponse:
    runs = services.visible_runs(request.user).select_related("dataset", "base", "version")
    page = Paginator(runs, PAGE_SIZE).get_page(request.GET.get("page"))
    busy = any(not run.is_finished for run in page)
    return render_page(request, "training/run_list.html", "run-table", {"page": page, "busy": busy})


@require_GET
@requires("training.read")
def run_detail(request: UserRequest, public_id: UUID) -> HttpResponse:
    return _run_page(request, _run(request, public_id))


@require_POST
@requires("training.write")
def run_cancel(request: UserRequest, public_id: UUID) -> HttpResponse:
    run = services.cancel_run(run=_run(request, public_id))
    return _run_page(request, run) if wants_partial(request) else redirect(run)


@require_POST
@requires("training.write")
def run_resume(request: UserRequest, public_id: UUID) -> HttpResponse:
    run = services.resume_run(run=_run(request, public_id))
    return _run_page(request, run) if wants_partial(request) else redirect(run)


@require_http_methods(["GET", "POST"])
@requires("training.write")
def run_launch(request: UserRequest) -> HttpResponse:
    asked = request.POST if request.method == "POST" else request.GET
    stage = asked["stage"] if asked.get("stage") in Stage.values else Stage.SFT
    preset = asked.get("preset", "balanced")
    options: dict[str, Any] = {"user": request.user, "stage": stage, "preset": preset}
    form = RunLaunchForm(asked if "name" in asked else None, initial=asked.dict(), **options)
    if request.method == "POST" and form.is_valid():
        run = services.launch_run(by=request.user, stage=stage, **form.asked())
        messages.success(request, f"{run.name} is queued.")
        return redirect(run)
    context = {"form": form, "stage": stage, "preset": preset, "stages": Stage.choices}
    context |= {"presets": list(PRESETS[stage])}
    status = 422 if request.method == "POST" else 200
    return render_page(request, LAUNCH, "command", context, status=status)


def _run(request: UserRequest, public_id: UUID) -> Run:
    runs = services.visible_runs(request.user)
    related = runs.select_related("dataset", "base", "version", "created_by")
    return get_object_or_404(related, public_id=public_id)


def _run_page(request: UserRequest, run: Run) -> HttpResponse:
    releases = Release.objects.filter(version=run.version) if run.version else []
    context = {**presenting.progress(run), "releases": releases}
    partial = "log" if request.GET.get("part") == "log" else "live"
    return render_page(request, RUN, partial, context)


# Data sets


@require_GET
@requires("training.read")
def dataset_list(request: UserRequest) -> HttpResponse:
    datasets = presenting.with_counts(services.visible_datasets(request.user))
    page = Paginator(datasets.select_related("created_by"), PAGE_SIZE)
    context = {"page": page.get_page(request.GET.get("page"))}
    return render(request, "training/dataset_list.html", context)


@require_GET
@requires("training.read")
def dataset_detail(request: UserRequest, public_id: UUID) -> HttpResponse:
    dataset = _dataset(request, public_id)
    split = request.GET.get("split", "")
    examples = dataset.examples.select_related("turn__conversation", "revision__unit")
    if split in Split.values:
        examples = examples.filter(split=split)
    page = Paginator(examples, EXAMPLES_SHOWN).get_page(request.GET.get("page"))
    context = {
        "dataset": dataset,
        "page": page,
        "rows": presenting.shown(list(page)),
        "split": split,
        "runs": dataset.runs.all(),
        "stage": "sft" if dataset.form == DatasetForm.MESSAGES else "dpo",
        "has_held_out": evaluating.held_out(dataset).exists(),
    }
    return render_page(request, "training/dataset_detail.html", "examples", context)


@require_http_methods(["GET", "POST"])
@requires("training.write")
def dataset_build(request: UserRequest) -> HttpResponse:
    asked = request.POST if request.method == "POST" else request.GET
    form = DatasetBuildForm(asked or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        dataset = services.build_dataset(by=request.user, **form.asked())
        messages.success(request, f"{dataset.name} is frozen.")
        return redirect(dataset)
    context = {"form": form, "counts": _preview(request, form)}
    status = 422 if request.method == "POST" else 200
    return render_page(request, BUILD, "preview", context, status=status)


def _preview(request: UserRequest, form: DatasetBuildForm) -> dict[str, int]:
    """Count what the form as it stands would draw on; the name may still be missing."""
    data = form.cleaned_data if form.is_bound and (form.is_valid() or form.errors) else {}
    shape = data.get("form", DatasetForm.MESSAGES)
    sources = data.get("sources") if form.is_bound else list(services.MESSAGE_SOURCES)
    if shape == DatasetForm.MESSAGES and not sources:
        return {}
    return services.preview_dataset(
        by=request.user, form=shape, scenes=list(data.get("scenes", [])), sources=sources or []
    )


@require_GET
@requires("training.read")
def dataset_download(request: UserRequest, public_id: UUID) -> HttpResponse:
    dataset = _dataset(request, public_id)
    response = HttpResponse("".join(jsonl(dataset)), content_type="application/jsonl")
    response["Content-Disposition"] = f'attachment; filename="{dataset.public_id}.jsonl"'
    return response


def jsonl(dataset: Dataset) -> Iterator[str]:
    """Yield a data set's rows in TRL's form, each with its origin and side of the fence."""
    for example in dataset.examples.order_by("position").iterator(chunk_size=500):
        row = {**example.data, "origin": example.origin, "split": example.split}
        yield json.dumps(row, ensure_ascii=False) + "\n"


def _dataset(request: UserRequest, public_id: UUID) -> Dataset:
    datasets = presenting.with_counts(services.visible_datasets(request.user))
    return get_object_or_404(datasets.select_related("created_by"), public_id=public_id)
