"""A question to a table of logs or of other events, and the SQL of its answer.

`LogQuery` is what a page's or an API call's parameters mean. `page_statement` composes the SQL of
one page of rows: sorted by any column of the list over the whole result, ties broken by time and by
arrival (docs/decisions/002-paging.md), and cut by a keyset cursor, so that the thousandth page costs
what the first does.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from tailrace.errors import QueryError
from tailrace.search.compile import Parameters, ParameterValue, compile_search
from tailrace.search.cursor import Cursor, KeyValue
from tailrace.search.fields import level_of
from tailrace.search.table import NUMBER, Table, usual_table
from tailrace.search.times import TimeRange

MAX_LIMIT: Final = 1_000

_NUMBER: Final = re.compile(
    r"-?(?:\d{1,80}(?:\.\d{1,80})?(?:e[+-]?\d{1,3})?|inf)|true|false", re.ASCII
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
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

    def key(self, table: Table) -> "Key":
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
        for name, values in self.chosen:
            if any(map(_SURROGATE.search, values)):
                raise QueryError(f"cannot filter by {name}: {values!r} is not valid UTF-8")
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


Key = tuple[tuple[str, str], ...]
"""The expressions that sort, with their types."""

Bound = tuple[KeyValue, ...]
"""A place in an order, without what breaks ties in the end."""


def bound_statement(query: LogQuery, now: datetime) -> Statement:
    """Where a page ends at the latest, in the order without its last part; no row for a last page.

    Rows that the page's start may share that place with are not counted, so it is never too near.
    """
    parameters = Parameters()
    where = [condition(query, parameters, now)]
    cursor, key = query.cursor, query.order.key(query.table)[:-1]
    descending = _is_descending(query)
    if cursor is not None:
        where.append(
            _beyond(
                key,
                cursor.key[:-1],
                query.table,
                parameters,
                _operator(descending=descending, inclusive=False),
            )
        )
    columns = [_readable(part, query.table) for part in key]
    sql = (
        f"SELECT {', '.join(columns)}\n"
        f"FROM {query.table.name}\n"
        f"{_where(where)}{_order_by([name for name, _ in key], descending=descending)}\n"
        f"LIMIT 1 OFFSET {query.limit}"
    )
    return statement_of(sql, parameters)


def page_statement(
    query: LogQuery, now: datetime, *, exact: bool = False, bound: Bound | None = None
) -> Statement:
    """One page, and one row more, which tells whether another page follows.

    Rows come in the direction of the cursor: for `newer` that is the reverse of the page's order.
    Rows that share their whole key come in any order, unless `exact`, which sorts them by
    their content. That reads every column of every row on the way (at 10 million rows 60–250 ms in
    place of 9–30), so it is for a page that has no other boundary to end at. None is read that is
    beyond `bound`.
    """
    parameters = Parameters()
    where = [condition(query, parameters, now)]
    cursor, order, table = query.cursor, query.order, query.table
    key = order.key(table)
    descending = _is_descending(query)
    offset = ""
    if cursor is not None:
        operator = _operator(descending=descending, inclusive=cursor.inclusive)
        where.append(_beyond(key, cursor.key, table, parameters, operator))
        if cursor.skip:
            offset = f" OFFSET {parameters.bind(cursor.skip, 'UInt64')}"
    if bound is not None:
        operator = _operator(descending=not descending, inclusive=True)
        where.append(_beyond(key[:-1], bound, table, parameters, operator))
    sorted_by = [expression for expression, _ in key] + ([table.content] if exact else [])
    columns = table.row_columns(cut=True)
    if order.column:
        columns.append(_readable(key[0], table))
    if bound is not None:
        # Sorted by a column itself, ClickHouse (26.9) looks for the greatest while it reads, and no
        # longer leaves the other columns of rows that are beyond the bound unread.
        sorted_by[0] = f"identity({sorted_by[0]})"
    sql = (
        f"SELECT {', '.join(columns)}\n"
        f"FROM {table.name}\n"
        f"{_where(where)}{_order_by(sorted_by, descending=descending)}\n"
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


def _is_descending(query: LogQuery) -> bool:
    """The direction of travel: that of the order, or for newer pages its reverse."""
    return query.order.descending == (query.cursor is None or query.cursor.direction == "older")


def _operator(*, descending: bool, inclusive: bool) -> str:
    return ("<" if descending else ">") + ("=" if inclusive else "")


def _where(conditions: list[str]) -> str:
    said = [one for one in conditions if one != "1"]
    return f"WHERE {' AND '.join(said)}\n" if said else ""


def _order_by(expressions: list[str], *, descending: bool) -> str:
    direction = "DESC" if descending else "ASC"
    return f"ORDER BY {', '.join(f'{one} {direction}' for one in expressions)}"


def _beyond(
    key: Key, values: Sequence[KeyValue], table: Table, parameters: Parameters, operator: str
) -> str:
    """The rows beyond a key's values; the first part alone prunes by the primary key."""
    bound = [
        _bind_key(parameters, part, value, table) for part, value in zip(key, values, strict=True)
    ]
    names = [name for name, _ in key]
    nested = f"{names[-1]} {operator} {bound[-1]}"
    if len(names) == 1:
        return nested
    strictly = operator[0]
    for name, value in zip(reversed(names[:-1]), reversed(bound[:-1]), strict=True):
        nested = f"({name} {strictly} {value} OR ({name} = {value} AND {nested}))"
    return f"{names[0]} {strictly}= {bound[0]} AND {nested}"


def _readable(part: tuple[str, str], table: Table) -> str:
    """An expression that sorts, as `KeyValue`s have it."""
    name, kind = part
    if name == table.time:
        return table.time_ns
    return f"toString({name})" if kind == NUMBER else name


def _bind_key(parameters: Parameters, part: tuple[str, str], value: KeyValue, table: Table) -> str:
    name, kind = part
    # A text is taken for a number of the column's own type, which no other type would be for all.
    placeholder = parameters.bind(value, "String" if kind == NUMBER else kind)
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
    if kind == NUMBER:
        return isinstance(value, str) and _NUMBER.fullmatch(value) is not None
    least = -(2**63) if kind == "Int64" else 0
    return isinstance(value, int) and least <= value <= _LARGEST[kind]
