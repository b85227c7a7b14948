"""A worker process is killed in the middle of a call, for real; another one goes on."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.test import TransactionTestCase
from django.utils import timezone
from psycopg.conninfo import conninfo_to_dict

from dialogues.models import SubagentJob
from tests.dialogues.calls import bring_forward, do, make_job, make_plan, spoken, told

SECONDS = 60  # for a worker to come up on a busy machine
WORK = "import django; django.setup(); from dialogues import tasks; tasks.do_job({})"


def worker(job):
    """Start a process that does the job as a Celery worker's child does."""
    known = connection.settings_dict
    parts = conninfo_to_dict(os.environ["DATABASE_URL"]) | {"dbname": known["NAME"]}
    query = f"host={parts['host']}"
    login = f"{known['USER']}:{known['PASSWORD']}@" if known["USER"] else ""
    return subprocess.Popen(
        [sys.executable, "-c", WORK.format(job.pk)],
        cwd=settings.BASE_DIR,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "wowconsole.settings",
            "DATABASE_URL": f"postgresql://{login}/{parts['dbname']}?{query}",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


class KillingTests(TransactionTestCase):
    def test_the_call_goes_on_where_it_stood(self):
        make_plan(addresses={"*": "simulated:evasive?pace=0.4"})
        job = make_job()
        process = worker(job)
        until = time.monotonic() + SECONDS
        while len(spoken(job)) < 4 and time.monotonic() < until and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = spoken(job)
        state = SubagentJob.objects.get().state
        assert 4 <= len(before) < 14, process.stderr.read().decode()
        process.stderr.close()
        assert state == "running"

        assert do(job).state == "running", "its lease still lives"
        bring_forward(job, leased_until=timezone.now() - timedelta(seconds=1))
        job = do(job)

        assert (job.state, job.attempts) == ("done", 2)
        assert job.result["outcome"] == "goal_reached"
        after = spoken(job)
        assert after[: len(before)] == before
        assert sum(text.startswith("Hello, this is") for _, text in after) == 1
        assert [state for state, _ in told(job)].count("done") == 1
