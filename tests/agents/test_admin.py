"""The administration of models: added by hand where no run makes them, and never changed."""

from django.test import TestCase
from django.urls import reverse

from agents.models import ModelVersion
from tests.factories import make_tool, make_user, make_version

PRICES = {"input_price": "0", "output_price": "0"}
ADD = "/admin/agents/modelversion/add/"


class ModelVersionAdminTests(TestCase):
    def setUp(self):
        self.client.force_login(make_user("admin", is_staff=True, is_superuser=True))

    def test_the_model_of_another_engine_is_added(self):
        answer = self.client.post(ADD, {"name": "qwen3-8b", "kind": "base", **PRICES})
        assert answer.status_code == 302, answer.content
        assert ModelVersion.objects.get().name == "qwen3-8b"

    def test_an_adapter_without_its_base_is_refused(self):
        assert self.client.post(ADD, {"name": "tuned", "kind": "adapter"}).status_code == 200
        assert not ModelVersion.objects.exists()

    def test_of_a_model_only_the_prices_change(self):
        version = make_version(name="smol")
        url = reverse("admin:agents_modelversion_change", args=[version.pk])
        assert self.client.get(url).status_code == 200
        prices = {"input_price": "0.15", "output_price": "0.60"}
        assert self.client.post(url, {"name": "other", "kind": "base", **prices}).status_code == 302
        version.refresh_from_db()
        assert (version.name, str(version.output_price)) == ("smol", "0.6000")


class ToolAdminTests(TestCase):
    def test_tools_are_changed_in_the_catalogue_only(self):
        self.client.force_login(make_user("admin", is_staff=True, is_superuser=True))
        url = reverse("admin:agents_tool_change", args=[make_tool().pk])
        assert self.client.get(url).status_code == 200
        assert self.client.post(url, {}).status_code == 403
        assert self.client.get("/admin/agents/tool/add/").status_code == 403
