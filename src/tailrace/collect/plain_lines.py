"""Lines that nobody looks into, on their way to a sink that wants them as JSON.

The events of a record differ in nothing but their `message`, so all the rest of their JSON is made
once a record. What comes out is, byte for byte, what `tailrace.collect.pipeline` would make; ten
times as fast, for there is no event at all.
"""

from collections.abc import Iterable, Mapping

import orjson

from tailrace.collect.buffer.format import Record
from tailrace.collect.pipeline import (
    PipelineSpec,
    Processed,
    read_origin,
    read_reject_reason,
)
from tailrace.collect.sink import Encoder, RejectedRow
from tailrace.collect.transform import Event, as_timestamp

PLAIN_CODEC = "bytes"


def are_plain(spec: PipelineSpec, encoders: Mapping[str, Encoder]) -> bool:
    """Whether all that a source's lines need is to be put into JSON."""
    return (
        spec.codec == PLAIN_CODEC
        and not spec.enveloped
        and not spec.transforms
        and all(encoder.writes_events_as_they_are() for encoder in encoders.values())
        and all(spec.sink_inputs[name] == (spec.source_id,) for name in encoders)
    )


def process_plain(
    spec: PipelineSpec, records: Iterable[Record], encoders: Mapping[str, Encoder]
) -> Processed:
    """What becomes of records where `are_plain` is true."""
    processed = Processed()
    parts: list[bytes] = []
    sent = 0
    for record in records:
        lines = _lines(record)
        reason = read_reject_reason(record.metadata)
        if reason:
            peer = read_origin(record.metadata)[0].peer
            processed.rejected += [
                RejectedRow(spec.source_id, peer, record.received_at_ms, reason, line)
                for line in lines
            ]
            processed.counts[spec.source_id, "rejected", ""] += len(lines)
            continue
        rest = b"," + orjson.dumps(_fields(spec, record))[1:] + b"\n"
        dumps = orjson.dumps
        parts += [b'{"message":' + dumps(line.decode("utf-8", "replace")) + rest for line in lines]
        sent += len(lines)
    processed.counts[spec.source_id, "sent", ""] += sent
    body = b"".join(parts)
    processed.bodies = dict.fromkeys(encoders, body)
    processed.rows.update(dict.fromkeys(encoders, sent))
    return processed


def _lines(record: Record) -> list[bytes]:
    payload = bytes(record.payload)
    if read_origin(record.metadata)[1]:
        lines = [payload]
    else:
        lines = payload.split(b"\n")
    if b"\r" in payload:
        return [line.removesuffix(b"\r") for line in lines if line and line != b"\r"]
    return [line for line in lines if line]


def _fields(spec: PipelineSpec, record: Record) -> Event:
    """What all events of a record have besides their message."""
    fields: Event = {}
    for name, value in read_origin(record.metadata)[0].fields:
        if name != "message":
            fields.setdefault(name, value)
    fields.setdefault("source_type", spec.source_type)
    fields.setdefault("timestamp", as_timestamp(record.received_at_ms))
    return fields
