"""Events as points in InfluxDB's line protocol. Runs in worker processes.

    measurement,tag=value,… field=value,… time

Tags are text; fields are text in quotes, whole numbers with an `i`, other numbers and booleans.
https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/ is the source.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from typing_extensions import override

from tailrace.collect.encoding import FieldChoice, SinkFraming, as_text, frame
from tailrace.collect.sink import Encoder
from tailrace.collect.transform import Event

_TIME = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_LENGTHS = SinkFraming(method="length_delimited")
_INTEGERS = range(-(2**63), 2**63)
_NO_FIELD = [("message", "")]
"""What a point gets of an event that has no field at all: a point needs one."""


@dataclass(frozen=True)
class PointEncoder(Encoder):
    """See the fields; all of them are options of the sink."""

    measurement: str
    tags: frozenset[str]
    names: tuple[tuple[str, str], ...] = ()
    """Fields that go by another name, and that name."""
    choice: FieldChoice = FieldChoice()

    @override
    def encode(self, events: list[Event]) -> bytes:
        taken: set[tuple[str, int]] = set()
        return frame((self._point(event, taken) for event in self.choice.shape(events)), _LENGTHS)

    def _point(self, event: Event, taken: set[tuple[str, int]]) -> bytes:
        event = dict(event)
        time = _nanoseconds(event.get("timestamp"))
        if time is not None:
            del event["timestamp"]
        for name, other in self.names:
            if name in event:
                event[other] = event.pop(name)
        flat = list(_flatten("", event))
        series = self._series([(name, value) for name, value in flat if name in self.tags])
        fields = [(name, value) for name, value in flat if name not in self.tags]
        # An event of nothing but tags keeps them as fields as well.
        written = ",".join(
            f"{_key(name)}={_value(value)}" for name, value in fields or flat or _NO_FIELD
        )
        if time is None:
            return f"{series} {written}".encode()
        while (series, time) in taken:
            time += 1
        taken.add((series, time))
        return f"{series} {written} {time}".encode()

    def _series(self, tags: list[tuple[str, Any]]) -> str:
        """The measurement with its tags, sorted, as InfluxDB advises."""
        texts = {name: as_text(value) for name, value in tags} | {"metric_type": "logs"}
        # An empty tag is the same as none, and is refused.
        parts = [f"{_key(name)}={_key(texts[name])}" for name in sorted(texts) if texts[name]]
        return ",".join([_escape(self.measurement, ", "), *parts])


def _flatten(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What is inside of objects and arrays, each by its path as Vector writes it."""
    if isinstance(value, dict) and (value or not prefix):
        for name, item in value.items():
            yield from _flatten(f"{prefix}.{name}" if prefix else name, item)
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from _flatten(f"{prefix}[{number}]", item)
    elif prefix:
        yield prefix, value


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}i" if value in _INTEGERS else repr(float(value))
    if isinstance(value, float):
        return repr(value)
    text = "<null>" if value is None else as_text(value)
    return '"' + _escape(text, '"') + '"'


@lru_cache(10_000)
def _key(text: str) -> str:
    """A tag's name or value, or a field's name; a line cannot hold a newline there."""
    return _escape(text.replace("\n", "\\n"), ", =")


def _escape(text: str, characters: str) -> str:
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    for character in characters:
        if character in text:
            text = text.replace(character, "\\" + character)
    return text


def _nanoseconds(value: Any) -> int | None:
    """Nanoseconds since 1970; None where the value is no time of RFC 3339."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    seconds = _seconds(f"{found[1]}{found[3]}")
    return (
        None if seconds is None else seconds * 1_000_000_000 + int((found[2] or "0").ljust(9, "0"))
    )


@lru_cache(1_000)
def _seconds(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return None
