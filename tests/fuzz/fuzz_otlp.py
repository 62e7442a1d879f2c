"""OTLP in protobuf and in JSON."""

import orjson

from tailrace.collect.codec import DecodeError
from tailrace.collect.codecs import CODECS
from tailrace.collect.otlp import count_records, parse_protobuf, protobuf_events
from tailrace.collect.otlp_json import read_json
from tests.fuzz.samples import OTLP, nested, otlp

SEEDS = (
    *OTLP,
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":' + nested(300) + b"}]}]}]}",
)
GOOD = otlp("good")


def fuzz(data: bytes) -> None:
    """A request is refused with its reason, or all of it are events that are JSON."""
    try:
        request = parse_protobuf(data)
    except DecodeError:
        pass
    else:
        events = list(protobuf_events(request))
        assert len(events) == count_records(request)
        orjson.dumps(events)
    # Requests may be put behind one another: so protobuf has it.
    try:
        both = list(protobuf_events(parse_protobuf(GOOD + data)))
    except DecodeError:
        pass
    else:
        assert both[0]["message"] == "good"
    try:
        logs = read_json(data, {"host": "h"})
    except DecodeError:
        return
    lines = logs.lines.split(b"\n")[:-1]
    assert len(lines) == logs.count
    for line in lines:
        assert CODECS["opentelemetry"](line)
