"""What OTLP's requests become: one sample, in JSON and in protobuf, and what is no request."""

import base64
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tailrace.collect.codec import DecodeError
from tailrace.collect.codecs import CODECS
from tailrace.collect.otlp import count_records, parse_protobuf
from tailrace.collect.otlp_json import (
    MOST_LINES_BYTES,
    MOST_REJECTED,
    TooManyEventsError,
    read_json,
)
from tailrace.collect.transform import Event, Timestamp

HERE = Path(__file__).parent
REQUEST = (HERE / "otlp_request.json").read_bytes()
EVENTS = json.loads((HERE / "otlp_events.json").read_bytes())


def as_protobuf(request: bytes) -> bytes:
    """By protobuf's own reader of JSON, for which ids are Base64."""
    document = json.loads(request)
    for resource_logs in document["resourceLogs"]:
        for scope_logs in resource_logs["scopeLogs"]:
            for record in scope_logs["logRecords"]:
                for name in {"traceId", "spanId"} & record.keys():
                    record[name] = base64.b64encode(bytes.fromhex(record[name])).decode()
    return ParseDict(document, ExportLogsServiceRequest()).SerializeToString()


def events_of(body: bytes, **added: Any) -> list[Event]:
    """What the codec makes of the lines that the source makes of a request in JSON."""
    lines = read_json(body, added).lines
    return [event for line in lines.splitlines() for event in CODECS["opentelemetry"](line)]


def as_found(events: list[Event]) -> list[tuple[str, Any]]:
    """Every value with its type, at the root."""
    return [(type(value).__name__, value) for event in events for value in sorted(event.items())]


def test_sample() -> None:
    from_json = events_of(REQUEST)
    from_protobuf = CODECS["opentelemetry"](as_protobuf(REQUEST))
    assert orjson.loads(orjson.dumps(from_protobuf)) == EVENTS
    assert as_found(from_json) == as_found(from_protobuf)
    assert all(isinstance(event.get("timestamp", Timestamp()), Timestamp) for event in from_json)


def test_what_is_added_takes_no_fields_place() -> None:
    added = {"message": "added", "scope": "added", "timestamp": "added", "x": None}
    for event, expected in zip(events_of(REQUEST, **added), EVENTS, strict=True):
        assert {**added, **expected} == event


def test_a_small_request_does_not_become_a_large_heap() -> None:
    resource = {"attributes": [{"key": "a", "value": {"stringValue": "x" * 1_000_000}}]}
    one = {"resource": resource, "scopeLogs": [{"logRecords": [{}] * 70}]}
    with pytest.raises(TooManyEventsError, match=f"more than {MOST_LINES_BYTES} bytes"):
        read_json(orjson.dumps({"resourceLogs": [one]}), {})


def test_records_that_are_hardly_any_are_refused_together() -> None:
    with pytest.raises(DecodeError, match=f"more than {MOST_REJECTED} records are bad"):
        read_json(logs(*[7] * (MOST_REJECTED + 1)), {})


def test_records_are_counted_without_making_events() -> None:
    assert count_records(parse_protobuf(as_protobuf(REQUEST))) == len(EVENTS)


def logs(*records: Any) -> bytes:
    return orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})


GOOD = {"body": {"stringValue": "good"}}
BAD = [
    ({"timeUnixNano": "soon"}, 'timeUnixNano is "soon", which is no such integer'),
    ({"timeUnixNano": -1}, "timeUnixNano is -1, which is no such integer"),
    ({"severityNumber": "ERROR"}, 'severityNumber is "ERROR", which is no such integer'),
    ({"traceId": "xyz"}, 'traceId is "xyz", not hexadecimal'),
    ({"spanId": 7}, "spanId is 7, not text"),
    ({"body": "text"}, 'a value is "text", not an object'),
    ({"body": {"stringValue": 7}}, "stringValue is 7, not text"),
    ({"body": {"noSuchValue": 7}}, 'cannot read the value {"noSuchValue":7}'),
    ({"body": {"doubleValue": []}}, 'cannot read {"doubleValue":[]}'),
    ({"attributes": {"a": 1}}, 'attributes is {"a":1}, not an array'),
    (7, "a log record is 7, not an object"),
]


@pytest.mark.parametrize(("record", "reason"), BAD)
def test_a_bad_record_leaves_its_neighbours(record: Any, reason: str) -> None:
    body = logs(GOOD, record, GOOD)
    found = read_json(body, {})
    assert [event["message"] for event in events_of(body)] == ["good", "good"]
    assert found.count == 2
    assert found.rejected == [(orjson.dumps(record), f"not OTLP: {reason}")]


def test_what_json_has_no_number_for_is_null() -> None:
    record = {"body": {"doubleValue": "NaN"}}
    body = logs(record)
    for (event,) in (events_of(body), CODECS["opentelemetry"](as_protobuf(body))):
        assert event["message"] is None


def test_deep_values_are_refused_not_followed() -> None:
    value: Any = {"stringValue": "deep"}
    for _ in range(60):
        value = {"arrayValue": {"values": [value]}}
    (rejected,) = read_json(logs({"body": value}), {}).rejected
    assert "nested deeper than 50" in rejected[1]


@given(st.binary())
def test_no_bytes_do_anything_but_become_events_or_be_refused(body: bytes) -> None:
    for text in (body, as_protobuf(REQUEST)[: len(body)] + body, b'{"resourceLogs":' + body):
        with suppress(DecodeError):
            orjson.dumps(CODECS["opentelemetry"](text))
        with suppress(DecodeError):
            read_json(text, {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["body", "attributes", "timeUnixNano", "traceId", "severityNumber", "flags", "severityText"]


@given(st.dictionaries(st.sampled_from(NAMES), json_values))
def test_no_record_harms_another(record: dict[str, Any]) -> None:
    found = read_json(logs(GOOD, record), {})
    events = events_of(logs(GOOD, record))
    assert events[0]["message"] == "good"
    assert found.count == len(events)
    assert len(events) + len(found.rejected) == 2
