"""Making the keys by which sites prove who their customers are."""

import secrets

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.core.exceptions import ValidationError

from dialogues.models import Algorithm, SiteKey
from wowconsole import sealing

SHORTEST_KEY = 2048  # bits of RSA


def fill_key(key: SiteKey) -> str:
    """Give a new key its secret and return it; a public key has none to give."""
    if key.algorithm == Algorithm.RS256:
        return ""
    secret = secrets.token_urlsafe(32)
    key.sealed_secret = sealing.seal(secret)
    return secret


def check_public_key(pem: str) -> None:
    """Refuse what no RS256 signature can be checked with.

    Raises:
        ValidationError: not an RSA public key in PEM.
    """
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size < SHORTEST_KEY:
        raise ValidationError(f"Give an RSA public key of {SHORTEST_KEY} bits or more, as PEM.")
