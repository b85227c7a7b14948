"""Ten thousand open chats on one web process: memory, delivery, reconnects, search meanwhile.

The web process is one of its own, started as the console starts it, on a database of its own;
beside it, under the same server and options, a bare echo server. The chats are under a person's
control, so that a message is stored and acknowledged and no engine is asked. The demo's questions
are asked among them, of the demo's rules and release, before the chats are opened and while they
are held: these need the engine at ENGINE_URL.
"""

import asyncio
import hashlib
import random
import resource
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection

from dialogues import services
from dialogues.models import Control, Conversation, EventKind, Role
from knowledge.models import Scene
from knowledge.searching import search
from wowconsole.benchmark_answers import asked_over_sockets, demo_questions
from wowconsole.benchmark_clients import OPENING, Customer, at_most, hold, talk
from wowconsole.benchmark_scale import own_database, spread, timed
from wowconsole.demo.logins import make_people
from wowconsole.management.commands.load_demo import publish_rules
from wowconsole.stack.checks import free_port
from wowconsole.stack.children import Children
from wowconsole.stack.processes import Child
from wowconsole.synthetic import Question, fill

RULES = 10_000
SEARCHES = 60
ASKED = 40  # of the demo's questions
PER_SECOND = 50.0  # messages: ten thousand customers who each write every three minutes
MESSAGES = 1_000
MISSED = 0.5  # share of the reconnects during which the customer was written to
SETTLE_SECONDS = 30.0
REST_SECONDS = 5.0  # after the rush of handshakes, which is measured by itself

Figures = dict[str, Any]


def sockets(count: int) -> Figures:
    """Return figures of `count` open chats."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with own_database():
        _, questions = fill(RULES, SEARCHES, User.objects.create(username="benchmark"))
        call_command("load_demo", stdout=StringIO())  # without its rules: some are there
        publish_rules(make_people())
        pks = _make_chats(count)
        web = "wowconsole.asgi:application", _database()
        with serving("echo", "wowconsole.benchmark_echo:application", {}) as echo:
            bare = asyncio.run(_echo(echo, count))
        with serving("web", *web) as served:
            ours = asyncio.run(_chats(served, pks, questions["everything"]))
    both = {"sessions": count, **ours, "bare_echo": bare}
    ratio = ours["acknowledged"]["p95_ms"] / bare["echoed"]["p95_ms"]
    return both | {"acknowledged_to_echoed_p95": round(ratio, 2)}


class Served:
    """A server of ours: where it listens, and what memory it takes."""

    def __init__(self, child: Child, port: int) -> None:
        self.child, self.root = child, f"ws://127.0.0.1:{port}"

    def megabytes(self) -> float:
        assert self.child.process is not None  # noqa: S101 (narrows the type)
        status = Path(f"/proc/{self.child.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) / 1024


@contextmanager
def serving(name: str, application: str, environment: dict[str, str]) -> Iterator[Served]:
    """Run an ASGI application with the options that the console gives its web process."""
    children = Children(settings.BASE_DIR, settings.HOME_DIR, environment)
    port = free_port()
    child = children.web("127.0.0.1", port)
    child.name, child.log = f"bench-{name}", settings.HOME_DIR / "logs" / f"bench-{name}.log"
    child.command[child.command.index("wowconsole.asgi:application")] = application
    child.start()
    try:
        _until_listening(port)
        yield Served(child, port)
    finally:
        child.stop()


def _until_listening(port: int) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _database() -> dict[str, str]:
    name = connection.settings_dict["NAME"]
    host = connection.settings_dict["HOST"]
    return {"DATABASE_URL": f"postgresql://postgres@/{name}?host={host}"}


def _make_chats(count: int) -> list[int]:
    scene = Scene.objects.get(slug="rest")
    ids = [uuid4() for _ in range(count)]
    chats = (
        Conversation(
            scene=scene, control=Control.HUMAN, public_id=public_id, token_sha256=_digest(public_id)
        )
        for public_id in ids
    )
    made = Conversation.objects.bulk_create(chats, batch_size=1000)
    return [chat.pk for chat in made]


def _digest(public_id: UUID) -> str:
    """Make of a chat's own name its secret: the database is dropped at the end."""
    return hashlib.sha256(str(public_id).encode()).hexdigest()


async def _echo(served: Served, count: int) -> Figures:
    customers = [Customer(served.root) for _ in range(count)]
    figures = await _held(served, customers)
    said = await talk(customers, min(MESSAGES, 5 * len(customers)), PER_SECOND)
    for customer in customers:
        customer.drop()
    return figures | {"echoed": spread(said)}


async def _held(served: Served, customers: Sequence[Customer]) -> Figures:
    before = served.megabytes()
    opened = await hold(customers)
    await asyncio.sleep(REST_SECONDS)
    after = served.megabytes()
    each = (after - before) / len(customers)
    return {
        "opened_per_s": opened,
        "process_mb": round(after),
        "kb_per_session": round(each * 1024, 1),
    }


async def _chats(served: Served, pks: Sequence[int], questions: Sequence[Question]) -> Figures:
    chats = {chat.pk: chat async for chat in Conversation.objects.filter(pk__in=pks)}
    customers = [
        Customer(f"{served.root}/ws/chat/{public_id}/?token={public_id}", pk)
        for pk, public_id in ((pk, chats[pk].public_id) for pk in pks)
    ]
    idle, asked = await _searches(questions), demo_questions(ASKED)
    answers = {"answers_idle": await asked_over_sockets(served.root, asked)}
    figures = await _held(served, customers)
    answers["answers_held"] = await asked_over_sockets(served.root, asked)
    said = asyncio.create_task(talk(customers, min(MESSAGES, 5 * len(customers)), PER_SECOND))
    figures["search_idle"], figures["search_held"] = idle, await _searches(questions)
    figures["acknowledged"] = spread(await said)
    figures["staff_to_customer"] = spread(await _delivered(customers, chats))
    reconnects = await _reconnects(customers, chats)
    for customer in customers:
        customer.drop()
    return figures | answers | reconnects


async def _searches(questions: Sequence[Question]) -> Figures:
    """Search as a turn does, but for the embedding."""
    took = []
    for question in questions:
        work = partial(search, [question.text], scene=None, vectors=[question.vector])
        milliseconds, _ = await sync_to_async(timed)(work)
        took.append(milliseconds)
    return spread(took)


async def _delivered(customers: Sequence[Customer], chats: dict[int, Conversation]) -> list[float]:
    """Return the milliseconds from a person's writing to the customer's window."""
    sent: list[tuple[Customer, str, float]] = []
    for number in range(MESSAGES // 4):
        customer, text = random.choice(customers), f"Staff {number}"  # noqa: S311 (not a secret)
        sent.append((customer, text, time.perf_counter()))
        await _write(chats[customer.pk], text)
        await asyncio.sleep(1 / PER_SECOND)
    await _until(lambda: all(text in customer.texts for customer, text, _ in sent))
    return [(customer.texts[text] - started) * 1000 for customer, text, started in sent]


async def _write(chat: Conversation, text: str) -> None:
    await sync_to_async(services.append)(
        conversation=chat, kind=EventKind.MESSAGE, role=Role.STAFF, text=text, data={"by": "bench"}
    )


async def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not done() and time.monotonic() < deadline:
        await asyncio.sleep(0.1)


async def _reconnects(customers: Sequence[Customer], chats: dict[int, Conversation]) -> Figures:
    """Cut every connection once, write to half of the cut ones, and count what came."""
    started = time.perf_counter()
    cuts = [lambda customer=customer: _cut(customer, chats) for customer in customers]
    await at_most(OPENING, cuts)
    took = time.perf_counter() - started
    newest = {
        pk: seq
        async for pk, seq in Conversation.objects.filter(pk__in=chats).values_list("pk", "last_seq")
    }
    await _until(lambda: all((c.seqs or [0])[-1] == newest[c.pk] for c in customers))
    lost = sum(len(set(range(1, newest[c.pk] + 1)) - set(c.seqs)) for c in customers)
    doubled = sum(sum(Counter(c.seqs).values()) - len(set(c.seqs)) for c in customers)
    return {
        "reconnects": len(customers),
        "reconnects_per_s": round(len(customers) / took, 1),
        "events": sum(newest.values()),
        "lost": lost,
        "doubled": doubled,
    }


async def _cut(customer: Customer, chats: dict[int, Conversation]) -> None:
    customer.drop()
    if random.random() < MISSED:  # noqa: S311 (not a secret)
        await _write(chats[customer.pk], "While you were away")
    await customer.open()
