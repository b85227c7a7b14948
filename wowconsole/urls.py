"""Every address of the console."""

from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from agents.api import ReleaseViewSet, VersionViewSet
from agents.api_servers import ServerViewSet
from agents.api_tools import ToolViewSet
from dialogues.api import (
    CaseViewSet,
    ChatSessionView,
    ConversationViewSet,
    JudgementViewSet,
    TurnViewSet,
)
from dialogues.chat import completions
from dialogues.chat.api_sites import SiteViewSet
from dialogues.costs.api import CostsView, WhatIfViewSet
from dialogues.desk import api_drafts, api_files
from dialogues.desk.api import DeskViewSet
from dialogues.desk.api_surveys import SurveyViewSet
from dialogues.jobs.api import JobViewSet
from dialogues.jobs.api_plans import CallPlanViewSet, CallTrialViewSet
from dialogues.jobs.api_subagents import SubagentsView, SubagentView
from dialogues.jobs.api_unwanted import DoNotCallViewSet
from dialogues.loop.api import EffectView, GapViewSet
from dialogues.loop.api_replays import ReplayViewSet
from dialogues.proactive import api as api_proactive
from dialogues.proactive.api_contact import ContactRulesViewSet, OptOutViewSet
from dialogues.senses import api as api_attachments
from knowledge.api import SceneViewSet, UnitViewSet
from knowledge.api_conflicts import ConflictViewSet
from knowledge.api_quality import IndexViewSet, LabelledSetViewSet, MeasurementViewSet
from knowledge.api_snapshots import SnapshotViewSet
from knowledge.api_submissions import SubmissionViewSet
from training.api import DatasetViewSet, EvaluationViewSet, PairViewSet, RunViewSet
from wowconsole import views
from wowconsole.demo import shop
from wowconsole.demo import site as demo_site
from wowconsole.errors import NothingThere

handler500 = "wowconsole.errors.server_error"

router = SimpleRouter()
router.register("scenes", SceneViewSet)
router.register("knowledge/units", UnitViewSet)
router.register("knowledge/conflicts", ConflictViewSet)
router.register("knowledge/labelled-sets", LabelledSetViewSet)
router.register("knowledge/evaluations", MeasurementViewSet)
router.register("knowledge/indexes", IndexViewSet)
router.register("knowledge/submissions", SubmissionViewSet)
router.register("knowledge/snapshots", SnapshotViewSet)
router.register("dialogues", ConversationViewSet)
router.register("turns", TurnViewSet)
router.register("judgements", JudgementViewSet)
router.register("cases", CaseViewSet)
router.register("replays", ReplayViewSet)
router.register("gaps", GapViewSet)
router.register("what-ifs", WhatIfViewSet)
router.register("jobs", JobViewSet)
router.register("desk", DeskViewSet)
router.register("surveys", SurveyViewSet)
router.register("sites", SiteViewSet)
router.register("call-plans", CallPlanViewSet)
router.register("call-trials", CallTrialViewSet)
router.register("contact-rules", ContactRulesViewSet)
router.register("opt-outs", OptOutViewSet)
router.register("do-not-call", DoNotCallViewSet)
router.register("proactive/policies", api_proactive.ProactivePolicyViewSet)
router.register("pairs", PairViewSet, basename="pair")
router.register("datasets", DatasetViewSet)
router.register("runs", RunViewSet)
router.register("models", VersionViewSet)
router.register("releases", ReleaseViewSet)
router.register("evaluations", EvaluationViewSet)
router.register("tools", ToolViewSet)
router.register("mcp-servers", ServerViewSet)

api = [
    path("knowledge/", include("knowledge.api_urls")),
    path("knowledge-effect/", EffectView.as_view(), name="knowledge-effect"),
    path("chat/sessions/", ChatSessionView.as_view(), name="chat-sessions"),
    path("chat/sessions/<uuid:session>/attachments/", include(api_attachments.urlpatterns)),
    path(
        "chat/sessions/<uuid:session>/no-news/",
        api_proactive.NoNewsView.as_view(),
        name="chat-no-news",
    ),
    path("desk/<uuid:conversation>/attachments/", api_files.StaffAttachmentsView.as_view()),
    path("desk/<uuid:conversation>/drafts/", api_drafts.DraftsView.as_view()),
    path("desk/<uuid:conversation>/typing/", api_files.StaffTypingView.as_view()),
    path("costs/", CostsView.as_view(), name="costs"),
    path("subagents/", SubagentsView.as_view(), name="subagents"),
    path("subagents/<slug:name>/", SubagentView.as_view(), name="subagent"),
    path("events/", api_proactive.EventsView.as_view(), name="events"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(), name="docs"),
    *router.urls,
    # With the slash at its end alone, so that an address without one is still led to it.
    re_path(r"(?:.*/)?$", NothingThere.as_view()),
]

urlpatterns = [
    path("", views.overview, name="overview"),
    path("accounts/", include("allauth.account.urls")),
    path("knowledge/", include("knowledge.urls")),
    path("agents/", include("agents.urls")),
    path("training/", include("training.urls")),
    path("chat/embed-demo/", demo_site.page, name="embed-demo"),
    path("chat/embed-demo/late/", demo_site.run_late, name="embed-demo-late"),
    path("", include("dialogues.urls")),
    path("api/", include(api)),
    path("v1/chat/completions", completions.chat_completions, name="chat-completions"),
    path("v1/models", completions.model_list, name="model-list"),
    path("v1/models/<path:name>", completions.model_detail, name="model-detail"),
    path("admin/", admin.site.urls),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", views.metrics, name="metrics"),
    path("demo/shop/", include(shop.urlpatterns)),
]
