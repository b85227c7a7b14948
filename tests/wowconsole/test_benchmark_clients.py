"""The benchmark's customers count as they should: what is lost would be seen."""

import asyncio
import json

import pytest
from websockets.asyncio.server import serve

from wowconsole.benchmark_clients import Customer, hold, talk


class Chat:
    """A server that acknowledges, and tells each new window events 1 to `last`."""

    def __init__(self, last=3):
        self.last, self.resumed = last, []

    async def __call__(self, socket):
        for seq in range(1, self.last + 1):
            await socket.send(json.dumps({"type": "message", "seq": seq, "id": str(seq)}))
        async for text in socket:
            frame = json.loads(text)
            if frame["type"] == "resume":
                self.resumed.append(frame["after"])
            elif frame["text"].endswith("13"):
                error = {"type": "error", "client_id": frame["client_id"], "detail": "unlucky"}
                await socket.send(json.dumps(error))
            else:
                ack = {"type": "ack", "client_id": frame["client_id"], "seq": 9}
                await socket.send(json.dumps(ack))


def with_chat(work, chat):
    async def run():
        async with serve(chat, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            customers = [Customer(f"ws://127.0.0.1:{port}") for _ in range(4)]
            await hold(customers)
            try:
                return await work(customers)
            finally:
                for customer in customers:
                    customer.drop()

    return asyncio.run(run())


def test_each_message_is_timed_to_its_acknowledgement():
    milliseconds = with_chat(lambda customers: talk(customers, 12, 500), Chat())
    assert len(milliseconds) == 12
    assert all(0 < each < 5_000 for each in milliseconds)


def test_a_refused_message_stops_the_measurement():
    with pytest.raises(RuntimeError, match="unlucky"):
        with_chat(lambda customers: talk(customers, 14, 500), Chat())


def test_a_cut_window_asks_for_what_it_missed_and_a_repetition_is_seen():
    chat = Chat()

    async def cut(customers):
        customer = customers[0]
        while len(customer.seqs) < 3:
            await asyncio.sleep(0.01)
        customer.drop()
        await customer.open()
        while len(customer.seqs) < 6:
            await asyncio.sleep(0.01)
        return customer.seqs

    assert with_chat(cut, chat) == [1, 2, 3, 1, 2, 3]
    assert chat.resumed == [3]
