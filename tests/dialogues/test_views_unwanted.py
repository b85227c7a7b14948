"""The list of numbers that are never called: page and API, for whom and of whom."""

from django.test import TestCase, override_settings
from django.utils import timezone

from agents.telephone.numbers import target_of
from dialogues.jobs import permitting
from dialogues.models import DoNotCall
from tests.dialogues.calls import make_job
from tests.dialogues.test_api_channels import ApiCase
from tests.factories import make_conversation, make_scene, make_user

PAGE = "/channels/do-not-call/"


def refuse_in_call(scene, number, words="never call me again"):
    """Have a callee say so in a call of the scene's conversation."""
    job = make_job(make_conversation(scene=scene), key=f"key-{number}")
    with_trunk = {"SIP_TRUNK": "trunk.example", "SIP_ALLOW": ["+"]}
    with override_settings(**with_trunk):
        permitting.never_again(job.public_id, target_of(f"tel:{number}"), words)
    return job


class PageTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.ana = make_user("operator", [cls.scene])
        cls.job = refuse_in_call(cls.scene, "+442000000001")
        refuse_in_call(make_scene(), "+442000000002")

    def setUp(self):
        self.client.force_login(self.ana)

    def test_it_shows_who_said_so_and_where(self):
        page = self.client.get(PAGE)
        self.assertContains(page, "442000000001")
        self.assertContains(page, "“never call me again”")
        self.assertContains(page, self.job.get_absolute_url())
        self.assertNotContains(page, "442000000002")  # another scene's callee
        self.assertContains(page, "1 number is never called")
        self.client.force_login(make_user("admin"))
        self.assertContains(self.client.get(PAGE), "2 numbers are never called")

    def test_few_queries(self):
        for number in range(3):
            refuse_in_call(self.scene, f"+44200000010{number}")
            permitting.add(f"+44300000000{number}", by=self.ana)
        with self.assertNumQueries(5):
            self.client.get(PAGE)

    def test_staff_add_for_ever_and_stand_by_it(self):
        before = timezone.now()
        for written in ("+44 (30) 0000-0000", "0044300000 0000"):
            self.assertRedirects(self.client.post(f"{PAGE}add/", {"address": written}), PAGE)
        row = DoNotCall.objects.get(by=self.ana)
        assert row.address == "443000000000"
        assert row.at >= before
        self.assertContains(self.client.get(PAGE), f"to {self.ana}")
        for wrong in ("", "112", "kitchen", "x" * 300):
            assert self.client.post(f"{PAGE}add/", {"address": wrong}).status_code == 422

    def test_it_is_found_by_how_it_begins(self):
        permitting.add("kitchen@pbx.example", by=self.ana)
        for typed, found in (("+44 20", 1), ("0044200", 1), ("kit", 1), ("45", 0), ("\0", 2)):
            part = self.client.get(PAGE, {"address": typed}, headers={"HX-Request": "true"})
            self.assertNotContains(part, "<h1")
            assert part.context["page"].paginator.count == found, typed

    def test_only_who_deals_with_customers_sees_or_adds(self):
        for role in ("auditor", "ml_engineer"):
            self.client.force_login(make_user(role))
            assert self.client.get(PAGE).status_code == 403
            assert self.client.post(f"{PAGE}add/", {"address": "+443000000000"}).status_code == 403
            self.assertNotContains(self.client.get("/channels/contact/"), PAGE)
        self.client.logout()
        assert self.client.get(PAGE).status_code == 302
        assert self.client.post(f"{PAGE}add/").status_code == 302
        self.client.force_login(self.ana)
        self.assertContains(self.client.get("/channels/contact/"), PAGE)
        assert self.client.get(f"{PAGE}add/").status_code == 405
        assert self.client.post(PAGE).status_code == 405


class ApiTests(ApiCase):
    def test_it_is_read_and_added_to(self):
        made = self.call("post", "do-not-call/", {"address": "+44 30 0000 0000"})
        assert made.status_code == 201
        assert (made.json()["address"], made.json()["by"]) == ("443000000000", self.ana.username)
        again = self.call("post", "do-not-call/", {"address": "tel:00443000000000"})
        assert again.status_code == 201
        assert DoNotCall.objects.count() == 1
        job = refuse_in_call(self.scene, "+442000000001")
        rows = self.call("get", "do-not-call/?address=%2B4420").json()["results"]
        assert [(row["job"], row["words"]) for row in rows] == [
            (str(job.public_id), "never call me again")
        ]
        assert self.call("post", "do-not-call/", {"address": "112"}).status_code in (400, 422)
        assert self.call("post", "do-not-call/", {}).status_code == 400

    def test_only_with_the_scope_and_of_ones_scenes(self):
        refuse_in_call(self.scene, "+442000000001")
        stranger = self.call("get", "do-not-call/", user=make_user("operator"))
        assert stranger.json()["results"] == []
        for method in ("get", "post"):
            narrow = self.call(method, "do-not-call/", {"address": "x"}, scopes=["dialogues.read"])
            assert narrow.status_code == 403
            assert getattr(self.client, method)("/api/do-not-call/").status_code in (401, 403)
        assert self.call("delete", "do-not-call/").status_code == 405
