"""The door from reviewers' corrections into a labelled set."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from dialogues.loop import correcting
from knowledge.models import LabelledSet
from wowconsole.http import UserRequest
from wowconsole.roles import requires


@require_POST
@requires("knowledge.write")
def label_corrections(request: UserRequest, public_id: UUID) -> HttpResponse:
    sets = LabelledSet.objects.visible_to(request.user)
    labelled_set: LabelledSet = get_object_or_404(sets, public_id=public_id)
    count = correcting.add_corrections(labelled_set=labelled_set, by=request.user)
    messages.success(request, f"Corrected questions in the set: {count}.")
    return redirect("knowledge:quality-detail", public_id)
