"""The frame: settings, accounts, the local stack and the pages that belong to no app."""

from wowconsole.celery import app as celery_app

__all__ = ["celery_app"]
