"""What lies around the rows: counts over time, and of the values of each filter.

A summary reads every row of the range, so it has a time limit for all its statements together; one that
is cut is left out by whoever asked, and said to be. Its SQL uses `countIf` for the levels, which at 10 million rows takes a fifth
of what grouping by level takes.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from tailrace.clock import Clock, SystemClock
from tailrace.errors import StoreError, StoreUnavailableError
from tailrace.search.compile import Parameters
from tailrace.search.logs import Reader
from tailrace.search.query import LogQuery, Statement, condition, statement_of
from tailrace.search.times import TimeRange
from tailrace.store import Limits, Result

BUCKETS: Final = 96
FACET_VALUES: Final = 12
BAND_LEVELS: Final = ("WARNING", "ERROR", "CRITICAL")
"""Levels with a colour of their own in the histogram; all others share one."""

_STEPS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
        3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000, 7776000, 31536000,
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bucket:
    """Rows of one step in time: all of them, and those of each of BAND_LEVELS if there are levels."""

    start: datetime
    total: int
    bands: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts over time; empty steps are there, too."""

    start: datetime
    step: timedelta
    buckets: tuple[Bucket, ...]

    @property
    def total(self) -> int:
        """All rows of the range."""
        return sum(bucket.total for bucket in self.buckets)

    @property
    def end(self) -> datetime:
        """Where the last step ends."""
        return self.start + self.step * len(self.buckets)


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value and how many rows have it."""

    value: str
    count: int


Facets = dict[str, tuple[FacetValue, ...] | None]
"""By filter; None where counting took too long."""


@dataclass(frozen=True)
class Summaries:
    """Counts from a store, each of them within `limits`."""

    store: Reader
    limits: Limits
    clock: Clock = field(default_factory=SystemClock)

    async def histogram(self, query: LogQuery, now: datetime) -> Histogram | None:
        """Counts over the query's range, or over all there is; None where there are no rows."""
        deadline = self._deadline()
        start, end = await self._span(query, now, deadline)
        if start is None or end is None or start >= end:
            return None
        step = step_for(end - start)
        first = _floor(start, step)
        statement = histogram_statement(query, first, step, now)
        result = await self._ask(statement, deadline)
        counts = {int(row[0]): row for row in result.rows}
        length = min(2 * BUCKETS, -((first - end) // step))
        buckets = tuple(
            Bucket(
                first + step * number,
                int(counts[number][1]) if number in counts else 0,
                tuple(int(count) for count in counts[number][2:])
                if number in counts
                else (0,) * (len(BAND_LEVELS) if query.table.has_bands else 0),
            )
            for number in range(length)
        )
        return Histogram(first, step, buckets)

    async def facets(self, query: LogQuery, now: datetime) -> Facets:
        """The most frequent values of each filter.

        Each is counted without its own filter, so that one can change to another value.
        """
        found: Facets = {}
        deadline = self._deadline()
        for facet in query.table.filters:
            statement = facet_statement(without_facet(query, facet), facet, now)
            try:
                result = await self._ask(statement, deadline)
            except StoreUnavailableError:
                raise
            except StoreError:
                found[facet] = None
            else:
                found[facet] = tuple(FacetValue(str(row[0]), int(row[1])) for row in result.rows)
        return found

    def _deadline(self) -> float:
        return self.clock.monotonic() + self.limits.max_seconds

    async def _ask(self, statement: Statement, deadline: float) -> Result:
        """An answer in the time that is left; StoreError where there is none."""
        left_secs = deadline - self.clock.monotonic()
        if left_secs <= 0:
            raise StoreError(f"cannot count within {self.limits.max_seconds:g} s")
        limits = replace(self.limits, max_seconds=left_secs)
        return await self.store.aquery(statement.sql, statement.parameters, limits=limits)

    async def _span(
        self, query: LogQuery, now: datetime, deadline: float
    ) -> tuple[datetime | None, datetime | None]:
        """The query's range, its open ends closed by the rows that there are."""
        start, end = query.range.start, query.range.end
        if start is None or end is None:
            result = await self._ask(span_statement(query, now), deadline)
            if not result.rows or not result.rows[0][2]:
                return None, None
            least, greatest = (datetime.fromtimestamp(int(x), UTC) for x in result.rows[0][:2])
            start = start or least
            # A range that ends now is drawn up to now, so that a standstill can be seen.
            end = end or (max(now, greatest) if query.range.start else greatest)
            end += timedelta(seconds=1)
        return start, end


def without_facet(query: LogQuery, facet: str) -> LogQuery:
    """The query without its filter of that facet."""
    return replace(query, chosen=tuple(one for one in query.chosen if one[0] != facet))


def step_for(span: timedelta) -> timedelta:
    """The least round step that cuts `span` into no more than BUCKETS pieces."""
    return next((step for step in _STEPS if step * BUCKETS >= span), _STEPS[-1])


def histogram_statement(
    query: LogQuery, start: datetime, step: timedelta, now: datetime
) -> Statement:
    """Rows by number of step since `start`."""
    parameters = Parameters()
    where = condition(replace(query, range=_closed(query.range, start)), parameters, now)
    origin = parameters.bind(int(start.timestamp()), "Int64")
    width = parameters.bind(int(step.total_seconds()), "Int64")
    table = query.table
    levels = BAND_LEVELS if table.has_bands else ()
    bands = "".join(f", countIf({table.explore.level} = '{level}')" for level in levels)
    return statement_of(
        f"SELECT intDiv({table.secs(table.time)} - {origin}, {width}) AS step, "
        f"count(){bands}\n"
        f"FROM {table.name}\nWHERE {where}\nGROUP BY step",
        parameters,
    )


def facet_statement(query: LogQuery, facet: str, now: datetime) -> Statement:
    """The most frequent values of one facet."""
    parameters = Parameters()
    where = condition(query, parameters, now)
    table = query.table
    column = table.filters[facet]
    return statement_of(
        f"SELECT {column}, count() AS rows\nFROM {table.name}\nWHERE {where}\n"
        f"GROUP BY {column}\nORDER BY rows DESC, {column}\nLIMIT {FACET_VALUES}",
        parameters,
    )


def span_statement(query: LogQuery, now: datetime) -> Statement:
    """The first and the last second that has a row, and how many rows there are."""
    parameters = Parameters()
    table = query.table
    where = condition(query, parameters, now)
    return statement_of(
        f"SELECT {table.secs(f'min({table.time})')}, {table.secs(f'max({table.time})')}, "
        f"count()\nFROM {table.name}\nWHERE {where}",
        parameters,
    )


def _closed(range_: TimeRange, start: datetime) -> TimeRange:
    return TimeRange(range_.start or start, range_.end)


def _floor(moment: datetime, step: timedelta) -> datetime:
    seconds = int(step.total_seconds())
    return datetime.fromtimestamp(int(moment.timestamp()) // seconds * seconds, UTC)
