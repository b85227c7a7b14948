"""What every test gets: a real PostgreSQL and Valkey, and nothing of the outside."""

import pytest


@pytest.fixture(autouse=True)
def in_process(settings):
    """Keep socket events and caches quick and in this process.

    Tasks wait for a commit, which tests roll back.
    """
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.fixture(autouse=True)
def keep_connection(monkeypatch):
    """Stop consumers from closing the connection that holds TestCase's transaction.

    Channels' communicators do this while they send and receive, but not while they
    disconnect; the next test of the class would find the connection closed.
    """
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)
