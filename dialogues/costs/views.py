"""The page of what answers cost, and of what went wrong with them."""

from datetime import timedelta

from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from dialogues.costs import costing
from dialogues.costs.forms import DEFAULTS, LABELS, CostFilterForm
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import requires


@require_GET
@requires("dialogues.read")
def cost_list(request: UserRequest) -> HttpResponse:
    form = CostFilterForm(DEFAULTS | request.GET.dict())
    since = timezone.now() - timedelta(days=form.days)
    spending = costing.spending_since(request.user, since)
    context = {
        "form": form,
        "whole": costing.whole(spending),
        "groups": costing.by_group(spending, form.group),
        "group": LABELS.get(form.group, form.group),
        "dearest": costing.dearest(spending),
        "conversation_cap": settings.CONVERSATION_CAP_CENTS / 100,
        "day_cap": settings.DAY_CAP_CENTS / 100,
    }
    return render_page(request, "dialogues/cost_list.html", "table", context)
