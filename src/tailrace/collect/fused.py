"""The short way of lines through transforms that are nothing but VRL, with the long way's end.

Where the transforms of a source stand in one row and are `remap` or `filter`, its lines go through
all of them inside VRL, many a call (`tailrace.collect.vrl.chain`). Beside the row there may be
transforms that only get what fails in it. Lines of which one cannot go that way, for whatever reason,
go through `tailrace.collect.pipeline` together; that knows what becomes of each. Events come out in the order they came in, whichever way they took, so a batch that is made
again has the same rows at the same places.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

import orjson

from tailrace.collect.buffer.format import Record
from tailrace.collect.pipeline import (
    Frame,
    Pipeline,
    PipelineSpec,
    Processed,
    frames,
    is_ready,
    read_origin,
    read_reject_reason,
)
from tailrace.collect.sink import Bytes, Encoder
from tailrace.collect.transform import FILTERED, as_timestamp
from tailrace.collect.vrl.chain import READY, Chain, LineCodec, Ran

CODECS = frozenset({"bytes", "json"})

MOST_LINES = 256
"""Lines a call. More gain nothing (measured), and cost more when they take the long way."""

LEAST_LINES = 16
"""Where calls with so few lines fail as well, the short way rests."""

REST_LINES = 4096
"""Lines that take the long way then, before the short one is tried again."""

WORTH_IT_LINES = 32
"""Records with fewer lines take the long way: what a call costs is for many lines."""


class FusedPipeline:
    """See the module; made once a process and source."""

    def __init__(
        self, spec: PipelineSpec, pipeline: Pipeline, chain: Chain, names: tuple[str, ...]
    ) -> None:
        self._spec = spec
        self._pipeline = pipeline
        self._chain = chain
        self._names = names
        self._lines_a_call = MOST_LINES
        self._rest_lines = 0

    def process(self, records: Iterable[Record], encoders: Mapping[str, Encoder]) -> Processed:
        """What becomes of a segment's records."""
        parts: list[Processed] = []
        waiting: list[Frame] = []
        for record in records:
            if not self._is_for_us(record):
                waiting += frames(iter([record]))
                continue
            if waiting:
                parts.append(self._pipeline.process(waiting, encoders))
                waiting = []
            parts += self._process_record(record, encoders)
        parts.append(self._pipeline.process(waiting, encoders))
        return join(parts, encoders)

    def _is_for_us(self, record: Record) -> bool:
        if record.events < WORTH_IT_LINES or read_reject_reason(record.metadata):
            return False
        if self._spec.enveloped:
            return is_ready(record.metadata)
        origin, one_frame = read_origin(record.metadata)
        return not one_frame and "timestamp" not in dict(origin.fields)

    def _process_record(
        self, record: Record, encoders: Mapping[str, Encoder]
    ) -> Iterator[Processed]:
        origin, _ = read_origin(record.metadata)
        # Of two fields of one name the first counts.
        defaults = dict(reversed([*origin.fields, ("source_type", self._spec.source_type)]))
        text, time = orjson.dumps(defaults).decode(), as_timestamp(record.received_at_ms)
        lines = _lines(record)
        first = 0
        while first < len(lines):
            some = lines[first : first + self._lines_a_call]
            first += len(some)
            ran = self._try(some, text, time)
            if ran is not None:
                yield self._processed(len(some), ran, encoders)
            else:
                ready = self._spec.enveloped
                at_ms = record.received_at_ms
                found = [Frame(line, origin, at_ms, is_ready=ready) for line in some]
                yield self._pipeline.process(found, encoders)

    def _try(self, lines: Sequence[bytes], defaults: str, timestamp: str) -> Ran | None:
        """Go the short way, unless it led nowhere just now."""
        if self._rest_lines:
            self._rest_lines -= min(len(lines), self._rest_lines)
            return None
        ran = self._chain.run(lines, defaults, timestamp)
        if ran is not None:
            self._lines_a_call = min(self._lines_a_call * 2, MOST_LINES)
        elif self._lines_a_call > LEAST_LINES:
            self._lines_a_call //= 2
        else:
            self._lines_a_call, self._rest_lines = MOST_LINES, REST_LINES
        return ran

    def _processed(self, lines: int, ran: Ran, encoders: Mapping[str, Encoder]) -> Processed:
        counts: Counter[tuple[str, str, str]] = Counter()
        counts[self._spec.source_id, "sent", ""] = left = lines
        for number, name in enumerate(self._names):
            counts[name, "received", ""] = left
            if dropped := ran.dropped[number]:
                counts[name, "discarded", FILTERED] = dropped
                left -= dropped
            counts[name, "sent", ""] = left
        bodies: dict[str, Bytes] = {}
        rows: Counter[str] = Counter()
        for sink_id, encoder in encoders.items():
            takes_them = self._spec.sink_inputs[sink_id] == (self._names[-1],)
            rows[sink_id] = ran.count if takes_them else 0
            bodies[sink_id] = _encode(ran, encoder) if takes_them else b""
        return Processed(bodies, rows, [], counts)


def fused(spec: PipelineSpec, pipeline: Pipeline) -> FusedPipeline | None:
    """The short way for a source, where there is one."""
    if spec.codec not in CODECS:
        return None
    found = row_of(spec)
    if found is None:
        return None
    names, idle = found
    # A sink of several outputs would get its rows in another order on the other way.
    if not all(
        len(inputs) == 1 and inputs[0] in {names[-1], *idle} for inputs in spec.sink_inputs.values()
    ):
        return None
    if spec.contexts[names[-1]].typed_output:
        return None
    steps = [spec.transforms[name].vrl_step(spec.contexts[name]) for name in names]
    known = [step for step in steps if step is not None]
    if len(known) < len(steps):
        return None
    codec = READY if spec.enveloped else spec.codec
    chain = Chain(known, cast(LineCodec, codec))
    return FusedPipeline(spec, pipeline, chain, names) if chain.is_fit else None


def row_of(spec: PipelineSpec) -> tuple[tuple[str, ...], frozenset[str]] | None:
    """The transforms that stand in one row, and all outputs that have nothing while none fails."""
    row: list[str] = []
    idle: set[str] = set()
    for name, transform in spec.transforms.items():
        named = {f"{name}.{output}" for output in transform.named_outputs()}
        if transform.inputs == (row[-1] if row else spec.decoded,):
            row.append(name)
            idle |= named
        elif idle.issuperset(transform.inputs):
            idle |= {name, *named}
        else:
            return None
    return (tuple(row), frozenset(idle)) if row else None


def join(parts: Sequence[Processed], encoders: Mapping[str, Encoder]) -> Processed:
    """What became of several parts of a segment, in their order."""
    whole = Processed()
    for part in parts:
        whole.rows += part.rows
        whole.rejected += part.rejected
        whole.counts.update(part.counts)
    whole.bodies = {name: b"".join([part.bodies[name] for part in parts]) for name in encoders}
    return whole


def _encode(ran: Ran, encoder: Encoder) -> bytes:
    if encoder.writes_events_as_they_are():
        return ran.payload
    return encoder.encode([orjson.loads(line) for line in ran.payload.splitlines()])


def _lines(record: Record) -> list[bytes]:
    """Those that are not empty."""
    payload = bytes(record.payload)
    lines = payload.split(b"\n")
    if b"\r" in payload:
        lines = [line.removesuffix(b"\r") for line in lines if line != b"\r"]
    return [line for line in lines if line]
