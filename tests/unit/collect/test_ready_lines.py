"""Lines that are events already reach the sink as they are, where the pipeline changes nothing."""

from pathlib import Path

import orjson

from tailrace.collect.buffer.format import Record
from tailrace.collect.encoding import FieldChoice
from tailrace.collect.otlp_json import read_json
from tailrace.collect.pipeline import Pipeline, PipelineSpec, frames, write_origin
from tailrace.collect.ready_lines import are_ready, process_ready
from tailrace.collect.sink import Encoder
from tailrace.collect.sinks.clickhouse.encode import RowEncoder
from tailrace.collect.source import Origin
from tests.golden.protocols.test_otlp_golden import as_protobuf

REQUEST = (Path(__file__).parents[2] / "golden/protocols/otlp_request.json").read_bytes()
SPEC = PipelineSpec(
    "in", "opentelemetry", "opentelemetry", {}, {}, {"out": ("in.logs",)}, output="logs"
)
ENCODERS: dict[str, Encoder] = {"out": RowEncoder()}
ADDED = {"source_type": "opentelemetry", "timestamp": "2026-01-02T03:04:05.678Z"}


def record(payload: bytes, events: int, *, one_frame: bool, reject_reason: str = "") -> Record:
    metadata = write_origin(Origin("10.0.0.1"), one_frame, reject_reason=reject_reason)
    return Record(memoryview(payload), metadata, events, 1_700_000_000_000)


def test_the_short_way_leads_where_the_long_one_does() -> None:
    logs = read_json(REQUEST, ADDED)
    found = [
        record(logs.lines, logs.count, one_frame=False),
        record(as_protobuf(REQUEST), logs.count, one_frame=True),
        record(b"no protobuf", 1, one_frame=True),
        record(logs.lines, logs.count, one_frame=False, reject_reason="too long"),
        record(logs.lines, logs.count, one_frame=False),
    ]
    assert are_ready(SPEC, ENCODERS)
    pipeline = Pipeline(SPEC)
    short = process_ready(SPEC, pipeline, found, ENCODERS)
    long = pipeline.process(list(frames(iter(found))), ENCODERS)
    assert list(map(orjson.loads, bytes(short.bodies["out"]).splitlines())) == list(
        map(orjson.loads, bytes(long.bodies["out"]).splitlines())
    )
    assert short.rows == long.rows == {"out": 3 * logs.count}
    assert short.rejected == long.rejected
    assert len(short.rejected) == logs.count + 1
    assert +short.counts == +long.counts


def test_who_wants_something_else_gets_it_the_long_way() -> None:
    assert not are_ready(SPEC, {"out": RowEncoder(FieldChoice(except_fields=("scope",)))})
    assert not are_ready(PipelineSpec("in", "socket", "json", {}, {}, {"out": ("in",)}), ENCODERS)
