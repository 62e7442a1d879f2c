"""Lines that a source has made events of by itself, with all that the pipeline adds to others.

Where a sink wants events as they are and no transform is between the two, such lines are what it
gets, byte for byte. Whatever else is in a segment goes through the pipeline, in its place.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from tailrace.collect.buffer.format import Record
from tailrace.collect.fused import join
from tailrace.collect.pipeline import (
    Pipeline,
    PipelineSpec,
    Processed,
    frames,
    is_ready,
    read_origin,
    read_reject_reason,
)
from tailrace.collect.sink import Encoder

READY_CODECS = frozenset({"opentelemetry"})
"""Codecs whose lines are events already; what is none comes as one frame."""


def are_ready(spec: PipelineSpec, encoders: Mapping[str, Encoder]) -> bool:
    """Whether a source's lines are what its sinks want."""
    return (
        (spec.codec in READY_CODECS or spec.enveloped)
        and not spec.transforms
        and all(encoder.writes_events_as_they_are() for encoder in encoders.values())
        and all(spec.sink_inputs[name] == (spec.decoded,) for name in encoders)
    )


def process_ready(
    spec: PipelineSpec,
    pipeline: Pipeline,
    records: Iterable[Record],
    encoders: Mapping[str, Encoder],
) -> Processed:
    """What becomes of records where `are_ready` is true."""
    parts = [
        _as_it_is(spec, record, encoders)
        if _is_ready(spec, record)
        else pipeline.process(list(frames(iter([record]))), encoders)
        for record in records
    ]
    return join(parts, encoders)


def _is_ready(spec: PipelineSpec, record: Record) -> bool:
    if spec.enveloped:
        return is_ready(record.metadata)
    return not read_origin(record.metadata)[1] and not read_reject_reason(record.metadata)


def _as_it_is(spec: PipelineSpec, record: Record, encoders: Mapping[str, Encoder]) -> Processed:
    return Processed(
        dict.fromkeys(encoders, record.payload),
        Counter(dict.fromkeys(encoders, record.events)),
        [],
        Counter({(spec.source_id, "sent", ""): record.events}),
    )
