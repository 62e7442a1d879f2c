"""The brokers that the settings name, for pages and the API.

librdkafka waits in the thread that asks it, so every question runs in a thread of its own here, and has
a time in which it must be answered. An overview is kept for a second, however many people look.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from starlette.exceptions import HTTPException

from tailrace.clock import Clock
from tailrace.web.streams.messages import Found, NoSuchTopicError, Wanted, read_messages
from tailrace.web.streams.overview import Overview, read_overview

TIMEOUT_SECS: Final = 5.0
KEEP_SECS: Final = 1.0
MOST_AT_ONCE: Final = 4
SILENT: Final = 2

T = TypeVar("T")


class NoBrokerError(HTTPException):
    """No broker is configured."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "cannot show streams: no broker of Kafka is named. Set BOOTSTRAP_SERVERS, as in "
            "BOOTSTRAP_SERVERS=kafka1:9092,kafka2:9092 tailrace up",
        )


class Streams:
    """See the module. Nothing is connected before the first question."""

    def __init__(self, servers: str | None, clock: Clock) -> None:
        self.servers = servers
        self._clock = clock
        self._admin: AdminClient | None = None
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, "streams")
        self._asking = asyncio.Lock()
        self._overview: Overview | None = None
        self._asked_at = float("-inf")

    async def overview(self) -> Overview:
        """Brokers, topics and groups; HTTPException 503 when no broker answers."""
        async with self._asking:
            now = self._clock.monotonic()
            if self._overview is None or now - self._asked_at >= KEEP_SECS:
                admin = self._connected()
                self._overview = await self._ask(lambda: read_overview(admin, TIMEOUT_SECS))
                self._asked_at = self._clock.monotonic()
            return self._overview

    async def messages(self, wanted: Wanted) -> Found:
        """Messages of a topic; HTTPException 404 where there is no such topic, 503 as above."""
        options = self._options()
        try:
            return await self._ask(lambda: read_messages(options, wanted, TIMEOUT_SECS))
        except NoSuchTopicError as error:
            raise HTTPException(404, str(error)) from error

    def close(self) -> None:
        """Let go of the brokers; a question that is under way ends by its own time."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _options(self) -> dict[str, Any]:
        if not self.servers:
            raise NoBrokerError
        return {
            "bootstrap.servers": self.servers,
            "client.id": "tailrace-web",
            "socket.timeout.ms": int(TIMEOUT_SECS * 1000),
            "log_level": SILENT,
        }

    def _connected(self) -> AdminClient:
        if self._admin is None:
            try:
                self._admin = AdminClient(self._options())
            except KafkaException as error:
                raise self._away(error) from error
        return self._admin

    async def _ask(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except (KafkaException, TimeoutError) as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> HTTPException:
        why = error.args[0].str() if isinstance(error, KafkaException) else "no answer in time"
        return HTTPException(
            503,
            f"cannot ask the brokers at {self.servers}: {why}. Do they run? BOOTSTRAP_SERVERS "
            "(TAILRACE_BOOTSTRAP_SERVERS) names them",
            {"Retry-After": "2"},
        )
