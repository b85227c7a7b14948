"""What follows a commit may fail: what was stored is stored, and whoever asked hears so."""

import socket
import threading
import time
from contextlib import contextmanager

from celery import current_app
from django.db import transaction
from django.test import Client, TransactionTestCase
from django.urls import reverse
from kombu import pools

from dialogues.desk import control
from dialogues.models import BusinessEvent, Control
from dialogues.proactive import receiving
from knowledge import jobs
from knowledge.models import Job
from tests.dialogues.policies import LATE
from tests.factories import make_conversation, make_user, say
from wowconsole.committing import after_commit, send_after_commit

MOST_SECONDS = 15  # some times what the settings let a sender wait


@contextmanager
def broker_at(url):
    """Send tasks to this address."""

    def connect_anew():
        pools.reset()
        current_app.amqp._producer_pool = current_app._pool = None

    before, current_app.conf.broker_url = current_app.conf.broker_url, url
    connect_anew()
    try:
        yield
    finally:
        current_app.conf.broker_url = before
        connect_anew()


@contextmanager
def broker(*, listens):
    """Send tasks to a broker that is down, or takes connections and is silent."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        if listens:
            door.listen(50)
        hang_up = threading.Timer(MOST_SECONDS, door.close)
        hang_up.daemon = True
        hang_up.start()
        with broker_at(f"redis://127.0.0.1:{door.getsockname()[1]}/0"):
            yield


class AfterCommitTests(TransactionTestCase):
    def test_a_fault_is_logged_and_what_else_waits_goes_on(self):
        done = []

        def break_off(_):
            raise LookupError("away")

        with self.assertLogs("django.db.backends.base", "ERROR") as logs, transaction.atomic():
            after_commit(break_off, 1)
            after_commit(done.append, 2)
            assert not done
        assert done == [2]
        assert "LookupError: away" in logs.output[0]

    def test_nothing_is_done_where_nothing_was_stored(self):
        done = []
        with transaction.atomic():
            after_commit(done.append, 1)
            transaction.set_rollback(True)
        assert not done


class NoBrokerTests(TransactionTestCase):
    """Rows are stored and sweeps send what the broker did not take."""

    def setUp(self):
        self.user = make_user("admin")
        self.enterContext(broker(listens=False))

    def test_the_page_that_hands_a_conversation_back_says_so(self):
        conversation = make_conversation()
        say(conversation, "Hello?")
        control.take_control(conversation=conversation, by=self.user)
        client = Client(raise_request_exception=False)
        client.force_login(self.user)
        page = client.post(reverse("dialogues:hand-back", args=[conversation.public_id]))
        conversation.refresh_from_db()
        assert (page.status_code, conversation.control) == (302, Control.BOT)

    def test_an_event_is_taken_in(self):
        event, is_new = receiving.receive(
            event_id="e1", type="order_late", customer_ref="c-1", data=LATE
        )
        assert is_new
        assert BusinessEvent.objects.get() == event

    def test_a_job_is_started(self):
        job = jobs.start(task="knowledge.tasks.nothing", title="Count", by=self.user)
        assert list(Job.objects.silent()) == [job]


class SilentBrokerTests(TransactionTestCase):
    def test_a_broker_that_does_not_answer_is_waited_for_some_seconds(self):
        began = time.monotonic()
        with broker(listens=True):
            with self.assertLogs("django.db.backends.base", "ERROR"):
                send_after_commit("knowledge.tasks.nothing", 1)
            assert time.monotonic() - began < MOST_SECONDS
