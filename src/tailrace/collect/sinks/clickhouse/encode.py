"""Turns events into rows for `FORMAT JSONEachRow`. Runs in worker processes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from typing_extensions import override

from tailrace.collect.sink import Encoder
from tailrace.collect.transform import Event, Timestamp


@dataclass(frozen=True)
class RowEncoder(Encoder):
    """See the fields; all of them are options of the sink or columns of its table."""

    only_fields: tuple[str, ...] | None = None
    except_fields: tuple[str, ...] = ()
    timestamp_format: str = "rfc3339"
    columns: frozenset[str] | None = None
    """With it, fields that have none of these columns go into the field `attributes`."""

    @override
    def writes_events_as_they_are(self) -> bool:
        return self == RowEncoder()

    @override
    def encode(self, events: list[Event]) -> bytes:
        if self.only_fields is None and not self.except_fields and self.columns is None:
            rows = events
        else:
            rows = [self._shape(event) for event in events]
        convert = _TIMESTAMP_FORMATS.get(self.timestamp_format)
        if convert:
            rows = [
                {
                    name: convert(value) if isinstance(value, Timestamp) else value
                    for name, value in row.items()
                }
                for row in rows
            ]
        return b"".join([orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows])

    def _shape(self, event: Event) -> Event:
        if self.only_fields is not None:
            event = {name: event[name] for name in self.only_fields if name in event}
        for name in self.except_fields:
            event.pop(name, None)
        if self.columns is None or self.columns >= event.keys():
            return event
        row = {name: value for name, value in event.items() if name in self.columns}
        attributes = row.get("attributes")
        kept = dict(_flatten("", attributes)) if isinstance(attributes, dict) else {}
        unknown = {name: value for name, value in event.items() if name not in self.columns}
        row["attributes"] = {**kept, **dict(_flatten("", unknown))}
        return row


def _flatten(prefix: str, value: Event) -> list[tuple[str, str]]:
    """Names joined by dots, values as text."""
    flat: list[tuple[str, str]] = []
    for name, item in value.items():
        if isinstance(item, dict) and item:
            flat += _flatten(f"{prefix}{name}.", item)
        else:
            flat.append(
                (f"{prefix}{name}", item if isinstance(item, str) else orjson.dumps(item).decode())
            )
    return flat


def _nanoseconds(text: str) -> int:
    moment = datetime.fromisoformat(text[:19] + "+00:00")
    fraction = text[20:].rstrip("Z").ljust(9, "0")[:9] if text[19:20] == "." else "0"
    return int(moment.timestamp()) * 1_000_000_000 + int(fraction)


_TIMESTAMP_FORMATS: dict[str, Callable[[str], Any]] = {
    "unix": lambda text: _nanoseconds(text) // 1_000_000_000,
    "unix_ms": lambda text: _nanoseconds(text) // 1_000_000,
    "unix_us": lambda text: _nanoseconds(text) // 1_000,
    "unix_ns": _nanoseconds,
    "unix_float": lambda text: _nanoseconds(text) / 1e9,
}
