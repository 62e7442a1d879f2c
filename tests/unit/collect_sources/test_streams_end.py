"""What connections have sent reaches the buffer when the collector is told to stop."""

import asyncio
import socket
from dataclasses import replace

from typing_extensions import override

from tailrace.clock import SystemClock
from tailrace.collect.sources.socket import SocketSource
from tests.unit.collect.kept import Gated, running_source
from tests.unit.collect.support import until

LINE_BYTES = 1024
LINES = (b"x" * (LINE_BYTES - 1) + b"\n") * 128


class Counting(SystemClock):
    """Counts how often it is looked at."""

    looked = 0

    @override
    def monotonic(self) -> float:
        self.looked += 1
        return super().monotonic()


def send_some(peer: socket.socket, sent: int) -> int:
    """Send what the system takes of more and more lines, `sent` bytes of which it has."""
    try:
        return peer.send(LINES[sent % len(LINES) :])
    except BlockingIOError:
        return 0


async def test_a_connection_that_is_not_read_for_want_of_room_is_not_silent() -> None:
    kept = Gated()
    options = {"mode": "tcp", "address": "127.0.0.1:0"}
    async with running_source("socket", SocketSource, kept, options) as source:
        source.context = replace(source.context, clock=(clock := Counting()))
        with socket.create_connection(("127.0.0.1", source.port)) as peer:
            peer.setblocking(False)
            sent = 0
            async with asyncio.timeout(60):
                while not source.is_congested():
                    sent += send_some(peer, sent)
                    await asyncio.sleep(0)
            while more := send_some(peer, sent):
                sent += more
            looked = clock.looked
            stopping = asyncio.create_task(source.stop(60))
            await until(lambda: clock.looked > looked + 5 or not source.connections)
            kept.is_open.set()
            await stopping
    received = sum(frames.count for frames in kept.frames)
    assert received == sent // LINE_BYTES
