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
from tailrace.collect.otlp import count_records, parse_protobuf, read_json

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


@pytest.mark.parametrize("body", [REQUEST, as_protobuf(REQUEST)], ids=["json", "protobuf"])
def test_sample(body: bytes) -> None:
    assert orjson.loads(orjson.dumps(CODECS["opentelemetry"](body))) == EVENTS


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
    found = read_json(logs(GOOD, record, GOOD))
    assert [event["message"] for event in found.events] == ["good", "good"]
    assert found.rejected == [(orjson.dumps(record), f"not OTLP: {reason}")]
    assert CODECS["opentelemetry"](found.sound) == found.events


def test_what_json_has_no_number_for_is_null() -> None:
    record = {"body": {"doubleValue": "NaN"}}
    for body in (logs(record), as_protobuf(logs(record))):
        (event,) = CODECS["opentelemetry"](body)
        assert event["message"] is None


def test_deep_values_are_refused_not_followed() -> None:
    value: Any = {"stringValue": "deep"}
    for _ in range(60):
        value = {"arrayValue": {"values": [value]}}
    (rejected,) = read_json(logs({"body": value})).rejected
    assert "nested deeper than 50" in rejected[1]


@given(st.binary())
def test_no_bytes_do_anything_but_become_events_or_be_refused(body: bytes) -> None:
    for text in (body, as_protobuf(REQUEST)[: len(body)] + body, b'{"resourceLogs":' + body):
        with suppress(DecodeError):
            orjson.dumps(CODECS["opentelemetry"](text))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["body", "attributes", "timeUnixNano", "traceId", "severityNumber", "flags", "severityText"]


@given(st.dictionaries(st.sampled_from(NAMES), json_values))
def test_no_record_harms_another(record: dict[str, Any]) -> None:
    found = read_json(logs(GOOD, record))
    assert found.events[0]["message"] == "good"
    assert len(found.events) + len(found.rejected) == 2
    assert CODECS["opentelemetry"](found.sound) == found.events
