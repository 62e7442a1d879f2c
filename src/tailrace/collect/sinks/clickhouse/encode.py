"""Turns events into rows for `FORMAT JSONEachRow`. Runs in worker processes."""

from dataclasses import dataclass

import orjson
from typing_extensions import override

from tailrace.collect.encoding import FieldChoice
from tailrace.collect.sink import Encoder
from tailrace.collect.transform import Event


@dataclass(frozen=True)
class RowEncoder(Encoder):
    """See the fields; all of them are options of the sink or columns of its table."""

    choice: FieldChoice = FieldChoice()
    columns: frozenset[str] | None = None
    """With it, fields that have none of these columns go into the field `attributes`."""

    @override
    def writes_events_as_they_are(self) -> bool:
        return self == RowEncoder()

    @override
    def encode(self, events: list[Event]) -> bytes:
        rows = self.choice.shape(events)
        if self.columns is not None:
            rows = [self._move_unknown(row, self.columns) for row in rows]
        return b"".join([orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows])

    @staticmethod
    def _move_unknown(event: Event, columns: frozenset[str]) -> Event:
        if columns >= event.keys():
            return event
        row = {name: value for name, value in event.items() if name in columns}
        attributes = row.get("attributes")
        kept = dict(_flatten("", attributes)) if isinstance(attributes, dict) else {}
        unknown = {name: value for name, value in event.items() if name not in columns}
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
