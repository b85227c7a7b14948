"""The pages and addresses of conflicts, for operators, approvers, strangers and auditors."""

from unittest import mock

from django.test import TestCase
from django.urls import reverse

from knowledge import conflicts, jobs
from knowledge.models import Conflict, ConflictState, Job
from tests.factories import make_scene, make_unit, make_user

HTMX = {"HX-Request": "true"}
CONDITION = "When a customer asks how long shoes can be returned"


class ConflictPages(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.owner = make_user("operator", [cls.scene])
        cls.approver = make_user("approver", [cls.scene])
        cls.stranger = make_user("approver", [make_scene()])
        cls.auditor = make_user("auditor")
        cls.unit = cls.rule("Shoes <script>go</script> back within 30 days.", title="Returns")
        cls.other = cls.rule("Shoes <script>go</script> back within 14 days.", title="<b>Shoes")
        [cls.conflict] = conflicts.check(cls.other.latest)

    @classmethod
    def rule(cls, content, **fields):
        fields = {"condition": CONDITION, **fields}
        return make_unit(scene=cls.scene, author=cls.owner, content=content, **fields)

    def setUp(self):
        self.client.force_login(self.owner)

    def url(self, name, *args):
        return reverse(f"knowledge:{name}", args=args)

    def post(self, name, **data):
        return self.client.post(self.url(name, self.conflict.public_id), data)

    def state(self):
        self.conflict.refresh_from_db()
        return self.conflict.state


class UnitConflictsTests(ConflictPages):
    def test_both_sentences_stand_side_by_side_as_text(self):
        for unit in (self.unit, self.other):
            response = self.client.get(self.url("unit-conflicts", unit.pk), headers=HTMX)
            self.assertNotContains(response, "<html")
            self.assertContains(response, "<mark>30</mark>")
            self.assertContains(response, "<mark>14</mark>")
            self.assertContains(response, "&lt;script&gt;go")
            self.assertNotContains(response, "<script>go")
        self.assertContains(response, self.url("unit-detail", self.unit.pk))
        whole = self.client.get(self.url("unit-conflicts", self.unit.pk))
        self.assertContains(whole, "&lt;b&gt;Shoes")
        self.assertContains(whole, "<html")

    def test_the_rules_page_fetches_the_box(self):
        page = self.client.get(self.url("unit-detail", self.unit.pk))
        self.assertContains(page, self.url("unit-conflicts", self.unit.pk))
        self.assertContains(page, self.url("unit-lineage", self.unit.pk))

    def test_strangers_and_the_signed_out_see_nothing(self):
        self.client.force_login(self.stranger)
        assert self.client.get(self.url("unit-conflicts", self.unit.pk)).status_code == 404
        self.client.logout()
        assert self.client.get(self.url("unit-conflicts", self.unit.pk)).status_code == 302

    def test_the_number_of_queries_does_not_grow(self):
        for days in (7, 8, 9):
            conflicts.check(self.rule(f"Shoes go back within {days} days.").latest)
        with self.assertNumQueries(5):  # session, user, roles, unit, conflicts
            response = self.client.get(self.url("unit-conflicts", self.unit.pk))
        assert len(response.context["rows"]) == 4


class SavingTests(ConflictPages):
    def save(self, **fields):
        texts = {"title": "Third", "condition": CONDITION, "scene": self.scene.slug}
        data = {**texts, "content": "Shoes go back within 9 days.", "risk": "low", "priority": "0"}
        with self.captureOnCommitCallbacks(execute=True), mock.patch.object(jobs, "send"):
            return self.client.post(self.url("unit-create"), data | fields)

    def test_saving_finds_conflicts(self):
        assert self.save(draft="1").status_code == 302
        assert Conflict.objects.exclude(pk=self.conflict.pk).count() == 2

    def test_the_api_finds_them_too(self):
        body = {
            "scene": self.scene.slug,
            "title": "Third",
            "condition": CONDITION,
            "content": "Shoes <script>go</script> back within 9 days.",
        }
        with self.captureOnCommitCallbacks(execute=True):
            made = self.client.post("/api/knowledge/units/", body, content_type="application/json")
        assert made.status_code == 201
        found = self.client.get("/api/knowledge/conflicts/", {"unit": made.json()["id"]}).json()
        assert [row["state"] for row in found["results"]] == ["proven", "proven"]


class ConflictListTests(ConflictPages):
    def test_open_conflicts_are_listed_filtered_and_told_apart(self):
        page = self.client.get(self.url("conflict-list"))
        self.assertContains(page, "1 open conflict")
        self.assertContains(page, "“14 days” against “30 days”")
        for query, count in (
            ({"kind": "contradiction"}, 1),
            ({"kind": "overlap"}, 0),
            ({"kind": "moon", "scene": "moon", "page": "x"}, 1),
            ({"scene": self.scene.slug}, 1),
        ):
            part = self.client.get(self.url("conflict-list"), query, headers=HTMX)
            assert part.context["page"].paginator.count == count, query
        self.assertNotContains(part, "<html")

    def test_a_stranger_sees_an_empty_list_and_an_auditor_no_buttons(self):
        self.client.force_login(self.stranger)
        self.assertContains(self.client.get(self.url("conflict-list")), "No open conflicts")
        self.client.force_login(self.auditor)
        page = self.client.get(self.url("conflict-list"))
        self.assertContains(page, "1 open conflict")
        self.assertNotContains(page, "Check the whole base")
        self.assertNotContains(page, "No conflict<")
        assert self.client.post(self.url("conflict-check")).status_code == 403
        assert self.post("conflict-dismiss").status_code == 403

    def test_the_number_of_queries_does_not_grow(self):
        for days in (7, 8, 9):
            conflicts.check(self.rule(f"Shoes go back within {days} days.").latest)
        with self.assertNumQueries(7):  # session, user, roles, scenes, count, rows, job
            self.client.get(self.url("conflict-list"))

    def test_one_check_of_the_base_at_a_time(self):
        with mock.patch.object(jobs, "send"):
            for _ in range(2):
                assert self.client.post(self.url("conflict-check")).status_code == 302
        job = Job.objects.get()
        assert (job.task, job.by) == (conflicts.BASE_TASK, self.owner)
        page = self.client.get(self.url("conflict-list"))
        self.assertContains(page, f"job-{job.public_id}")
        self.assertNotContains(page, "Check the whole base")


class DecisionTests(ConflictPages):
    def test_an_operator_does_not_pass_over_a_proven_contradiction(self):
        assert self.post("conflict-dismiss").status_code == 403
        assert self.post("conflict-override", reason="I want it.").status_code == 403
        assert self.state() == ConflictState.PROVEN

    def test_an_approver_dismisses_and_returns_to_the_rule(self):
        self.client.force_login(self.approver)
        response = self.post("conflict-dismiss", unit=self.unit.pk)
        self.assertRedirects(response, self.url("unit-detail", self.unit.pk))
        assert self.state() == ConflictState.DISMISSED
        assert self.post("conflict-dismiss").status_code == 409

    def test_an_approver_overrides_with_a_reason(self):
        self.client.force_login(self.approver)
        assert self.post("conflict-override", reason=" ").status_code == 422
        response = self.post("conflict-override", reason="<i>Both</i> are right", unit="moon")
        self.assertRedirects(response, self.url("conflict-list"))
        page = self.client.get(self.url("conflict-list"))
        self.assertContains(page, "&lt;i&gt;Both")
        self.conflict.refresh_from_db()
        assert self.conflict.decided_by == self.approver

    def test_strangers_and_wrong_methods(self):
        assert self.client.get(self.url("conflict-check")).status_code == 405
        self.client.force_login(self.stranger)
        for name in ("conflict-dismiss", "conflict-override"):
            assert self.post(name, reason="So be it.").status_code == 404


class ConflictApiTests(ConflictPages):
    def test_a_number_beyond_all_rules_is_no_fault(self):
        answer = self.client.get("/api/knowledge/conflicts/", {"unit": "9" * 5000})
        assert answer.status_code == 200

    def api(self, action="", **body):
        url = f"/api/knowledge/conflicts/{action}"
        if not action:
            return self.client.get(url, body)
        return self.client.post(url, body, content_type="application/json")

    def test_the_open_ones_are_listed(self):
        [row] = self.api().json()["results"]
        assert (row["left_unit"], row["right_unit"]) == (self.other.pk, self.unit.pk)
        assert row["scene"] == self.scene.slug
        assert self.api(unit=self.unit.pk, state="proven", kind="contradiction").json()["results"]
        assert self.api(unit=self.unit.pk, scene="moon").json()["results"] == []
        with self.assertNumQueries(4):
            self.api()

    def test_decisions(self):
        pk = self.conflict.public_id
        assert self.api(f"{pk}/override/", reason="Both stand.").status_code == 403
        self.client.force_login(self.stranger)
        assert self.api(f"{pk}/dismiss/").status_code == 404
        self.client.force_login(self.approver)
        assert self.api(f"{pk}/override/").status_code == 400
        done = self.api(f"{pk}/override/", reason="Both stand.").json()
        assert done["override_reason"] == "Both stand."
        assert done["decided_by"] == self.approver.username
        refused = self.api(f"{pk}/dismiss/")
        assert (refused.status_code, refused.json()["code"]) == (409, "already_decided")
