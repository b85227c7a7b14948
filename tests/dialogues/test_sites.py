"""The tables of sites, their keys and what was spent."""

from datetime import timedelta
from unittest import mock

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from dialogues import tasks
from dialogues.chat import identifying
from dialogues.models import Site, SiteKey, SpentProof
from tests.dialogues.test_identifying import SECRET, SHOP, SiteTestCase, token
from tests.factories import make_conversation


class TableTests(SiteTestCase):
    def test_the_database_keeps_proof_and_customer_together(self):
        for fields in ({"customer_ref": "C-7"}, {"identified_at": timezone.now()}):
            with (
                pytest.raises(IntegrityError, match="conversation_identified_when_ref"),
                transaction.atomic(),
            ):
                make_conversation(**fields)

    def test_a_key_has_a_secret_or_a_public_key(self):
        with (
            pytest.raises(IntegrityError, match="site_key_secret_or_public_key"),
            transaction.atomic(),
        ):
            SiteKey.objects.create(site=self.site)

    def test_secrets_are_not_stored_as_they_are(self):
        assert SECRET not in self.key.sealed_secret
        assert self.key.secret == SECRET

    def test_origins_are_origins(self):
        for origins in (
            ["shop.example"],
            ["https://shop.example/"],
            ["https://*.example"],
            ["javascript:alert(1)"],
            "https://shop.example",
            [5],
            ["https://a.example; script-src *"],
        ):
            with pytest.raises(ValidationError):
                Site(slug="a", name="A", origins=origins).full_clean()
        Site(slug="a", name="A", origins=[SHOP, "http://127.0.0.1:8000"]).full_clean()

    def test_what_has_expired_is_forgotten(self):
        identifying.verify(token(self.key, jti="a"))
        tasks.forget_spent_proofs()
        assert SpentProof.objects.count() == 1
        tomorrow = timezone.now() + timedelta(days=1)
        with mock.patch.object(timezone, "now", return_value=tomorrow):
            tasks.forget_spent_proofs()
            tasks.forget_spent_proofs()
        assert not SpentProof.objects.exists()
