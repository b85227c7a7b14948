"""Secrets that must be read back, such as keys of signatures: encrypted where they are stored.

Whoever has only the database, or a backup of it, can't read them: the key comes from
SECRET_KEY, which is not in it. Fernet is AES-128-CBC with HMAC-SHA256 (its specification:
github.com/fernet/spec); the key is derived by HKDF (RFC 5869).
"""

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

PURPOSE = b"wowconsole sealing 1"


class Unsealable(Exception):
    """SECRET_KEY has changed since, and SECRET_KEY_FALLBACKS does not name the earlier one."""


def seal(secret: str) -> str:
    """Encrypt a secret for the database."""
    return _fernet().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    """Return the secret.

    Raises:
        Unsealable: it was sealed under a key that is not known any more.
    """
    try:
        return _fernet().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise Unsealable from None


def _fernet() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_derived(str(key))) for key in keys])


def _derived(secret: str) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE)
    return base64.urlsafe_b64encode(derivation.derive(secret.encode()))
