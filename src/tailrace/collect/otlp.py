"""Reads OTLP's requests of logs, in protobuf and in JSON, as events with Vector's names.

What an event has: `message` (the body; an object where it is one), `attributes` and `resources`
(objects whose names keep their dots), `scope`, `trace_id` and `span_id` in hexadecimal,
`severity_number`, `severity_text`, `flags`, `dropped_attributes_count`, `observed_timestamp`, and
`timestamp`, which is the observed one where the record has none of its own. What a record does not
have, its event does not have either, but for `dropped_attributes_count`.

Protobuf is right or wrong as a whole; of JSON each record is judged alone. In protobuf nesting has a
limit by itself (100 messages), in JSON it is `MAX_DEPTH` values.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from tailrace.collect.codec import DecodeError
from tailrace.collect.transform import Event, Timestamp

MAX_DEPTH = 50
"""Deepest nesting of values in JSON."""

_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**64)
_UINT32 = range(2**32)


@dataclass
class Logs:
    """What a request in JSON holds."""

    events: list[Event] = field(default_factory=list)
    rejected: list[tuple[bytes, str]] = field(default_factory=list)
    """Records that can be none, with the reason."""
    sound: bytes = b""
    """The request without these."""


def parse_protobuf(body: bytes) -> ExportLogsServiceRequest:
    """A request in protobuf; raises DecodeError with the reason."""
    try:
        return ExportLogsServiceRequest.FromString(body)
    except ProtobufError as error:
        raise DecodeError("not OTLP: cannot parse it as protobuf of logs") from error


def count_records(request: ExportLogsServiceRequest) -> int:
    """Number of the events that `protobuf_events` makes of it."""
    return sum(
        len(scope_logs.log_records)
        for resource_logs in request.resource_logs
        for scope_logs in resource_logs.scope_logs
    )


def protobuf_events(request: ExportLogsServiceRequest) -> Iterator[Event]:
    """The events of a request."""
    for resource_logs in request.resource_logs:
        resources = _attributes(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            scope = _scope(scope_logs.scope)
            for record in scope_logs.log_records:
                yield _event(record, resources, scope)


def _event(record: Any, resources: Event, scope: Event) -> Event:
    event: Event = {}
    body = record.body
    if (kind := body.WhichOneof("value")) is not None:
        event["message"] = _READ[kind](getattr(body, kind))
    if attributes := _attributes(record.attributes):
        event["attributes"] = attributes
    # Copies: whoever gets the event may change it.
    if resources:
        event["resources"] = resources.copy()
    if scope:
        event["scope"] = scope.copy()
    if trace_id := record.trace_id:
        event["trace_id"] = trace_id.hex()
    if span_id := record.span_id:
        event["span_id"] = span_id.hex()
    if severity_text := record.severity_text:
        event["severity_text"] = severity_text
    if (severity_number := record.severity_number) > 0:
        event["severity_number"] = severity_number
    if flags := record.flags:
        event["flags"] = flags
    event["dropped_attributes_count"] = record.dropped_attributes_count
    _add_times(event, record.time_unix_nano, record.observed_time_unix_nano)
    return event


def _attributes(pairs: Iterable[Any]) -> Event:
    found: Event = {}
    for pair in pairs:
        value = pair.value
        kind = value.WhichOneof("value")
        if kind == "string_value":
            found[pair.key] = value.string_value
        else:
            found[pair.key] = None if kind is None else _READ[kind](getattr(value, kind))
    return found


def _scope(scope: Any) -> Event:
    found: Event = {"name": scope.name, "version": scope.version}
    found["attributes"] = _attributes(scope.attributes)
    found["dropped_attributes_count"] = scope.dropped_attributes_count
    return {name: value for name, value in found.items() if value}


def _any(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return None if kind is None else _READ[kind](getattr(value, kind))


def _float(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None


_READ: dict[str, Callable[[Any], Any]] = {
    "string_value": str,
    "bool_value": bool,
    "int_value": int,
    "double_value": _float,
    "bytes_value": lambda value: value.decode("utf-8", "replace"),
    "array_value": lambda value: [_any(item) for item in value.values],
    "kvlist_value": lambda value: _attributes(value.values),
    # Of profiles: a place in a table that logs do not have.
    "string_value_strindex": int,
}


def _add_times(event: Event, nanos: int, observed_nanos: int) -> None:
    """Where a record has no time at all, its event's is that of its arrival."""
    if observed_nanos:
        event["observed_timestamp"] = _timestamp(observed_nanos)
    if nanos or observed_nanos:
        event["timestamp"] = _timestamp(nanos or observed_nanos)


def _timestamp(nanos: int) -> Timestamp:
    seconds, fraction = divmod(nanos, 1_000_000_000)
    return Timestamp(f"{_second(seconds)}.{fraction:09d}Z")


@lru_cache(4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def read_json(body: bytes) -> Logs:
    """A request in JSON; raises DecodeError where it is none at all."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"not JSON: {error}") from error
    found = Logs(sound=body)
    for resource_logs in _objects(_object(document, "the request"), "resourceLogs"):
        resources = _json_attributes(_object(resource_logs.get("resource") or {}, "resource"))
        for scope_logs in _objects(resource_logs, "scopeLogs"):
            scope = _json_scope(_object(scope_logs.get("scope") or {}, "scope"))
            _read_records(scope_logs, resources, scope, found)
    if found.rejected:
        found.sound = orjson.dumps(document)
    return found


def _read_records(scope_logs: Event, resources: Event, scope: Event, found: Logs) -> None:
    """Read the records of one scope; those that can be none are taken out."""
    sound = []
    records = _list(scope_logs, "logRecords")
    for record in records:
        try:
            event = _json_event(_object(record, "a log record"), resources, scope)
        except DecodeError as error:
            found.rejected.append((orjson.dumps(record), error.reason))
            continue
        found.events.append(event)
        sound.append(record)
    scope_logs["logRecords"] = sound


def _json_event(record: Event, resources: Event, scope: Event) -> Event:
    event: Event = {}
    body = record.get("body")
    if body:
        event["message"] = _json_any(body)
    if attributes := _json_attributes(record):
        event["attributes"] = attributes
    if resources:
        event["resources"] = resources.copy()
    if scope:
        event["scope"] = scope.copy()
    for name, key in (("trace_id", "traceId"), ("span_id", "spanId")):
        if given := record.get(key):
            event[name] = _hexadecimal(given, key)
    if text := record.get("severityText"):
        event["severity_text"] = _string(text, "severityText")
    if number := _integer(record, "severityNumber", _UINT32):
        event["severity_number"] = number
    if flags := _integer(record, "flags", _UINT32):
        event["flags"] = flags
    event["dropped_attributes_count"] = _integer(record, "droppedAttributesCount", _UINT32)
    nanos = _integer(record, "timeUnixNano", _UINT64)
    _add_times(event, nanos, _integer(record, "observedTimeUnixNano", _UINT64))
    return event


def _json_scope(scope: Event) -> Event:
    found: Event = {
        "name": _string(scope.get("name") or "", "scope.name"),
        "version": _string(scope.get("version") or "", "scope.version"),
        "attributes": _json_attributes(scope),
        "dropped_attributes_count": _integer(scope, "droppedAttributesCount", _UINT32),
    }
    return {name: value for name, value in found.items() if value}


def _json_attributes(holder: Event, depth: int = 0, key: str = "attributes") -> Event:
    return {
        _string(pair.get("key", ""), f"{key}.key"): _json_any(pair.get("value"), depth)
        for pair in _objects(holder, key)
    }


def _json_any(value: Any, depth: int = 0) -> Any:
    if not value:
        return None
    if depth > MAX_DEPTH:
        raise DecodeError(f"not OTLP: values nested deeper than {MAX_DEPTH}")
    kinds = _object(value, "a value")
    for kind, read in _READ_JSON.items():
        if kind in kinds:
            return read(kinds, depth)
    raise DecodeError(f"not OTLP: cannot read the value {_short(value)}")


def _json_double(kinds: Event) -> float | None:
    """Protobuf's JSON writes NaN and infinity as text, and may write any number as text."""
    try:
        return _float(float(kinds["doubleValue"]))
    except (TypeError, ValueError) as error:
        raise DecodeError(f"not OTLP: cannot read {_short(kinds)}") from error


def _json_bool(kinds: Event) -> bool:
    value = kinds["boolValue"]
    if not isinstance(value, bool):
        raise DecodeError(f"not OTLP: cannot read {_short(kinds)}")
    return value


def _json_array(kinds: Event, depth: int) -> list[Any]:
    array = _object(kinds["arrayValue"], "arrayValue")
    return [_json_any(item, depth + 1) for item in _list(array, "values")]


_READ_JSON: Mapping[str, Callable[[Event, int], Any]] = {
    "stringValue": lambda kinds, depth: _string(kinds["stringValue"], "stringValue"),
    "intValue": lambda kinds, depth: _integer(kinds, "intValue", _INT64),
    "boolValue": lambda kinds, depth: _json_bool(kinds),
    "doubleValue": lambda kinds, depth: _json_double(kinds),
    # Base64, which is how JSON has bytes; it stays so, for it is text already.
    "bytesValue": lambda kinds, depth: _string(kinds["bytesValue"], "bytesValue"),
    "arrayValue": _json_array,
    "kvlistValue": lambda kinds, depth: _json_attributes(
        _object(kinds["kvlistValue"], "kvlistValue"), depth + 1, "values"
    ),
}


def _integer(holder: Event, name: str, allowed: range) -> int:
    """A number, or the text of one, as JSON has integers of 64 bits; 0 where there is none."""
    value = holder.get(name) or 0
    is_number = isinstance(value, int) and not isinstance(value, bool)
    is_text = isinstance(value, str) and value.removeprefix("-").isdecimal() and len(value) <= 20
    if not (is_number or is_text) or int(value) not in allowed:
        raise DecodeError(f"not OTLP: {name} is {_short(value)}, which is no such integer")
    return int(value)


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


def _objects(holder: Event, name: str) -> Iterator[Event]:
    return (_object(item, f"an element of {name}") for item in _list(holder, name))


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def response_protobuf(rejected: int, reason: str) -> bytes:
    """The answer to a request that was taken; says what of it was not."""
    response = ExportLogsServiceResponse()
    if rejected:
        response.partial_success.rejected_log_records = rejected
        response.partial_success.error_message = reason
    return response.SerializeToString()


def status_protobuf(code: int, message: str) -> bytes:
    """`google.rpc.Status`: the answer to a request that was not taken."""
    text = message.encode()
    return b"\x08%c\x12%s%s" % (code, _varint(len(text)), text)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
