"""Fakes for tests, at the seams that Tailrace owns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tailrace.store.client import Limits, Result, Statistics


@dataclass
class ManualClock:
    """A clock that stands still until it is told to move."""

    epoch_ms: int = 1_764_000_000_000
    elapsed_secs: float = 0.0

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC."""
        return self.epoch_ms + int(self.elapsed_secs * 1000)

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return self.elapsed_secs

    def advance(self, secs: float) -> None:
        """Let `secs` seconds pass."""
        self.elapsed_secs += secs


@dataclass
class FakeStore:
    """A ClickHouse that gives prepared answers; it notes what it was asked.

    `answers` are tried in turn: the first whose text is part of the SQL gives its rows or its error.
    SQL that none fits gives no rows.
    """

    answers: list[tuple[str, list[tuple[Any, ...]] | Exception]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def aquery(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        limits: Limits | None = None,
    ) -> Result:
        """The prepared answer."""
        self.asked.append(sql)
        for part, answer in self.answers:
            if part in sql:
                if isinstance(answer, Exception):
                    raise answer
                return Result((), (), list(answer), Statistics(rows_read=len(answer)))
        return Result((), (), [], Statistics())
