from uuid import uuid4

from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from agents.subagents import REGISTRY
from dialogues.jobs import dialling
from dialogues.jobs.subagents import CALL, LOOK
from dialogues.models import Outcome, SubagentJob
from dialogues.proactive.api import DecisionSerializer, NewEventSerializer
from tests import factories
from tests.dialogues.calls import do, make_job, make_plan, told

LIST = reverse("dialogues:job-list")


def urls_of(job):
    names = ("dialogues:job-detail", "dialogues:job-cancel")
    return [reverse(name, args=[job.public_id]) for name in names]


class PageTests(TestCase):
    def setUp(self):
        self.scene = factories.make_scene()
        self.operator = factories.make_user("operator", [self.scene])
        self.conversation = factories.make_conversation(scene=self.scene)
        self.job = make_job(self.conversation)
        self.detail, self.cancel = urls_of(self.job)
        self.client.force_login(self.operator)

    def test_the_list_shows_jobs_and_who_can_do_what(self):
        do(self.job)
        response = self.client.get(LIST)
        self.assertContains(response, "Bangkok Corner answered")
        self.assertContains(response, "outbound_call")
        self.assertContains(response, "1 job")

    def test_list_and_plan_say_why_a_job_failed(self):
        why = "Nobody was called: the record has no phone."
        failed = {"state": "failed", "error": why, "progress": "Failed"}
        SubagentJob.objects.filter(pk=self.job.pk).update(**failed, finished_at=timezone.now())
        for url in (LIST, reverse("dialogues:plan-detail", args=["call_merchant"])):
            self.assertContains(self.client.get(url), why)

    def test_an_empty_list_says_where_jobs_come_from(self):
        self.job.delete()
        self.assertContains(self.client.get(LIST), "No jobs yet")

    def test_filters(self):
        do(make_job(self.conversation, key="b", order_id="GW1002"))
        shown = {
            "?state=open": "1 job",
            "?state=done": "1 job",
            "?name=outbound_call": "2 jobs",
            "?name=other": "No job matches",
            "?state=nonsense": "2 jobs",
        }
        for query, text in shown.items():
            self.assertContains(self.client.get(LIST + query), text)

    def test_htmx_gets_the_table_alone(self):
        response = self.client.get(LIST, headers={"HX-Request": "true"})
        self.assertNotContains(response, "<html")
        assert "HX-Request" in response.headers["Vary"]

    def test_the_page_shows_facts_proof_score_and_states(self):
        do(self.job)
        response = self.client.get(self.detail)
        for text in (
            "Goal reached: 40",
            'href="#line-4"',
            'id="line-4"',
            "25 minutes",
            "Agreed to",
            "a heuristic: no judge is configured",
            "From delegation to result",
            "the template&#x27;s words",
        ):
            self.assertContains(response, text)
        self.assertNotContains(response, "Cancel</button>")

    def test_what_was_read_has_its_unit_and_what_comes_again_is_counted(self):
        plan = make_plan(name="call_shop", addresses={"*": "link:"})
        job = do(make_job(self.conversation, plan.name, key="c", order_id="GW1003"))
        secret = dialling.answer(job.link)
        for text in ("Hello?", "90 minutes", "Yes", "Right"):
            job = do(job)
            dialling.type_line(job.link, secret=secret, text=text, client_id=text)
        job = do(job)
        response = self.client.get(job.get_absolute_url())
        self.assertContains(response, "<td>1 hour 30 minutes</td>")
        self.assertContains(response, "Waiting for somebody, 3 times from")
        assert len(response.context["states"]) == job.changes.count() - 4

    def test_a_call_that_waits_shows_its_link_to_who_may_act(self):
        plan = make_plan(name="call_shop", addresses={"*": "link:"})
        job = do(make_job(self.conversation, plan.name, key="c", order_id="GW1003"))
        response = self.client.get(job.get_absolute_url())
        self.assertContains(response, dialling.address_of(job))
        self.client.force_login(factories.make_user("auditor"))
        self.assertNotContains(self.client.get(job.get_absolute_url()), dialling.token_of(job))

    def test_cancelling(self):
        response = self.client.post(self.cancel)
        self.assertRedirects(response, self.detail)
        assert told(self.job)[-1] == ("cancelled", f"Cancelled by {self.operator.username}")
        assert self.client.post(self.cancel).status_code == 409
        assert self.client.get(self.cancel).status_code == 405

    def test_strangers_and_the_signed_out_see_nothing(self):
        self.client.force_login(factories.make_user("operator", [factories.make_scene()]))
        self.assertContains(self.client.get(LIST), "No jobs yet")
        assert self.client.get(self.detail).status_code == 404
        assert self.client.post(self.cancel).status_code == 404
        self.client.logout()
        for url in (LIST, self.detail):
            assert self.client.get(url).status_code == 302

    def test_an_auditor_reads_and_stops_nothing(self):
        self.client.force_login(factories.make_user("auditor"))
        self.assertNotContains(self.client.get(self.detail), "Cancel</button>")
        assert self.client.post(self.cancel).status_code == 403
        self.client.force_login(factories.make_user())
        assert self.client.get(LIST).status_code == 403

    def test_queries_do_not_grow_with_jobs(self):
        for number in range(3):
            do(make_job(self.conversation, key=str(number), order_id=f"GW200{number}"))
        with self.assertNumQueries(5):
            self.client.get(LIST)
        with self.assertNumQueries(6):
            self.client.get(self.detail)

    def test_the_conversation_shows_jobs_as_what_happened(self):
        do(self.job)
        response = self.client.get(self.conversation.get_absolute_url())
        self.assertContains(response, "call_merchant, done: Done")


class RegistryTests(TestCase):
    """Which sub-agents there are: their types, versions and budgets, on the page and in the API."""

    def setUp(self):
        self.client.force_login(factories.make_user("operator"))

    def test_the_page_shows_typed_inputs_and_outputs(self):
        page = self.client.get(LIST)
        for subagent in REGISTRY.values():
            self.assertContains(page, f"Version {subagent.version}: {subagent.description}.")
        self.assertContains(page, "longest_wait_minutes")
        self.assertContains(page, "Inputs and outputs", count=len(REGISTRY) + 1)

    def test_speaking_first_is_listed_with_its_event_and_its_decision(self):
        page = self.client.get(LIST)
        self.assertContains(page, "Begun by an event of a business system.")
        self.assertContains(page, f'href="{reverse("dialogues:proactive-list")}"')
        row = self.client.get("/api/subagents/proactive/").json()
        assert (row["version"], row["start"], row["timeout_seconds"]) == (1, "event", 43_200)
        taken = NewEventSerializer().fields
        assert set(row["inputs"]["properties"]) == set(taken)
        required = {name for name, field in taken.items() if field.required}
        assert set(row["inputs"]["required"]) == required
        decision = row["outputs"]["properties"]["decision"]["properties"]
        assert set(decision) == set(DecisionSerializer().fields)
        assert decision["outcome"]["enum"] == Outcome.values

    def test_the_api_lists_what_is_registered(self):
        rows = {row["name"]: row for row in self.client.get("/api/subagents/").json()["results"]}
        assert set(rows) == {*REGISTRY, "proactive"}
        for name, subagent in REGISTRY.items():
            assert rows[name]["inputs"] == subagent.inputs
            assert rows[name]["outputs"] == subagent.outputs
            assert rows[name]["cost_class"] == subagent.cost_class
        starts = {name: rows[name]["start"] for name in ("read_queue", CALL, LOOK)}
        assert starts == {"read_queue": "tool", CALL: "plan", LOOK: "message"}
        assert self.client.get("/api/subagents/read_queue/").json() == rows["read_queue"]
        assert self.client.get("/api/subagents/nobody/").status_code == 404

    def test_it_is_read_by_staff_and_changed_by_nobody(self):
        assert self.client.post("/api/subagents/").status_code in (403, 405)
        self.client.force_login(factories.make_user())
        assert self.client.get("/api/subagents/").status_code == 403
        self.client.logout()
        assert self.client.get("/api/subagents/").status_code in (401, 403)

    def test_it_stands_in_the_schema(self):
        answer = self.client.get("/api/schema/?format=json").json()
        whole = answer["paths"]["/api/subagents/"]["get"]["responses"]["200"]
        named = whole["content"]["application/json"]["schema"]["$ref"]
        assert named == "#/components/schemas/Subagents"
        assert "/api/subagents/{name}/" in answer["paths"]


class StartingTests(TestCase):
    def setUp(self):
        scene = factories.make_scene()
        self.plan = make_plan()
        self.conversation = factories.make_conversation(scene=scene)
        self.url = reverse("dialogues:call-start", args=[self.conversation.public_id])
        self.client.force_login(factories.make_user("operator", [scene]))

    def post(self, order_id="GW1001", plan="call_merchant"):
        prefix = "call_merchant-"
        fields = {"plan": plan, f"{prefix}order_id": order_id, f"{prefix}nonce": "n"}
        return self.client.post(self.url, fields)

    def test_staff_have_a_shop_called(self):
        self.assertContains(self.client.get(self.url), 'name="call_merchant-order_id"')
        response = self.post()
        job = self.conversation.jobs.get()
        self.assertRedirects(response, job.get_absolute_url())
        assert (job.arguments, job.turn) == ({"order_id": "GW1001"}, None)
        self.post()
        assert self.conversation.jobs.count() == 1, "sent twice, called once"

    def test_what_is_wrong_is_refused(self):
        assert self.post(order_id="").status_code == 422
        assert self.post(order_id="nonsense").status_code == 422
        assert self.post(plan="none").status_code == 404

    def test_without_plans_it_says_who_writes_them(self):
        self.plan.delete()
        self.assertContains(self.client.get(self.url), "No call plans")

    def test_strangers_and_readers_start_nothing(self):
        self.client.force_login(factories.make_user("auditor"))
        assert self.post().status_code == 403
        self.client.force_login(factories.make_user("operator", [factories.make_scene()]))
        assert self.post().status_code == 404
        self.client.logout()
        assert self.client.get(self.url).status_code == 302

    def test_programs_do_too(self):
        body = {
            "conversation": str(self.conversation.public_id),
            "name": "call_merchant",
            "arguments": {"order_id": "GW1001"},
        }
        answer = self.client.post("/api/jobs/", body, content_type="application/json")
        assert (answer.status_code, answer.json()["state"]) == (201, "queued")
        wrong = {**body, "name": "outbound_call"}
        answer = self.client.post("/api/jobs/", wrong, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_subagent")
        self.client.force_login(factories.make_user("operator", [factories.make_scene()]))
        answer = self.client.post("/api/jobs/", body, content_type="application/json")
        assert answer.status_code == 404


class ApiTests(TestCase):
    def setUp(self):
        self.scene = factories.make_scene()
        self.conversation = factories.make_conversation(scene=self.scene)
        self.job = make_job(self.conversation)
        self.client.force_login(factories.make_user("operator", [self.scene]))

    def test_list_and_detail(self):
        do(self.job)
        [row] = self.client.get("/api/jobs/").json()["results"]
        assert (row["id"], row["state"], row["subagent"]) == (
            str(self.job.public_id),
            "done",
            "outbound_call",
        )
        whole = self.client.get(f"/api/jobs/{row['id']}/").json()
        assert whole["lines"][0]["speaker"] == "agent"
        assert [change["state"] for change in whole["changes"]] == ["queued", "running", "done"]
        assert whole["report"]["score"]["total"] == whole["result"]["score"]

    def test_filters(self):
        for query, count in {"?state=open": 1, "?state=done": 0, "?name=x": 0}.items():
            assert len(self.client.get(f"/api/jobs/{query}").json()["results"]) == count

    def test_cancel_once(self):
        url = f"/api/jobs/{self.job.public_id}/cancel/"
        assert self.client.post(url).json()["state"] == "cancelled"
        again = self.client.post(url)
        assert (again.status_code, again.json()["code"]) == (409, "job_over")

    def test_strangers_and_wrong_roles(self):
        url = f"/api/jobs/{self.job.public_id}/"
        self.client.force_login(factories.make_user("auditor"))
        assert self.client.get(url).status_code == 200
        assert self.client.post(f"{url}cancel/").status_code == 403
        self.client.force_login(factories.make_user("operator", [factories.make_scene()]))
        assert self.client.get(url).status_code == 404
        assert self.client.get(f"/api/jobs/{uuid4()}/").status_code == 404
        self.client.logout()
        assert self.client.get(url).status_code in (401, 403)

    def test_queries_do_not_grow(self):
        for number in range(3):
            do(make_job(self.conversation, key=str(number), order_id=f"GW200{number}"))
        with self.assertNumQueries(4):
            self.client.get("/api/jobs/")
