"""One source's way to its sinks, as a worker process runs it: decode, transform, encode.

Pure work on bytes: a segment's records go in, and out come the lines for each sink, the rows that
could not get there with their reasons, and the counts by component. Every event that is decoded is
in exactly those places where the transforms' contract puts it. Events are worked on a few thousand
at a time, so that memory follows that and not the segment's size. Where transforms remember, no
part spans more than a tenth of a second of arrivals, for they must know the time.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import orjson

from tailrace.collect.buffer.format import Record
from tailrace.collect.codec import DecodeError
from tailrace.collect.codecs import CODECS
from tailrace.collect.envelope import Envelope, unpack
from tailrace.collect.sink import Bytes, Encoder, RejectedRow
from tailrace.collect.source import Origin, Position
from tailrace.collect.stateful import Moment, StatefulTransform
from tailrace.collect.transform import (
    Event,
    Timestamp,
    Transform,
    TransformConfig,
    TransformContext,
    as_timestamp,
)

EVENTS_AT_ONCE = 5000
ONE_MOMENT_MS = 100

Tick = Literal["now", "end"]
"""What an empty record tells transforms that remember: the time, or that nothing comes any more."""


@dataclass(frozen=True)
class PipelineSpec:
    """What a worker must know of a source's way; it is pickled."""

    source_id: str
    source_type: str
    codec: str
    transforms: Mapping[str, TransformConfig]
    """By id, each after those that it takes events from."""
    contexts: Mapping[str, TransformContext]
    sink_inputs: Mapping[str, tuple[str, ...]]
    output: str = ""
    """Name of the source's output, where it is not the source itself."""
    enveloped: bool = False
    """Whether its lines are envelopes: see `tailrace.collect.envelope`."""

    @property
    def decoded(self) -> str:
        """What components take that want the source's events."""
        return f"{self.source_id}.{self.output}" if self.output else self.source_id


@dataclass
class Processed:
    """What became of a segment."""

    bodies: dict[str, Bytes] = field(default_factory=dict)
    rows: Counter[str] = field(default_factory=Counter)
    rejected: list[RejectedRow] = field(default_factory=list)
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By component, name (`received`, `sent`, `discarded`, `rejected`, `errors`) and reason."""
    held: int = 0
    """Events that transforms hold back after this segment."""


@dataclass(frozen=True)
class Frame:
    """A frame and the record that it came in."""

    data: bytes
    origin: Origin
    received_at_ms: int
    reject_reason: str = ""
    envelope: Envelope | None = None
    """What it came in, with fields for its events."""
    is_ready: bool = False
    """Whether it is an event, to which nothing is to be added."""

    @property
    def peer(self) -> str:
        """Who sent it."""
        return self.envelope.peer if self.envelope else self.origin.peer


def read_origin(metadata: bytes) -> tuple[Origin, bool]:
    """Where a record came from, and whether it is one frame rather than lines."""
    document = orjson.loads(metadata)
    fields = tuple((name, value) for name, value in document.get("fields", []))
    return Origin(document.get("peer", ""), fields), document.get("one_frame", False)


def read_position(metadata: bytes) -> Position | None:
    """Where the source stood behind a record, for sources that say so."""
    if b'"position"' not in metadata:
        return None
    found = orjson.loads(metadata).get("position")
    return Position(*found) if found else None


def read_reject_reason(metadata: bytes) -> str:
    """Why a record's frames are rejected; empty for those that are not."""
    if b'"reject_reason"' not in metadata:
        return ""
    return str(orjson.loads(metadata).get("reject_reason", ""))


def is_ready(metadata: bytes) -> bool:
    """Whether a record's lines are events already: see `Frames.ready`."""
    return b'"ready"' in metadata and orjson.loads(metadata).get("ready", False) is True


def write_origin(
    origin: Origin,
    one_frame: bool,
    position: Position | None = None,
    reject_reason: str = "",
    enveloped: bool = False,
    ready: bool = False,
) -> bytes:
    """A record's metadata."""
    document: dict[str, object] = {"peer": origin.peer, "fields": origin.fields}
    if enveloped:
        document["enveloped"] = True
    if ready:
        document["ready"] = True
    if one_frame:
        document["one_frame"] = True
    if position:
        document["position"] = (position.key, position.sequence, position.value)
    if reject_reason:
        document["reject_reason"] = reject_reason
    return orjson.dumps(document)


def write_tick(tick: Tick) -> bytes:
    """The metadata of an empty record."""
    return orjson.dumps({"peer": "", "fields": [], "tick": tick})


def read_tick(metadata: bytes) -> Tick | None:
    """What an empty record tells; None for all others."""
    if b'"tick"' not in metadata:
        return None
    tick: Tick | None = orjson.loads(metadata).get("tick")
    return tick


def frames(records: Iterator[Record]) -> Iterator[Frame]:
    """Every frame that is not empty."""
    for record in records:
        origin, one_frame = read_origin(record.metadata)
        reason = read_reject_reason(record.metadata)
        payload = bytes(record.payload)
        if b'"enveloped"' in record.metadata:
            for line in payload.splitlines():
                envelope = unpack(line)
                yield Frame(envelope.frame, origin, record.received_at_ms, envelope=envelope)
            continue
        if is_ready(record.metadata):
            for line in payload.split(b"\n")[:-1]:
                yield Frame(line, origin, record.received_at_ms, is_ready=True)
            continue
        for data in [payload] if one_frame else payload.split(b"\n"):
            if data and data != b"\r":
                yield Frame(data.removesuffix(b"\r"), origin, record.received_at_ms, reason)


class Pipeline:
    """A running one. `shared` are the transforms that remember, one each for all pipelines."""

    def __init__(
        self, spec: PipelineSpec, shared: dict[str, StatefulTransform] | None = None
    ) -> None:
        self._spec = spec
        self._decode = CODECS[spec.codec]
        self._shared = {} if shared is None else shared
        self._transforms = {
            name: self._built(name, config) for name, config in spec.transforms.items()
        }

    def process(
        self,
        all_frames: Sequence[Frame],
        encoders: Mapping[str, Encoder],
        last: Moment | None = None,
    ) -> Processed:
        """Take frames to the sinks that `encoders` names; `last` is the time after them all."""
        processed = Processed()
        bodies: dict[str, list[bytes]] = {name: [] for name in encoders}
        for part, moment in _parts(all_frames, last):
            outputs = self._transform(part, moment, processed)
            for sink_id, encoder in encoders.items():
                for name in self._spec.sink_inputs[sink_id]:
                    events = outputs.get(name, [])
                    bodies[sink_id].append(encoder.encode(events))
                    processed.rows[sink_id] += len(events)
        processed.bodies = {name: b"".join(parts) for name, parts in bodies.items()}
        return processed

    def _built(self, name: str, config: TransformConfig) -> Transform:
        if name in self._shared:
            return self._shared[name]
        transform = config.build(self._spec.contexts[name])
        if isinstance(transform, StatefulTransform):
            self._shared[name] = transform
        return transform

    def _transform(
        self, part: Sequence[Frame], moment: Moment, processed: Processed
    ) -> dict[str, list[Event]]:
        outputs = {self._spec.decoded: self._decode_all(part, processed)}
        takers = Counter(
            name
            for inputs in (*self._inputs().values(), *self._spec.sink_inputs.values())
            for name in inputs
        )
        for component_id, transform in self._transforms.items():
            events: list[Event] = []
            for name in self._spec.transforms[component_id].inputs:
                # A transform owns its events; where others take them too, it gets copies.
                shared = takers[name] > 1
                events += (
                    [_copy(event) for event in outputs.get(name, [])]
                    if shared
                    else (outputs.get(name, []))
                )
            if isinstance(transform, StatefulTransform):
                made = transform.run_at(events, moment)
            else:
                made = transform.run(events)
            outputs[component_id] = made.default
            for output, named in made.named.items():
                outputs[f"{component_id}.{output}"] = named
            self._count(component_id, len(events), processed, made.errors, made.discarded)
            sent = len(made.default) + sum(map(len, made.named.values()))
            processed.counts[component_id, "sent", ""] += sent
            for raw, reason in made.rejected:
                processed.rejected.append(
                    RejectedRow(component_id, _common_peer(part), moment.now_ms, reason, raw)
                )
                processed.counts[component_id, "rejected", ""] += 1
        return outputs

    def _inputs(self) -> dict[str, tuple[str, ...]]:
        return {name: config.inputs for name, config in self._spec.transforms.items()}

    def _decode_all(self, part: Sequence[Frame], processed: Processed) -> list[Event]:
        events: list[Event] = []
        source_id = self._spec.source_id
        for frame in part:
            if frame.is_ready:
                events.append(_ready_event(frame.data))
                continue
            try:
                if frame.reject_reason:
                    raise DecodeError(frame.reject_reason)
                decoded = self._decode(frame.data)
            except DecodeError as error:
                processed.rejected.append(
                    RejectedRow(
                        source_id, frame.peer, frame.received_at_ms, error.reason, frame.data
                    )
                )
                processed.counts[source_id, "rejected", ""] += 1
                continue
            for event in decoded:
                if frame.envelope:
                    _open_envelope(frame.envelope, event)
                for name, value in frame.origin.fields:
                    event.setdefault(name, value)
                event.setdefault("source_type", self._spec.source_type)
                if "timestamp" not in event:
                    event["timestamp"] = as_timestamp(frame.received_at_ms)
            events += decoded
        processed.counts[source_id, "sent", ""] += len(events)
        return events

    def _count(
        self,
        component_id: str,
        received: int,
        processed: Processed,
        errors: int,
        discarded: Mapping[str, int],
    ) -> None:
        processed.counts[component_id, "received", ""] += received
        processed.counts[component_id, "errors", ""] += errors
        for reason, number in discarded.items():
            processed.counts[component_id, "discarded", reason] += number


def _ready_event(line: bytes) -> Event:
    event: Event = orjson.loads(line)
    event["timestamp"] = Timestamp(event["timestamp"])
    return event


def _open_envelope(envelope: Envelope, event: Event) -> None:
    event.update(envelope.fields)
    if envelope.timestamp_ms is not None:
        event["timestamp"] = as_timestamp(envelope.timestamp_ms)


def _parts(
    all_frames: Sequence[Frame], last: Moment | None
) -> Iterator[tuple[Sequence[Frame], Moment]]:
    """Frames that are worked on together, with their time."""
    first = 0
    while first < len(all_frames):
        end = min(first + EVENTS_AT_ONCE, len(all_frames))
        if last:
            until_ms = all_frames[first].received_at_ms + ONE_MOMENT_MS
            late = (n for n in range(first, end) if all_frames[n].received_at_ms > until_ms)
            end = next(late, end)
        yield all_frames[first:end], Moment(all_frames[end - 1].received_at_ms)
        first = end
    if last:
        yield [], last


def _copy(event: Event) -> Event:
    """A deep copy of JSON values, which is all that an event holds."""
    return {name: _copy_value(value) for name, value in event.items()}


def _copy_value(value: object) -> object:
    if isinstance(value, dict):
        return {name: _copy_value(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_copy_value(item) for item in value]
    return value


def _common_peer(part: Sequence[Frame]) -> str:
    peers = {frame.origin.peer for frame in part}
    return peers.pop() if len(peers) == 1 else ""
