"""Addresses of the customer's page, the conversations and the cases."""

from django.urls import path

from dialogues import (
    views,
    views_corrections,
    views_effects,
    views_gaps,
    views_replays,
    views_wordings,
)

app_name = "dialogues"

urlpatterns = [
    path("chat/", views.chat, name="chat"),
    path("dialogues/", views.conversation_list, name="conversation-list"),
    path("dialogues/<uuid:public_id>/", views.conversation_detail, name="conversation-detail"),
    path("dialogues/<uuid:public_id>/reply/", views.staff_reply, name="staff-reply"),
    path("dialogues/<uuid:public_id>/hand-back/", views.hand_back, name="hand-back"),
    path("dialogues/turns/<uuid:public_id>/", views.turn_detail, name="turn-detail"),
    path("dialogues/turns/<uuid:public_id>/judge/", views.turn_judge, name="turn-judge"),
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
