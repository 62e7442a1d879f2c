"""Reads OTLP's requests of logs in protobuf, as events with Vector's names.

What an event has: `message` (the body; an object where it is one), `attributes` and `resources`
(objects whose names keep their dots), `scope`, `trace_id` and `span_id` in hexadecimal,
`severity_number`, `severity_text`, `flags`, `dropped_attributes_count`, `observed_timestamp`, and
`timestamp`, which is the observed one where the record has none of its own. What a record does not
have, its event does not have either, but for `dropped_attributes_count`.

A request is right or wrong as a whole, and nesting has a limit by itself (100 messages). (Requests
in JSON: `tailrace.collect.otlp_json`.)
"""

import math
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from tailrace.collect.codec import DecodeError
from tailrace.collect.transform import Event, Timestamp


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


def finite(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None


_READ: dict[str, Callable[[Any], Any]] = {
    "string_value": str,
    "bool_value": bool,
    "int_value": int,
    "double_value": finite,
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
    return Timestamp(f"{utc_second(seconds)}.{fraction:09d}Z")


@lru_cache(4096)
def utc_second(seconds: int) -> str:
    """A second since 1970 as the beginning of RFC 3339's text."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


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
