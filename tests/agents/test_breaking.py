"""The breaker: opens, lets one try, closes; shared in Redis, by process without it."""

import asyncio
from unittest import mock
from uuid import uuid4

from django.test import SimpleTestCase

from agents import breaking
from agents.breaking import FAILURES, BreakerOpen, guarded


class Broken(Exception):
    pass


class BreakerTests(SimpleTestCase):
    def setUp(self):
        self.name = f"test:{uuid4()}"
        self.enterContext(mock.patch.object(breaking, "_redis_back_at", 0.0))

    async def asyncTearDown(self):
        await breaking.close()

    async def run_once(self, *, fails=False):
        async with guarded(self.name, counts=Broken):
            if fails:
                raise Broken
        return True

    async def fail(self, times):
        for _ in range(times):
            with self.assertRaises(Broken):
                await self.run_once(fails=True)

    def forget_own(self):
        """What another process knows: nothing but what is in Redis."""
        breaking._own.clear()

    async def test_it_opens_for_every_process_after_some_failures(self):
        await self.fail(FAILURES - 1)
        assert await self.run_once()
        await self.fail(1)
        self.forget_own()
        with self.assertRaises(BreakerOpen):
            await self.run_once()

    async def test_other_errors_do_not_count(self):
        for _ in range(FAILURES + 1):
            with self.assertRaises(ZeroDivisionError):
                async with guarded(self.name, counts=Broken):
                    raise ZeroDivisionError
        assert await self.run_once()

    async def test_old_failures_are_forgotten(self):
        with mock.patch.object(breaking, "WINDOW_SECONDS", 1):
            await self.fail(FAILURES - 1)
            await asyncio.sleep(1.1)
            await self.fail(1)
            assert await self.run_once()

    async def test_after_a_while_one_may_try_and_success_closes_it(self):
        with mock.patch.object(breaking, "OPEN_SECONDS", 1):
            await self.fail(FAILURES)
            await asyncio.sleep(1.1)
            async with guarded(self.name, counts=Broken):
                with self.assertRaises(BreakerOpen):  # while the first one tries
                    await self.run_once()
            assert await self.run_once()

    async def test_a_failed_try_opens_it_again(self):
        with mock.patch.object(breaking, "OPEN_SECONDS", 1):
            await self.fail(FAILURES)
            await asyncio.sleep(1.1)
            await self.fail(1)
            with self.assertRaises(BreakerOpen):
                await self.run_once()

    async def test_without_redis_each_process_counts_for_itself(self):
        with self.settings(REDIS_URL="redis://127.0.0.1:9/0"):
            breaking._clients.clear()
            await self.fail(FAILURES)
            with self.assertRaises(BreakerOpen):
                await self.run_once()
            with mock.patch.object(breaking._own[self.name], "next_try", 0.0):
                assert await self.run_once()  # the one try
            assert await self.run_once()
        breaking._clients.clear()
