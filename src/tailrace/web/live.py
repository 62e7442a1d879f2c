"""Live tail: one reader of each table, any number of watchers.

The hub polls only while somebody watches, with one statement for all filters together, and hands
each watcher its rows. A watcher that does not keep up loses rows and is told how many; it never slows
the others, and what waits for it is bounded.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from tailrace.errors import StoreError
from tailrace.search.logs import Reader
from tailrace.search.query import LogQuery
from tailrace.search.rows import LogRow
from tailrace.search.table import Table
from tailrace.search.tail import MAX_FILTERS, MAX_ROWS, Follower, News
from tailrace.telemetry import get_logger

POLL_SECS: Final = 0.2
RETRY_SECS: Final = 1.0
MAX_WAITING: Final = 20
_BUSY_SHARE: Final = 4
"""A poll that took long is followed by a pause this many times as long: at most a fifth of one core
of ClickHouse goes to watching."""

_log = get_logger("web")


@dataclass(frozen=True, slots=True)
class Trouble:
    """The table cannot be read just now; None when it can again."""

    detail: str | None


Event = News | Trouble


@dataclass(eq=False)
class Watcher:
    """One open stream: events wait here until the client takes them."""

    query: LogQuery
    waiting: deque[Event] = field(default_factory=deque)
    dropped: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False

    def offer(self, event: Event) -> None:
        """Put an event into the queue, or count its rows as dropped where that is full."""
        if isinstance(event, News):
            if len(self.waiting) >= MAX_WAITING:
                self.dropped += len(event.rows) + event.dropped
                return
            event = News(event.rows, event.dropped + self.dropped)
            self.dropped = 0
        self.waiting.append(event)
        self.wake.set()

    def end(self) -> None:
        """Let the stream end."""
        self.ended = True
        self.wake.set()

    async def events(self, idle_secs: float) -> AsyncIterator[Event | None]:
        """Events as they come; None where `idle_secs` passed without one. Ends with the hub."""
        while not self.ended:
            if not self.waiting:
                self.wake.clear()
                try:
                    await asyncio.wait_for(self.wake.wait(), idle_secs)
                except TimeoutError:
                    yield None
                    continue
            while self.waiting:
                yield self.waiting.popleft()


@dataclass
class _Group:
    """The watchers of one filter, and its latest rows for whoever joins them."""

    watchers: list[Watcher] = field(default_factory=list)
    recent: deque[LogRow] = field(default_factory=lambda: deque(maxlen=MAX_ROWS))


@dataclass
class _Reading:
    """How one table is read; `retry_at` is when to try again, 0 while all is well."""

    follower: Follower
    retry_at: float = 0.0


class LiveHub:
    """Reads for all watchers. `run` for as long as the process serves."""

    def __init__(self, store: Reader, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._groups: dict[LogQuery, _Group] = {}
        self._somebody = asyncio.Event()
        self._stopped = False

    @property
    def watching(self) -> int:
        """How many streams are open."""
        return sum(len(group.watchers) for group in self._groups.values())

    def admits(self, query: LogQuery) -> bool:
        """Whether one more watcher of `query` can be served: filters, not watchers, cost."""
        return query in self._groups or len(self._groups) < MAX_FILTERS

    @asynccontextmanager
    async def watch(self, query: LogQuery) -> AsyncIterator[Watcher]:
        """A watcher of the rows that match `query`, from now on and a little before."""
        group = self._groups.setdefault(query, _Group())
        watcher = Watcher(query)
        group.watchers.append(watcher)
        if group.recent:
            watcher.offer(News(tuple(group.recent)))
        if self._stopped:
            watcher.end()
        self._somebody.set()
        try:
            yield watcher
        finally:
            group.watchers.remove(watcher)
            if not group.watchers:
                self._groups.pop(query, None)
            if not self._groups:
                self._somebody.clear()

    async def run(self) -> None:
        """Poll while anybody watches, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._somebody.wait()
            readers: dict[Table, _Reading] = {}
            while self._groups:
                began = loop.time()
                await self._poll(readers, began)
                await asyncio.sleep(max(POLL_SECS, _BUSY_SHARE * (loop.time() - began)))

    def stop(self) -> None:
        """End every stream, so that the server can end."""
        self._stopped = True
        for group in self._groups.values():
            for watcher in group.watchers:
                watcher.end()

    async def _poll(self, readers: dict[Table, _Reading], time: float) -> None:
        """Look once at each table and hand out. One that cannot be read keeps no other waiting."""
        by_table: dict[Table, list[LogQuery]] = {}
        for query in self._groups:
            by_table.setdefault(query.table, []).append(query)
        for table in set(readers) - set(by_table):
            del readers[table]
        for table, filters in by_table.items():
            reading = readers.setdefault(table, _Reading(Follower(self._store, table)))
            if time >= reading.retry_at:
                await self._look(reading, filters, time)

    async def _look(self, reading: _Reading, filters: list[LogQuery], time: float) -> None:
        table = reading.follower.table
        try:
            news = await reading.follower.poll(filters, self._now())
        except StoreError as error:
            if not reading.retry_at:
                _log.warning("live tail cannot read", table=table.name, error=str(error))
                self._tell(table, Trouble(str(error)))
            reading.retry_at = time + RETRY_SECS
            return
        if reading.retry_at:
            reading.retry_at = 0.0
            self._tell(table, Trouble(None))
        self._hand_out(filters, news)

    def _hand_out(self, filters: list[LogQuery], news: list[News]) -> None:
        for query, found in zip(filters, news, strict=True):
            group = self._groups.get(query)
            if group is not None and (found.rows or found.dropped):
                group.recent.extend(found.rows)
                for watcher in group.watchers:
                    watcher.offer(found)

    def _tell(self, table: Table, event: Event) -> None:
        for query, group in self._groups.items():
            for watcher in group.watchers if query.table is table else ():
                watcher.offer(event)
