"""The brokers that the settings name, for pages and the API.

librdkafka waits in the thread that asks it, so every question runs in a thread of its own here, and has
a time in which it must be answered. What was found, or that no broker answers, is kept for a second,
however many people look.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar, cast

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from starlette.exceptions import HTTPException

from tailrace.clock import Clock
from tailrace.kafka import SILENT, check_security, explain, security_of
from tailrace.settings import Settings
from tailrace.web.streams.apart import Apart
from tailrace.web.streams.asking import Asking
from tailrace.web.streams.groups import Group
from tailrace.web.streams.history import History
from tailrace.web.streams.messages import Found, read_messages
from tailrace.web.streams.overview import (
    Asked,
    Described,
    NoSuchTopicError,
    Overview,
    Readers,
    read_group,
    read_overview,
    read_readers,
    read_topic,
)
from tailrace.web.streams.places import Wanted
from tailrace.web.streams.roles import Roles

TIMEOUT_SECS: Final = 5.0
KEEP_SECS: Final = 1.0
MOST_AT_ONCE: Final = 4
MOST_COMPLAINTS: Final = 20
RETRY_SOON: Final = {"Retry-After": "2"}

ADVICE: Final = {
    KafkaError._SSL: "TAILRACE_KAFKA_TLS_CA_FILE names the certificates to trust, "
    "TAILRACE_KAFKA_TLS_CRT_FILE and _KEY_FILE our own",
    KafkaError._AUTHENTICATION: "TAILRACE_KAFKA_SASL_MECHANISM, _USERNAME and _PASSWORD say who we are",
}
"""What to do about what clients complain of; the later counts more."""

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
    """See the module. Nothing is connected before the first question; UsageError at once for settings
    of SASL and TLS that cannot be used."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.servers = settings.bootstrap_servers
        self._settings = settings
        self._clock = clock
        self._admin: AdminClient | None = None
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, "streams")
        self._asking = asyncio.Lock()
        self._history = History()
        self._roles = Roles()
        self._kept: dict[object, tuple[float, Any]] = {}
        self._refusal: tuple[float, HTTPException] | None = None
        """When brokers were last found to be away, and what was said."""
        self._complaints: deque[KafkaError] = deque(maxlen=MOST_COMPLAINTS)
        self._groups = Apart(self._reached(), clock)
        if self.servers:
            check_security(settings)

    async def overview(self, asked: Asked) -> Overview:
        """Brokers, topics and groups; HTTPException 503 when no broker answers."""
        return await self._keep(
            asked, lambda asking: read_overview(asking, asked, self._history, self._roles)
        )

    async def topic(self, name: str) -> Described:
        """One topic; HTTPException 404 where there is none of this name, 503 as above."""
        return await self._keep(
            ("topic", name), lambda asking: read_topic(asking, name, self._history)
        )

    async def readers(self, topic: str) -> Readers:
        """The groups that read a topic; as `topic`."""
        return await self._keep(("readers", topic), lambda asking: read_readers(asking, topic))

    async def group(self, name: str) -> Group | None:
        """One group; None where there is none of this name."""
        return await self._keep(("group", name), lambda asking: read_group(asking, name))

    async def messages(self, wanted: Wanted) -> Found:
        """Messages of a topic; as `topic`, and QueryError for a cursor that cannot be."""
        options = self._options()
        return await self._ask(lambda asking: read_messages(asking, options, wanted))

    def close(self) -> None:
        """Let go of the brokers; a question that is under way ends by its own time."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._groups.close()

    async def _keep(self, key: object, work: Callable[[Asking], T]) -> T:
        """What was found a moment ago, or what is found now; one question after the other."""
        async with self._asking:
            now = self._clock.monotonic()
            self._kept = {
                each: kept for each, kept in self._kept.items() if now - kept[0] < KEEP_SECS
            }
            if self._refusal and now - self._refusal[0] < KEEP_SECS:
                # Each of those who wait for their turn would wait for its whole time as well.
                raise self._refusal[1]
            if key not in self._kept:
                found = await self._ask(work)
                self._kept[key] = (self._clock.monotonic(), found)
            return cast(T, self._kept[key][1])

    async def _ask(self, work: Callable[[Asking], T]) -> T:
        admin = self._connected()
        asking = Asking(admin, self._clock, self._clock.monotonic() + TIMEOUT_SECS, self._groups)
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, lambda: work(asking)
            )
        except NoSuchTopicError as error:
            raise HTTPException(404, str(error)) from error
        except (KafkaException, TimeoutError) as error:
            admin.poll(0)  # which hands over what it complains of
            raise self._away(error) from error

    def _connected(self) -> AdminClient:
        if self._admin is None:
            try:
                self._admin = AdminClient(self._options())
            except KafkaException as error:
                raise self._away(error) from error
        return self._admin

    def _options(self) -> dict[str, Any]:
        if not self.servers:
            raise NoBrokerError
        return {**self._reached(), "error_cb": self._complaints.append}

    def _reached(self) -> dict[str, str | int]:
        """How the brokers are reached."""
        return {
            **security_of(self._settings),
            "bootstrap.servers": self.servers or "",
            "client.id": "tailrace-web",
            "socket.timeout.ms": int(TIMEOUT_SECS * 1000),
            "log_level": SILENT,
        }

    def _away(self, error: Exception) -> HTTPException:
        why = explain(error) if isinstance(error, KafkaException) else "no answer in time"
        told = {complaint.code(): complaint for complaint in self._complaints}
        self._complaints.clear()
        advice = (
            "Do they run? BOOTSTRAP_SERVERS (TAILRACE_BOOTSTRAP_SERVERS) names them, and "
            "TAILRACE_KAFKA_TLS_… and TAILRACE_KAFKA_SASL_… say how to reach those that want TLS or "
            "SASL"
        )
        for code, what in ADVICE.items():
            if code in told:
                why, advice = told[code].str(), what
        refusal = HTTPException(
            503, f"cannot ask the brokers at {self.servers}: {why}. {advice}", RETRY_SOON
        )
        self._refusal = self._clock.monotonic(), refusal
        return refusal
