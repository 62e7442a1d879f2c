"""Messages that become events in the reader are what the pipeline makes of them in envelopes."""

import json
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.collect.buffer.format import Record
from tailrace.collect.codecs import CODECS
from tailrace.collect.encoding import FieldChoice
from tailrace.collect.pipeline import Pipeline, PipelineSpec, Processed, frames, write_origin
from tailrace.collect.ready_lines import are_ready, process_ready
from tailrace.collect.sink import Encoder
from tailrace.collect.sinks.clickhouse.encode import RowEncoder
from tailrace.collect.source import Frames
from tailrace.collect.sources.kafka.config import KafkaConfig
from tailrace.collect.sources.kafka.messages import (
    EVENTS_AT_ONCE,
    EnvelopeRenderer,
    EventRenderer,
    Render,
    renderer,
)
from tests.unit.collect_kafka.kafka_support import FakeMessage

AS_THEY_ARE: dict[str, Encoder] = {"out": RowEncoder()}
OTHERWISE: dict[str, Encoder] = {"out": RowEncoder(FieldChoice(timestamp_format="unix_ms"))}
WHERE = ("a-topic", 3)
YEAR_10000_MS = 253_402_300_800_000


def config(**options: Any) -> KafkaConfig:
    return KafkaConfig.model_validate(
        {"bootstrap_servers": "127.0.0.1:1", "group_id": "g", "topics": ["t"], **options}
    )


def spec(codec: str) -> PipelineSpec:
    return PipelineSpec("in", "kafka", codec, {}, {}, {"out": ("in",)}, enveloped=True)


def records(parts: Sequence[Frames]) -> list[Record]:
    """Frames as they come out of the buffer."""
    return [
        Record(
            memoryview(part.payload),
            write_origin(part.origin, part.one_frame, enveloped=part.enveloped, ready=part.ready),
            part.count,
            1_700_000_000_000,
        )
        for part in parts
    ]


def by_pipeline(
    render: Render, messages: Sequence[FakeMessage], codec: str, encoders: dict[str, Encoder]
) -> Processed:
    found = frames(iter(records(render(messages))))
    return Pipeline(spec(codec)).process(list(found), encoders)


def by_short_way(render: Render, messages: Sequence[FakeMessage], codec: str) -> Processed:
    assert are_ready(spec(codec), AS_THEY_ARE)
    pipeline = Pipeline(spec(codec))
    return process_ready(spec(codec), pipeline, records(render(messages)), AS_THEY_ARE)


def as_found(processed: Processed) -> dict[str, Any]:
    return {
        "rows": bytes(processed.bodies["out"]),
        "numbers": +processed.rows,
        "rejected": processed.rejected,
        "counts": +processed.counts,
    }


NAMES = ["topic", "partition", "offset", "message_key", "headers", "timestamp", "source_type", "a"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.text() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(st.sampled_from(NAMES) | st.text(), json_values)
written = st.builds(
    lambda value, indent, is_ascii: json.dumps(value, indent=indent, ensure_ascii=is_ascii),
    objects,
    st.none() | st.just(2),
    st.booleans(),
).map(lambda text: text.encode("utf-8", "replace"))
odd = st.sampled_from(
    [
        *(None, b"", b" ", b"\r", b"\n", b"no JSON", b"7", b'"text"', b"null", b"{}", b"[]", b" {} "),
        *(b'{"a":1}\r', b'{"a":1}\x0b', b'[{"a":1}]', b'[{"a":1},{"a":2}]', b'[{"a":1},2]'),
        *(b'{"a":[{}', b'{}]},{}', b'{"a":1},{"a":2}', b'{"a":"\xff"}', b'{"a\xff":1}'),
        *(b'{"topic":1,"topic":2}', b'{"t\\u006fpic":1}', b'{"a":1,"b":2,"a":3}', b'{"":1,"":2}'),
        *(b'{"a":9223372036854775807}', b'{"a":9223372036854775808}', b'{"a":"1 12345678901234567890"}'),
        *(b'{"a":-9223372036854775809}', b'{"a":1e400}', b'{"a":1.10E+2}', b'{"a":0.1234567890123456789}'),
        *(b'{"a":NaN}', b'{"a":-0.0}', b'{"a":"\\ud800"}', b'{"a":"\\ud83d\\ude00\\/"}'),
        *(b'{"a":%s}' % (b"[" * depth + b"]" * depth) for depth in (98, 99, 100, 101, 2000)),
        b'{"a":%s}' % (b"[1]," * 101).join([b"[", b"1]"]),
    ]
)  # fmt: skip
times = (
    st.tuples(st.integers(1, 2), st.integers(-(2**40), YEAR_10000_MS - 1))
    | st.just((1, 1_700_000_000_123))
    | st.just((0, -1))
)
usual = st.builds(
    lambda value, key, headers, at: (value, key, headers, at),
    odd | written | written,
    st.none() | st.binary(max_size=5) | st.text(max_size=5).map(str.encode),
    st.none()
    | st.lists(st.tuples(st.text(max_size=3), st.none() | st.binary(max_size=4)), max_size=3).map(
        tuple
    ),
    times,
)
options = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from(["", *NAMES])
        for name in ("key_field", "topic_key", "partition_key", "offset_key", "headers_key")
    },
)


@st.composite
def some_messages(draw: st.DrawFn) -> list[FakeMessage]:
    """Many good ones, and some of any kind among them."""
    good = (b'{"a":1, "b": "x"}', b"k", (("h", b"v"),), (1, 1_700_000_000_000))
    found = [good] * draw(st.sampled_from([0, 1, EVENTS_AT_ONCE + 3]))
    for one in draw(st.lists(usual, min_size=1, max_size=4)):
        found.insert(draw(st.integers(0, len(found))), one)
    return [FakeMessage(7 + number, *one, WHERE) for number, one in enumerate(found)]


@pytest.mark.parametrize("codec", ["json", "bytes"])
def test_both_ways_lead_to_the_same_bytes(codec: str) -> None:
    @settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
    @given(some_messages(), options)
    def same(messages: list[FakeMessage], names: dict[str, str]) -> None:
        options = config(decoding={"codec": codec}, **names)
        short = EventRenderer(options, CODECS[codec])
        long = EnvelopeRenderer(options)
        expected = as_found(by_pipeline(long, messages, codec, AS_THEY_ARE))
        assert as_found(by_short_way(short, messages, codec)) == expected
        assert as_found(by_pipeline(short, messages, codec, AS_THEY_ARE)) == expected
        expected = as_found(by_pipeline(long, messages, codec, OTHERWISE))
        assert as_found(by_pipeline(short, messages, codec, OTHERWISE)) == expected

    same()


def render(*messages: FakeMessage, **options: Any) -> list[Frames]:
    made = config(**options)
    return renderer(made, CODECS[made.codec])(messages)


def test_a_message_becomes_an_event_with_its_fields() -> None:
    message = FakeMessage(7, b'{"a": 1}', b"key\xff", (("h", b"1"), ("none", None)), (1, 1234))
    (part,) = render(message, decoding={"codec": "json"}, offset_key="at")
    assert (part.ready, part.enveloped, part.count, part.origin.peer) == (True, False, 1, "t/0")
    assert orjson.loads(part.payload) == {
        "a": 1,
        "topic": "t",
        "partition": 0,
        "message_key": "key\ufffd",
        "at": 7,
        "headers": {"h": "1"},
        "timestamp": "1970-01-01T00:00:01.234Z",
        "source_type": "kafka",
    }


def test_text_becomes_the_message_of_an_event() -> None:
    (part,) = render(FakeMessage(7, b"one\ntwo"))
    assert part.ready
    assert orjson.loads(part.payload)["message"] == "one\ntwo"


@pytest.mark.parametrize(
    "odd",
    [
        FakeMessage(1, b"no JSON"),
        FakeMessage(1, b'[{"a":1},{"a":2}]'),
        FakeMessage(1, sent_at=(0, -1)),
        FakeMessage(1, sent_at=(1, YEAR_10000_MS)),
        FakeMessage(1, sent_at=(1, -(2**62))),
    ],
    ids=["no-event", "two-events", "no-time", "far-time", "early-time"],
)
def test_what_is_not_one_event_with_a_time_is_left_to_envelopes(odd: FakeMessage) -> None:
    (alone,) = render(odd, decoding={"codec": "json"})
    assert (alone.enveloped, alone.ready) == (True, False)
    good = [FakeMessage(2 + number) for number in range(2 * EVENTS_AT_ONCE)]
    parts = render(odd, *good, decoding={"codec": "json"})
    assert [(part.enveloped, part.ready) for part in parts] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    assert sum(part.count for part in parts) == 1 + len(good)


@pytest.mark.parametrize(
    "options", [{"framing": {"method": "newline_delimited"}}, {"decoding": {"codec": "syslog"}}]
)
def test_other_framings_and_codecs_use_envelopes(options: dict[str, Any]) -> None:
    (part,) = render(FakeMessage(1, b"<13>text"), **options)
    assert part.enveloped
