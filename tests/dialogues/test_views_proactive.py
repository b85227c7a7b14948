from django.test import TestCase, override_settings
from django.utils import timezone

from dialogues.models import Outcome, ProactiveDecision, ProactivePolicy
from tests.dialogues.policies import make_chat, make_event, make_policy
from tests.dialogues.test_identifying import make_site
from tests.factories import make_scene, make_user
from wowconsole.apikeys import issue_key

LIST = "/dialogues/proactive/"
FORM = {
    "name": "Late orders",
    "event_type": "order_late",
    "template": "Your order {order_id} is late.",
    "wording": "template",
    "reach": "any",
    "delay_minutes": "0",
    "stale_minutes": "60",
    "cooldown_hours": "24",
    "priority": "0",
    "holdout_percent": "10",
    "contact_hours": "24",
    "conditions-TOTAL_FORMS": "2",
    "conditions-INITIAL_FORMS": "0",
    "conditions-0-field": "minutes_late",
    "conditions-0-op": "gte",
    "conditions-0-value": "30",
    "conditions-1-op": "gte",
}


def make_decisions(policy, number=3, outcome=Outcome.SENT):
    for _ in range(number):
        event = make_event()
        ProactiveDecision.objects.create(
            event=event,
            policy=policy,
            version=policy.version,
            customer_ref=event.customer_ref,
            outcome=outcome,
            reason="So it is.",
            conversation=make_chat(scene=policy.version.scene),
            decided_at=timezone.now(),
        )


class ListTests(TestCase):
    def test_policies_of_ones_scenes_are_listed(self):
        scene = make_scene()
        for number in range(3):
            make_decisions(make_policy(name=f"Mine {number}", scene=scene), 2)
        make_policy(name="Theirs", scene=make_scene())
        self.client.force_login(make_user("operator", [scene]))
        with self.assertNumQueries(5):
            page = self.client.get(LIST)
        self.assertContains(page, "Mine 2")
        self.assertNotContains(page, "Theirs")
        self.assertNotContains(page, "New policy")  # operators write none

    def test_it_says_what_to_do_where_there_is_none(self):
        self.client.force_login(make_user("approver"))
        self.assertContains(self.client.get(LIST), "No policy yet")

    def test_only_staff_see_it(self):
        assert self.client.get(LIST).status_code == 302
        self.client.force_login(make_user())
        assert self.client.get(LIST).status_code == 403


class DetailTests(TestCase):
    def setUp(self):
        self.scene = make_scene()
        self.policy = make_policy(scene=self.scene, promise="Soon.", promise_minutes=5)
        self.url = self.policy.get_absolute_url()
        self.client.force_login(make_user("operator", [self.scene]))

    def test_the_ledger_says_why(self):
        make_decisions(self.policy)
        make_decisions(self.policy, 1, Outcome.HELD_OUT)
        with self.assertNumQueries(7):
            page = self.client.get(self.url)
        self.assertContains(page, "So it is.", 4)
        self.assertContains(page, "Not enough customers in both groups yet.")

    def test_it_can_be_narrowed(self):
        make_decisions(self.policy)
        make_decisions(self.policy, 1, Outcome.HELD_OUT)
        self.assertContains(self.client.get(f"{self.url}?outcome=held_out"), "1 decision")
        self.assertContains(self.client.get(f"{self.url}?customer=nobody"), "No decision matches")
        part = self.client.get(self.url, headers={"HX-Request": "true"})
        self.assertNotContains(part, "<html")

    def test_strangers_find_nothing(self):
        self.client.force_login(make_user("operator", [make_scene()]))
        assert self.client.get(self.url).status_code == 404

    def test_who_may_lets_it_speak_and_pauses_it(self):
        assert self.client.post(f"{self.url}switch/").status_code == 403
        self.client.force_login(make_user("approver", [self.scene]))
        assert self.client.get(f"{self.url}switch/").status_code == 405
        for active in (False, True):
            answer = self.client.post(f"{self.url}switch/", {"active": str(active).lower()})
            self.assertRedirects(answer, self.url)
            self.policy.refresh_from_db()
            assert self.policy.is_active is active


@override_settings(QUIET_FROM_HOUR=0, QUIET_UNTIL_HOUR=0)
class FormTests(TestCase):
    def setUp(self):
        self.client.force_login(make_user("admin"))

    def post(self, url=f"{LIST}new/", **fields):
        return self.client.post(url, {key: v for key, v in (FORM | fields).items() if v != ""})

    def test_a_new_policy_is_paused(self):
        answer = self.post()
        policy = ProactivePolicy.objects.get()
        self.assertRedirects(answer, policy.get_absolute_url())
        assert not policy.is_active
        row = {"field": "minutes_late", "op": "gte", "value": 30}
        assert policy.version.conditions == [row]

    def test_an_edit_is_a_version(self):
        policy = make_policy()
        url = f"{policy.get_absolute_url()}edit/"
        self.assertContains(self.client.get(url), 'value="minutes_late"')
        self.post(url, expected=1, name=policy.name, template="Late.")
        policy.refresh_from_db()
        assert (policy.version.number, policy.version.template) == (2, "Late.")
        assert policy.versions.count() == 2
        assert self.post(url, expected=1, name=policy.name).status_code == 409

    def test_trying_stores_nothing(self):
        make_event()
        make_event("c-2", data={"order_id": "GW2", "minutes_late": 3})
        page = self.post(**{"try": "true", "holdout_percent": "0"})
        self.assertContains(page, "Over the last 2 events it would have told 1")
        self.assertContains(page, "Your order GW1002 is late.")
        assert not ProactivePolicy.objects.exists()
        assert not ProactiveDecision.objects.exists()

    def test_trying_shows_what_was_no_news_any_more(self):
        for customer, order in (("c-1", "GW1"), ("c-2", "GW2"), ("c-3", "GW3")):
            make_event(customer, data={"order_id": order, "minutes_late": 45})
        make_event("c-1", type="order_cancelled", data={"order_id": "GW1"})
        make_event("c-2", type="order_cancelled", data={"order_id": "GW9"})
        wanted = {"delay_minutes": "5", "kept_field": "order_id", "over_by": "order_cancelled, x"}
        page = self.post(**{"try": "true", "holdout_percent": "0", **wanted})
        self.assertContains(page, "Over the last 3 events it would have told 2")
        self.assertContains(page, "order_cancelled came for it.")

    def test_what_ends_the_news_is_kept_and_shown(self):
        page = self.post(over_by="order_cancelled, order_refused", kept_field="order_id")
        policy = ProactivePolicy.objects.get()
        self.assertRedirects(page, policy.get_absolute_url())
        assert policy.version.over_by == ["order_cancelled", "order_refused"]
        shown = self.client.get(policy.get_absolute_url())
        self.assertContains(
            shown,
            "No longer news after <code>order_cancelled</code> or <code>order_refused</code> "
            "with the same <code>order_id</code>.",
        )
        edit = self.client.get(f"{policy.get_absolute_url()}edit/")
        self.assertContains(edit, 'value="order_cancelled,order_refused"')

    def test_wrong_fields_are_named(self):
        for fields, words in (
            ({"template": "Order {order id}"}, "is no field of an event"),
            ({"stale_minutes": "0"}, "must not be stale"),
            ({"promise": "Soon."}, "needs the minutes"),
            ({"holdout_percent": "60"}, "Hold out at most half"),
            ({"cooldown_hours": "99999999"}, "less than or equal to 87600"),
            ({"contact_hours": "0"}, "greater than or equal to 1"),
            ({"contact_hours": "99999999"}, "less than or equal to 32767"),
            ({"delay_minutes": "99999999"}, "less than or equal to 5256000"),
            ({"stale_minutes": "99999999"}, "less than or equal to 5256000"),
            ({"promise": "Soon.", "promise_minutes": "99999999"}, "less than or equal to 5256000"),
            ({"over_by": "order cancelled"}, "valid “slug”"),
            ({"priority": "-99999"}, "greater than or equal to -32768"),
            ({"conditions-0-field": "a b"}, "Write a field as"),
            ({"name": ""}, "This field is required"),
        ):
            page = self.post(**fields)
            assert page.status_code == 422
            self.assertContains(page, words, status_code=422)
        make_policy(name="Late orders")
        self.assertContains(self.post(), "Another policy has this name", status_code=422)

    def test_what_concerns_every_scene_is_for_who_sees_them_all(self):
        scene = make_scene()
        self.client.force_login(make_user("approver", [scene]))
        assert self.post().status_code == 422  # without a scene
        assert self.post(scene=make_scene().pk).status_code == 422
        self.assertNotContains(self.client.get(f"{LIST}new/"), "Every scene")
        mine = self.post(scene=scene.pk)
        self.assertRedirects(mine, ProactivePolicy.objects.get().get_absolute_url())
        everywhere = make_policy()
        url = everywhere.get_absolute_url()
        page = self.client.get(url)
        self.assertNotContains(page, "Pause")
        self.assertNotContains(page, "Edit")
        assert self.client.get(f"{url}edit/").status_code == 404
        refused = self.post(f"{url}edit/", expected=1, name=everywhere.name, scene=scene.pk)
        assert refused.status_code == 404
        assert self.client.post(f"{url}switch/", {"active": "false"}).status_code == 404
        everywhere.refresh_from_db()
        assert everywhere.is_active
        assert everywhere.versions.count() == 1

    def test_only_who_may_writes(self):
        self.client.force_login(make_user("operator"))
        assert self.post().status_code == 403
        assert self.client.get(f"{LIST}new/").status_code == 403


class ApiTests(TestCase):
    def setUp(self):
        self.scene = make_scene()
        self.policy = make_policy(scene=self.scene)
        user = make_user("operator", [self.scene])
        _, secret = issue_key(user=user, name="k", scopes=["dialogues.read"])
        self.headers = {"Authorization": f"Bearer {secret}"}

    def get(self, path=""):
        return self.client.get(f"/api/proactive/policies/{path}", headers=self.headers)

    def test_policies_with_version_and_effect(self):
        make_policy(scene=make_scene())
        [shown] = self.get().json()["results"]
        assert shown["version"]["over_by"] == []
        assert shown["version"]["template"] == self.policy.version.template
        one = self.get(f"{self.policy.public_id}/").json()
        names = [measure["name"] for measure in one["effect"]]
        assert names[:2] == ["Wrote to us", "Asked for a person"]

    def test_the_ledger(self):
        make_decisions(self.policy, 2)
        make_decisions(self.policy, 1, Outcome.CAPPED)
        path = f"{self.policy.public_id}/decisions/"
        with self.assertNumQueries(5):
            assert len(self.get(path).json()["results"]) == 3
        assert len(self.get(f"{path}?outcome=capped").json()["results"]) == 1
        assert self.get(f"{path}?outcome=odd").status_code == 400

    def test_the_ledger_of_a_policy_of_every_scene_tells_of_ones_own(self):
        policy, other = make_policy(), make_scene()
        shop, away = make_site(), make_site(slug="away", scene=other)
        for ref, scene, site, where in (
            ("mine", self.scene, shop, self.scene),
            ("of-none", None, shop, None),
            ("their-event", other, shop, None),
            ("their-chat", self.scene, shop, other),
            ("their-site", None, away, None),
        ):
            ProactiveDecision.objects.create(
                event=make_event(ref, scene=scene, site=site),
                policy=policy,
                version=policy.version,
                customer_ref=ref,
                conversation=make_chat(ref, scene=where) if where else None,
            )
        shown = self.get(f"{policy.public_id}/decisions/").json()["results"]
        assert [row["customer_ref"] for row in shown] == ["of-none", "mine"]
        self.client.force_login(make_user("operator", [self.scene]))
        self.assertContains(self.client.get(policy.get_absolute_url()), "2 decisions")

    def test_only_with_the_scope(self):
        assert self.client.get("/api/proactive/policies/").status_code == 401
