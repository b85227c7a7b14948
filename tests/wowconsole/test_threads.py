"""Sockets don't wait for each other's statements."""

import asyncio
import threading
import time

from asgiref.sync import sync_to_async

from wowconsole.threads import Threads


async def connect(app, number, seen):
    async def none(*_):
        pass

    await asyncio.create_task(app({"number": number, "seen": seen}, none, none))


async def slow_app(scope, receive, send):
    for _ in range(2):
        await sync_to_async(time.sleep)(0.05)
        name = await sync_to_async(threading.current_thread)()
        scope["seen"].append((scope["number"], name))


def test_a_slow_call_of_one_window_does_not_hold_up_another():
    async def both():
        seen, app = [], Threads(2).serving(slow_app)
        started = time.perf_counter()
        await asyncio.gather(connect(app, 1, seen), connect(app, 2, seen))
        return seen, time.perf_counter() - started

    seen, took = asyncio.run(both())
    assert len({thread for _, thread in seen}) == 2
    assert len(set(seen)) == 2  # each window keeps its thread
    assert took < 0.19


def test_what_a_window_leaves_behind_goes_on():
    left = []

    async def leaving(scope, receive, send):
        async def later():
            await asyncio.sleep(0.05)
            left.append(await sync_to_async(lambda: "done")())

        scope["task"] = asyncio.create_task(later())

    async def run():
        scope = {}
        await asyncio.create_task(Threads(1).serving(leaving)(scope, None, None))
        await scope["task"]

    asyncio.run(run())
    assert left == ["done"]
