"""Calls to other people's software, where it is installed (Debian: sip-tester)."""

import asyncio
import shutil
import subprocess

import pytest
from django.test import SimpleTestCase

from agents.telephone.signalling import OK, Caller, Signalling
from agents.telephone.sound import hold_ports, release

SIPP = shutil.which("sipp")
SECONDS = 10  # for sipp to come up on a busy machine, and to end


@pytest.mark.skipif(not SIPP, reason="sipp is not installed")
class SippTests(SimpleTestCase):
    def call(self, port):
        async def main():
            [own] = hold_ports("127.0.0.1", (31000, 32700), 1)
            caller = Caller("127.0.0.1", "", "console", "")
            line = Signalling(caller, own, 30000, ("127.0.0.1", port))
            try:
                answer = await line.invite(f"sip:shop@127.0.0.1:{port}", SECONDS)
            finally:
                await line.end()
            return answer, line.wire.ended.is_set()

        return asyncio.run(main())

    def test_a_call_from_ringing_to_hanging_up(self):
        held = hold_ports("127.0.0.1", (31000, 32700), 1)
        port = held[0].getsockname()[1]
        release(held)
        sipp = subprocess.Popen(
            [
                *(SIPP, "-sn", "uas", "-i", "127.0.0.1", "-p", str(port)),
                *("-m", "1", "-nostdin", "-timeout", str(2 * SECONDS)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            answer, is_ended = self.call(port)
            assert (answer.status, is_ended) == (OK, True)
            assert sipp.wait(2 * SECONDS) == 0
        finally:
            sipp.kill()
            sipp.wait()
