from django.urls import include, path

from agents import views, views_servers, views_tools

app_name = "agents"

tools = [
    path("", views_tools.tool_list, name="tool-list"),
    path("new/", views_tools.tool_create, name="tool-create"),
    path("servers/", views_servers.server_list, name="server-list"),
    path("servers/new/", views_servers.server_create, name="server-create"),
    path("servers/<slug:name>/", views_servers.server_detail, name="server-detail"),
    path("servers/<slug:name>/edit/", views_servers.server_edit, name="server-edit"),
    path("servers/<slug:name>/switch/", views_servers.server_switch, name="server-switch"),
    path("servers/<slug:name>/refresh/", views_servers.server_refresh, name="server-refresh"),
    path("servers/<slug:name>/import/", views_servers.server_import, name="server-import"),
    path("<slug:name>/", views_tools.tool_detail, name="tool-detail"),
    path("<slug:name>/edit/", views_tools.tool_edit, name="tool-edit"),
    path("<slug:name>/switch/", views_tools.tool_switch, name="tool-switch"),
    path("<slug:name>/try/", views_tools.tool_try, name="tool-try"),
    path("<slug:name>/approve/", views_tools.tool_approve, name="tool-approve"),
    path("<slug:name>/revisions/<int:number>/", views_tools.tool_revision, name="tool-revision"),
    path("<slug:name>/fixtures/", views_tools.fixture_write, name="fixture-write"),
    path(
        "<slug:name>/calls/<uuid:call_id>/record/",
        views_tools.fixture_record,
        name="fixture-record",
    ),
    path(
        "<slug:name>/fixtures/<uuid:fixture_id>/delete/",
        views_tools.fixture_forget,
        name="fixture-forget",
    ),
]

urlpatterns = [
    path("tools/", include(tools)),
    path("", views.release_list, name="release-list"),
    path("releases/new/", views.release_create, name="release-create"),
    path("releases/<uuid:public_id>/promote/", views.release_promote, name="release-promote"),
    path("roll-back/", views.roll_back, name="roll-back"),
]
