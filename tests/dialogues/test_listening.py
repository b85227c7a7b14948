"""Redis is really away, or goes and comes back: chats open, talk and miss nothing."""

import asyncio
import tempfile
import time
from pathlib import Path
from unittest import mock

from asgiref.sync import sync_to_async
from channels.layers import InMemoryChannelLayer, channel_layers
from django.conf import settings
from django.core.cache import cache
from django.test import Client, override_settings
from redis.exceptions import ConnectionError as RedisDown

from dialogues import events, services
from dialogues.chat import frames, listening, windows
from dialogues.models import Conversation
from tests.dialogues.test_consumers import PATIENCE_SECONDS, SocketTestCase, Tab
from wowconsole.stack import valkey
from wowconsole.stack.paths import valkey_url

DEAD = "redis://127.0.0.1:1/0"  # nobody listens on port 1


def redis_at(url):
    """Settings as in production, with Redis at this address."""
    return {
        "CACHES": {"default": {"BACKEND": "wowconsole.caching.FailsafeCache", "LOCATION": url}},
        "CHANNEL_LAYERS": {
            "default": {
                "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
                "CONFIG": {"hosts": [{"address": url, "socket_connect_timeout": 1}]},
            }
        },
    }


class DeadRedisTests(SocketTestCase):
    @override_settings(**redis_at(DEAD))
    async def test_a_new_chat_begins_and_is_answered(self):
        began = time.monotonic()
        answer = await sync_to_async(Client().post)("/api/chat/sessions/")
        assert answer.status_code == 201, answer.content
        self.conversation = await Conversation.objects.aget(public_id=answer.json()["id"])
        self.token = answer.json()["token"]
        tab, silent = await self.tab(), await self.tab()
        assert time.monotonic() - began < 5
        await tab.send(type="message", client_id="a", text="Hi")
        assert (await tab.until_reply())["text"] == "Hello from the engine."
        await silent.until_reply()
        await tab.send(type="typing")
        await tab.send(type="human")
        await tab.next("control")
        await silent.next("control")
        assert tab.seqs == silent.seqs == [1, 2, 3]
        await self.finish()

    @override_settings(**redis_at(DEAD))
    def test_people_sign_in_and_attempts_are_still_counted(self):
        page = Client().post("/accounts/login/", {"login": "nobody", "password": "wrong"})
        assert page.status_code == 200
        cache.set("tries", 1, 60)
        assert cache.incr("tries") == 2
        assert cache.get("tries") == 2
        assert not cache.add("tries", 5)


class LiveRedisTests(SocketTestCase):
    async def test_a_real_layer_tells_at_once(self):
        with override_settings(**redis_at(settings.REDIS_URL)):
            with mock.patch.object(listening, "LOOK_SECONDS", 60):
                tab = await self.tab()
                await self.until_joined(1)
                rate = sync_to_async(services.rate)
                await rate(conversation=self.conversation, score=4)
                assert (await tab.next("rating"))["score"] == 4
                await events.passing(self.conversation.public_id, {"type": "status", "state": "x"})
                assert (await tab.next("status"))["state"] == "x"
                await self.finish()
            await channel_layers["default"].flush()

    async def test_redis_goes_and_comes_back(self):
        home = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="valkey-")))
        broker = valkey.server(home)
        start, stop = sync_to_async(broker.start), sync_to_async(broker.stop)
        ready = sync_to_async(valkey.wait_until_ready)
        await start()
        await ready(broker, home)
        with override_settings(**redis_at(valkey_url(home))):
            tab = await self.tab()
            await self.until_told(tab, "before")
            await stop()
            rate = sync_to_async(services.rate)
            await rate(conversation=self.conversation, score=4)
            assert (await tab.next("rating"))["score"] == 4  # read from the log
            other = await self.tab()  # opened meanwhile
            await start()
            await ready(broker, home)
            await self.until_told(tab, "after")
            await self.until_told(other, "after")
            await self.finish()
            await channel_layers["default"].flush()
        await stop()
        assert tab.seqs == [1]

    async def until_told(self, tab, state):
        """Send a passing event again and again until the window gets it."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not any(event.get("state") == state for event in tab.got):
            assert time.monotonic() < until, state
            await events.passing(self.conversation.public_id, {"type": "status", "state": state})
            await asyncio.sleep(0.2)
            await tab.drain()


class EarTests(SocketTestCase):
    async def test_one_channel_serves_all_windows_and_the_last_one_closes_it(self):
        other, token = await sync_to_async(services.start_conversation)(scene=None)
        tabs = [await self.tab(), await self.tab(), Tab(other, token)]
        await tabs[2].open()
        self.tabs.append(tabs[2])
        ear = await self.until_joined(2)
        assert {len(windows) for windows in ear.listeners.values()} == {1, 2}
        await events.passing(other.public_id, {"type": "status", "state": "x"})
        await tabs[2].next("status")
        await tabs[0].drain()
        assert not tabs[0].got[1:]
        await self.finish()
        assert not listening._ears

    async def test_a_window_that_reads_slowly_holds_nobody_up(self):
        listener = listening.Listener(self.conversation, 0)
        for number in range(listening.MOST_WAITING + 10):
            listener.tell({"number": number})
        listener.tell(7)
        listener.tell(9)
        listener.tell(8)
        news = await listener.next()
        assert len(news) == listening.MOST_WAITING
        assert news[-2:] == [{"number": listening.MOST_WAITING + 9}, 9]

    async def test_what_a_window_has_shown_is_not_read_again(self):
        window = windows.Window(self.conversation, 0)
        await sync_to_async(services.say)(conversation=self.conversation, text="Hi", client_id="1")
        assert [event["seq"] async for event in window.newer(upto=1)] == [1]
        with mock.patch.object(windows, "Event") as log:
            assert [event async for event in window.newer(upto=1)] == []
        assert not log.mock_calls

    def setUp(self):
        super().setUp()
        frames._allowances_of.cache_clear()


class NoChannelLayerTests(SocketTestCase):
    """Redis is away: sockets read the log by themselves."""

    def away(self, *methods):
        down = mock.AsyncMock(side_effect=RedisDown("away"))
        return mock.patch.multiple(InMemoryChannelLayer, **dict.fromkeys(methods, down))

    async def test_the_answer_arrives_all_the_same(self):
        with self.away("group_add", "group_send", "group_discard"):
            tab = await self.tab()
            await tab.send(type="message", client_id="a", text="Hi")
            assert (await tab.until_reply())["text"] == "Hello from the engine."
            await tab.drain()
            assert tab.seqs == [1, 2]
            await self.finish()

    async def test_a_silent_tab_sees_everything_too(self):
        with self.away("group_add", "group_send"):
            writer, reader = await self.tab(), await self.tab()
            await writer.send(type="message", client_id="a", text="Hi")
            await reader.until_reply()
            await writer.until_reply()
            assert reader.seqs == [1, 2]
        await self.finish()

    async def test_a_socket_joins_once_the_layer_is_back(self):
        with self.away("group_add"):
            tab = await self.tab()
        await tab.drain()  # long enough for another try
        with mock.patch.object(listening, "LOOK_SECONDS", 60):
            await asyncio.sleep(0.1)
            await sync_to_async(services.rate)(conversation=self.conversation, score=4)
            assert (await tab.next("rating"))["score"] == 4
        await self.finish()

    async def test_calls_that_get_lost_in_the_middle(self):
        tab = await self.tab()
        with self.away("group_send"):
            await tab.send(type="message", client_id="a", text="Hi")
            await tab.until_reply()
        await tab.send(type="message", client_id="b", text="Again")
        await tab.until_reply()
        await tab.drain()
        assert tab.seqs == [1, 2, 3, 4]
        await self.finish()
