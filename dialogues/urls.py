"""Addresses of the customer's page, the conversations and the cases."""

from django.urls import path

from dialogues import views

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
]
