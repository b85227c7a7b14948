"""The box of a rule's wordings: how customers ask, and which wordings are hit."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods

from dialogues.loop import wordings
from knowledge.models import KnowledgeUnit
from wowconsole.errors import Invalid
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import requires


def _unit(request: UserRequest, pk: int) -> KnowledgeUnit:
    visible = KnowledgeUnit.objects.visible_to(request.user).with_latest()
    unit: KnowledgeUnit = get_object_or_404(visible, pk=pk)
    return unit


@require_http_methods(["GET", "POST"])
@requires("knowledge.read")
def unit_wordings(request: UserRequest, pk: int) -> HttpResponse:
    """Show suggestions and hits: a page, and the box on the rule's own page."""
    unit = _unit(request, pk)
    if request.method == "POST":
        change: HttpResponse = _change(request, unit)
        return change
    context = {
        "unit": unit,
        "suggestions": wordings.suggestions(unit),
        "hooks": wordings.hook_uses(unit),
    }
    return render_page(request, "dialogues/unit_wordings.html", "box", context)


@requires("knowledge.write")
def _change(request: UserRequest, unit: KnowledgeUnit) -> HttpResponse:
    """Add the ticked wordings, or cut one, as a draft revision."""
    based_on = request.POST.get("based_on", "")
    if not (based_on.isdecimal() and len(based_on) < 10):
        raise Invalid("The form did not say which revision you were looking at. Reload the page.")
    if cut := request.POST.get("cut"):
        wordings.cut(unit=unit, by=request.user, based_on=int(based_on), text=cut)
        messages.success(request, "Cut from the latest draft. Publish it to make it live.")
    elif texts := request.POST.getlist("add"):
        wordings.add(unit=unit, by=request.user, based_on=int(based_on), texts=texts)
        messages.success(request, "Added to the latest draft. Publish it to make it live.")
    else:
        messages.info(request, "Tick a wording first.")
    return redirect(unit)
