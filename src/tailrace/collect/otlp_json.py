"""Reads OTLP's requests of logs in JSON, as lines that each are an event with Vector's names.

(What an event has: `tailrace.collect.otlp`.) A request is read once, where it comes in: the lines
need nothing any more, so that whoever wants events as JSON gets these very bytes.

Each record is judged alone; those that can be none are told with their reasons. Nesting has a limit
of `MAX_DEPTH` values, and what a request becomes has one of `MOST_LINES_BYTES`: each of its events
has the resource's attributes, so that a small request may become a large heap.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from tailrace.collect.codec import DecodeError
from tailrace.collect.json_text import show
from tailrace.collect.otlp import finite, utc_second
from tailrace.collect.transform import Event

MAX_DEPTH = 50
"""Deepest nesting of values."""

MOST_LINES_BYTES = 64 * 1024**2
"""Size of all events of one request."""

MOST_REJECTED = 100_000
"""Bad records of one request: each takes far more memory than it has bytes."""

_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**64)
_UINT32 = range(2**32)
_NANOSECONDS_DIGITS = 9


class TooManyEventsError(ValueError):
    """A request that becomes more than is kept in memory at once."""


@dataclass
class Logs:
    """What a request holds."""

    parts: list[bytes] = field(default_factory=list)
    """Its events as JSON, each with a newline, in pieces."""
    size_bytes: int = 0
    count: int = 0
    rejected: list[tuple[bytes, str]] = field(default_factory=list)
    """Records that can be none, with the reason."""

    @property
    def lines(self) -> bytes:
        """The events in one piece."""
        return b"".join(self.parts)


def read_json(body: bytes, added: Event) -> Logs:
    """The events of a request, each with those of the `added` fields that it has none of itself.

    Raises DecodeError where it is no request at all, TooManyEventsError where it is too large.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"not JSON: {error}") from error
    found = Logs()
    for resource_logs in _objects(_object(document, "the request"), "resourceLogs"):
        resources = _attributes(_object(resource_logs.get("resource") or {}, "resource"))
        for scope_logs in _objects(resource_logs, "scopeLogs"):
            scope = _scope(_object(scope_logs.get("scope") or {}, "scope"))
            shared = {"resources": resources, "scope": scope}
            shared = {name: value for name, value in shared.items() if value}
            _read_records(_list(scope_logs, "logRecords"), shared, added, found)
    return found


def _read_records(records: list[Any], shared: Event, added: Event, found: Logs) -> None:
    """Read the records of one scope; `shared` is what all their events have."""
    constant = shared | {name: value for name, value in added.items() if name not in _OWN_FIELDS}
    # What is the same in all lines is made once.
    rest = (b"," + orjson.dumps(constant)[1:] if constant else b"}") + b"\n"
    defaults = [item for item in added.items() if item[0] in _OWN_FIELDS and item[0] not in shared]
    for record in records:
        try:
            event = _event(_object(record, "a log record"))
        except DecodeError as error:
            _reject(record, error.reason, found)
            continue
        for name, value in defaults:
            event.setdefault(name, value)
        own = orjson.dumps(event)[:-1]
        found.parts += (own, rest)
        found.count += 1
        found.size_bytes += len(own) + len(rest)
        if found.size_bytes > MOST_LINES_BYTES:
            raise TooManyEventsError(
                f"cannot take a request whose events have more than {MOST_LINES_BYTES} bytes "
                "with all that the resource says: send smaller ones"
            )


def _reject(record: Any, reason: str, found: Logs) -> None:
    if len(found.rejected) == MOST_REJECTED:
        raise DecodeError(f"more than {MOST_REJECTED} records are bad, as this one: {reason}")
    found.rejected.append((show(record), reason))


_OWN_FIELDS = frozenset(
    {"message", "attributes", "resources", "scope", "trace_id", "span_id", "severity_text"}
    | {"severity_number", "flags", "dropped_attributes_count", "observed_timestamp", "timestamp"}
)
"""Fields that an event may have by itself."""


def _event(record: Event) -> Event:
    """Never empty."""
    event: Event = {"dropped_attributes_count": _integer(record, "droppedAttributesCount", _UINT32)}
    if body := record.get("body"):
        event["message"] = _any(body)
    if attributes := _attributes(record):
        event["attributes"] = attributes
    if given := record.get("traceId"):
        event["trace_id"] = _hexadecimal(given, "traceId")
    if given := record.get("spanId"):
        event["span_id"] = _hexadecimal(given, "spanId")
    if text := record.get("severityText"):
        event["severity_text"] = _string(text, "severityText")
    if number := _integer(record, "severityNumber", _UINT32):
        event["severity_number"] = number
    if flags := _integer(record, "flags", _UINT32):
        event["flags"] = flags
    observed = _integer(record, "observedTimeUnixNano", _UINT64)
    if observed:
        event["observed_timestamp"] = _timestamp(observed)
    if nanos := _integer(record, "timeUnixNano", _UINT64) or observed:
        event["timestamp"] = _timestamp(nanos)
    return event


def _timestamp(nanos: int) -> str:
    seconds, fraction = divmod(nanos, 10**_NANOSECONDS_DIGITS)
    return f"{utc_second(seconds)}.{fraction:09d}Z"


def _scope(scope: Event) -> Event:
    found: Event = {
        "name": _string(scope.get("name") or "", "scope.name"),
        "version": _string(scope.get("version") or "", "scope.version"),
        "attributes": _attributes(scope),
        "dropped_attributes_count": _integer(scope, "droppedAttributesCount", _UINT32),
    }
    return {name: value for name, value in found.items() if value}


def _attributes(holder: Event, depth: int = 0, key: str = "attributes") -> Event:
    found: Event = {}
    for pair in _list(holder, key):
        if type(pair) is not dict:
            _object(pair, f"an element of {key}")
        name = pair.get("key", "")
        if type(name) is not str:
            _string(name, f"{key}.key")
        value = pair.get("value")
        # Most values are text: this asks no more of them than is needed.
        text = value.get("stringValue") if type(value) is dict else None
        found[name] = text if type(text) is str else _any(value, depth)
    return found


def _any(value: Any, depth: int = 0) -> Any:
    if not value:
        return None
    if depth > MAX_DEPTH:
        raise DecodeError(f"not OTLP: values nested deeper than {MAX_DEPTH}")
    kinds = _object(value, "a value")
    for kind, read in _READ.items():
        if kind in kinds:
            return read(kinds, depth)
    raise DecodeError(f"not OTLP: cannot read the value {_short(value)}")


def _double(kinds: Event) -> float | None:
    """Protobuf's JSON writes NaN and infinity as text, and may write any number as text."""
    try:
        return finite(float(kinds["doubleValue"]))
    except (TypeError, ValueError) as error:
        raise DecodeError(f"not OTLP: cannot read {_short(kinds)}") from error


def _bool(kinds: Event) -> bool:
    value = kinds["boolValue"]
    if not isinstance(value, bool):
        raise DecodeError(f"not OTLP: cannot read {_short(kinds)}")
    return value


def _array(kinds: Event, depth: int) -> list[Any]:
    array = _object(kinds["arrayValue"], "arrayValue")
    return [_any(item, depth + 1) for item in _list(array, "values")]


_READ: Mapping[str, Callable[[Event, int], Any]] = {
    "stringValue": lambda kinds, depth: _string(kinds["stringValue"], "stringValue"),
    "intValue": lambda kinds, depth: _integer(kinds, "intValue", _INT64),
    "boolValue": lambda kinds, depth: _bool(kinds),
    "doubleValue": lambda kinds, depth: _double(kinds),
    # Base64, which is how JSON has bytes; it stays so, for it is text already.
    "bytesValue": lambda kinds, depth: _string(kinds["bytesValue"], "bytesValue"),
    "arrayValue": _array,
    "kvlistValue": lambda kinds, depth: _attributes(
        _object(kinds["kvlistValue"], "kvlistValue"), depth + 1, "values"
    ),
}


def _integer(holder: Event, name: str, allowed: range) -> int:
    """A number, or the text of one, as JSON has integers of 64 bits; 0 where there is none."""
    value = holder.get(name)
    if not value:
        return 0
    kind = type(value)
    is_text = kind is str and value.removeprefix("-").isdecimal() and len(value) <= 20
    if is_text or kind is int:
        number = int(value)
        if number in allowed:
            return number
    raise DecodeError(f"not OTLP: {name} is {_short(value)}, which is no such integer")


def _hexadecimal(value: Any, name: str) -> str:
    try:
        return bytes.fromhex(_string(value, name)).hex()
    except ValueError as error:
        if isinstance(error, DecodeError):
            raise
        raise DecodeError(f"not OTLP: {name} is {_short(value)}, not hexadecimal") from error


def _string(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise DecodeError(f"not OTLP: {name} is {_short(value)}, not text")
    return value


def _object(value: Any, name: str) -> Event:
    if not isinstance(value, dict):
        raise DecodeError(f"not OTLP: {name} is {_short(value)}, not an object")
    return value


def _list(holder: Event, name: str) -> list[Any]:
    value = holder.get(name) or []
    if not isinstance(value, list):
        raise DecodeError(f"not OTLP: {name} is {_short(value)}, not an array")
    return value


def _objects(holder: Event, name: str) -> Iterable[Event]:
    return (_object(item, f"an element of {name}") for item in _list(holder, name))


def _short(value: Any) -> str:
    text = show(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
