"""REST addresses below /api/knowledge/ that are not a resource of rows."""

from django.urls import path

from knowledge import api_bulk, api_files, api_lineage, api_search, api_submissions

urlpatterns = [
    path("search/", api_search.SearchView.as_view(), name="knowledge-search"),
    path("units/<int:pk>/merge/", api_lineage.MergeView.as_view(), name="unit-merge"),
    path("units/<int:pk>/split/", api_lineage.SplitView.as_view(), name="unit-split"),
    path("units/<int:pk>/diff/", api_submissions.RevisionDiffView.as_view(), name="revision-diff"),
    path("units/<int:pk>/owner/", api_submissions.OwnerView.as_view(), name="unit-owner"),
    path("import/", api_files.ImportView.as_view(), name="knowledge-import"),
    path(
        "import/<uuid:public_id>/",
        api_files.ImportJobView.as_view(),
        name="knowledge-import-job",
    ),
    path("bulk/", api_bulk.BulkView.as_view(), name="knowledge-bulk"),
    path("bulk/<uuid:public_id>/", api_bulk.BulkEditView.as_view(), name="knowledge-bulk-edit"),
    path(
        "bulk/<uuid:public_id>/undo/", api_bulk.BulkUndoView.as_view(), name="knowledge-bulk-undo"
    ),
    path("export/", api_files.ExportView.as_view(), name="knowledge-export"),
]
