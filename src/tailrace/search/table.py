"""What the search knows of one table, as its pack's `explore:` says; the SQL of its parts.

Whatever differs from table to table is asked of a `Table`. The names in it come from `pack.yaml`, never
from what somebody types.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from tailrace.errors import QueryError
from tailrace.packs import Pack
from tailrace.packs.explore import Explore, Kind
from tailrace.packs.registry import BUILT_IN, read_pack
from tailrace.search.fields import ATTRIBUTES_PREFIX, LEVELS
from tailrace.search.nearest import nearest

MESSAGE_CHARACTERS: Final = 10_000
"""A message in a list is cut here and marked so; the row by itself is whole."""

NUMBER: Final = "Number"
"""The type of what sorts by a number: that of the column, whichever it is."""

_LEVEL_NAMES: Final = ", ".join(f"'{name}'" for name in LEVELS)
_USUAL: Final = "logs"
"""The pack whose table is meant where none is named."""


@dataclass(frozen=True, eq=False)
class Table:
    """One table and how it is searched. Each is made once and is equal to itself alone."""

    name: str
    """`database.table`."""

    explore: Explore

    pack: str
    """The pack that it is of."""

    @property
    def time(self) -> str:
        """The column with a row's time."""
        return self.explore.time

    @property
    def fields(self) -> Mapping[str, Kind]:
        """The columns of a row and what they are."""
        return self.explore.fields

    @property
    def attributes(self) -> str | None:
        """The column whose names are fields of their own."""
        return next((name for name, kind in self.fields.items() if kind == "attributes"), None)

    @property
    def has_bands(self) -> bool:
        """Whether counts over time are told apart by level."""
        return self.explore.level is not None

    @property
    def filters(self) -> Mapping[str, str]:
        """The names of filters, as addresses have them, and their columns."""
        return {self.label(column): column for column in self.explore.filters}

    @property
    def columns(self) -> Mapping[str, str]:
        """The names of the list's columns, by which it can be sorted, and those columns."""
        return {self.label(column): column for column in self.explore.columns}

    def listed(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names of the fields that a list of these shows, in the table's order: the time is always
        among them, attributes and what there is not never. None at all for the table's own list."""
        wanted = {self.column_of(name) for name in names} - {None}
        chosen = wanted | {self.time}
        if not wanted or chosen == set(self.explore.columns):
            return ()
        return tuple(self.label(column) for column in self.explore.listable if column in chosen)

    def label(self, column: str) -> str:
        """A column as people read it."""
        return self.explore.names.get(column, column)

    def column_of(self, name: str) -> str | None:
        """The column that a typed field name means, or None for any other name."""
        lowered = name.lower()
        lowered = self.explore.aliases.get(lowered, lowered)
        column = next(
            (own for own, short in self.explore.names.items() if short == lowered), lowered
        )
        return column if column in self.fields and column != self.attributes else None

    def attribute_of(self, name: str) -> str:
        """The attribute that a typed field name means: `attributes.user` is `user`."""
        return name.removeprefix(ATTRIBUTES_PREFIX)

    def known_names(self) -> set[str]:
        """Every name that means a column."""
        return {*self.fields, *self.explore.aliases, *self.explore.names.values()} - {
            self.attributes or ""
        }

    @property
    def time_ns(self) -> str:
        """The time as nanoseconds since 1970."""
        return self.nanos(self.time)

    def secs(self, time: str) -> str:
        """A time of the kind that the time column has, as whole seconds since 1970."""
        if self.fields[self.time] == "second":
            return f"toInt64(toUnixTimestamp({time}))"
        return f"toUnixTimestamp64Second({time})"

    def nanos(self, column: str) -> str:
        """A column with a time as nanoseconds since 1970."""
        if self.fields[column] == "second":
            return f"toUnixTimestamp64Nano(toDateTime64({column}, 9, 'UTC'))"
        return f"toUnixTimestamp64Nano({column})"

    @property
    def content(self) -> str:
        """A UInt64 that tells rows of different content apart."""
        return self.explore.content or f"cityHash64({', '.join(self.fields)})"

    @property
    def place(self) -> str:
        """A UInt64 that orders rows of one time."""
        return self.explore.place or self.content

    @property
    def is_ordered(self) -> bool:
        """Whether a column orders rows of one time. Where their content does, every column has to be
        read to sort them."""
        return self.explore.place is not None

    @property
    def tie_breakers(self) -> tuple[tuple[str, str], ...]:
        """What rows are ordered by in the end, with their types."""
        return ((self.time, "Int64"), (self.place, "UInt64"))

    def order_of(self, name: str) -> tuple[str, str] | None:
        """What a column of the list is sorted by, and its type; None for the time, QueryError for
        a name that is none of them."""
        column = self.columns.get(name)
        if column is None:
            *others, last = self.columns
            names = f"{', '.join(others)} or {last}" if others else last
            raise QueryError(
                f"cannot sort by {name!r}: use {names}, with a - before it to begin at the greatest"
            )
        if column == self.time:
            return None
        match self.fields[column]:
            case "level":
                return f"indexOf([{_LEVEL_NAMES}], {column})", "UInt64"
            case "message":
                return f"leftUTF8({column}, 200)", "String"
            case "number":
                return column, NUMBER
            case "moment" | "second":
                return self.nanos(column), "Int64"
            case "attributes":
                return f"toString({column})", "String"
            case "text":
                return column, "String"

    def row_columns(self, *, cut: bool) -> list[str]:
        """The columns of a row in SQL; `rows.LogRow.of` reads them in this order."""
        columns = [self._named(self.time_ns, f"{self.time}_ns"), self.place]
        for column, kind in self.fields.items():
            if column == self.time:
                continue
            if kind == "message":
                start = self._named(f"leftUTF8({column}, {MESSAGE_CHARACTERS})", f"{column}_start")
                columns += [start if cut else column, f"length({column})"]
            elif kind in ("moment", "second"):
                columns.append(self._named(self.nanos(column), f"{column}_ns"))
            else:
                columns.append(column)
        return columns

    def _named(self, sql: str, name: str) -> str:
        """SQL with a name for whoever reads the answer, where no column has that name."""
        return sql if name in self.fields else f"{sql} AS {name}"


@dataclass(frozen=True)
class Tables:
    """The tables that can be searched; the first is meant where none is named."""

    all: tuple[Table, ...]

    @classmethod
    def of(cls, packs: Sequence[Pack]) -> "Tables":
        """Those of packs; that of `logs`, where it is there, first."""
        ordered = sorted(packs, key=lambda pack: pack.name != _USUAL)
        return cls(
            tuple(
                Table(pack.table, pack.explore, pack.name)
                for pack in ordered
                if pack.table is not None and pack.explore is not None
            )
        )

    def find(self, name: str) -> Table:
        """The table called `database.table`, or `table` for short; '' is the first."""
        if not name and self.all:
            return self.all[0]
        by_name = {table.name: table for table in self.all}
        if name in by_name:
            return by_name[name]
        meant = [full for full in by_name if full.rpartition(".")[2] == name]
        if len(meant) == 1:
            return by_name[meant[0]]
        if meant:
            raise QueryError(f"cannot tell which table {name!r} is: {' or '.join(meant)}")
        shorts = {full.rpartition(".")[2]: full for full in by_name}
        alike = dict.fromkeys(shorts.get(one, one) for one in nearest(name, {*by_name, *shorts}))
        advice = f"did you mean {' or '.join(alike)}? T" if alike else "t"
        shown = name if len(name) <= 60 else f"{name[:60]}…"
        raise QueryError(
            f"cannot search the table {shown!r}: {advice}here are {', '.join(by_name) or 'none'}"
        )


@cache
def usual_table() -> Table:
    """The built-in table of logs."""
    return Tables.of([read_pack(BUILT_IN / _USUAL)]).find("")
