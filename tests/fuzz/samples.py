"""Valid bytes of each protocol, to be changed; and how a test changes them."""

import gzip
import json
import struct
import zlib
from collections.abc import Callable

import msgpack
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest


def lumberjack(*documents: bytes, compressed: bool = False) -> bytes:
    """A window of events by the Lumberjack protocol."""
    frames = b"".join(
        b"2J" + struct.pack(">II", number, len(document)) + document
        for number, document in enumerate(documents, 1)
    )
    if compressed:
        frames = zlib.compress(frames)
        frames = b"2C" + struct.pack(">I", len(frames)) + frames
    return b"2W" + struct.pack(">I", len(documents)) + frames


def pairs(**fields: str) -> bytes:
    """An event of Lumberjack's first version."""
    texts = b"".join(
        struct.pack(">I", len(text)) + text
        for pair in fields.items()
        for text in map(str.encode, pair)
    )
    return b"1W" + struct.pack(">I", 1) + b"1D" + struct.pack(">II", 1, len(fields)) + texts


def forward(*messages: str) -> bytes:
    """A list of entries by the forward protocol."""
    packed: bytes = msgpack.packb(["tag", [[1, {"message": text}] for text in messages]])
    return packed


def otlp(*messages: str) -> bytes:
    """A request of logs in protobuf, with a value of each kind."""
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    service = resource_logs.resource.attributes.add(key="service.name")
    service.value.string_value = "shop"
    records = resource_logs.scope_logs.add().log_records
    for text in messages:
        record = records.add(time_unix_nano=1_700_000_000_000_000_000, severity_number=9)
        record.body.string_value = text
        record.trace_id = b"\1" * 16
        inner = record.attributes.add(key="map").value.kvlist_value.values.add(key="list")
        inner.value.array_value.values.add(double_value=1.5)
        inner.value.array_value.values.add(int_value=-1)
        inner.value.array_value.values.add(bytes_value=b"\xff")
    return request.SerializeToString()


def otlp_json(*messages: str) -> bytes:
    """A request of logs in JSON."""
    record = {
        "timeUnixNano": "1700000000000000000",
        "severityNumber": 9,
        "traceId": "5b8efff798038103d269b633813fc60c",
        "attributes": [
            {
                "key": "a",
                "value": {"arrayValue": {"values": [{"intValue": "1"}, {"boolValue": True}]}},
            },
            {"key": "b", "value": {"kvlistValue": {"values": [{"key": "c", "value": {}}]}}},
            {"key": "d", "value": {"doubleValue": "NaN"}},
        ],
    }
    records = [{**record, "body": {"stringValue": text}} for text in messages]
    scope_logs = [{"scope": {"name": "n"}, "logRecords": records}]
    return json.dumps({"resourceLogs": [{"resource": {}, "scopeLogs": scope_logs}]}).encode()


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]", inner: bytes = b"1") -> bytes:
    """JSON of that many levels."""
    return opening * depth + inner + closing * depth


GELF = (
    b'{"version":"1.1","host":"h","short_message":"m","timestamp":1700000000.123,"level":3,'
    b'"_user":"u","_n":1e3}'
)
SYSLOG = (
    b'<165>1 2026-10-11T22:14:15.003+02:00 host app 1234 ID47 [ex@32473 iut="3" a="b\\"c"] hello',
    b"<34>Oct 11 22:14:15 mymachine su[77]: 'su root' failed",
    b"<13>Feb 29 00:00:00 x: y",
    b"<0>2026-01-31T23:59:60Z host tag: text",
)
HEC = (
    b'{"event":"text","time":1700000000.5,"host":"h","source":"s","fields":{"a":1}}'
    b'{"event":{"line":"l","n":12345678901234567890},"time":"1700000000"}\n'
    b'{"event":"x","index":null}',
    b'{"event":{"a":[1,{"b":null}]}}\n{"event":""}\n{"event":"last"}',
)
JSON_LINES = (
    b'{"message":"m","n":1.5e300,"big":123456789012345678901234567890}\n',
    b'[{"a":1},{"b":"\\ud83d\\ude00"}]\n',
    nested(150, b'{"a":', b"}"),
    nested(300),
)
FORWARD = (
    forward("a", "b"),
    msgpack.packb(["tag", 1, {"message": "m", "deep": [[{"a": {1: b"\xff"}}]]}]),
    msgpack.packb(["tag", msgpack.packb([1, {"a": 1}]) * 3, {"chunk": "id", "size": 3}]),
    msgpack.packb(
        [
            "tag",
            gzip.compress(msgpack.packb([1, {"a": 1}]), mtime=0),
            {"compressed": "gzip", "chunk": "c"},
        ]
    ),
    msgpack.packb(["tag", msgpack.ExtType(0, b"\0\0\0\1\0\0\0\2"), {"message": "m"}]),
    b"\x91" * 1000 + b"\x01",
)
LUMBERJACK = (
    lumberjack(b'{"message":"a"}', b'{"message":"b","@timestamp":"2026-01-31T00:00:00Z"}'),
    lumberjack(b'{"message":"a"}', compressed=True),
    pairs(line="text", host="h"),
)
OTLP = (otlp("a", "b"), otlp_json("a", "b"), otlp_json())

_CUTS = st.tuples(st.floats(0, 1), st.floats(0, 0.2))
_PIECES = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\n", b"\r\n", b'"', b"\\", b"{"]
    ),
    st.integers(17, 32).map(lambda digits: b"9" * digits),
    st.sampled_from([b"1e400", b"-1", b"null", "²".encode(), b"\\ud800", b"\xed\xa0\x80"]),
)


@st.composite
def changed(draw: st.DrawFn, samples: tuple[bytes, ...]) -> bytes:
    """A sample in which some parts are replaced, left out, or there twice."""
    data = draw(st.sampled_from(samples))
    for place, length in draw(st.lists(_CUTS, max_size=4)):
        start = int(place * len(data))
        end = start + int(length * len(data))
        kind = draw(st.sampled_from(["replace", "leave out", "repeat", "cut"]))
        match kind:
            case "replace":
                data = data[:start] + draw(_PIECES) + data[end:]
            case "leave out":
                data = data[:start] + data[end:]
            case "repeat":
                data = data[:end] + data[start:]
            case _:
                data = data[:start] if place > 0.5 else data
    return data


def garbage(samples: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Anything at all, more often something that is nearly right."""
    return st.one_of(st.binary(max_size=200), changed(samples), changed(samples))


Fuzz = Callable[[bytes], None]
"""Takes any bytes; raises only where something is wrong."""
