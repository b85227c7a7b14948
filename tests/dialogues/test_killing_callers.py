"""A worker process is killed in the middle of a call, for real; another one goes on."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch

from django.conf import settings
from django.db import connection
from django.test import TransactionTestCase
from django.utils import timezone
from psycopg.conninfo import conninfo_to_dict

from dialogues.models import Dial, SubagentJob
from tests.dialogues.calls import CARD, bring_forward, do, make_job, make_plan, spoken, told
from tests.telephone import QUICK, Peer
from tests.voices import Words, speech_server

SECONDS = 60  # for a worker to come up on a busy machine
WORK = "import django; django.setup(); from dialogues import tasks; tasks.do_job({})"


def worker(job, **changed):
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
            **changed,
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


class Callee(Peer):
    """Knows when it heard something last, sound or silence, and takes one call after another."""

    heard_at = 0.0

    def invited(self, call):
        for task in self.tasks:  # of the call before
            task.cancel()
        self.ended.clear()
        super().invited(call)

    def hear(self, pcm, at):
        self.heard_at = time.monotonic()
        super().hear(pcm, at)


@contextmanager
def ringing(peer):
    """Let a peer live on an event loop of its own thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(peer.__aenter__(), loop).result(5)
    try:
        yield peer
    finally:
        asyncio.run_coroutine_threadsafe(peer.__aexit__(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


class KillingTelephoneTests(TransactionTestCase):
    def setUp(self):
        self.words = Words()
        url, _ = self.enterContext(speech_server(self.words))
        self.speech = {"SPEECH_URL": url, "SPEECH_VOICE": "test", "SIP_BIND": "127.0.0.1"}
        self.hours = {"QUIET_FROM_HOUR": 0, "QUIET_UNTIL_HOUR": 0}
        for module, quicker in QUICK.items():
            self.enterContext(patch.multiple(module, **quicker))

    def kill(self, job, allowed):
        """Have a worker process call, and kill it when the callee has said something."""
        hours = {name: str(hour) for name, hour in self.hours.items()}
        process = worker(job, **self.speech, **hours, SIP_ALLOW=allowed)
        until = time.monotonic() + SECONDS
        while ("callee", "yes, speaking") not in spoken(job) and time.monotonic() < until:
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()

    def test_the_dead_line_is_ended_and_the_call_made_again_once(self):
        say = self.words.say
        with ringing(Callee([say("yes, speaking"), None])) as peer:
            card = {**CARD, "facts": CARD["facts"][:1]}
            make_plan(addresses={"*": f"sip:{peer.address}"}, card=card)
            job, allowed = make_job(), f"@127.0.0.1:{peer.port}"
            self.kill(job, allowed)
            killed = time.monotonic()
            assert SubagentJob.objects.get().memory["line"], "what ends the call from elsewhere"
            time.sleep(0.5)
            assert peer.heard_at < killed + 0.3, "their line is dead"
            assert "BYE" not in peer.requests

            peer.script = [say("25 minutes"), say("yes")]
            bring_forward(job, leased_until=timezone.now() - timedelta(seconds=1))
            with self.settings(**self.speech, **self.hours, SIP_ALLOW=[allowed]):
                job = do(job)

        assert (job.state, job.attempts) == ("done", 2)
        assert job.result["facts"]["ready_in"]["value"] == 1500
        requests = [one for one in peer.requests if one in ("INVITE", "BYE")]
        assert requests[:3] == ["INVITE", "BYE", "INVITE"]
        assert any("we were cut off" in text for _, text in spoken(job))
        assert [state for state, _ in told(job)].count("done") == 1
        assert Dial.objects.filter(job=job).count() == 2, "both count against the hour"
        assert do(job).attempts == 2
