"""The table of what could not be stored: found, read and removed, row by row.

A row has no name of its own there: it is known by a hash of all that it holds, so rows that are the
same in everything, to the millisecond of their arrival, are one to this module, and are read, and
removed, together.
"""

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tailrace.errors import UsageError
from tailrace.store.client import Store

_ID = "lower(hex(sipHash64(received_at, component_id, peer, reason, raw)))"


@dataclass(frozen=True)
class RejectedFilter:
    """Which rows are meant; what is empty is not asked for."""

    ids: tuple[str, ...] = ()
    component: str = ""
    peer: str = ""
    reason: str = ""
    """A part of the reason, whatever its case."""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every row is meant."""
        return self == RejectedFilter(until=self.until)


@dataclass(frozen=True)
class RejectedLine:
    """One row."""

    id: str
    received_at: datetime
    component_id: str
    peer: str
    reason: str
    raw: bytes


@dataclass(frozen=True)
class RejectedTable:
    """The table; `name` is `database.table`."""

    store: Store
    name: str

    def find(self, wanted: RejectedFilter, limit: int) -> list[RejectedLine]:
        """The newest rows that are wanted, oldest of them first."""
        where, parameters = self._where(wanted)
        sql = (
            f"SELECT {_ID} AS id, received_at, component_id, peer, reason, "  # noqa: S608 (below)
            f"base64Encode(raw) AS data FROM {self._quoted} WHERE {where} "
            "ORDER BY received_at DESC LIMIT {limit:UInt64}"
        )
        found = self.store.query(sql, {**parameters, "limit": limit})
        return [
            RejectedLine(name, received_at, component_id, peer, reason, b64decode(data))
            for name, received_at, component_id, peer, reason, data in reversed(found.rows)
        ]

    def ids(self, wanted: RejectedFilter) -> list[str]:
        """All rows that are wanted, by name, oldest first."""
        where, parameters = self._where(wanted)
        sql = (
            f"SELECT {_ID} AS id FROM {self._quoted} WHERE {where} "  # noqa: S608 (below)
            "GROUP BY id ORDER BY min(received_at)"
        )
        found = self.store.query(sql, parameters)
        return [str(name) for (name,) in found.rows]

    def delete(self, ids: Sequence[str]) -> None:
        """Remove rows; returns once nobody sees them any more."""
        sql = f"DELETE FROM {self._quoted} WHERE {_ID} IN {{ids:Array(String)}}"  # noqa: S608
        self.store.command(sql, {"ids": list(ids)}, settings={"mutations_sync": 2})

    @property
    def _quoted(self) -> str:
        """The table's name, checked; everything else in the statements is constant or bound."""
        database, _, table = self.name.rpartition(".")
        if "`" in self.name or "\\" in self.name or not database:
            raise UsageError(
                f"cannot use TAILRACE_REJECTED_TABLE={self.name!r}: give database.table"
            )
        return f"`{database}`.`{table}`"

    @staticmethod
    def _where(wanted: RejectedFilter) -> tuple[str, dict[str, Any]]:
        terms = {
            f"{_ID} IN {{ids:Array(String)}}": ("ids", list(wanted.ids)),
            "component_id = {component:String}": ("component", wanted.component),
            "peer = {peer:String}": ("peer", wanted.peer),
            "positionCaseInsensitiveUTF8(reason, {reason:String}) > 0": ("reason", wanted.reason),
            "received_at >= {since:DateTime64(3, 'UTC')}": ("since", wanted.since),
            "received_at < {until:DateTime64(3, 'UTC')}": ("until", wanted.until),
        }
        used = {term: parameter for term, parameter in terms.items() if parameter[1]}
        return " AND ".join(used) or "1", dict(used.values())
