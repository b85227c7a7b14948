"""Secrets that are stored encrypted."""

import pytest
from django.conf import settings
from django.test import SimpleTestCase, override_settings

from wowconsole import sealing


class SealingTests(SimpleTestCase):
    def test_what_was_sealed_is_read_back_and_never_looks_the_same(self):
        first, second = sealing.seal("secret"), sealing.seal("secret")
        assert first != second
        assert "secret" not in first
        assert sealing.unseal(first) == sealing.unseal(second) == "secret"

    def test_another_key_reads_nothing_unless_the_old_one_is_named(self):
        sealed = sealing.seal("secret")
        old = settings.SECRET_KEY
        with override_settings(SECRET_KEY="new"):
            with pytest.raises(sealing.Unsealable):
                sealing.unseal(sealed)
            with override_settings(SECRET_KEY_FALLBACKS=[old]):
                assert sealing.unseal(sealed) == "secret"
            with pytest.raises(sealing.Unsealable):
                sealing.unseal("rubbish")
