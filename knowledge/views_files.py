"""Pages for rules in and out as files."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.db.models.functions import Length
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from knowledge import uploading
from knowledge.exporting import KINDS, export_rows, write
from knowledge.forms import UnitFilterForm
from knowledge.forms_files import ImportForm, ReportFilterForm
from knowledge.models import ImportFile, Job, KnowledgeUnit, Scene, SceneQuerySet
from knowledge.reading import COLUMNS
from wowconsole.errors import Invalid
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import requires

IMPORTS_PER_PAGE = 25
LINES_PER_PAGE = 100
PROBLEMS = ("refused", "drafted")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # without it Excel takes UTF-8 for something else


def _scenes(request: UserRequest) -> SceneQuerySet:
    return Scene.objects.visible_to(request.user)


def _files(request: UserRequest) -> QuerySet[ImportFile]:
    """The imports one may see, without their bytes, which can be 20 MB each."""
    mine = Job.objects.visible_to(request.user)
    files = ImportFile.objects.filter(job__in=mine).select_related("job__by", "scene")
    return files.defer("content", "report").order_by("-pk")


@require_GET
@requires("knowledge.write")
def unit_import(request: UserRequest) -> HttpResponse:
    """Where the page once was."""
    return redirect("knowledge:import-list")


@require_http_methods(["GET", "POST"])
@requires("knowledge.write")
def import_list(request: UserRequest) -> HttpResponse:
    sent = (request.POST, request.FILES) if request.method == "POST" else ()
    form = ImportForm(*sent, scenes=_scenes(request))
    if form.is_valid() and (file := _uploaded(request, form)):
        return redirect("knowledge:import-detail", file.job.public_id)
    page = Paginator(_files(request), IMPORTS_PER_PAGE).get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "columns": COLUMNS}
    status = 422 if form.errors else 200
    return render(request, "knowledge/import_list.html", context, status=status)


def _uploaded(request: UserRequest, form: ImportForm) -> ImportFile | None:
    """Take the file in; what is wrong with it is said at its field."""
    wanted = form.cleaned_data
    try:
        return uploading.upload(
            by=request.user,
            name=wanted["file"].name,
            content=wanted["file"].read(),
            scene=wanted["scene"],
            publish=wanted["publish"],
            dry_run="import" not in request.POST,
        )
    except Invalid as error:
        form.add_error("file", str(error))
        return None


@require_GET
@requires("knowledge.write")
def import_detail(request: UserRequest, public_id: str) -> HttpResponse:
    files = _files(request).defer(None).defer("content").annotate(size=Length("content"))
    file: Any = get_object_or_404(files, job__public_id=public_id)
    form = ReportFilterForm(request.GET)
    only_problems = form.is_valid() and form.cleaned_data["problems"]
    lines = [line for line in file.report if not only_problems or line["action"] in PROBLEMS]
    context = {
        "file": file,
        "job": file.job,
        "form": form,
        "summary": uploading.summary(file.report),
        "page": Paginator(lines, LINES_PER_PAGE).get_page(request.GET.get("page")),
        "may_import": file.dry_run and file.job.state == "done" and file.size,
    }
    return render_page(request, "knowledge/import_detail.html", "report", context)


@require_POST
@requires("knowledge.write")
def import_now(request: UserRequest, public_id: str) -> HttpResponse:
    """Import what a dry run has checked, without a second upload."""
    checked = get_object_or_404(_files(request), job__public_id=public_id)
    file = uploading.import_checked(checked, request.user)
    messages.success(request, f"Importing {file.name}.")
    return redirect("knowledge:import-detail", file.job.public_id)


@require_GET
@requires("knowledge.read")
def unit_export(request: UserRequest) -> Any:  # a StreamingHttpResponse
    form = UnitFilterForm(request.GET, scenes=_scenes(request))
    units = form.narrow(KnowledgeUnit.objects.visible_to(request.user))
    kind = request.GET.get("format", "csv")
    if kind not in KINDS:
        raise Invalid("Rules are exported as csv, xlsx or jsonl.")
    pieces = write(export_rows(units), kind)
    return as_download(pieces, kind, mark=kind == "csv")


def as_download(pieces: Any, kind: str, *, mark: bool = False) -> StreamingHttpResponse:
    """Answer with a file of rules, sent while it is written."""
    body = (piece for part in ([BYTE_ORDER_MARK] if mark else [], pieces) for piece in part)
    response = StreamingHttpResponse(body, content_type=KINDS[kind])
    response["Content-Disposition"] = f'attachment; filename="rules.{kind}"'
    return response
