"""Contact rules: who writes them, that they hold at once, and who wants to hear nothing."""

from datetime import datetime, time, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import TestCase, override_settings
from django.utils import timezone

from dialogues import arranging, tasks
from dialogues.models import ContactRules, OptOut, Outcome
from dialogues.proactive import contact, policies
from tests.dialogues.policies import handled, make_chat, make_event, make_policy
from tests.dialogues.test_identifying import make_site
from tests.factories import make_conversation, make_scene, make_user

PAGE = "/channels/contact/"
GENERAL = f"{PAGE}rules/"
NEVER_QUIET = override_settings(QUIET_FROM_HOUR=0, QUIET_UNTIL_HOUR=0)


def fields(**changed):
    return {
        "quiet_from": "22:30",
        "quiet_until": "07:15",
        "most": "2",
        "days": "14",
        "silent_until": "",
        "holdout_percent": "20",
        "based_on": "0",
        **changed,
    }


def make_rules(scene=None, **changed):
    told = {"quiet_from": time(0), "quiet_until": time(0), "most": 5, "days": 7, **changed}
    return ContactRules.objects.create(scene=scene, **told)


class ContactCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.ana = make_user("operator", [cls.scene])
        cls.admin = make_user("admin")
        cls.url = f"{PAGE}scenes/{cls.scene.slug}/"

    def setUp(self):
        self.client.force_login(self.ana)


class PageTests(ContactCase):
    def test_it_shows_what_holds_where_in_few_queries(self):
        self.client.force_login(self.admin)
        for number in range(3):
            make_rules(make_scene(name=f"Scene {number}"))
            make_policy(name=f"Policy no. {number}", holdout_percent=number)
            contact.opt_out(f"c-{number}", by=self.ana)
        with self.assertNumQueries(10):
            page = self.client.get(PAGE)
        self.assertContains(page, "Scene 2")
        self.assertContains(page, "Policy no. 2")
        self.assertContains(page, "21:00–08:00")  # of the settings
        self.assertContains(page, "3 customers want no news")

    def test_operators_change_their_scenes_only(self):
        other = make_scene()
        page = self.client.get(PAGE)
        self.assertContains(page, self.url)
        self.assertNotContains(page, GENERAL)
        self.assertNotContains(page, other.slug)
        assert self.client.get(GENERAL).status_code == 404
        assert self.client.get(f"{PAGE}scenes/{other.slug}/").status_code == 404
        assert self.client.post(f"{GENERAL}remove/").status_code == 404
        self.client.force_login(make_user("reviewer", [self.scene]))
        self.assertNotContains(self.client.get(PAGE), self.url)
        assert self.client.get(self.url).status_code == 403
        self.client.logout()
        assert self.client.get(PAGE).status_code == 302

    def test_a_scenes_rules_are_written_and_removed(self):
        page = self.client.get(self.url)
        self.assertContains(page, 'value="21:00"')  # begins as what holds
        self.assertRedirects(self.client.post(self.url, fields()), PAGE)
        row = ContactRules.objects.get()
        assert (row.scene, row.quiet_from, row.most) == (self.scene, time(22, 30), 2)
        assert contact.rules_of(self.scene.pk).days == 14
        assert contact.rules_of(None) == contact.usual_rules()
        self.assertContains(self.client.get(PAGE), "22:30–07:15")
        self.client.post(f"{self.url}remove/")
        assert not ContactRules.objects.exists()
        newest = arranging.changes_of("contact_rules", self.scene.slug)[0]
        assert (newest.number, newest.note, newest.by) == (2, "Removed", self.ana)

    def test_nonsense_is_refused(self):
        for wrong in (
            {"days": "0"},
            {"most": "101"},
            {"holdout_percent": "51"},
            {"quiet_from": "x"},
        ):
            assert self.client.post(self.url, fields(**wrong)).status_code == 422
        make_rules(self.scene)
        with pytest.raises(IntegrityError, match="contact_rules_scene_once"), transaction.atomic():
            make_rules(self.scene)
        with pytest.raises(IntegrityError, match="contact_rules_in_bounds"), transaction.atomic():
            make_rules(make_scene(), days=0)

    def test_who_saves_second_sees_the_first_ones_change(self):
        make_rules(self.scene)
        self.client.force_login(self.admin)
        self.client.post(self.url, fields(most="9"))
        self.client.force_login(self.ana)
        page = self.client.post(self.url, fields(most="1"))
        self.assertContains(page, f"What {self.admin} changed", status_code=409)
        assert ContactRules.objects.get().most == 9
        assert self.client.post(self.url, fields(most="1", based_on="2")).status_code == 302
        assert ContactRules.objects.get().most == 1

    def test_new_policies_begin_with_the_share(self):
        make_rules(holdout_percent=35)
        self.client.force_login(self.admin)
        page = self.client.get("/dialogues/proactive/new/")
        assert page.context["form"]["holdout_percent"].value() == 35


@NEVER_QUIET
class HoldingTests(TestCase):
    def decided(self, **told):
        decision = handled(make_event(**told))
        tasks.decide_contact(decision.pk)
        tasks.decide_contact(decision.pk)
        decision.refresh_from_db()
        return decision

    def test_a_scenes_rules_come_before_the_general_ones(self):
        scene = make_scene()
        make_policy()
        make_rules(most=0)
        make_rules(scene, most=5)
        assert self.decided(scene=scene).outcome == Outcome.SENT
        capped = self.decided(customer="c-2")
        assert capped.outcome == Outcome.CAPPED
        assert "0 messages within 7 days" in capped.reason

    def test_nobody_is_disturbed_until_then(self):
        until = timezone.now() + timedelta(hours=2)
        make_policy()
        make_rules(silent_until=until)
        decision = self.decided()
        assert (decision.outcome, decision.due_at) == (Outcome.WAITING, until)
        ContactRules.objects.update(silent_until=timezone.now())
        type(decision).objects.update(due_at=timezone.now())
        tasks.decide_contact(decision.pk)
        decision.refresh_from_db()
        assert decision.outcome == Outcome.SENT

    def test_quiet_hours_have_minutes(self):
        rules = contact.Rules(time(22, 30), time(7, 15), most=3, days=7)
        zone = timezone.get_default_timezone()
        late = datetime(2026, 5, 1, 22, 29, tzinfo=zone)
        assert rules.quiet_end(zone, late) is None
        end = rules.quiet_end(zone, late + timedelta(minutes=1))
        assert end == datetime(2026, 5, 2, 7, 15, tzinfo=zone)
        assert rules.quiet_end(zone, end) is None


class OptOutTests(ContactCase):
    def test_they_are_found_by_how_their_ids_begin(self):
        make_conversation(scene=self.scene, customer_ref="C-71", identified_at=timezone.now())
        make_conversation(scene=make_scene(), customer_ref="C-72", identified_at=timezone.now())
        for ref in ("C-71", "C-72"):
            contact.opt_out(ref, by=self.admin)
        page = self.client.get(PAGE, {"customer": "C-7"})
        self.assertContains(page, "C-71")
        self.assertNotContains(page, "C-72")  # another scene's customer
        part = self.client.get(PAGE, {"customer": "C-9\0"}, headers={"HX-Request": "true"})
        assert part.status_code == 200
        self.assertNotContains(part, "<h1")
        self.assertContains(self.client.get(PAGE, {"customer": "C-9"}), "Nobody of that id")

    def test_who_does_not_deal_with_customers_sees_none(self):
        contact.opt_out("C-71", by=self.admin)
        for role in ("auditor", "ml_engineer"):
            self.client.force_login(make_user(role))
            assert "C-71" not in self.client.get(PAGE).content.decode()
            part = self.client.get(PAGE, headers={"HX-Request": "true"})
            assert "C-71" not in part.content.decode()
            assert self.client.post(f"{PAGE}opt-outs/", {"customer": "x"}).status_code == 403

    @NEVER_QUIET
    def test_who_told_a_person_hears_nothing_any_more(self):
        answer = self.client.post(f"{PAGE}opt-outs/", {"customer": " c-1 "})
        self.assertRedirects(answer, f"{PAGE}#opt-outs", fetch_redirect_response=False)
        self.client.post(f"{PAGE}opt-outs/", {"customer": "c-1"})
        row = OptOut.objects.get()
        assert (row.customer_ref, row.by) == ("c-1", self.ana)
        self.assertContains(self.client.get(PAGE), f"to {self.ana}")
        make_policy()
        decision = handled(make_event())
        tasks.decide_contact(decision.pk)
        decision.refresh_from_db()
        assert decision.outcome == Outcome.OPTED_OUT
        for wrong in ("", "  ", "x" * 121):
            assert self.client.post(f"{PAGE}opt-outs/", {"customer": wrong}).status_code == 422

    def test_of_several_sites_the_customers_is_named(self):
        shop = make_site()
        self.assertNotContains(self.client.get(PAGE), "Customer of")
        make_site(slug="away", name="Elsewhere", scene=make_scene())
        page = self.client.get(PAGE)
        self.assertContains(page, '<option value="shop">')
        self.assertNotContains(page, "Elsewhere")
        refused = self.client.post(f"{PAGE}opt-outs/", {"customer": "c-1"})
        self.assertContains(refused, "There are several sites", status_code=422)
        away = self.client.post(f"{PAGE}opt-outs/", {"customer": "c-1", "site": "away"})
        assert away.status_code == 404
        self.client.post(f"{PAGE}opt-outs/", {"customer": "c-1", "site": "shop"})
        assert OptOut.objects.get().site == shop
        self.assertContains(self.client.get(PAGE), "Shop</div>")

    def test_another_sites_customer_of_the_same_id_shows_nobody(self):
        shop, club = make_site(), make_site(slug="club")
        make_chat("C-71", scene=self.scene, site=club)
        contact.opt_out("C-71", by=self.admin, site=shop)
        self.assertNotContains(self.client.get(PAGE), "C-71")
        make_chat("C-71", scene=self.scene, site=shop)
        self.assertContains(self.client.get(PAGE), "C-71")

    def test_an_unidentified_customer_is_their_chat(self):
        chat = make_conversation(scene=self.scene, customer="Mo")
        policies.opt_out(chat)
        policies.opt_out(make_chat("c-9"))
        page = self.client.get(PAGE)
        self.assertContains(page, chat.get_absolute_url())
        self.assertContains(page, "1 customer wants no news")
