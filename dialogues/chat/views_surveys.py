"""The survey after a conversation: its questions, and what customers answered."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Prefetch
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from dialogues.chat import surveying, tallying
from dialogues.desk.forms import QuestionForm, SurveyForm
from dialogues.loop.forms import PERIOD, PERIODS, since_of
from dialogues.models import Survey, SurveyQuestion
from wowconsole.http import UserRequest
from wowconsole.roles import requires


@require_GET
@requires("dialogues.read")
def survey_list(request: UserRequest) -> HttpResponse:
    return _survey_list(request, SurveyForm(user=request.user))


def _survey_list(request: UserRequest, form: SurveyForm) -> HttpResponse:
    asked_now = Prefetch("questions", SurveyQuestion.objects.filter(retired_at=None))
    surveys = Survey.objects.visible_to(request.user).select_related("scene")
    context = {"form": form, "surveys": surveys.prefetch_related(asked_now)}
    return render(
        request, "dialogues/desk_surveys.html", context, status=422 if form.is_bound else 200
    )


@require_POST
@requires("dialogues.manage")
def survey_add(request: UserRequest) -> HttpResponse:
    """Make a survey with the usual questions, to be changed at will."""
    form = SurveyForm(request.POST, user=request.user)
    if not form.is_valid():
        return _survey_list(request, form)
    survey = form.save()
    surveying.ask_the_usual(survey=survey)
    return redirect(survey)


@require_GET
@requires("dialogues.read")
def survey_detail(request: UserRequest, public_id: UUID) -> HttpResponse:
    surveys = Survey.objects.visible_to(request.user).select_related("scene")
    survey = get_object_or_404(surveys, public_id=public_id)
    return _survey_page(request, survey)


def _survey_page(
    request: UserRequest, survey: Survey, *, form: Any = None, status: int = 200
) -> HttpResponse:
    period = request.GET.get("period")
    found = tallying.results(survey, visible_to=request.user, since=since_of(period))
    editable = Survey.objects.editable_by(request.user).filter(pk=survey.pk).exists()
    context = {
        "survey": survey,
        "results": found,
        "periods": PERIODS,
        "period": period if period in dict(PERIODS) else PERIOD,
        "may_edit": editable,
        "form": form or QuestionForm(label_suffix="", initial={"place": len(found.tallies) + 1}),
    }
    return render(request, "dialogues/desk_survey.html", context, status=status)


def _survey(request: UserRequest, public_id: UUID) -> Survey:
    surveys = Survey.objects.editable_by(request.user).select_related("scene")
    return get_object_or_404(surveys, public_id=public_id)


@require_POST
@requires("dialogues.manage")
def survey_edit(request: UserRequest, public_id: UUID) -> HttpResponse:
    survey = _survey(request, public_id)
    survey.at_end = request.POST.get("at_end") == "on"
    survey.save(update_fields=["at_end"])
    messages.success(request, "Saved.")
    return redirect(survey)


@require_POST
@requires("dialogues.manage")
def question_add(request: UserRequest, public_id: UUID) -> HttpResponse:
    survey = _survey(request, public_id)
    form = QuestionForm(request.POST, label_suffix="")
    if not form.is_valid():
        return _survey_page(request, survey, form=form, status=422)
    question = form.save(commit=False)
    question.survey = survey
    question.full_clean()
    question.save()
    return redirect(f"{survey.get_absolute_url()}#questions")


@require_POST
@requires("dialogues.manage")
def question_retire(request: UserRequest, public_id: UUID, question: UUID) -> HttpResponse:
    """Ask a question no more, or again with `again`."""
    survey = _survey(request, public_id)
    row = get_object_or_404(survey.questions, public_id=question)
    surveying.retire(row, at=None if request.POST.get("again") else timezone.now())
    return redirect(f"{survey.get_absolute_url()}#questions")
