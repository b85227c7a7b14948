"""The overview, the probes, the metrics, the sign-in and the error pages."""

from unittest import mock

from django.contrib.auth.models import Group, User
from django.contrib.messages import get_messages
from django.core.cache import cache
from django.template.loader import render_to_string
from django.test import TestCase, override_settings
from django.urls import reverse
from django.utils import timezone

from agents.models import ModelVersion, Promotion, Release
from dialogues.models import Case, Conversation, Event, EventKind, Role, Turn, TurnStatus, Verdict
from knowledge.models import KnowledgeUnit, Revision, Scene, UnitStatus
from wowconsole import heartbeat, probes
from wowconsole.apikeys import issue_key
from wowconsole.models import ApiKey

NO_ENGINE = "http://127.0.0.1:9/v1"  # the discard port: nobody listens


def make_person(role, **fields):
    user = User.objects.create_user(username=fields.pop("username", role), password="pw", **fields)
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def make_rule(scene, author, *, live=False):
    unit = KnowledgeUnit.objects.create(scene=scene, owner=author)
    unit.latest = Revision.objects.create(
        unit=unit, number=1, title="Late", condition="late", content="say sorry", author=author
    )
    if live:
        unit.live, unit.status = unit.latest, UnitStatus.PUBLISHED
    unit.save()
    return unit


def make_case(scene, text, label, issues):
    conversation = Conversation.objects.create(scene=scene, customer="Maya", rating=5)
    Event.objects.create(
        conversation=conversation, kind=EventKind.MESSAGE, role=Role.CUSTOMER, text=text
    )
    turn = Turn.objects.create(
        conversation=conversation,
        asked_seq=1,
        status=TurnStatus.DONE,
        finished_at=timezone.now(),
        timings={"total_ms": 1000},
    )
    return Case.objects.create(turn=turn, label=label, issue_types=issues)


class OverviewTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.reviewer = make_person("reviewer")
        cls.operator = make_person("operator")
        cls.scene = Scene.objects.create(slug="refunds-x", name="Refunds X")
        cls.other = Scene.objects.create(slug="shops-x", name="Shops X")
        cls.scene.members.set([cls.reviewer, cls.operator])
        for live in (True, True, False):
            make_rule(cls.scene, cls.operator, live=live)
        make_rule(cls.other, cls.operator, live=True)
        for number in range(3):
            make_case(cls.scene, f"Question {number}", Verdict.BAD, ["hallucination"])
        make_case(cls.other, "Hidden question", Verdict.GOOD, [])
        version = ModelVersion.objects.create(name="tiny", kind="base")
        release = Release.objects.create(name="first", version=version, created_by=cls.operator)
        Promotion.objects.create(release=release, by=cls.operator)

    def page(self, user):
        self.client.force_login(user)
        return self.client.get(reverse("overview"))

    def test_signed_out_people_are_sent_to_the_sign_in(self):
        response = self.client.get(reverse("overview"))
        self.assertRedirects(response, f"{reverse('account_login')}?next=/")

    def test_it_counts_what_is_in_the_users_scenes_only(self):
        response = self.page(self.operator)
        assert response.context["live_rules"] == 2
        assert response.context["drafts"] == 1
        assert response.context["total"] == 3
        assert response.context["bad"] == 3
        assert response.context["good"] == 0
        self.assertNotContains(response, "Hidden question")
        self.assertContains(response, "Question 2")

    def test_it_names_the_live_release(self):
        assert self.page(self.operator).context["release"].name == "first"

    def test_each_role_is_told_what_waits_for_it(self):
        self.assertContains(self.page(self.operator), "Publish 1 draft rule")
        response = self.page(self.reviewer)
        self.assertContains(response, "Rewrite 3 bad cases")
        self.assertNotContains(response, "Publish 1 draft rule")

    def test_issue_types_are_counted(self):
        issues = self.page(self.reviewer).context["issues"]
        assert issues == [{"label": "Hallucination", "count": 3, "share": 100}]

    def test_somebody_without_a_role_sees_no_rows_and_is_told_why(self):
        response = self.page(make_person(None, username="new"))
        self.assertContains(response, "You have no role yet")
        assert response.context["total"] == 0

    def test_few_queries(self):
        self.client.force_login(self.reviewer)
        with self.assertNumQueries(16):
            self.client.get(reverse("overview"))

    def test_it_is_read_only(self):
        self.client.force_login(self.reviewer)
        assert self.client.post(reverse("overview")).status_code == 405


class EmptyOverviewTests(TestCase):
    def test_a_fresh_console_says_what_to_do_first(self):
        self.client.force_login(make_person("admin"))
        response = self.client.get(reverse("overview"))
        self.assertContains(response, "No conversations yet")
        self.assertContains(response, "No training runs yet")
        self.assertContains(response, "Make a release live")


class ProbeTests(TestCase):
    def setUp(self):
        cache.delete_many(["heartbeat:celery", "heartbeat:gpu"])

    def test_healthz_answers_without_touching_anything(self):
        with self.assertNumQueries(0):
            response = self.client.get(reverse("healthz"))
        assert (response.status_code, response.content) == (200, b"ok")

    @override_settings(ENGINE_URL=NO_ENGINE)
    def test_readyz_names_each_part_that_is_missing(self):
        heartbeat.beat("celery")
        response = self.client.get(reverse("readyz"))
        parts = response.json()
        assert response.status_code == 503
        assert (parts["database"], parts["redis"], parts["worker"]) == ("ok", "ok", "ok")
        assert "can't be reached" in parts["engine"]
        assert "queue gpu" in parts["gpu_worker"]

    def test_readyz_is_200_when_all_parts_are_there(self):
        heartbeat.beat("celery")
        heartbeat.beat("jobs")
        heartbeat.beat("gpu")
        with mock.patch.object(probes, "_engine", return_value="ok"):
            response = self.client.get(reverse("readyz"))
        assert response.status_code == 200, response.json()

    @override_settings(REDIS_URL="redis://127.0.0.1:9/0", ENGINE_URL=NO_ENGINE)
    def test_readyz_survives_a_lost_broker(self):
        assert "can't be reached" in self.client.get(reverse("readyz")).json()["redis"]


class MetricsTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.auditor = make_person("auditor")
        scene = Scene.objects.create(slug="refunds-y", name="Refunds Y")
        make_case(scene, "Hello", Verdict.GOOD, [])

    def get(self, **extra):
        return self.client.get(reverse("metrics"), REMOTE_ADDR="203.0.113.7", **extra)

    def test_this_machine_reads_them(self):
        response = self.client.get(reverse("metrics"))
        self.assertContains(response, 'wowconsole_turns{status="done"} 1.0')
        self.assertContains(response, 'wowconsole_turn_milliseconds{quantile="0.95"} 1000.0')

    def test_strangers_do_not(self):
        assert self.get().status_code == 403
        assert self.get(HTTP_AUTHORIZATION="Bearer wow_wrong").status_code == 403

    def test_a_proxy_on_this_machine_does_not_open_them(self):
        response = self.client.get(reverse("metrics"), HTTP_X_FORWARDED_FOR="203.0.113.7")
        assert response.status_code == 403

    def test_a_key_reads_them_with_the_scope_only(self):
        for scopes, status in ((["agents.read"], 200), (["knowledge.read"], 403)):
            _, secret = issue_key(user=self.auditor, name="prometheus", scopes=scopes)
            assert self.get(HTTP_AUTHORIZATION=f"Bearer {secret}").status_code == status

    def test_staff_read_them(self):
        self.client.force_login(self.auditor)
        assert self.get().status_code == 200


class SignInTests(TestCase):
    def setUp(self):
        make_person("operator")

    def test_the_right_password_leads_to_the_overview(self):
        response = self.client.post(
            reverse("account_login"), {"login": "operator", "password": "pw"}
        )
        assert response.status_code == 302, response.context["form"].errors
        assert response.url == reverse("overview")

    def test_a_wrong_password_is_said_on_the_form(self):
        response = self.client.post(
            reverse("account_login"), {"login": "operator", "password": "x"}
        )
        self.assertContains(response, 'role="alert"')

    def test_nobody_signs_up(self):
        self.assertContains(self.client.get(reverse("account_signup")), "made by an administrator")

    def test_no_page_carries_an_inline_script_or_handler(self):
        for name in ("account_login", "dialogues:chat"):
            body = self.client.get(reverse(name)).content.decode()
            assert "<script>" not in body
            assert " onclick=" not in body
            assert "hx-on" not in body

    def test_the_administration_uses_the_same_sign_in(self):
        response = self.client.get(reverse("admin:login"), follow=True)
        assert response.redirect_chain[-1][0].startswith(reverse("account_login"))


class ErrorPageTests(TestCase):
    def test_a_wrong_address_leads_back(self):
        response = self.client.get("/nothing-here")
        self.assertContains(response, "There is nothing here", status_code=404)

    def test_an_address_of_the_api_that_leads_nowhere_is_a_problem(self):
        for send in (self.client.get, self.client.post, self.client.delete):
            answer = send("/api/nothing/here/")
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
            assert answer["Content-Type"] == "application/problem+json"
        assert self.client.get("/api/nothing")["Location"] == "/api/nothing/"
        assert self.client.get("/api/turns")["Location"] == "/api/turns/"

    def test_the_500_page_needs_nothing(self):
        with self.assertNumQueries(0):
            assert "Something broke" in render_to_string("500.html")


class ApiKeyAdminTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.admin = User.objects.create_superuser("root", password="pw")

    def setUp(self):
        self.client.force_login(self.admin)

    def issue(self):
        form = {"user": self.admin.pk, "name": "ci", "scopes": ["agents.read", "knowledge.read"]}
        return self.client.post(reverse("admin:wowconsole_apikey_add"), form)

    def test_the_secret_is_shown_once_and_works(self):
        response = self.issue()
        [message] = [str(message) for message in get_messages(response.wsgi_request)][:1]
        secret = message.split()[-1]
        key = ApiKey.objects.get()
        assert key.prefix == secret[:12]
        self.client.logout()
        metrics = self.client.get(
            reverse("metrics"), REMOTE_ADDR="203.0.113.7", HTTP_AUTHORIZATION=f"Bearer {secret}"
        )
        assert metrics.status_code == 200

    def test_a_revoked_key_stays_in_the_list(self):
        self.issue()
        key = ApiKey.objects.get()
        action = {"action": "revoke", "_selected_action": [key.pk]}
        self.client.post(reverse("admin:wowconsole_apikey_changelist"), action)
        key.refresh_from_db()
        assert key.revoked_at is not None

    def test_keys_are_not_deleted(self):
        self.issue()
        url = reverse("admin:wowconsole_apikey_delete", args=[ApiKey.objects.get().pk])
        assert self.client.post(url, {"post": "yes"}).status_code == 403
