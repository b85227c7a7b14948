"""REST addresses below /api/knowledge/ that are not a resource of rows."""

from django.urls import path

from knowledge import api_files, api_search

urlpatterns = [
    path("search/", api_search.SearchView.as_view(), name="knowledge-search"),
    path("import/", api_files.ImportView.as_view(), name="knowledge-import"),
    path("export/", api_files.ExportView.as_view(), name="knowledge-export"),
]
