"""Adds up source → buffer → table, for `tailrace doctor`.

The collector's books say how many rows of each day of arrival every sink has delivered, and how
many were rejected; the tables are counted. More rows than in the books are somebody else's. Fewer
are a gap, unless their day is past the retention or a person has accepted that they are gone.

Rows that go into a table like `logs.intake` take their time of arrival with them, so each moment of
arrival must be right by itself: rows of somebody else, which are of other moments, hide no gap.
(Moments older than half a day or so are whole minutes; what was delivered before there were moments
in the books is counted by day.) Other rows get the time at which they were inserted, which may be of
a later day: there a surplus of later days makes up for a lack.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, cast

from tailrace.collect.books import ACCEPTED, REJECTED, REMOVED, Books
from tailrace.collect.config import Config
from tailrace.collect.ledger import MINUTE_MS, day_of
from tailrace.collect.sinks.clickhouse.config import ClickhouseConfig
from tailrace.store.census import Census


@dataclass(frozen=True)
class Finding:
    """What one check has found."""

    state: Literal["ok", "warn", "bad"]
    check: str
    text: str


@dataclass(frozen=True)
class Gap:
    """Rows of one day that are not where they were delivered to."""

    place: str
    """The tables, as text."""
    day: str
    rows: int


@dataclass(frozen=True)
class _Account:
    tables: tuple[str, ...]
    expected: Mapping[str, int]
    moments: Mapping[int, int]
    """Those of them whose moment of arrival is known."""
    is_late: bool
    """Whether rows may be found on a later day than that of their arrival."""

    @property
    def place(self) -> str:
        return " and ".join(self.tables)


@dataclass
class _Day:
    """A day's rows whose moments are known."""

    expected: int = 0
    there: int = 0
    missing: int = 0


class Accounts:
    """The books beside the tables."""

    def __init__(
        self, books: Books, config: Config, census: Census, rejected_table: str, today: date
    ) -> None:
        self._books = books
        self._config = config
        self._census = census
        self._rejected_table = rejected_table
        self._today = today
        self.gaps: list[Gap] = []
        """What `findings` has found missing."""

    def findings(self) -> Iterator[Finding]:
        """Every part of the way, in the order of the events' flow."""
        yield from self._sources()
        yield from self._sinks()
        pending = self._books.waiting_rejected
        for account in self._accounts():
            yield from self._compare(account, pending)
        for path in self._books.set_aside:
            lines = path.suffix == ".jsonl"
            state: Literal["warn", "bad"] = "warn" if lines else "bad"
            what = "rejected rows without a table" if lines else "could not be read or used"
            yield Finding(state, "set aside", f"{path}: {what}")

    def _sources(self) -> Iterator[Finding]:
        books = self._books
        for source_id in self._config.sources:
            delivered = books.sum(source_id, "received")
            waiting = books.waiting.get(source_id, 0)
            text = f"{delivered:,} delivered, {waiting:,} in the buffer"
            again = books.sum(source_id, "again")
            if again:
                text += (
                    f"; {again:,} of those again, for they were on their way when a collector "
                    "ended or gave partitions up"
                )
            discarded = books.sum(source_id, "discarded")
            if discarded:
                text += (
                    f"; {discarded:,} were dropped, because the buffer was full and a sink's "
                    "buffer.when_full says drop_newest"
                )
            yield Finding("warn" if discarded else "ok", f"source {source_id}", text)
        for source_id, waiting in books.waiting.items():
            if waiting and source_id not in self._config.sources:
                text = (
                    f"{waiting:,} events are in its buffer, but no configuration has it: run the "
                    "collector once more with it"
                )
                yield Finding("bad", f"source {source_id}", text)
        if books.held:
            yield Finding("ok", "transforms", f"{books.held:,} events are held back")

    def _sinks(self) -> Iterator[Finding]:
        for sink_id in self._config.sinks:
            received = self._books.sum(sink_id, "received")
            sent = self._books.sum(sink_id, "sent")
            rejected = self._books.sum(sink_id, "rejected")
            text = f"{received:,} received, {sent:,} sent, {rejected:,} rejected"
            missing = received - sent - rejected
            if missing:
                yield Finding("bad", f"sink {sink_id}", f"{text}: {missing:,} are unaccounted for")
            else:
                yield Finding("ok", f"sink {sink_id}", text)

    def _accounts(self) -> Iterator[_Account]:
        """What must be in which tables. A table like `logs.intake` may itself reject rows."""
        expected: dict[tuple[str, ...], Counter[str]] = {}
        moments: dict[tuple[str, ...], Counter[int]] = {}
        late: set[tuple[str, ...]] = set()
        for sink_id, sink in self._config.sinks.items():
            if sink.type != "clickhouse":
                continue
            options = cast(ClickhouseConfig, sink)
            keepers = self._census.keepers(f"{options.database}.{options.table}")
            tables = tuple(sorted(keepers))
            expected.setdefault(tables, Counter()).update(self._books.rows(sink_id))
            moments.setdefault(tables, Counter()).update(self._books.rows_at(sink_id))
            if options.format == "json_each_row":
                late.add(tables)
        own = (self._rejected_table,)
        pool = next((tables for tables in expected if self._rejected_table in tables), own)
        expected.setdefault(pool, Counter()).update(self._books.rows(REJECTED))
        moments.setdefault(pool, Counter()).update(self._books.rows_at(REJECTED))
        for tables, rows in expected.items():
            if self._rejected_table in tables:
                # Whose they were is not known: several tables of lines reject into this one.
                rows.subtract(self._books.rows(REMOVED))
                moments[tables].subtract(self._books.rows_at(REMOVED))
            is_late = tables in late
            known = Counter[int]() if is_late else moments.get(tables, Counter())
            yield _Account(tables, +rows, +known, is_late)

    def _compare(self, account: _Account, pending: int) -> Iterator[Finding]:
        if not account.tables or not all(map(self._census.has_arrival, account.tables)):
            if sum(account.expected.values()):
                where = account.place or "the tables of a sink"
                yield Finding("warn", "tables", f"{where}: rows cannot be counted by arrival")
            return
        found: Counter[str] = Counter()
        for table in account.tables:
            found.update(self._census.rows_by_day(table))
        by_moment = self._by_moment(account)
        accepted = self._books.rows(ACCEPTED + account.place)
        spare = pending if self._rejected_table in account.tables else 0
        expired = missing = 0
        for day in sorted({*account.expected, *found}, reverse=True):
            known = by_moment.get(day, _Day())
            gap = known.missing - accepted.get(day, 0)
            # What is left when each moment has its own: nobody's in particular.
            rest = account.expected.get(day, 0) - known.expected - (found[day] - known.there)
            gap += rest if account.is_late else max(rest, 0)
            if account.is_late:
                spare += max(-gap, 0)
            covered = min(max(gap, 0), spare)
            spare -= covered
            gap -= covered
            if gap > 0 and self._is_past(day, account):
                expired += gap
            elif gap > 0:
                missing += gap
                self.gaps.append(Gap(account.place, day, gap))
                yield self._gap(account, day, gap)
        if not missing:
            yield Finding("ok", account.place, self._sum(account, found, expired))

    def _by_moment(self, account: _Account) -> Mapping[str, "_Day"]:
        """What the moments of each day say."""
        if not account.moments:
            return {}
        since_ms = self._books.apart_since_ms
        found: Counter[int] = Counter()
        for table in account.tables:
            found.update(self._census.rows_by_moment(table, since_ms, MINUTE_MS))
        days: defaultdict[str, _Day] = defaultdict(_Day)
        for moment_ms, expected in account.moments.items():
            day = days[day_of(moment_ms)]
            there = max(0, min(expected, found[moment_ms]))
            day.expected += expected
            day.there += there
            day.missing += max(0, expected - there)
        return days

    def _is_past(self, day: str, account: _Account) -> bool:
        days = [ttl for table in account.tables if (ttl := self._census.ttl_days(table))]
        return bool(days) and date.fromisoformat(day) <= self._today - timedelta(days=min(days))

    def _gap(self, account: _Account, day: str, rows: int) -> Finding:
        text = f"{rows:,} rows that arrived on {day} were delivered, and are not there"
        for table in account.tables:
            facts = self._census.tables[table]
            for deletion in self._census.deletions(table):
                text += f"\n{table}: somebody deleted rows, {deletion}"
            if not self._census.rows_by_day(table) and table != self._rejected_table:
                text += (
                    f"\n{table} is empty: it was truncated, or made anew "
                    f"(its definition is of {facts.changed_at})"
                )
        return Finding("bad", account.place, text)

    def _sum(self, account: _Account, found: Counter[str], expired: int) -> str:
        there, expected = found.total(), sum(account.expected.values())
        text = f"{there:,} rows, {expected:,} delivered"
        if expired:
            text += f"; {expired:,} are past the retention"
        accepted = sum(self._books.rows(ACCEPTED + account.place).values())
        if accepted:
            text += f"; {accepted:,} are gone, and that was accepted"
        more = there - (expected - expired - accepted)
        if more > 0:
            text += f"; {more:,} came another way, or just now"
        return text
