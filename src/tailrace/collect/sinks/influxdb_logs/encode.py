"""Events as points in InfluxDB's line protocol. Runs in worker processes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from tailrace.collect.encoding import FieldChoice, SinkFraming, as_text, frame
from tailrace.collect.line_protocol import key, nanoseconds, quoted, series
from tailrace.collect.sink import Encoder
from tailrace.collect.transform import Event

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
        return frame((self._point(event) for event in self.choice.shape(events)), _LENGTHS)

    def _point(self, event: Event) -> bytes:
        event = dict(event)
        timestamp = event.get("timestamp")
        time = nanoseconds(timestamp) if isinstance(timestamp, str) else None
        if time is not None:
            del event["timestamp"]
        for name, other in self.names:
            if name in event:
                event[other] = event.pop(name)
        flat = list(_flatten("", event))
        tags = {name: as_text(value) for name, value in flat if name in self.tags}
        fields = [(name, value) for name, value in flat if name not in self.tags]
        # An event of nothing but tags keeps them as fields as well.
        written = ",".join(
            f"{key(name)}={_value(value)}" for name, value in fields or flat or _NO_FIELD
        )
        point = f"{series(self.measurement, {**tags, 'metric_type': 'logs'})} {written}"
        return point.encode() if time is None else f"{point} {time}".encode()


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
    return quoted("<null>" if value is None else as_text(value))
