"""Lines that nobody looks into become what the pipeline makes of them, byte for byte."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.collect.buffer.format import Record
from tailrace.collect.encoding import FieldChoice
from tailrace.collect.pipeline import Pipeline, PipelineSpec, frames, write_origin
from tailrace.collect.plain_lines import are_plain, process_plain
from tailrace.collect.sinks.clickhouse.encode import RowEncoder
from tailrace.collect.source import Origin, Position

SPEC = PipelineSpec("in", "file", "bytes", {}, {}, {"a": ("in",), "b": ("in",)})
ENCODERS = {"a": RowEncoder(), "b": RowEncoder()}

names = st.sampled_from(["host", "file", "message", "timestamp", "source_type", "port"])
origins = st.builds(
    Origin,
    st.sampled_from(["", "10.0.0.1"]),
    st.lists(st.tuples(names, st.one_of(st.text(), st.integers(0, 65535), st.none())), max_size=4)
    .map(tuple),
)  # fmt: skip
payloads = st.lists(
    st.one_of(st.binary(), st.sampled_from([b"\n", b"\r\n", b"\xe2\x82", b"text\n"])), max_size=8
).map(b"".join)


@st.composite
def records(draw: st.DrawFn) -> Record:
    payload = draw(payloads)
    metadata = write_origin(
        draw(origins),
        draw(st.booleans()),
        draw(st.none() | st.just(Position("1:2", 3, "{}"))),
        draw(st.sampled_from(["", "", "too long"])),
    )
    return Record(memoryview(payload), metadata, payload.count(b"\n"), draw(st.integers(0, 2**41)))


@settings(deadline=None)
@given(st.lists(records(), max_size=5))
def test_the_short_way_leads_where_the_long_one_does(found: list[Record]) -> None:
    assert are_plain(SPEC, ENCODERS)
    long = Pipeline(SPEC).process(list(frames(iter(found))), ENCODERS)
    short = process_plain(SPEC, found, ENCODERS)
    assert short.bodies == long.bodies
    assert short.rejected == long.rejected
    assert +short.rows == +long.rows
    assert +short.counts == +long.counts


def test_who_wants_something_else_gets_it_the_long_way() -> None:
    assert not are_plain(SPEC, {**ENCODERS, "b": RowEncoder(FieldChoice(except_fields=("host",)))})
    assert not are_plain(PipelineSpec("in", "file", "json", {}, {}, {"a": ("in",)}), ENCODERS)
