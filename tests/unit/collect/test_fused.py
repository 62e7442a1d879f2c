"""Lines through a row of VRL transforms become what the pipeline makes of them, event by event."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.collect.buffer.format import Record
from tailrace.collect.encoding import FieldChoice
from tailrace.collect.envelope import pack
from tailrace.collect.fused import WORTH_IT_LINES, FusedPipeline, fused
from tailrace.collect.json_text import parse_json
from tailrace.collect.pipeline import Pipeline, PipelineSpec, Processed, frames, write_origin
from tailrace.collect.sink import Encoder
from tailrace.collect.sinks.clickhouse.encode import RowEncoder
from tailrace.collect.source import Origin
from tailrace.collect.transform import TransformConfig, TransformContext
from tailrace.collect.transforms.filter import FilterConfig
from tailrace.collect.transforms.remap import RemapConfig
from tailrace.collect.transforms.route import RouteConfig

ENCODERS: dict[str, Encoder] = {
    "out": RowEncoder(),
    "some": RowEncoder(FieldChoice(except_fields=("b",))),
    "dropped": RowEncoder(),
    "why": RowEncoder(),
}
SINKS = {
    "out": ("third",),
    "some": ("third",),
    "dropped": ("first.dropped",),
    "why": ("beside",),
}


def make_spec(
    codec: str = "json", *, enveloped: bool = False, **changed: TransformConfig
) -> PipelineSpec:
    """Three transforms in a row, which fail, abort, split and filter, and one beside it."""
    first = (
        'if .a == "abort" { abort }\n'
        'if .a == "split" { . = [{"b": 1}, {"b": 2}] } else if .a == "text" { . = "text" } '
        'else { .b = int(.a) ?? length(string!(.message)) }'
    )  # fmt: skip
    transforms: dict[str, TransformConfig] = {
        "first": RemapConfig(
            type="remap",
            inputs=("in",),
            source=first,
            drop_on_error=True,
            reroute_dropped=True,
        ),
        "second": FilterConfig(type="filter", inputs=("first",), condition="int!(.b) != 3"),
        "third": RemapConfig(
            type="remap", inputs=("second",), source=".is = is_timestamp(.timestamp)"
        ),
        "beside": RemapConfig(
            type="remap", inputs=("first.dropped",), source='. = {"why": .metadata.dropped.reason}'
        ),
        **changed,
    }
    contexts = {
        "first": TransformContext("first", "UTC", frozenset({"dropped"})),
        "second": TransformContext("second", "UTC"),
        "third": TransformContext("third", "UTC", typed_output=False),
        "beside": TransformContext("beside", "UTC", typed_output=False),
    }
    return PipelineSpec("in", "socket", codec, transforms, contexts, SINKS, enveloped=enveloped)


def make(spec: PipelineSpec) -> FusedPipeline:
    """The short way, which there must be."""
    short = fused(spec, Pipeline(spec))
    assert short is not None
    return short


def as_found(processed: Processed) -> dict[str, Any]:
    """What can be compared: JSON may have its fields in another order."""
    return {
        "rows": {
            name: [orjson.loads(line) for line in bytes(body).splitlines()]
            for name, body in processed.bodies.items()
        },
        "numbers": +processed.rows,
        "rejected": processed.rejected,
        "counts": +processed.counts,
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.text() | st.floats(width=16),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
USUAL = [b'{"a":%d}' % n for n in range(5)] + [b'{"message":"hello"}']
odd = (
    st.sampled_from([b'{"a":"%s"}' % a for a in (b"abort", b"split", b"text", b"1")])
    | st.sampled_from([b"", b" ", b"\r", b'{"a":1}\r', b"no JSON", b"[]", b'[{"a":1},{"a":2}]'])
    | st.sampled_from([b'{"a":1},{"a":2}', b"[1", b"2]", b'{"a":"\xff"}', b'{"timestamp":null}'])
    | st.sampled_from([b'{"x":9223372036854775808}', b'{"x":%s}' % (b"[" * 101 + b"]" * 101)])
    | st.dictionaries(st.sampled_from(["a", "b", "timestamp", "host"]), json_values).map(
        lambda value: json.dumps(value).encode()
    )
)
ODD_VALUES: list[Any] = [9223372036854775808, "1 12345678901234567890", 1.1e300, [[]] * 101]
A_VALUES = st.sampled_from(["abort", "split", "text", 1, 3])
names = st.sampled_from(["host", "timestamp", "source_type", "port"])
fields = st.lists(st.tuples(names, st.text() | st.integers(0, 9) | st.none()), max_size=3)


@st.composite
def records(draw: st.DrawFn) -> Record:
    lines = USUAL * draw(st.integers(WORTH_IT_LINES // len(USUAL), 12))
    for line in draw(st.lists(odd, max_size=3)):
        lines.insert(draw(st.integers(0, len(lines))), line)
    metadata = write_origin(
        Origin(draw(st.sampled_from(["", "10.0.0.1"])), tuple(draw(fields))),
        one_frame=False,
        reject_reason=draw(st.sampled_from(["", "", "", "too long"])),
    )
    payload = b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines)
    return Record(memoryview(payload), metadata, len(lines), draw(st.integers(0, 2**41)))


@pytest.mark.parametrize("codec", ["json", "bytes"])
def test_the_short_way_leads_where_the_long_one_does(codec: str) -> None:
    spec = make_spec(codec)
    long = Pipeline(spec)

    @settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
    @given(st.lists(records(), max_size=3))
    def same(found: list[Record]) -> None:
        by_long = long.process(list(frames(iter(found))), ENCODERS)
        assert as_found(make(spec).process(found, ENCODERS)) == as_found(by_long)

    same()


@st.composite
def ready_records(draw: st.DrawFn) -> Record:
    """Events as a source of envelopes may hand them over, or an envelope with one that is none."""
    metadata = write_origin(Origin("t/0"), one_frame=False, enveloped=True)
    if not draw(st.integers(0, 3)):
        payload = pack(b"no JSON", "t/0@7", None, {})
        return Record(memoryview(payload), metadata, 1, 1_700_000_000_000)
    whole = {"timestamp": "2026-11-22T12:55:52.123Z", "source_type": "kafka", "headers": {}}
    events: list[Any] = [{"a": n, **whole} for n in range(WORTH_IT_LINES)]
    for value in draw(st.lists(st.sampled_from(ODD_VALUES) | json_values, max_size=3)):
        # As the codec has them: what is beyond 64 bits came as text, or is no event at all.
        event = {"a": 9, "x": parse_json(json.dumps(value, allow_nan=False).encode()), **whole}
        events.insert(draw(st.integers(0, len(events))), {**event, "a": draw(A_VALUES)})
    payload = b"".join(orjson.dumps(event) + b"\n" for event in events)
    metadata = write_origin(Origin("t/0"), one_frame=False, ready=True)
    return Record(memoryview(payload), metadata, len(events), 1_700_000_000_000)


def test_so_do_events_of_a_source_of_envelopes() -> None:
    spec = make_spec(enveloped=True)
    long = Pipeline(spec)

    @settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
    @given(st.lists(ready_records(), max_size=3))
    def same(found: list[Record]) -> None:
        by_long = long.process(list(frames(iter(found))), ENCODERS)
        assert as_found(make(spec).process(found, ENCODERS)) == as_found(by_long)

    same()


def test_events_go_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec(enveloped=True)
    short, pipeline_took = make(spec), []
    process = Pipeline.process

    def counted(self: Pipeline, found: Any, *rest: Any) -> Processed:
        pipeline_took.append(len(found))
        return process(self, found, *rest)

    monkeypatch.setattr(Pipeline, "process", counted)
    line = b'{"a":1,"timestamp":"2026-11-22T12:55:52.123Z"}\n'
    metadata = write_origin(Origin("t/0"), one_frame=False, ready=True)
    made = short.process([Record(memoryview(line * 1000), metadata, 1000, 5)], ENCODERS)
    assert (made.rows["out"], sum(pipeline_took)) == (1000, 0)
    first = bytes(made.bodies["out"]).splitlines()[0]
    assert orjson.loads(first) == {
        "a": 1,
        "b": 1,
        "is": True,
        "source_type": "socket",
        "timestamp": "2026-11-22T12:55:52.123Z",
    }


def many(line: bytes, lines: int = 10_000) -> Record:
    metadata = write_origin(Origin("10.0.0.1", (("host", "10.0.0.1"),)), one_frame=False)
    return Record(memoryview((line + b"\n") * lines), metadata, lines, 1_700_000_000_000)


def test_it_is_tried_again_after_it_led_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec()
    short, pipeline_took = make(spec), []
    process = Pipeline.process

    def counted(self: Pipeline, found: Any, *rest: Any) -> Processed:
        pipeline_took.append(len(found))
        return process(self, found, *rest)

    monkeypatch.setattr(Pipeline, "process", counted)
    assert short.process([many(b'{"a":"abort"}')], ENCODERS).rows["dropped"] == 10_000
    assert sum(pipeline_took) == 10_000
    pipeline_took.clear()
    assert short.process([many(b'{"a":1}')], ENCODERS).rows["out"] == 10_000
    assert sum(pipeline_took) < 10_000


def test_only_a_row_of_vrl_goes_the_short_way() -> None:
    route = RouteConfig(type="route", inputs=("second",), route={"x": "true"})
    aside = RemapConfig(type="remap", inputs=("first",), source=".c = 1")
    for spec in (
        make_spec("syslog"),
        make_spec(third=route),
        make_spec(third=aside),
        make_spec(beside=aside),
        make_spec(beside=RemapConfig(type="remap", inputs=("first", "first.dropped"), source="")),
        make_spec(third=RemapConfig(type="remap", inputs=("second",), source="return {}")),
        make_spec(
            third=RemapConfig(type="remap", inputs=("second",), source="tailrace_defaults = {}")
        ),
    ):
        assert fused(spec, Pipeline(spec)) is None
