"""Addresses of runs and data sets."""

from django.urls import path

from training import views

app_name = "training"

urlpatterns = [
    path("", views.run_list, name="run-list"),
    path("runs/new/", views.run_launch, name="run-launch"),
    path("runs/<uuid:public_id>/", views.run_detail, name="run-detail"),
    path("runs/<uuid:public_id>/cancel/", views.run_cancel, name="run-cancel"),
    path("runs/<uuid:public_id>/resume/", views.run_resume, name="run-resume"),
    path("datasets/", views.dataset_list, name="dataset-list"),
    path("datasets/new/", views.dataset_build, name="dataset-build"),
    path("datasets/<uuid:public_id>/", views.dataset_detail, name="dataset-detail"),
    path("datasets/<uuid:public_id>/download/", views.dataset_download, name="dataset-download"),
]
