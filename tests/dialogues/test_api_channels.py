"""REST of sites, call plans, contact rules and opt-outs: what the pages do, for programs."""

from django.test import TestCase

from dialogues.chat import identifying
from dialogues.models import CallPlan, CallTrial, ContactRules, OptOut, Site, SiteKey
from dialogues.proactive import contact
from tests.dialogues.calls import CARD, NUMBER, make_plan
from tests.dialogues.test_identifying import make_key, make_site, signed
from tests.factories import make_scene, make_user
from wowconsole.apikeys import issue_key
from wowconsole.models import IdempotentRequest

JSON = "application/json"


class ApiCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.ana = make_user("operator", [cls.scene])
        cls.admin = make_user("admin")

    def call(self, method, path, data=None, *, user=None, scopes=None, **headers):
        scopes = scopes or ["dialogues.read", "dialogues.manage", "dialogues.reply"]
        _, secret = issue_key(user=user or self.ana, name="t", scopes=scopes)
        headers = {"Authorization": f"Bearer {secret}", **headers}
        send = getattr(self.client, method)
        return send(f"/api/{path}", data, content_type=JSON, headers=headers)

    def as_admin(self, method, path, data=None, **headers):
        scopes = ["admin", "dialogues.read", "dialogues.manage", "dialogues.reply"]
        return self.call(method, path, data, user=self.admin, scopes=scopes, **headers)


class SiteApiTests(ApiCase):
    def new(self, **fields):
        return {"slug": "shop", "name": "Shop", "scene": self.scene.slug, **fields}

    def test_a_site_is_made_changed_and_removed(self):
        made = self.call("post", "sites/", self.new(origins=["https://shop.example"]))
        assert made.status_code == 201
        assert 'data-site="shop"' in made.json()["snippet"]
        assert made.json()["revision"] == 1
        changed = self.call("patch", "sites/shop/", {"color": "#123456", "based_on": 1})
        assert changed.json()["revision"] == 2
        assert 'data-color="#123456"' in changed.json()["snippet"]
        stale = self.call("patch", "sites/shop/", {"color": "#654321", "based_on": 1})
        assert (stale.status_code, stale.json()["code"]) == (409, "changed_meanwhile")
        assert self.call("delete", "sites/shop/").status_code == 204
        assert not Site.objects.exists()

    def test_refusals_are_problems(self):
        make_site(scene=self.scene)
        for wrong in (
            self.new(slug="a", origins=["shop.example"]),
            self.new(slug="a", origins="https://shop.example"),
            self.new(slug="a", scene=make_scene().slug),
            self.new(slug="a", scene=None),
            self.new(slug="a", color="red"),
            self.new(),
        ):
            answer = self.call("post", "sites/", wrong)
            assert answer.status_code in (400, 422), wrong
            assert answer["Content-Type"] == "application/problem+json"
        assert self.call("patch", "sites/shop/", {"slug": "other"}).status_code == 400
        make_site(slug="all")
        assert self.call("patch", "sites/all/", {"name": "x"}).status_code == 403
        make_site(slug="theirs", scene=make_scene())
        assert self.call("get", "sites/theirs/").status_code == 404
        assert self.call("post", "sites/", self.new(), scopes=["dialogues.read"]).status_code == 403

    def test_many_sites_take_few_queries(self):
        for number in range(3):
            make_site(slug=f"s{number}", scene=self.scene)
        _, secret = issue_key(user=self.ana, name="t", scopes=["dialogues.read"])
        with self.assertNumQueries(5):
            page = self.client.get("/api/sites/", headers={"Authorization": f"Bearer {secret}"})
        assert [site["slug"] for site in page.json()["results"]] == ["s2", "s1", "s0"]

    def test_keys_are_made_and_ended_by_administrators(self):
        site = make_site(scene=self.scene)
        assert self.call("post", "sites/shop/keys/new/", {}).status_code == 403
        made = self.as_admin("post", "sites/shop/keys/new/", {}, **{"Idempotency-Key": "a"})
        assert made.status_code == 201
        secret = made.json()["secret"]
        key = SiteKey.objects.get()
        assert identifying.verify(signed(key, secret=secret)).ref == "C-7"
        kept = IdempotentRequest.objects.get()
        assert kept.status is None  # a secret is not kept for a repetition
        listed = self.call("get", "sites/shop/keys/").json()["results"]
        assert listed[0]["last_used_at"]
        assert secret not in str(listed)
        url = f"sites/shop/keys/{key.key_id}/end/"
        assert self.call("post", url).status_code == 403
        assert self.as_admin("post", url).json()["is_live"] is False
        make_key(site)
        assert self.as_admin("post", "sites/shop/keys/key_0/end/").status_code == 404
        wrong = {"algorithm": "RS256"}
        assert self.as_admin("post", "sites/shop/keys/new/", wrong).status_code == 422


class PlanApiTests(ApiCase):
    def new(self, **fields):
        told = {"name": "call_shop", "description": "call", "parameters": NUMBER, "card": CARD}
        return {**told, "addresses": {"*": "simulated:terse"}, **fields}

    def test_plans_are_for_administrators_to_write(self):
        assert self.call("post", "call-plans/", self.new()).status_code == 403
        made = self.as_admin("post", "call-plans/", self.new())
        assert (made.status_code, made.json()["revision"]) == (201, 1)
        changed = self.as_admin("patch", "call-plans/call_shop/", {"description": "ring"})
        assert changed.json()["description"] == "ring"
        stale = self.as_admin("patch", "call-plans/call_shop/", {"look_up": "", "based_on": 1})
        assert stale.status_code == 409
        for wrong in ({"card": {"why": "x"}}, {"addresses": {"*": "fax:1"}}, {"name": "x"}):
            answer = self.as_admin("patch", "call-plans/call_shop/", wrong)
            assert answer.status_code in (400, 422), wrong
        assert CallPlan.objects.get().addresses == {"*": "simulated:terse"}

    def test_many_plans_take_few_queries(self):
        for number in range(3):
            make_plan(name=f"plan_{number}")
        _, secret = issue_key(user=self.ana, name="t", scopes=["dialogues.read"])
        with self.assertNumQueries(5):
            page = self.client.get(
                "/api/call-plans/", headers={"Authorization": f"Bearer {secret}"}
            )
        assert len(page.json()["results"]) == 3

    def test_it_is_previewed_and_tried(self):
        make_plan()
        preview = self.call("get", "call-plans/call_merchant/preview/").json()
        assert "[order_id]" in preview["script"][0]["words"]
        body = {"temper": "terse", "values": {"order_id": "GW1001"}}
        made = self.call("post", "call-plans/call_merchant/try/", body)
        assert (made.status_code, made.json()["state"]) == (201, "queued")
        listed = self.call("get", "call-trials/?plan=call_merchant").json()["results"]
        assert listed[0]["id"] == made.json()["id"] == str(CallTrial.objects.get().public_id)
        assert self.call("get", f"call-trials/{listed[0]['id']}/").status_code == 200
        assert self.call("get", "call-trials/?plan=other").json()["results"] == []
        body = {"temper": "sleepy"}
        assert self.call("post", "call-plans/call_merchant/try/", body).status_code == 400
        reading = self.call("post", "call-plans/call_merchant/try/", {}, scopes=["dialogues.read"])
        assert reading.status_code == 403


class ContactApiTests(ApiCase):
    def test_rules_are_written_by_scene(self):
        path = f"contact-rules/{self.scene.slug}/"
        assert self.call("get", path).status_code == 404
        made = self.call("patch", path, {"most": 1, "quiet_from": "22:30"})
        assert made.json()["quiet_until"] == "08:00:00"  # as it held before
        assert contact.rules_of(self.scene.pk).most == 1
        assert self.call("patch", path, {"most": 2, "based_on": 0}).status_code == 409
        assert self.call("patch", path, {"days": 0}).status_code == 400
        assert [row["most"] for row in self.call("get", "contact-rules/").json()["results"]] == [1]
        assert self.call("patch", "contact-rules/everywhere/", {"most": 9}).status_code == 403
        assert self.as_admin("patch", "contact-rules/everywhere/", {"most": 9}).status_code == 200
        assert self.call("get", "contact-rules/everywhere/").json()["scene"] is None
        other = make_scene()
        assert self.call("patch", f"contact-rules/{other.slug}/", {"most": 9}).status_code == 404
        assert self.call("delete", path).status_code == 204
        assert ContactRules.objects.get().scene is None

    def test_opt_outs_are_for_who_deals_with_customers(self):
        made = self.call("post", "opt-outs/", {"customer": "C-7"})
        assert made.status_code == 201
        assert self.call("post", "opt-outs/", {"customer": "C-7"}).status_code == 201
        assert OptOut.objects.get().by == self.ana
        found = self.call("get", "opt-outs/?customer=C-").json()["results"]
        assert [row["customer"] for row in found] == ["C-7"]
        assert self.call("get", "opt-outs/?customer=D").json()["results"] == []
        stranger = self.call("get", "opt-outs/", user=make_user("operator"))
        assert stranger.json()["results"] == []
        assert self.call("get", "opt-outs/", scopes=["dialogues.read"]).status_code == 403
        assert self.call("post", "opt-outs/", {"customer": ""}).status_code == 400

    def test_an_opt_out_names_its_site_where_there_are_several(self):
        for slug, scene in (("shop", self.scene), ("club", None), ("away", make_scene())):
            make_site(slug=slug, scene=scene)
        answer = self.call("post", "opt-outs/", {"customer": "C-7"})
        assert (answer.status_code, answer.json()["code"]) == (422, "site_needed")
        for slug in ("shop", "club", "shop"):
            made = self.call("post", "opt-outs/", {"customer": "C-7", "site": slug})
            assert (made.status_code, made.json()["site"]) == (201, slug)
        assert OptOut.objects.count() == 2
        away = self.call("post", "opt-outs/", {"customer": "C-7", "site": "away"})
        assert away.status_code == 400
