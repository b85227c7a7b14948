"""Addresses of the knowledge pages."""

from django.urls import path

from knowledge import views, views_jobs

app_name = "knowledge"

urlpatterns = [
    path("", views.unit_list, name="unit-list"),
    path("new/", views.unit_create, name="unit-create"),
    path("preview/", views.unit_preview, name="unit-preview"),
    path("search/", views.search_test, name="search"),
    path("import/", views.unit_import, name="unit-import"),
    path("export/", views.unit_export, name="unit-export"),
    path("jobs/<uuid:public_id>/", views_jobs.job_progress, name="job-progress"),
    path("jobs/<uuid:public_id>/cancel/", views_jobs.job_cancel, name="job-cancel"),
    path("<int:pk>/", views.unit_detail, name="unit-detail"),
    path("<int:pk>/edit/", views.unit_edit, name="unit-edit"),
    path("<int:pk>/publish/", views.unit_publish, name="unit-publish"),
    path("<int:pk>/archive/", views.unit_archive, name="unit-archive"),
    path("<int:pk>/restore/", views.unit_restore, name="unit-restore"),
    path(
        "<int:pk>/revisions/<int:number>/restore/",
        views.revision_restore,
        name="revision-restore",
    ),
]
