from django.urls import path

from agents import views

app_name = "agents"

urlpatterns = [
    path("", views.release_list, name="release-list"),
    path("releases/new/", views.release_create, name="release-create"),
    path("releases/<uuid:public_id>/promote/", views.release_promote, name="release-promote"),
    path("roll-back/", views.roll_back, name="roll-back"),
]
