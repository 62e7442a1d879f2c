"""Everybody who sends events in the chaos tests, and notes what they may count on afterwards.

What a sender may count on differs by protocol: an HTTP 200 is an acknowledgement. TCP has none, but
a connection's events are taken in order, so those in the table are its first ones without a hole.
What is in a file waits there until it is delivered, so all of it is.
"""

import json
import random
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from typing_extensions import override

EVENTS_A_POST = 50
LINES_A_BLOCK = 500
PAUSE_SECS = 0.01
"""Between two blocks: what is sent must be looked at one by one in the end."""
AWAY_SECS = 0.05
"""Until a peer that is away is tried again."""


class Sender(threading.Thread, ABC):
    """Sends until `finish`; however often its peer goes away, it comes again."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(name=name, daemon=True)
        self.port = port
        self.stopping = threading.Event()

    @override
    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                self.send_some()
            except (OSError, HTTPException):
                self.stopping.wait(AWAY_SECS)
            self.stopping.wait(PAUSE_SECS)

    @abstractmethod
    def send_some(self) -> None:
        """Until something goes wrong, or less."""

    def finish(self) -> None:
        """Send no more."""
        self.stopping.set()
        self.join()


class HttpSender(Sender):
    """Posts numbered events and notes which were acknowledged."""

    def __init__(
        self, name: str, port: int, event: Callable[[str, int], dict[str, object]] | None = None
    ) -> None:
        super().__init__(name, port)
        self._event = event or (lambda name, number: {"message": f"{name}-{number}"})
        self._next = 0
        self.sent: set[int] = set()
        self.acknowledged: set[int] = set()

    @override
    def send_some(self) -> None:
        numbers = range(self._next, self._next + EVENTS_A_POST)
        self._next += EVENTS_A_POST
        # What gets no answer is not sent again: it may be there or not, but not twice.
        self.sent |= set(numbers)
        if self._post(numbers) == 200:
            self.acknowledged |= set(numbers)

    def _post(self, numbers: Iterable[int]) -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            events = (self._event(self.name, number) for number in numbers)
            connection.request("POST", "/", "".join(f"{json.dumps(event)}\n" for event in events))
            return connection.getresponse().status
        finally:
            connection.close()


@dataclass
class Connection:
    """A TCP connection's part."""

    life: int
    """Which start of the collector it was with."""
    sent: int = 0
    """Lines that were handed to the system, or perhaps were."""


class TcpSender(Sender):
    """Sends numbered lines, `<name>-<connection>-<number>`, as fast as they are taken."""

    def __init__(self, name: str, port: int, life: Callable[[], int]) -> None:
        super().__init__(name, port)
        self._life = life
        self.connections: list[Connection] = []

    @override
    def send_some(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as peer:
            connection = Connection(self._life())
            self.connections.append(connection)
            name = f"{self.name}-{len(self.connections) - 1}"
            while not self.stopping.is_set():
                first = connection.sent
                connection.sent += LINES_A_BLOCK
                peer.sendall(
                    b"".join(
                        b'{"message":"%s-%d"}\n' % (name.encode(), number)
                        for number in range(first, connection.sent)
                    )
                )
                self.stopping.wait(PAUSE_SECS)


class Application:
    """Writes numbered lines into a file, and rotates its log by renaming it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = 0
        self.rotations = 0

    def write(self, count: int) -> None:
        """Write lines in pieces that do not end where lines end."""
        chance = random.Random(self.written)
        while count > 0:
            some = min(count, chance.randint(1, 500))
            text = b"".join(
                b"line %d %s\n" % (number, b"." * (number % 50))
                for number in range(self.written, self.written + some)
            )
            cut = chance.randint(0, len(text))
            with (self.folder / "app.log").open("ab", buffering=0) as log:
                log.write(text[:cut])
                log.write(text[cut:])
            self.written += some
            count -= some
            if chance.random() < 0.1:
                self.rotate()

    def rotate(self) -> None:
        """As logrotate does. What is born and renamed between two looks is found by its new name."""
        self.rotations += 1
        (self.folder / "app.log").rename(self.folder / f"app.log.{self.rotations}")


class FileWriter(Sender):
    """An application that never stops writing."""

    def __init__(self, application: Application) -> None:
        super().__init__("file", 0)
        self.application = application

    @override
    def send_some(self) -> None:
        self.application.write(200)
        self.stopping.wait(0.05)
