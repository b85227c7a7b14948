"""A web process is killed, or stands still, in the middle of an answer; the customer gets one."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import timedelta

import httpx
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connection
from django.test import TransactionTestCase
from django.utils import timezone
from psycopg.conninfo import make_conninfo
from websockets.sync.client import connect

from agents import engines
from dialogues import services, tasks
from dialogues.models import Role, Turn, TurnStatus
from tests.engine import EngineMixin, says
from tests.factories import make_release
from wowconsole.stack.checks import free_port

SECONDS = 60  # for a web process to come up, or to answer, on a busy machine
SERVER = (
    *("-m", "uvicorn", "wowconsole.asgi:application", "--host", "127.0.0.1"),
    *("--ws", "websockets-sansio", "--lifespan", "off", "--port"),
)


def database():
    known = connection.settings_dict
    where = {key: known[key.upper()] for key in ("host", "port", "user", "password")}
    return make_conninfo(dbname=known["NAME"], **{k: v for k, v in where.items() if v})


@contextmanager
def web(engine_url):
    """Run a web process as the console does; yield it and where it listens."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, *SERVER, str(port)],
        cwd=settings.BASE_DIR,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "wowconsole.settings",
            "DATABASE_URL": database(),
            "ENGINE_URL": engine_url,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: is_alive(port), process)
        yield process, port
    finally:
        process.kill()
        process.wait()


def is_alive(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    except httpx.HTTPError:
        return False


def until(holds, process=None):
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, "in vain"
        assert process is None or process.poll() is None, "it ended"
        time.sleep(0.05)


class KillingTests(EngineMixin, TransactionTestCase):
    def setUp(self):
        super().setUp()
        make_release(live=True)
        self.chat, self.token = services.start_conversation(scene=None)
        self.engine.will(says("I was about to say", hold_after=11), says("Here is the answer."))
        self.addCleanup(async_to_sync(engines.close))

    def window(self, port):
        path = f"/ws/chat/{self.chat.public_id}/?token={self.token}"
        return self.enterContext(connect(f"ws://127.0.0.1:{port}{path}"))

    def hear(self, window, kind, role=None):
        while True:
            event = json.loads(window.recv(timeout=SECONDS))
            if event["type"] == kind and role in (None, event.get("role")):
                return event

    def answer(self, window):
        heard = self.hear(window, "message", Role.AGENT)
        return heard["seq"], heard["text"]

    def ask(self, port):
        """Write from a window, and return once half an answer is there."""
        window = self.window(port)
        message = {"type": "message", "client_id": "1", "text": "Where is my order?"}
        window.send(json.dumps(message))
        assert self.hear(window, "ack")["seq"] == 1
        assert self.engine.holding.wait(SECONDS)
        assert self.said() == []
        return window

    def said(self):
        return list(self.chat.events.filter(role=Role.AGENT).values_list("seq", "text"))

    def finish_elsewhere(self):
        """Do what a worker does once the lease has ended; before, it does nothing."""
        turn = Turn.objects.get()
        tasks.finish_turn(turn.pk)
        assert self.said() == [], "its lease still lives"
        past = timezone.now() - timedelta(seconds=1)
        Turn.objects.filter(pk=turn.pk).update(leased_until=past)
        tasks.finish_turn(turn.pk)
        turn.refresh_from_db()
        assert (turn.status, turn.attempts) == (TurnStatus.DONE, 2)

    def test_a_killed_process(self):
        with web(self.engine.url) as (process, port):
            self.ask(port)
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.finish_elsewhere()
        with web(self.engine.url) as (_, port):
            window = self.window(port)
            window.send(json.dumps({"type": "resume", "after": 1}))
            assert self.answer(window) == (2, "Here is the answer.")
        assert self.said() == [(2, "Here is the answer.")]

    def test_one_that_stands_still_and_comes_back_says_nothing_more(self):
        with web(self.engine.url) as (process, port):
            window = self.ask(port)
            process.send_signal(signal.SIGSTOP)
            self.finish_elsewhere()
            self.engine.go_on.set()
            process.send_signal(signal.SIGCONT)
            assert self.answer(window) == (2, "Here is the answer.")
            window.send(json.dumps({"type": "message", "client_id": "2", "text": "And now?"}))
            assert self.answer(window) == (4, "Hello from the engine.")
        assert self.said() == [(2, "Here is the answer."), (4, "Hello from the engine.")]
