"""The demo shop's page: the chat on it knows who is signed in there."""

import re
from datetime import UTC, datetime
from unittest import mock
from zoneinfo import ZoneInfo

from django.test import TestCase, override_settings

from dialogues.chat import identifying, sites
from dialogues.models import BusinessEvent, Outcome, Site
from dialogues.proactive import receiving
from tests.factories import make_user
from wowconsole.demo.content import read
from wowconsole.demo.policies import make_policy
from wowconsole.demo.site import CUSTOMERS, DAY, SLUG, UNDER_WAY, make_site, where_it_is_day
from wowconsole.management.commands.load_demo import load_orders

PAGE = "/chat/embed-demo/"


class DemoSiteTests(TestCase):
    def setUp(self):
        self.by = make_user("admin")

    def proof(self, **asked):
        found = re.search(r'data-identity="([^"]+)"', self.client.get(PAGE, asked).text)
        return found and found[1]

    def test_it_is_for_demos(self):
        self.assertContains(self.client.get(PAGE), "/widget.js")
        with override_settings(DEMO=False):
            assert self.client.get(PAGE).status_code == 404

    def test_who_signs_in_is_known_to_the_chat(self):
        make_site(self.by)
        proof = self.proof(customer=CUSTOMERS[0])
        chat, _ = identifying.open_chat(site=SLUG, proof={"jwt": proof})
        assert chat.customer_ref == chat.customer == CUSTOMERS[0]
        assert "no-store" in self.client.get(PAGE)["Cache-Control"]

    def test_nobody_and_strangers_are_not_vouched_for(self):
        make_site(self.by)
        for customer in ("", "Jonas Weber", "<script>"):
            assert self.proof(customer=customer) is None

    def test_without_a_key_the_page_says_what_to_do(self):
        make_site(self.by)
        sites.end_key(Site.objects.get(slug=SLUG).keys.get(), by=self.by)
        page = self.client.get(PAGE, {"customer": CUSTOMERS[0]})
        self.assertContains(page, "has no key")
        assert self.proof(customer=CUSTOMERS[0]) is None

    def test_a_second_load_adds_no_second_key(self):
        for _ in range(2):
            make_site(self.by)
        assert Site.objects.get(slug=SLUG).keys.count() == 1

    def test_its_customers_have_orders(self):
        assert {order["customer"] for order in read("orders.json")} >= set(CUSTOMERS)

    def test_an_order_that_runs_late_is_told_to_the_agent_once(self):
        load_orders()
        make_policy(self.by)
        mine = [order for order in read("orders.json") if order["customer"] == CUSTOMERS[0]]
        order = next(order["order_id"] for order in mine if order["status"] in UNDER_WAY)
        asked = {"customer": CUSTOMERS[0], "order": order}
        night = datetime(2026, 11, 29, 3, 0, 30, tzinfo=UTC)
        with mock.patch("django.utils.timezone.now", return_value=night):
            for _ in range(2):
                answer = self.client.post(f"{PAGE}late/", asked)
        self.assertContains(self.client.get(answer.url), f"{order} is 35 minutes late")
        anything = self.client.get(PAGE, {"customer": CUSTOMERS[0], "told": "Your account"})
        self.assertNotContains(anything, "minutes late")
        [event] = BusinessEvent.objects.all()
        assert (event.customer_ref, event.data["order_id"]) == tuple(asked.values())
        receiving.handle(event.pk)
        assert event.decisions.get().outcome == Outcome.WAITING

    def test_the_customers_live_where_it_is_day(self):
        for hour in range(24):
            now = datetime(2026, 11, 29, hour, 30, tzinfo=UTC)
            assert now.astimezone(ZoneInfo(where_it_is_day(now))).hour in DAY

    def test_only_a_customer_s_own_order_runs_late(self):
        load_orders()
        others = next(o for o in read("orders.json") if o["customer"] not in CUSTOMERS)
        for asked in ({"customer": CUSTOMERS[0], "order": others["order_id"]}, {}):
            assert self.client.post(f"{PAGE}late/", asked).status_code == 404
        with override_settings(DEMO=False):
            assert self.client.post(f"{PAGE}late/", {}).status_code == 404
        assert not BusinessEvent.objects.exists()
