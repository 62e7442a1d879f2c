"""What of a table's columns matters to how rows are sent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ORIGIN_COLUMNS = frozenset({"component_id", "peer", "received_at"})


@dataclass(frozen=True)
class Table:
    """A table as `DESCRIBE TABLE` has it."""

    types: Mapping[str, str]
    """Type by column; columns that cannot be inserted into are not in it."""

    defaults: frozenset[str]
    """Columns that have a default of their own."""

    @classmethod
    def from_description(cls, rows: Iterable[Mapping[str, str]]) -> "Table":
        """From rows of `DESCRIBE TABLE … FORMAT JSONEachRow`."""
        usable = [row for row in rows if row["default_type"] not in ("ALIAS", "MATERIALIZED")]
        return cls(
            {row["name"]: row["type"] for row in usable},
            frozenset(row["name"] for row in usable if row["default_type"]),
        )

    @property
    def line_column(self) -> str | None:
        """The column for whole lines, where the table also keeps where they came from."""
        others = [name for name in self.types if name not in ORIGIN_COLUMNS]
        is_intake = len(others) == 1 and self.types[others[0]] == "String"
        return others[0] if is_intake and set(self.types) >= ORIGIN_COLUMNS else None

    @property
    def has_attributes(self) -> bool:
        """Whether there is a map of strings for what has no column."""
        wanted = self.types.get("attributes", "").replace("LowCardinality(String)", "String")
        return wanted == "Map(String, String)"

    def is_filled_by(self, fields: Iterable[str]) -> bool:
        """Whether one of `fields` has a column that would be empty without it."""
        return any(name in self.types and name not in self.defaults for name in fields)
