"""Counts rows by day of arrival, for whoever knows how many there should be."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tailrace.store.client import Store

ARRIVAL = "received_at"
"""The column with the time of a row's arrival, where nobody says that it is another."""

_TARGET = re.compile(r"\bTO\s+`?([\w-]+)`?\.`?([\w-]+)`?")
_TTL_DAYS = re.compile(r"\bTTL\b.*?(?:toIntervalDay\((\d+)\)|INTERVAL (\d+) DAY)", re.DOTALL)


@dataclass(frozen=True)
class TableFacts:
    """What ClickHouse says of a table."""

    name: str
    engine: str
    made: str
    """What made it, as SQL."""
    feeds: tuple[str, ...]
    """Materialized views that get what is inserted into it."""
    changed_at: str


class Census:
    """The tables of one ClickHouse, as they were when this was made.

    `arrivals`: by table, the column with the time of arrival.
    """

    def __init__(self, store: Store, arrivals: Mapping[str, str] | None = None) -> None:
        self._store = store
        self._arrivals = arrivals or {}
        found = store.query(
            "SELECT concat(database, '.', name), engine, create_table_query, "
            "arrayMap((d, t) -> concat(d, '.', t), dependencies_database, dependencies_table), "
            "toString(metadata_modification_time) FROM system.tables "
            "WHERE database NOT IN ('system', 'information_schema', 'INFORMATION_SCHEMA')"
        )
        self.tables = {
            name: TableFacts(name, engine, made, tuple(feeds), changed_at)
            for name, engine, made, feeds, changed_at in found.rows
        }

    def version(self) -> str:
        """ClickHouse's version."""
        return str(self._store.query("SELECT version()").value())

    def keepers(self, table: str) -> frozenset[str]:
        """Tables in which rows that are inserted into `table` stay."""
        return frozenset(self._keepers(table, set()))

    def has_arrival(self, table: str) -> bool:
        """Whether the table says when a row arrived."""
        facts = self.tables.get(table)
        return facts is not None and self._arrival(table) in facts.made

    def rows_by_day(self, table: str) -> dict[str, int]:
        """Rows by day of arrival, as 2026-01-31, UTC."""
        sql = (
            f"SELECT toString(toDate({_quoted(self._arrival(table))})) AS day, count() "  # noqa: S608
            f"FROM {_quoted(*table.split('.', 1))} GROUP BY day"
        )
        return {str(day): int(rows) for day, rows in self._store.query(sql).rows}

    def rows_by_moment(self, table: str, merged_before_ms: int, step_ms: int) -> dict[int, int]:
        """Rows by time of arrival in ms; before `merged_before_ms`, by steps of `step_ms`."""
        sql = (
            f"WITH toUnixTimestamp64Milli(toDateTime64({_quoted(self._arrival(table))}, 3, 'UTC')) "  # noqa: S608
            "AS ms "
            "SELECT if(ms < {before:Int64}, intDiv(ms, {step:Int64}) * {step:Int64}, ms) AS moment, "
            f"count() FROM {_quoted(*table.split('.', 1))} GROUP BY moment"
        )
        bound = {"before": merged_before_ms, "step": step_ms}
        return {int(moment): int(rows) for moment, rows in self._store.query(sql, bound).rows}

    def ttl_days(self, table: str) -> int | None:
        """Days after which the table drops rows; None: never, or not by days."""
        facts = self.tables.get(table)
        found = _TTL_DAYS.search(facts.made) if facts else None
        return int(found[1] or found[2]) if found else None

    def deletions(self, table: str) -> list[str]:
        """Statements that have removed rows, newest first, with their time."""
        database, _, name = table.partition(".")
        found = self._store.query(
            "SELECT create_time, command FROM system.mutations "
            "WHERE database = {database:String} AND table = {table:String} "
            "AND (command ILIKE '%DELETE%' OR command ILIKE '%_row_exists%') "
            "ORDER BY create_time DESC LIMIT 3",
            {"database": database, "table": name},
        )
        return [f"{when}: {command}" for when, command in found.rows]

    def _keepers(self, table: str, seen: set[str]) -> Iterator[str]:
        facts = self.tables.get(table)
        if facts is None or table in seen:
            return
        seen.add(table)
        if facts.engine != "Null":
            yield table
        for view in facts.feeds:
            made = self.tables[view].made if view in self.tables else ""
            target = _TARGET.search(made)
            if target and facts.engine == "Null":
                yield from self._keepers(f"{target[1]}.{target[2]}", seen)

    def _arrival(self, table: str) -> str:
        return self._arrivals.get(table, ARRIVAL)


def _quoted(*names: str) -> str:
    return ".".join(f"`{name.replace('`', '')}`" for name in names)
