"""What every test gets: a real PostgreSQL and Valkey, and nothing of the outside."""

import os
import tempfile
from pathlib import Path

import pytest

from wowconsole.stack.testing import ephemeral

_running = None


def pytest_configure(config):
    """Start a throw-away database and broker before Django reads its settings.

    DATABASE_URL and REDIS_URL, both set, replace them.
    """
    global _running  # noqa: PLW0603  # lives as long as the session
    os.environ.setdefault("WOWCONSOLE_HOME", tempfile.mkdtemp(prefix="wowconsole-test-"))
    if "DATABASE_URL" in os.environ and "REDIS_URL" in os.environ:
        return
    _running = ephemeral(Path(os.environ["WOWCONSOLE_HOME"]))
    os.environ.update(_running.__enter__())


def pytest_unconfigure(config):
    if _running is not None:
        _running.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def in_process(settings):
    """Keep socket events, caches and passwords quick and in this process.

    Tasks wait for a commit, which tests roll back.
    """
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def keep_connection(monkeypatch):
    """Stop consumers from closing the connection that holds TestCase's transaction.

    Channels' communicators do this while they send and receive, but not while they
    disconnect; the next test of the class would find the connection closed.
    """
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)
