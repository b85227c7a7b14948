"""The demo shop's page: the chat on it knows who is signed in there."""

import re

from django.test import TestCase, override_settings

from dialogues.chat import identifying, sites
from dialogues.models import Site
from tests.factories import make_user
from wowconsole.demo.content import read
from wowconsole.demo.site import CUSTOMERS, SLUG, make_site

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
