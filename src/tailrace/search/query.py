"""A question to a table of logs or of other events, and the SQL of its answer.

`LogQuery` is what a page's or an API call's parameters mean. `page_statement` composes the SQL of
one page of rows: sorted by any column of the list over the whole result, ties broken by time and by
arrival (docs/decisions/002-paging.md), and cut by a keyset cursor, so that the thousandth page costs
what the first does.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from tailrace.errors import QueryError
from tailrace.search.compile import Parameters, ParameterValue, compile_search
from tailrace.search.cursor import Cursor, KeyValue
from tailrace.search.fields import level_of
from tailrace.search.table import Table, usual_table
from tailrace.search.times import TimeRange

MAX_LIMIT: Final = 1_000

_LARGEST: Final = {"Int64": 2**63 - 1, "UInt64": 2**64 - 1}


@dataclass(frozen=True, slots=True)
class Order:
    """By which column of the list, and from which end; '' is the time."""

    column: str = ""
    descending: bool = True

    @classmethod
    def parse(cls, text: str, table: Table | None = None) -> Self:
        """`-timestamp` (newest first), `source`, … ; the empty text is the default."""
        name, descending = text.removeprefix("-"), text.startswith("-")
        if not text:
            return cls()
        is_time = (table or usual_table()).order_of(name) is None
        return cls("" if is_time else name, descending)

    def text(self, table: Table) -> str:
        """As `parse` reads it."""
        name = self.column or table.label(table.time)
        return f"-{name}" if self.descending else name

    def key(self, table: Table) -> tuple[tuple[str, str], ...]:
        """The expressions that sort, with their types; all but total, see `page_statement`."""
        first = table.order_of(self.column) if self.column else None
        return (first, *table.tie_breakers) if first else table.tie_breakers


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which rows of which table, in which order, and which page of them.

    `chosen` has the filters by name, each with the values of which a row must have one.
    """

    text: str = ""
    chosen: tuple[tuple[str, tuple[str, ...]], ...] = ()
    range: TimeRange = field(default_factory=TimeRange)
    order: Order = field(default_factory=Order)
    limit: int = 100
    cursor: Cursor | None = None
    table: Table = field(default_factory=usual_table)

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            raise QueryError(f"cannot give {self.limit} rows: ask for 1 to {MAX_LIMIT}")
        for name, _ in self.chosen:
            if name not in self.table.filters:
                raise QueryError(
                    f"cannot filter {self.table.name} by {name!r}: it has "
                    f"{', '.join(self.table.filters) or 'no filters'}"
                )
        if self.cursor is not None:
            _check_cursor(self.cursor, self.order, self.table)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and the values of its bound parameters."""

    sql: str
    parameters: dict[str, ParameterValue]


_READ_ATTRIBUTES: Final = "\nSETTINGS query_plan_direct_read_from_text_index = 0"
"""Sent by the store, too; here so that the SQL that is shown runs wherever it is taken."""


def statement_of(sql: str, parameters: Parameters) -> Statement:
    """A statement for the log table, with the settings that its conditions need."""
    return Statement(sql + _READ_ATTRIBUTES if "attribute_items" in sql else sql, parameters.values)


def condition(query: LogQuery, parameters: Parameters, now: datetime) -> str:
    """What a row must be to belong to the query, whatever the page; `1` for every row."""
    parts = []
    if query.range.start is not None:
        parts.append(f"{query.table.time} >= {parameters.moment(query.range.start)}")
    if query.range.end is not None:
        parts.append(f"{query.table.time} < {parameters.moment(query.range.end)}")
    for name, values in query.chosen:
        if values:
            parts.append(_one_of(query.table, query.table.filters[name], values, parameters))
    if query.text.strip():
        parts.append(compile_search(query.text, parameters, now, query.table))
    return " AND ".join(parts) or "1"


def _one_of(table: Table, column: str, values: tuple[str, ...], parameters: Parameters) -> str:
    """A filter: levels by any of their names, numbers by their text."""
    kind = table.fields[column]
    typed = tuple(level_of(value) for value in values) if kind == "level" else values
    subject = column if kind in ("level", "text", "message") else f"toString({column})"
    return f"{subject} IN ({', '.join(parameters.text(value) for value in typed)})"


def page_statement(query: LogQuery, now: datetime, *, exact: bool = False) -> Statement:
    """One page, and one row more, which tells whether another page follows.

    Rows come in the direction of the cursor: for `newer` that is the reverse of the page's order.
    Rows that share their whole key come in any order, unless `exact`, which sorts them by
    their content. That reads every column of every row on the way (at 10 million rows 60–250 ms in
    place of 9–30), so it is for a page that has no other boundary to end at.
    """
    parameters = Parameters()
    where = [condition(query, parameters, now)]
    cursor, order, table = query.cursor, query.order, query.table
    key = order.key(table)
    descending = order.descending
    offset = ""
    if cursor is not None:
        descending = descending == (cursor.direction == "older")
        where.append(_beyond(cursor, query, parameters, descending=descending))
        if cursor.skip:
            offset = f" OFFSET {parameters.bind(cursor.skip, 'UInt64')}"
    where = [part for part in where if part != "1"]
    direction = "DESC" if descending else "ASC"
    sorted_by = [expression for expression, _ in key] + ([table.content] if exact else [])
    columns = table.row_columns(cut=True)
    if order.column:
        columns.append(key[0][0])
    sql = (
        f"SELECT {', '.join(columns)}\n"
        f"FROM {table.name}\n"
        + (f"WHERE {' AND '.join(where)}\n" if where else "")
        + f"ORDER BY {', '.join(f'{name} {direction}' for name in sorted_by)}\n"
        f"LIMIT {query.limit + 1}{offset}"
    )
    return statement_of(sql, parameters)


def instant_statement(table: Table, timestamp_ns: int, arrival: int) -> Statement:
    """The rows, whole, of one time and place: nearly always one."""
    parameters = Parameters()
    time, place = table.tie_breakers
    moment = _bind_key(parameters, time, timestamp_ns, table)
    number = _bind_key(parameters, place, arrival, table)
    sql = (
        f"SELECT {', '.join(table.row_columns(cut=False))}\n"
        f"FROM {table.name}\n"
        f"WHERE {table.time} = {moment} AND {table.place} = {number}\nLIMIT {MAX_LIMIT}"
    )
    return statement_of(sql, parameters)


def attribute_names_statement(table: Table) -> Statement:
    """The names of the attributes of recent rows."""
    return Statement(
        f"SELECT DISTINCT arrayJoin(mapKeys({table.attributes})) AS name FROM "  # noqa: S608 — the names are those of pack.yaml
        f"(SELECT {table.attributes} FROM {table.name} ORDER BY {table.time} DESC LIMIT 5000)",
        {},
    )


def _beyond(cursor: Cursor, query: LogQuery, parameters: Parameters, *, descending: bool) -> str:
    """The rows beyond the cursor's key; the first part alone prunes by the primary key."""
    operator = "<" if descending else ">"
    key = query.order.key(query.table)
    bound = [
        _bind_key(parameters, part, value, query.table)
        for part, value in zip(key, cursor.key, strict=True)
    ]
    names = [name for name, _ in key]
    nested = f"{names[-1]} {operator}{'=' if cursor.inclusive else ''} {bound[-1]}"
    for name, value in zip(reversed(names[:-1]), reversed(bound[:-1]), strict=True):
        nested = f"({name} {operator} {value} OR ({name} = {value} AND {nested}))"
    return f"{names[0]} {operator}= {bound[0]} AND {nested}"


def _bind_key(parameters: Parameters, part: tuple[str, str], value: KeyValue, table: Table) -> str:
    name, kind = part
    placeholder = parameters.bind(value, kind)
    return f"fromUnixTimestamp64Nano({placeholder}, 'UTC')" if name == table.time else placeholder


def _check_cursor(cursor: Cursor, order: Order, table: Table) -> None:
    """A cursor is for one order of one table, and its key's parts have that order's types."""
    if cursor.order != order.text(table):
        raise QueryError(
            f"cannot go on in the order {order.text(table)!r} with a cursor of the order "
            f"{cursor.order!r}: begin again without the cursor"
        )
    kinds = [kind for _, kind in order.key(table)]
    if len(kinds) != len(cursor.key) or not all(map(_fits, cursor.key, kinds)):
        raise QueryError("cannot use this cursor: its key does not fit its order")


def _fits(value: KeyValue, kind: str) -> bool:
    if kind == "String":
        return isinstance(value, str)
    if kind == "Float64":
        return isinstance(value, int | float)
    least = -(2**63) if kind == "Int64" else 0
    return isinstance(value, int) and least <= value <= _LARGEST[kind]
