"""Pages of releases."""

from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents.models import Promotion, Release, live_release
from tests.factories import (
    make_adapter,
    make_release,
    make_scene,
    make_tool,
    make_user,
    make_version,
)

LIST = "/agents/"
NEW = "/agents/releases/new/"
BACK = "/agents/roll-back/"
WRITERS = ("ml_engineer", "approver", "admin")
READERS = ("operator", "reviewer", "auditor")


class PageTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.engineer = make_user("ml_engineer")
        cls.version = make_version(name="smol")
        cls.first = make_release(name="first", version=cls.version)
        cls.promote_url = reverse("agents:release-promote", args=[cls.first.public_id])

    def setUp(self):
        self.client.force_login(self.engineer)


class AccessTests(PageTestCase):
    def test_strangers_are_sent_to_sign_in(self):
        self.client.logout()
        for method, url in (
            ("get", LIST),
            ("get", NEW),
            ("post", NEW),
            ("post", BACK),
            ("post", self.promote_url),
        ):
            answer = getattr(self.client, method)(url)
            assert answer.status_code == 302, url
            assert answer["Location"].startswith(reverse("account_login"))
        assert not Promotion.objects.exists()

    def test_every_role_reads(self):
        for role in (*WRITERS, *READERS):
            self.client.force_login(make_user(role))
            assert self.client.get(LIST).status_code == 200

    def test_readers_do_not_write(self):
        for role in (*READERS, None):
            self.client.force_login(make_user(role))
            assert self.client.get(NEW).status_code == 403
            for url in (NEW, BACK, self.promote_url):
                assert self.client.post(url, {"name": "x"}).status_code == 403, (role, url)
        assert not Promotion.objects.exists()
        assert Release.objects.count() == 1

    def test_no_role_reads_nothing(self):
        self.client.force_login(make_user())
        assert self.client.get(LIST).status_code == 403

    def test_writers_write(self):
        for role in WRITERS:
            self.client.force_login(make_user(role))
            assert self.client.get(NEW).status_code == 200

    def test_wrong_methods(self):
        assert self.client.post(LIST).status_code == 405
        assert self.client.get(BACK).status_code == 405
        assert self.client.get(self.promote_url).status_code == 405

    def test_a_release_that_is_not_there(self):
        url = self.promote_url.replace(str(self.first.public_id)[:8], "00000000")
        assert self.client.post(url).status_code == 404


class ListTests(PageTestCase):
    def test_it_shows_releases_tools_and_what_is_live(self):
        make_release(name="second", live=True)
        make_tool(name="look_up")
        self.assertContains(self.client.get(LIST), "second")
        self.assertContains(self.client.get(LIST), "look_up")

    def test_it_works_before_anything_is_there(self):
        Release.objects.all().delete()
        assert self.client.get(LIST).status_code == 200

    def test_the_number_of_queries_does_not_grow(self):
        self.client.get(LIST)

        make_release(live=True)
        make_tool()
        few = self.queries()
        for _ in range(4):
            make_release(live=True, version=make_adapter())
            make_tool()
        assert self.queries() == few

    def queries(self):
        with CaptureQueriesContext(connection) as captured:
            self.client.get(LIST)
        return len(captured)


class CreateTests(PageTestCase):
    def post(self, **fields):
        return self.client.post(NEW, {"name": "fresh", "version": self.version.pk, **fields})

    def test_weights_can_be_chosen_in_the_address(self):
        answer = self.client.get(NEW, {"version": "smol"})
        self.assertContains(answer, "smol-release")
        for nonsense in ("\0", "nothing", "x" * 5000, "' OR 1=1"):
            assert self.client.get(NEW, {"version": nonsense}).status_code == 200

    def test_a_release_is_made(self):
        make_tool(name="look_up")
        self.assertRedirects(self.post(tools=["look_up"]), LIST)
        release = Release.objects.get(name="fresh")
        assert (release.tools, release.created_by) == (["look_up"], self.engineer)
        assert live_release() is None

    def test_tools_of_other_scenes_are_not_offered(self):
        make_tool(name="theirs").scenes.set([make_scene()])
        self.assertNotContains(self.client.get(NEW), "theirs")
        assert self.post(tools=["theirs"]).status_code == 422
        self.client.force_login(make_user("admin"))
        self.assertContains(self.client.get(NEW), "theirs")

    def test_and_promoted_at_once(self):
        self.post(promote="1")
        assert live_release().name == "fresh"

    def test_not_by_who_sees_some_scenes_only(self):
        make_scene()
        self.assertContains(self.client.get(NEW), "Only create it")
        self.assertNotContains(self.client.get(NEW), "Make it live now")
        assert self.post(promote="1").status_code == 403
        assert not Release.objects.filter(name="fresh").exists()
        self.post()
        assert Release.objects.filter(name="fresh").exists()

    def test_no_tool_chosen_is_no_tool(self):
        make_tool(name="look_up")
        self.post()
        assert Release.objects.get(name="fresh").tools == []

    def test_what_is_wrong_is_shown(self):
        make_tool(name="off", is_active=False)
        for fields in (
            {"name": "first"},
            {"name": "a b"},
            {"name": ""},
            {"name": "\0"},
            {"version": "77777777"},
            {"version": ""},
            {"tools": ["off"]},
            {"tools": ["nothing"]},
        ):
            assert self.post(**fields).status_code == 422, fields
        assert Release.objects.count() == 1


class LedgerTests(PageTestCase):
    def test_promoting_with_a_reason(self):
        self.assertRedirects(self.client.post(self.promote_url, {"reason": "Better"}), LIST)
        assert live_release() == self.first
        assert Promotion.objects.get().reason == "Better"

    def test_who_sees_some_scenes_is_offered_these_alone(self):
        scene, _ = make_scene(), make_scene()
        self.engineer.scenes.add(scene)
        make_release(live=True)
        page = self.client.get(LIST)
        self.assertNotContains(page, "Every scene")
        self.assertNotContains(page, "Go back to the previous release")
        assert self.client.post(self.promote_url).status_code == 403
        assert self.client.post(BACK).status_code == 403
        self.assertRedirects(self.client.post(self.promote_url, {"scene": scene.slug}), LIST)
        assert live_release(scene) == self.first

    def test_promoting_twice_is_refused(self):
        self.client.post(self.promote_url)
        answer = self.client.post(self.promote_url)
        assert answer.status_code == 409
        assert Promotion.objects.count() == 1

    def test_rolling_back(self):
        assert self.client.post(BACK).status_code == 409
        self.client.post(self.promote_url)
        make_release(live=True)
        self.assertRedirects(self.client.post(BACK), LIST)
        assert live_release() == self.first


class SceneTests(TestCase):
    """A release made live in one scene, from the page and from the API."""

    @classmethod
    def setUpTestData(cls):
        cls.scene, cls.strange = make_scene(), make_scene()
        cls.engineer = make_user("ml_engineer", [cls.scene])
        cls.release = make_release()

    def setUp(self):
        self.client.force_login(self.engineer)

    def test_from_the_page_there_and_back(self):
        url = reverse("agents:release-promote", args=[self.release.public_id])
        assert self.client.post(url, {"scene": self.scene.slug}).status_code == 302
        assert (live_release(self.scene), live_release()) == (self.release, None)
        page = self.client.get(reverse("agents:release-list")).content.decode()
        assert f"Go back in {self.scene}" in page
        self.client.post(reverse("agents:roll-back"), {"scene": self.scene.slug})
        assert live_release(self.scene) is None
        page = self.client.get(reverse("agents:release-list")).content.decode()
        assert "None of its own" in page

    def test_not_in_a_scene_of_others(self):
        url = reverse("agents:release-promote", args=[self.release.public_id])
        assert self.client.post(url, {"scene": self.strange.slug}).status_code == 422
        assert not Promotion.objects.exists()

    def test_from_the_api(self):
        answer = self.client.post(
            f"/api/releases/{self.release.name}/promote/",
            {"scene": self.scene.slug},
            "application/json",
        )
        assert answer.status_code == 201
        assert (answer.json()["scene"], live_release()) == (self.scene.slug, None)
        wrong = {"scene": self.strange.slug}
        url = f"/api/releases/{self.release.name}/promote/"
        assert self.client.post(url, wrong, "application/json").status_code == 422

    def test_the_form_stores_who_words_what_and_what_it_may_take(self):
        fields = {
            "name": "strict",
            "version": self.release.version_id,
            "low": "free",
            "high": "strict",
            "seconds": "20",
            "money": "0.05",
        }
        self.client.post(reverse("agents:release-create"), fields)
        limits = Release.objects.get(name="strict").limits
        assert limits["composition"] == {"low": "free", "medium": "quoted", "high": "strict"}
        assert limits["budget"] == {"seconds": 20, "money": "0.05"}
