"""The page of one piece of long work: how far it is, and how to stop it."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from knowledge import jobs
from knowledge.models import Job
from wowconsole.http import UserRequest
from wowconsole.roles import requires


def _job(request: UserRequest, public_id: str) -> Job:
    job: Job = get_object_or_404(Job.objects.visible_to(request.user), public_id=public_id)
    return job


@require_GET
@requires("knowledge.read")
def job_progress(request: UserRequest, public_id: str) -> HttpResponse:
    """Answer the progress bar of includes/job.html; a finished job reloads its page."""
    job = _job(request, public_id)
    response = render(request, "includes/job.html", {"job": job})
    if job.is_finished:
        response["HX-Refresh"] = "true"
    return response


@require_POST
@requires("knowledge.read")
def job_cancel(request: UserRequest, public_id: str) -> HttpResponse:
    """Only who started it, or an admin, finds it."""
    jobs.cancel(_job(request, public_id))
    back = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure())
    return redirect(back if is_ours else "knowledge:unit-list")
