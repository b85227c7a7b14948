"""The administration of models: added by hand where no run makes them, and never changed."""

from django.test import TestCase
from django.urls import reverse

from agents.models import ModelVersion
from tests.factories import make_user, make_version

ADD = "/admin/agents/modelversion/add/"


class ModelVersionAdminTests(TestCase):
    def setUp(self):
        self.client.force_login(make_user("admin", is_staff=True, is_superuser=True))

    def test_the_model_of_another_engine_is_added(self):
        answer = self.client.post(ADD, {"name": "qwen3-8b", "kind": "base"})
        assert answer.status_code == 302, answer.content
        assert ModelVersion.objects.get().name == "qwen3-8b"

    def test_an_adapter_without_its_base_is_refused(self):
        assert self.client.post(ADD, {"name": "tuned", "kind": "adapter"}).status_code == 200
        assert not ModelVersion.objects.exists()

    def test_a_model_never_changes(self):
        version = make_version(name="smol")
        url = reverse("admin:agents_modelversion_change", args=[version.pk])
        assert self.client.post(url, {"name": "other", "kind": "base"}).status_code == 403
        assert self.client.get(url).status_code == 200
