"""What `explore:` in `pack.yaml` says: how people search a pack's table in the explorer.

Every column that it names must be in `fields`, and none may be Nullable: a condition on NULL is neither
true nor false, and its rows would be missing on both sides of a NOT.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["text", "number", "moment", "second", "level", "message", "attributes"]
"""text: String; number: any number; moment: DateTime64; second: DateTime; level: a log level; message: a
long text, whose words are searched by its text index; attributes: Map of texts, whose names can be
searched as fields are."""

RESERVED = (
    *("q", "table", "from", "to", "order", "cursor", "limit", "columns"),
    *("open", "after", "live", "id"),
)
"""What addresses of the explorer mean something else by."""

_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Explore(BaseModel):
    """One table, for those who search it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    time: str
    """The column with the time of a row; the newest come first."""

    fields: dict[str, Kind] = Field(min_length=1)
    """The columns that can be searched and are shown of a row, in this order, and what each is."""

    columns: tuple[str, ...] = Field(min_length=1)
    """The columns of the list, in this order, the time among them."""

    text: tuple[str, ...] = ()
    """The columns that words without a field are looked for in."""

    filters: tuple[str, ...] = ()
    """The columns with few values, to filter by and to count."""

    names: dict[str, str] = {}
    """Shorter names of columns in addresses and headings."""

    aliases: dict[str, str] = {}
    """Further names that may be typed for a column, in small letters."""

    level: str | None = None
    """The column with the log level, if there is one."""

    arrived: str | None = None
    """The column with the time of arrival, a DateTime64; without it there is no live tail."""

    place: str | None = None
    """A column of UInt64 that orders rows of one time: milliseconds of the arrival times 2^20, plus a
    number. Without it their content does; a minmax index on the time then keeps what is read for a page
    small (docs/decisions/002-paging.md)."""

    content: str | None = None
    """A column of UInt64 that tells rows apart by their content, where the table has one."""

    attribute_items: str | None = None
    """The column of `name=value` texts that an index of attributes is on."""

    @property
    def listable(self) -> tuple[str, ...]:
        """The columns that a list can show: those of its own first, then the other fields."""
        others = [one for one in self.fields if one not in self.columns]
        return (*self.columns, *(one for one in others if self.fields[one] != "attributes"))

    @model_validator(mode="after")
    def _names_what_is_there(self) -> "Explore":
        named = {self.time, *self.columns, *self.text, *self.filters, *self.names}
        named |= {*self.aliases.values(), *filter(None, (self.level, self.arrived))}
        missing = sorted(named - set(self.fields))
        if missing:
            raise ValueError(f"{', '.join(missing)}: not in fields")
        if self.fields[self.time] not in ("moment", "second"):
            raise ValueError(f"time: {self.time} must be a moment or a second in fields")
        if self.time not in self.columns:
            raise ValueError(f"columns: {self.time} is missing, the time")
        if self.arrived and self.fields[self.arrived] != "moment":
            raise ValueError(f"arrived: {self.arrived} must be a moment in fields")
        for column in self.filters:
            if self.names.get(column, column) in RESERVED:
                raise ValueError(f"filters: {column} needs another name in names")
        return self
