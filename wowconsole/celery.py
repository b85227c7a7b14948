"""The Celery application: `celery -A wowconsole worker -Q celery` or `-Q gpu`."""

import os

from celery import Celery

from wowconsole.heartbeat import Heartbeat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wowconsole.settings")

app = Celery("wowconsole")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(Heartbeat)  # for /readyz
