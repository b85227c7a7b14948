"""Addresses of the customer's page, the conversations and the cases."""

from django.urls import path

from dialogues import views, views_whatifs
from dialogues.chat import views as views_chat
from dialogues.chat import views_sites, views_surveys
from dialogues.costs import views as views_costs
from dialogues.desk import views as views_desk
from dialogues.desk import views_arranging
from dialogues.jobs import views as views_jobs
from dialogues.jobs import views_calls, views_plans, views_unwanted
from dialogues.loop import (
    views_corrections,
    views_effects,
    views_gaps,
    views_replays,
    views_wordings,
)
from dialogues.proactive import views as views_proactive
from dialogues.proactive import views_contact

app_name = "dialogues"

_conversation = "dialogues/<uuid:public_id>"
_hours = "dialogues/inbox/hours/<uuid:public_id>"
_surveys = "dialogues/inbox/surveys/<uuid:public_id>"

desk_patterns = [
    path("dialogues/inbox/", views_desk.inbox_view, name="inbox"),
    path("dialogues/inbox/next/", views_desk.next_waiting, name="next-waiting"),
    path("dialogues/inbox/<uuid:public_id>/", views_desk.desk, name="desk"),
    path(f"{_conversation}/take/", views_desk.take, name="take"),
    path(f"{_conversation}/release/", views_desk.release, name="release"),
    path(f"{_conversation}/assign/", views_desk.assign, name="assign"),
    path(f"{_conversation}/reply/", views_desk.staff_reply, name="staff-reply"),
    path(f"{_conversation}/hand-back/", views_desk.hand_back, name="hand-back"),
    path(f"{_conversation}/close/", views_desk.close, name="close"),
    path(f"{_conversation}/survey/", views_desk.ask_survey, name="survey-ask"),
    path(f"{_conversation}/notes/", views_desk.note_add, name="note-add"),
    path(f"{_conversation}/drafts/<slug:kind>/", views_desk.draft_show, name="draft-show"),
    path(f"{_conversation}/drafts/<slug:kind>/start/", views_desk.draft_start, name="draft-start"),
    path("dialogues/inbox/hours/", views_arranging.desk_list, name="desk-list"),
    path(f"{_hours}/", views_arranging.desk_detail, name="desk-detail"),
    path(f"{_hours}/remove/", views_arranging.desk_remove, name="desk-remove"),
    path(f"{_hours}/periods/", views_arranging.period_add, name="period-add"),
    path(f"{_hours}/periods/<int:pk>/remove/", views_arranging.period_remove, name="period-remove"),
    path(f"{_hours}/holidays/", views_arranging.holiday_add, name="holiday-add"),
    path(
        f"{_hours}/holidays/<int:pk>/remove/", views_arranging.holiday_remove, name="holiday-remove"
    ),
    path("dialogues/inbox/canned/", views_arranging.canned_list, name="canned-list"),
    path(
        "dialogues/inbox/canned/<uuid:public_id>/", views_arranging.canned_edit, name="canned-edit"
    ),
    path(
        "dialogues/inbox/canned/<uuid:public_id>/remove/",
        views_arranging.canned_remove,
        name="canned-remove",
    ),
    path("dialogues/inbox/surveys/", views_surveys.survey_list, name="survey-list"),
    path("dialogues/inbox/surveys/new/", views_surveys.survey_add, name="survey-add"),
    path(f"{_surveys}/", views_surveys.survey_detail, name="survey-detail"),
    path(f"{_surveys}/edit/", views_surveys.survey_edit, name="survey-edit"),
    path(f"{_surveys}/questions/", views_surveys.question_add, name="question-add"),
    path(
        f"{_surveys}/questions/<uuid:question>/retire/",
        views_surveys.question_retire,
        name="question-retire",
    ),
]

job_patterns = [
    path("dialogues/jobs/", views_jobs.job_list, name="job-list"),
    path("dialogues/jobs/<uuid:public_id>/", views_jobs.job_detail, name="job-detail"),
    path("dialogues/jobs/<uuid:public_id>/cancel/", views_jobs.job_cancel, name="job-cancel"),
    path(f"{_conversation}/call/", views_jobs.call_start, name="call-start"),
    path("calls/<str:token>/", views_calls.call, name="call"),
    path("calls/<str:token>/answer/", views_calls.call_answer, name="call-answer"),
    path("calls/<str:token>/say/", views_calls.call_say, name="call-say"),
    path("calls/<str:token>/end/", views_calls.call_end, name="call-end"),
]

_policy = "dialogues/proactive/<uuid:public_id>"
proactive_patterns = [
    path("dialogues/proactive/", views_proactive.proactive_list, name="proactive-list"),
    path("dialogues/proactive/new/", views_proactive.proactive_new, name="proactive-new"),
    path(f"{_policy}/", views_proactive.proactive_detail, name="proactive-detail"),
    path(f"{_policy}/edit/", views_proactive.proactive_edit, name="proactive-edit"),
    path(f"{_policy}/switch/", views_proactive.proactive_switch, name="proactive-switch"),
]

_site = "channels/sites/<slug:slug>"
_plan = "channels/plans/<slug:name>"
_contact = "channels/contact"
channel_patterns = [
    path("channels/", views_sites.site_list, name="site-list"),
    path("channels/new-site/", views_sites.site_new, name="site-new"),
    path("channels/look/", views_sites.site_look, name="site-look"),
    path("channels/preview/", views_sites.site_preview, name="site-preview"),
    path(f"{_site}/", views_sites.site_detail, name="site-detail"),
    path(f"{_site}/edit/", views_sites.site_edit, name="site-edit"),
    path(f"{_site}/switch/", views_sites.site_switch, name="site-switch"),
    path(f"{_site}/remove/", views_sites.site_remove, name="site-remove"),
    path(f"{_site}/keys/", views_sites.key_add, name="key-add"),
    path(f"{_site}/keys/<slug:key_id>/end/", views_sites.key_end, name="key-end"),
    path("channels/plans/", views_plans.plan_list, name="plan-list"),
    path("channels/new-plan/", views_plans.plan_new, name="plan-new"),
    path("channels/plan-preview/", views_plans.plan_preview, name="plan-preview"),
    path(f"{_plan}/", views_plans.plan_detail, name="plan-detail"),
    path(f"{_plan}/edit/", views_plans.plan_edit, name="plan-edit"),
    path(f"{_plan}/try/", views_plans.plan_try, name="plan-try"),
    path(f"{_plan}/trials/<uuid:public_id>/", views_plans.trial_detail, name="trial-detail"),
    path("channels/do-not-call/", views_unwanted.unwanted_list, name="unwanted-list"),
    path("channels/do-not-call/add/", views_unwanted.unwanted_add, name="unwanted-add"),
    path(f"{_contact}/", views_contact.contact, name="contact"),
    path(f"{_contact}/opt-outs/", views_contact.opt_out_add, name="opt-out-add"),
    path(f"{_contact}/rules/", views_contact.rules_edit, name="contact-rules"),
    path(f"{_contact}/rules/remove/", views_contact.rules_remove, name="contact-rules-remove"),
    path(f"{_contact}/scenes/<slug:slug>/", views_contact.rules_edit, name="contact-rules-of"),
    path(
        f"{_contact}/scenes/<slug:slug>/remove/",
        views_contact.rules_remove,
        name="contact-rules-of-remove",
    ),
]

urlpatterns = [
    *channel_patterns,
    *proactive_patterns,
    *job_patterns,
    *desk_patterns,
    path("chat/", views_chat.chat, name="chat"),
    path("widget.js", views_chat.widget, name="widget"),
    path("dialogues/<uuid:public_id>/typing/", views_chat.staff_typing, name="staff-typing"),
    path(
        "dialogues/<uuid:public_id>/customer-typing/",
        views_chat.customer_typing,
        name="customer-typing",
    ),
    path("dialogues/", views.conversation_list, name="conversation-list"),
    path("dialogues/<uuid:public_id>/", views.conversation_detail, name="conversation-detail"),
    path("dialogues/turns/<uuid:public_id>/", views.turn_detail, name="turn-detail"),
    path("dialogues/turns/<uuid:public_id>/judge/", views.turn_judge, name="turn-judge"),
    path("dialogues/turns/<uuid:public_id>/why/", views_whatifs.turn_why, name="turn-why"),
    path(
        "dialogues/turns/<uuid:public_id>/what-if/",
        views_whatifs.what_if_start,
        name="what-if-start",
    ),
    path(
        "dialogues/what-ifs/<uuid:public_id>/",
        views_whatifs.what_if_detail,
        name="what-if-detail",
    ),
    path("costs/", views_costs.cost_list, name="cost-list"),
    path("cases/", views.case_list, name="case-list"),
    path(
        "cases/labels/<uuid:public_id>/",
        views_corrections.label_corrections,
        name="label-corrections",
    ),
    path("dialogues/units/<int:pk>/replay/", views_replays.replay_start, name="replay-start"),
    path("dialogues/units/<int:pk>/replays/", views_replays.replay_list, name="replay-list"),
    path("dialogues/replays/<uuid:public_id>/", views_replays.replay_detail, name="replay-detail"),
    path(
        "dialogues/replays/<uuid:public_id>/resume/",
        views_replays.replay_resume,
        name="replay-resume",
    ),
    path(
        "dialogues/replays/<uuid:public_id>/turns/<uuid:turn>/judge/",
        views_replays.replay_judge,
        name="replay-judge",
    ),
    path("knowledge/gaps/", views_gaps.gap_list, name="gap-list"),
    path("knowledge/gaps/search/", views_gaps.gap_search, name="gap-search"),
    path("knowledge/gaps/<uuid:public_id>/", views_gaps.gap_detail, name="gap-detail"),
    path("knowledge/gaps/<uuid:public_id>/draft/", views_gaps.gap_draft, name="gap-draft"),
    path("knowledge/gaps/<uuid:public_id>/dismiss/", views_gaps.gap_dismiss, name="gap-dismiss"),
    path("knowledge/gaps/<uuid:public_id>/reopen/", views_gaps.gap_reopen, name="gap-reopen"),
    path("knowledge/effect/", views_effects.effect_list, name="effect-list"),
    path("dialogues/units/<int:pk>/effect/", views_effects.unit_effect, name="unit-effect"),
    path("dialogues/units/<int:pk>/wordings/", views_wordings.unit_wordings, name="unit-wordings"),
]
