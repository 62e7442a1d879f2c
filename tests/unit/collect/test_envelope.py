"""Frames with fields of their own, on their way through a pipeline."""

from tailrace.collect.buffer.format import Record
from tailrace.collect.envelope import pack, unpack
from tailrace.collect.pipeline import Pipeline, PipelineSpec, frames, write_origin
from tailrace.collect.plain_lines import are_plain
from tailrace.collect.sinks.clickhouse.encode import RowEncoder
from tailrace.collect.source import Origin

NOT_TEXT = b"\xff\x00\n\xfe"


def _spec(codec: str) -> PipelineSpec:
    return PipelineSpec("in", "kafka", codec, {}, {}, {"out": ("in",)}, enveloped=True)


def _record(payload: bytes, count: int) -> Record:
    metadata = write_origin(Origin("t/0"), one_frame=False, enveloped=True)
    return Record(memoryview(payload), metadata, count, 5)


def test_any_bytes_come_out_as_they_went_in() -> None:
    for frame in (b"text", b"", NOT_TEXT, "ü\n".encode()):
        line = pack(frame, "t/0@7", None, {"key": None})
        assert line.count(b"\n") == 1
        found = unpack(line)
        assert (found.frame, found.peer, found.timestamp_ms) == (frame, "t/0@7", None)
        assert found.fields == {"key": None}


def test_its_fields_go_over_the_events_and_its_peer_to_what_is_rejected() -> None:
    payload = pack(b'{"a":1,"offset":"mine"}', "t/0@7", 1000, {"offset": 7}) + pack(
        b"no json", "t/0@8", 1000, {"offset": 8}
    )
    spec = _spec("json")
    made = Pipeline(spec).process(list(frames(iter([_record(payload, 2)]))), {"out": RowEncoder()})
    assert made.bodies["out"] == (
        b'{"a":1,"offset":7,"timestamp":"1970-01-01T00:00:01.000Z","source_type":"kafka"}\n'
    )
    (row,) = made.rejected
    assert (row.peer, row.raw) == ("t/0@8", b"no json")


def test_lines_in_envelopes_are_not_plain() -> None:
    assert not are_plain(_spec("bytes"), {"out": RowEncoder()})
    payload = pack(NOT_TEXT, "t/0@7", None, {})
    made = Pipeline(_spec("bytes")).process(
        list(frames(iter([_record(payload, 1)]))), {"out": RowEncoder()}
    )
    assert bytes(made.bodies["out"]).startswith('{"message":"\ufffd\\u0000\\n\ufffd"'.encode())
