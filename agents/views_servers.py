"""Pages of MCP servers: what they offer, and which of it is in the catalogue."""

from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents import importing, listing
from agents.forms_tools import ImportForm, ServerForm
from agents.models import MCPServer
from wowconsole.errors import Invalid
from wowconsole.http import UserRequest
from wowconsole.roles import requires


@require_GET
@requires("agents.read")
def server_list(request: UserRequest) -> HttpResponse:
    servers = MCPServer.objects.annotate(
        taken=Count("tools"), held=Count("tools__held_at")
    ).order_by("name")
    return render(request, "agents/tool_servers.html", {"servers": servers})


@require_GET
@requires("agents.read")
def server_detail(request: UserRequest, name: str) -> HttpResponse:
    server = get_object_or_404(MCPServer.objects.select_related("changed_by"), name=name)
    taken = {tool.remote_name: tool for tool in server.tools.all()}
    offers = [(offer, taken.get(offer["name"])) for offer in server.listing]
    names = {offer["name"] for offer in server.listing}
    context = {
        "server": server,
        "offers": offers,
        "gone": [tool for remote, tool in taken.items() if remote not in names],
    }
    return render(request, "agents/tool_server.html", context)


@require_http_methods(["GET", "POST"])
@requires("agents.write")
def server_create(request: UserRequest) -> HttpResponse:
    form = ServerForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        server = importing.save_server(server=form.instance, by=request.user)
        return _listed(request, server)
    return _form_page(request, form)


@require_http_methods(["GET", "POST"])
@requires("agents.write")
def server_edit(request: UserRequest, name: str) -> HttpResponse:
    server = get_object_or_404(MCPServer, name=name)
    form = ServerForm(request.POST or None, instance=server)
    if request.method == "POST" and form.is_valid():
        return _listed(request, importing.save_server(server=form.instance, by=request.user))
    return _form_page(request, form)


def _form_page(request: UserRequest, form: ServerForm) -> HttpResponse:
    status = 422 if form.errors else 200
    return render(request, "agents/tool_server_form.html", {"form": form}, status=status)


@require_POST
@requires("agents.write")
def server_switch(request: UserRequest, name: str) -> HttpResponse:
    server = importing.switch_server(
        server=get_object_or_404(MCPServer, name=name), on="on" in request.POST, by=request.user
    )
    messages.success(request, f"{server} is switched {'on' if server.is_active else 'off'}.")
    return redirect(server)


@require_POST
@requires("agents.write")
def server_refresh(request: UserRequest, name: str) -> HttpResponse:
    return _listed(request, get_object_or_404(MCPServer, name=name))


def _listed(request: UserRequest, server: MCPServer) -> HttpResponse:
    """Ask the server what it offers, and say what came of it."""
    if not server.is_active:
        messages.warning(request, f"{server} is switched off, so it was not asked.")
        return redirect(server)
    held = listing.list_server(server)
    if server.error:
        messages.error(request, f"{server} does not answer: {server.error}")
    else:
        messages.success(request, f"{server} offers {len(server.listing)} tools.")
    if held:
        messages.warning(request, f"Held back since they are not as approved: {held}.")
    return redirect(server)


@require_POST
@requires("agents.write")
def server_import(request: UserRequest, name: str) -> HttpResponse:
    server = get_object_or_404(MCPServer, name=name)
    form = ImportForm(request.POST, server=server)
    if not form.is_valid():
        raise Invalid("Tick at least one of the tools that the server offers.")
    tools = importing.import_tools(
        server=server,
        names=form.cleaned_data["tool"],
        by=request.user,
        personal=form.cleaned_data["personal"],
    )
    messages.success(request, f"Taken over: {len(tools)}. Releases made from now on can use them.")
    return redirect(server)
