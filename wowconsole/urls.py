"""Every address of the console."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from agents.api import ReleaseViewSet, ToolViewSet, VersionViewSet
from dialogues.api import (
    CaseViewSet,
    ChatSessionView,
    ConversationViewSet,
    JudgementViewSet,
    TurnViewSet,
)
from knowledge.api import SceneViewSet, UnitViewSet
from training.api import DatasetViewSet, EvaluationViewSet, PairViewSet, RunViewSet
from wowconsole import views
from wowconsole.demo import shop

router = SimpleRouter()
router.register("scenes", SceneViewSet)
router.register("knowledge/units", UnitViewSet)
router.register("dialogues", ConversationViewSet)
router.register("turns", TurnViewSet)
router.register("judgements", JudgementViewSet)
router.register("cases", CaseViewSet)
router.register("pairs", PairViewSet, basename="pair")
router.register("datasets", DatasetViewSet)
router.register("runs", RunViewSet)
router.register("models", VersionViewSet)
router.register("releases", ReleaseViewSet)
router.register("evaluations", EvaluationViewSet)
router.register("tools", ToolViewSet)

api = [
    path("knowledge/", include("knowledge.api_urls")),
    path("chat/sessions/", ChatSessionView.as_view(), name="chat-sessions"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(), name="docs"),
    *router.urls,
]

urlpatterns = [
    path("", views.overview, name="overview"),
    path("accounts/", include("allauth.account.urls")),
    path("knowledge/", include("knowledge.urls")),
    path("agents/", include("agents.urls")),
    path("training/", include("training.urls")),
    path("", include("dialogues.urls")),
    path("api/", include(api)),
    path("admin/", admin.site.urls),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", views.metrics, name="metrics"),
    path("demo/shop/", include(shop.urlpatterns)),
]
