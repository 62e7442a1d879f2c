"""Which queries run, by the ids that their clients gave them, and how one is ended."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from tailrace.engine.database import Database
from tailrace.engine.exceptions import ClickHouseError
from tailrace.engine.sql import QUERY_ID_SETTING, quote


@dataclass
class Processes:
    """The queries of this engine that run now."""

    database: Database
    _running: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, query_id: str) -> None:
        """Note that a query runs; an id that runs already is refused as ClickHouse does."""
        with self._lock:
            if query_id in self._running:
                raise ClickHouseError(
                    216,
                    "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
                    f"Query with id = {query_id} is already running.",
                )
            self._running.add(query_id)

    def end(self, query_id: str) -> None:
        """Note that a query has ended."""
        with self._lock:
            self._running.discard(query_id)

    def __contains__(self, query_id: str) -> bool:
        return query_id in self._running

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._running))

    def __len__(self) -> int:
        return len(self._running)

    def kill(self, query_id: str) -> None:
        """Ask the engine to stop a query; it stops by itself, a little later."""
        mine = b"Settings['%s'] = %s" % (QUERY_ID_SETTING.encode(), quote(query_id))
        with self.database.handle() as handle:
            handle.query(b"KILL QUERY WHERE " + mine + b" ASYNC", "Null")
