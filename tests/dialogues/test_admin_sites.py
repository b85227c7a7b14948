"""An administrator registers sites, makes keys and ends them."""

import re

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import TestCase

from dialogues.models import Algorithm, SiteKey
from tests.dialogues.test_identifying import make_key, make_site
from tests.factories import make_user


class SiteKeyAdminTests(TestCase):
    def setUp(self):
        self.site = make_site()
        self.client.force_login(make_user(is_superuser=True, is_staff=True))

    def add(self, **fields):
        fields = {"site": self.site.pk, "algorithm": "HS256", "public_key": "", **fields}
        return self.client.post("/admin/dialogues/sitekey/add/", fields, follow=True)

    def test_a_secret_is_shown_once(self):
        page = self.add().content.decode()
        key = SiteKey.objects.get()
        shown = re.search(rf"{key.key_id} now, it is not shown again: ([\w-]+)", page)
        assert shown[1] == key.secret
        assert key.secret not in self.client.get("/admin/dialogues/sitekey/").content.decode()

    def test_a_public_key_must_be_one(self):
        for fields in (
            {"algorithm": "RS256"},
            {"public_key": "x"},
            {"algorithm": "RS256", "public_key": "-----BEGIN PUBLIC KEY-----\nAAAA"},
        ):
            assert self.add(**fields).status_code == 200
            assert not SiteKey.objects.exists()
        public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.add(algorithm="RS256", public_key=pem)
        assert SiteKey.objects.get().algorithm == Algorithm.RS256

    def test_a_key_is_ended(self):
        kept, ended = make_key(self.site), make_key(self.site)
        body = {"action": "end", "_selected_action": [ended.pk]}
        self.client.post("/admin/dialogues/sitekey/", body)
        assert list(SiteKey.objects.live()) == [kept]

    def test_the_pages_of_sites_open(self):
        make_key(self.site)
        for path in ("site/", "site/add/", f"site/{self.site.pk}/change/", "sitekey/"):
            assert self.client.get(f"/admin/dialogues/{path}").status_code == 200
