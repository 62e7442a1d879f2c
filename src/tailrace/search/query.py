"""A question to the log table, and the SQL of its answer.

`LogQuery` is what a page's or an API call's parameters mean. `page_statement` composes the SQL of
one page of rows: sorted by any of the four columns over the whole result, ties broken by time and by
arrival (docs/decisions/002-paging.md), and cut by a keyset cursor, so that the thousandth page costs
what the first does.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, Self, get_args

from typing_extensions import override

from tailrace.errors import QueryError
from tailrace.search.compile import Parameters, ParameterValue, compile_search
from tailrace.search.cursor import Cursor, KeyValue
from tailrace.search.fields import LEVELS, level_of
from tailrace.search.times import TimeRange

LOG_TABLE: Final = "logs.application_logs"
MAX_LIMIT: Final = 1_000
MESSAGE_CHARACTERS: Final = 10_000
"""A message in a list is cut here and marked so; the row by itself is whole."""

OrderColumn = Literal["timestamp", "level", "source", "message"]

_LEVEL_NAMES: Final = ", ".join(f"'{name}'" for name in LEVELS)
_ORDER_EXPRESSIONS: Final[dict[OrderColumn, tuple[str, str]]] = {
    "level": (f"indexOf([{_LEVEL_NAMES}], log_level)", "UInt64"),
    "source": ("source", "String"),
    "message": ("leftUTF8(message, 200)", "String"),
}
"""What a column other than the timestamp sorts by, and its type; levels sort by severity."""

_TIE_BREAKERS: Final = (("timestamp", "Int64"), ("arrival", "UInt64"))
_LARGEST: Final = {"Int64": 2**63 - 1, "UInt64": 2**64 - 1}


@dataclass(frozen=True, slots=True)
class Order:
    """By which column, and from which end."""

    column: OrderColumn = "timestamp"
    descending: bool = True

    @classmethod
    def parse(cls, text: str) -> Self:
        """`-timestamp` (newest first), `source`, … ; the empty text is the default."""
        name = text.removeprefix("-")
        for column in get_args(OrderColumn):
            if name == column:
                return cls(column, descending=text.startswith("-"))
        if not text:
            return cls()
        raise QueryError(
            f"cannot sort by {text!r}: use timestamp, level, source or message, "
            "with a - before it to begin at the greatest"
        )

    @override
    def __str__(self) -> str:
        return f"-{self.column}" if self.descending else self.column

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """The expressions that sort, with their types; all but total, see `page_statement`."""
        if self.column == "timestamp":
            return _TIE_BREAKERS
        return (_ORDER_EXPRESSIONS[self.column], *_TIE_BREAKERS)


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which rows, in which order, and which page of them."""

    text: str = ""
    levels: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    range: TimeRange = field(default_factory=TimeRange)
    order: Order = field(default_factory=Order)
    limit: int = 100
    cursor: Cursor | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            raise QueryError(f"cannot give {self.limit} rows: ask for 1 to {MAX_LIMIT}")
        if self.cursor is not None:
            _check_cursor(self.cursor, self.order)


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
        parts.append(f"timestamp >= {parameters.moment(query.range.start)}")
    if query.range.end is not None:
        parts.append(f"timestamp < {parameters.moment(query.range.end)}")
    levels = tuple(level_of(level) for level in query.levels)
    for column, chosen in (
        ("log_level", levels),
        ("source", query.sources),
        ("host", query.hosts),
    ):
        if chosen:
            placeholders = ", ".join(parameters.text(value) for value in chosen)
            parts.append(f"{column} IN ({placeholders})")
    if query.text.strip():
        parts.append(compile_search(query.text, parameters, now))
    return " AND ".join(parts) or "1"


ROW_COLUMNS: Final = (
    "toUnixTimestamp64Nano(timestamp) AS timestamp_ns",
    "log_level",
    "source",
    "host",
    "trace_id",
    "span_id",
    "attributes",
    "toUnixTimestamp64Milli(received_at) AS received_ms",
    "arrival",
)


def page_statement(query: LogQuery, now: datetime, *, exact: bool = False) -> Statement:
    """One page, and one row more, which tells whether another page follows.

    Rows come in the direction of the cursor: for `newer` that is the reverse of the page's order.
    Rows that share their whole key come in any order, unless `exact`, which sorts them by
    their content. That reads every column of every row on the way (at 10 million rows 60–250 ms in
    place of 9–30), so it is for a page that has no other boundary to end at.
    """
    parameters = Parameters()
    where = [condition(query, parameters, now)]
    cursor, order = query.cursor, query.order
    descending = order.descending
    offset = ""
    if cursor is not None:
        descending = descending == (cursor.direction == "older")
        where.append(_beyond(cursor, order, parameters, descending=descending))
        if cursor.skip:
            offset = f" OFFSET {parameters.bind(cursor.skip, 'UInt64')}"
    where = [part for part in where if part != "1"]
    direction = "DESC" if descending else "ASC"
    sorted_by = [expression for expression, _ in order.key] + (["row_hash"] if exact else [])
    columns = [*ROW_COLUMNS, f"leftUTF8(message, {MESSAGE_CHARACTERS}) AS text", "length(message)"]
    if order.column != "timestamp":
        columns.append(f"{order.key[0][0]} AS order_value")
    sql = (
        f"SELECT {', '.join(columns)}\n"
        f"FROM {LOG_TABLE}\n"
        + (f"WHERE {' AND '.join(where)}\n" if where else "")
        + f"ORDER BY {', '.join(f'{name} {direction}' for name in sorted_by)}\n"
        f"LIMIT {query.limit + 1}{offset}"
    )
    return statement_of(sql, parameters)


def instant_statement(timestamp_ns: int, arrival: int) -> Statement:
    """The rows, whole, of one timestamp and arrival: nearly always one."""
    parameters = Parameters()
    moment = _bind_key(parameters, _TIE_BREAKERS[0], timestamp_ns)
    place = _bind_key(parameters, _TIE_BREAKERS[1], arrival)
    sql = (
        f"SELECT {', '.join(ROW_COLUMNS)}, message AS text, length(message)\n"
        f"FROM {LOG_TABLE}\nWHERE timestamp = {moment} AND arrival = {place}\nLIMIT {MAX_LIMIT}"
    )
    return statement_of(sql, parameters)


def attribute_names_statement() -> Statement:
    """The names of the attributes of recent rows."""
    return Statement(
        "SELECT DISTINCT arrayJoin(mapKeys(attributes)) AS name FROM "
        "(SELECT attributes FROM logs.application_logs ORDER BY timestamp DESC LIMIT 5000)",
        {},
    )


def _beyond(cursor: Cursor, order: Order, parameters: Parameters, *, descending: bool) -> str:
    """The rows beyond the cursor's key; the first part alone prunes by the primary key."""
    operator = "<" if descending else ">"
    bound = [
        _bind_key(parameters, part, value)
        for part, value in zip(order.key, cursor.key, strict=True)
    ]
    names = [name for name, _ in order.key]
    nested = f"{names[-1]} {operator}{'=' if cursor.inclusive else ''} {bound[-1]}"
    for name, value in zip(reversed(names[:-1]), reversed(bound[:-1]), strict=True):
        nested = f"({name} {operator} {value} OR ({name} = {value} AND {nested}))"
    return f"{names[0]} {operator}= {bound[0]} AND {nested}"


def _bind_key(parameters: Parameters, part: tuple[str, str], value: KeyValue) -> str:
    name, kind = part
    placeholder = parameters.bind(value, kind)
    return f"fromUnixTimestamp64Nano({placeholder}, 'UTC')" if name == "timestamp" else placeholder


def _check_cursor(cursor: Cursor, order: Order) -> None:
    """A cursor is for one order, and each part of its key has that order's type and range."""
    if cursor.order != str(order):
        raise QueryError(
            f"cannot go on in the order {str(order)!r} with a cursor of the order "
            f"{cursor.order!r}: begin again without the cursor"
        )
    kinds = [kind for _, kind in order.key]
    if len(kinds) != len(cursor.key) or not all(map(_fits, cursor.key, kinds)):
        raise QueryError("cannot use this cursor: its key does not fit its order")


def _fits(value: KeyValue, kind: str) -> bool:
    if kind == "String":
        return isinstance(value, str)
    least = -(2**63) if kind == "Int64" else 0
    return isinstance(value, int) and least <= value <= _LARGEST[kind]
