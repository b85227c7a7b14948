"""The menu, and the letters that lead through it."""

from django.test import TestCase

from tests.factories import make_user
from wowconsole.navigation import MENU

SIGN_OUT = "q"


class MenuTests(TestCase):
    def test_each_letter_leads_to_one_place(self):
        letters = [key for _, key, _, _ in MENU]
        assert len({*letters, SIGN_OUT}) == len(letters) + 1

    def test_the_list_of_keys_leads_where_the_menu_does(self):
        self.client.force_login(make_user("operator"))
        page = self.client.get("/")
        for item in page.context["menu"]:
            self.assertContains(page, f'href="{item["url"]}" data-place="{item["key"]}"', count=1)

    def test_strangers_get_no_list_of_keys(self):
        self.assertNotContains(self.client.get("/accounts/login/"), 'id="keys"')
