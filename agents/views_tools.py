"""Pages of the tool catalogue: what agents may call, tried and recorded."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents import cataloguing, importing, occasions, revising
from agents.forms_arguments import ArgumentsForm
from agents.forms_tools import FixtureForm, ToolForm
from agents.models import Release, Tool, ToolCall, ToolFixture, ToolRevision
from knowledge.models import Scene
from wowconsole.errors import Invalid
from wowconsole.http import UserRequest
from wowconsole.roles import requires

CALLS_SHOWN = 10
FIXTURES_SHOWN = 50
REVISIONS_SHOWN = 20
RELEASES_SHOWN = 20


@require_GET
@requires("agents.read")
def tool_list(request: UserRequest) -> HttpResponse:
    """Show the catalogue; ?q= keeps those whose name or description has the words."""
    words = request.GET.get("q", "").replace("\0", "").strip()[:100]
    tools = Tool.objects.visible_to(request.user).select_related("server")
    if words:
        found = Tool.objects.filter(Q(name__icontains=words) | Q(description__icontains=words))
        tools = tools.filter(pk__in=found)
    context = {"tools": tools.prefetch_related("scenes"), "words": words}
    return render(request, "agents/tool_list.html", context)


def get_tool(request: UserRequest, name: str) -> Tool:
    tools = Tool.objects.visible_to(request.user).select_related("server")
    return get_object_or_404(tools, name=name)


@require_GET
@requires("agents.read")
def tool_detail(request: UserRequest, name: str) -> HttpResponse:
    tool = get_tool(request, name)
    return _detail(request, tool, ArgumentsForm(tool=tool))


def _detail(
    request: UserRequest, tool: Tool, form: ArgumentsForm, status: int = 200
) -> HttpResponse:
    calls = tool.test_calls.select_related("by")[:CALLS_SHOWN]
    context: dict[str, Any] = {
        "tool": tool,
        "form": form,
        "calls": calls,
        "call": _shown_call(request, tool),
        "fixtures": tool.fixtures.select_related("created_by")[:FIXTURES_SHOWN],
        "revisions": tool.revisions.select_related("by")[:REVISIONS_SHOWN],
        "releases": Release.objects.filter(tools__contains=[tool.name])[:RELEASES_SHOWN],
        "occasions": occasions.words_of(tool) if tool.is_irreversible or tool.occasions else [],
        "changes": revising.of_offer(tool) if tool.held_at and tool.offered else [],
        "offer_id": importing.offer_id(tool.offered) if tool.offered else "",
    }
    return render(request, "agents/tool_detail.html", context, status=status)


def _shown_call(request: UserRequest, tool: Tool) -> ToolCall | None:
    """Return the call that ?call= names, if it is one of this tool."""
    try:
        public_id = UUID(request.GET.get("call", ""))
    except ValueError:
        return None
    return tool.test_calls.filter(public_id=public_id).first()


@require_http_methods(["GET", "POST"])
@requires("agents.write")
def tool_create(request: UserRequest) -> HttpResponse:
    scenes = Scene.objects.visible_to(request.user)
    form = ToolForm(request.POST or None, visible_scenes=scenes)
    if request.method == "POST" and _saved(request, form):
        messages.success(request, f"{form.instance} is in the catalogue. Try it, then release it.")
        return redirect(form.instance)
    return _form_page(request, form)


@require_http_methods(["GET", "POST"])
@requires("agents.write")
def tool_edit(request: UserRequest, name: str) -> HttpResponse:
    tool = get_tool(request, name)
    scenes = Scene.objects.visible_to(request.user)
    form = ToolForm(request.POST or None, instance=tool, visible_scenes=scenes)
    if request.method == "POST" and _saved(request, form):
        messages.success(request, f"{tool} is saved as revision {form.instance.revision}.")
        return redirect(tool)
    return _form_page(request, form)


def _saved(request: UserRequest, form: ToolForm) -> bool:
    if not form.is_valid():
        return False
    try:
        cataloguing.save_tool(
            tool=form.instance,
            scenes=form.cleaned_data["scenes"],
            by=request.user,
            based_on=form.cleaned_data["based_on"] if form.instance.pk else None,
            note=form.cleaned_data["note"],
        )
    except ValidationError as error:
        form.add_error(None, error.messages)
        return False
    return True


def _form_page(request: UserRequest, form: ToolForm) -> HttpResponse:
    status = 422 if form.errors else 200
    return render(request, "agents/tool_form.html", {"form": form}, status=status)


@require_POST
@requires("agents.write")
def tool_switch(request: UserRequest, name: str) -> HttpResponse:
    tool = cataloguing.switch_tool(
        tool=get_tool(request, name), on="on" in request.POST, by=request.user
    )
    messages.success(request, f"{tool} is switched {'on' if tool.is_active else 'off'}.")
    return redirect(tool)


@require_POST
@requires("agents.write")
def tool_try(request: UserRequest, name: str) -> HttpResponse:
    tool = get_tool(request, name)
    form = ArgumentsForm(request.POST, tool=tool)
    if not form.is_valid():
        return _detail(request, tool, form, status=422)
    call = cataloguing.try_tool(
        tool=tool,
        arguments=form.arguments(),
        by=request.user,
        sure=form.cleaned_data.get("sure", False),
    )
    return redirect(f"{tool.get_absolute_url()}?call={call.public_id}#result")


@require_POST
@requires("agents.write")
def tool_approve(request: UserRequest, name: str) -> HttpResponse:
    tool = importing.approve(
        tool=get_tool(request, name), shown=request.POST.get("shown", ""), by=request.user
    )
    messages.success(request, f"{tool} is approved as its server offers it now.")
    return redirect(tool)


@require_POST
@requires("agents.write")
def fixture_record(request: UserRequest, name: str, call_id: UUID) -> HttpResponse:
    tool = get_tool(request, name)
    call = get_object_or_404(tool.test_calls, public_id=call_id)
    cataloguing.record_fixture(call=call, by=request.user)
    messages.success(request, "Kept as a fixture.")
    return redirect(f"{tool.get_absolute_url()}#fixtures")


@require_POST
@requires("agents.write")
def fixture_write(request: UserRequest, name: str) -> HttpResponse:
    tool = get_tool(request, name)
    form = FixtureForm(request.POST)
    if not form.is_valid():
        raise Invalid("Arguments and answer are JSON objects, in braces.")
    cataloguing.write_fixture(tool=tool, by=request.user, **form.cleaned_data)
    messages.success(request, "The fixture is kept.")
    return redirect(f"{tool.get_absolute_url()}#fixtures")


@require_POST
@requires("agents.write")
def fixture_forget(request: UserRequest, name: str, fixture_id: UUID) -> HttpResponse:
    tool = get_tool(request, name)
    fixture: ToolFixture = get_object_or_404(tool.fixtures, public_id=fixture_id)
    fixture.delete()
    messages.success(request, "The fixture is deleted.")
    return redirect(f"{tool.get_absolute_url()}#fixtures")


@require_GET
@requires("agents.read")
def tool_revision(request: UserRequest, name: str, number: int) -> HttpResponse:
    tool = get_tool(request, name)
    revisions = ToolRevision.objects.select_related("by", "tool").filter(tool=tool)
    revision = get_object_or_404(revisions, number=number)
    context = {
        "tool": tool,
        "revision": revision,
        "changes": revising.since_before(revision),
    }
    return render(request, "agents/tool_revision.html", context)
