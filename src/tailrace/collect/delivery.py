"""Brings a source's segments to its sinks.

For each finished segment, in order, a few at a time: if a sink takes lines as they are, or the lines are
the events that it wants, it gets the segment's own bytes; what needs decoding or transforms goes
through a worker process. When every sink has answered, what was rejected is kept, the ledger has its
rows, and the segment is removed; in this order, so that a crash at any moment repeats a step and never
leaves one out. Repeating is harmless: the same bytes go under the same token.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tailrace.clock import Clock
from tailrace.collect.arrivals import arrivals_of, moments_of_rejected
from tailrace.collect.buffer.journal import Journal
from tailrace.collect.buffer.recovery import set_damage_aside
from tailrace.collect.buffer.segment import Segment
from tailrace.collect.ledger import BatchRow, Count, Ledger
from tailrace.collect.metrics import ComponentMetrics
from tailrace.collect.pipeline import Processed, is_ready, read_origin
from tailrace.collect.places import AdaptiveLimit, Places
from tailrace.collect.positions import last_positions
from tailrace.collect.rejected import RejectedStore
from tailrace.collect.sink import Delivery, Piece, Sink, SinkBatch
from tailrace.collect.stage import Stage
from tailrace.collect.worker import Job, Workers

BELIEVED_MS = 60_000
"""For so long what this process has written is believed to be on the disk as it was."""


@dataclass(frozen=True)
class Route:
    """A sink that a source reaches."""

    sink_id: str
    sink: Sink
    metrics: ComponentMetrics
    is_direct: bool
    """Whether nothing is between the two, and what comes is JSON lines."""
    may_be_ready: bool = False
    """Whether nothing is between the two, and what comes may be events: see `Frames.ready`."""


@dataclass(frozen=True)
class Tools:
    """What all deliverers of a collector share."""

    workers: Workers | Stage
    """What works on segments; a stage does so in order, so that only one is under way."""
    rejected: RejectedStore
    ledger: Ledger
    clock: Clock
    components: dict[str, ComponentMetrics]


class Deliverer:
    """One source's; see the module."""

    def __init__(
        self,
        source_id: str,
        added_fields: frozenset[str],
        journal: Journal,
        routes: Sequence[Route],
        tools: Tools,
    ) -> None:
        self._source_id = source_id
        self._added_fields = added_fields
        self._journal = journal
        self._routes = routes
        self._tools = tools
        self._adaptive = {
            route.sink_id: AdaptiveLimit(route.sink.concurrency)
            for route in routes
            if route.sink.adapts_concurrency
        }
        self._sending = {
            route.sink_id: asyncio.Semaphore(route.sink.concurrency) for route in routes
        }
        concurrency = min(route.sink.concurrency for route in routes)
        if isinstance(tools.workers, Stage):
            concurrency = 1
        elif concurrency > 1:
            # Their order is nobody's concern then: no worker is left without a segment.
            concurrency = max(concurrency, tools.workers.count)
        self._places = Places(concurrency, list(self._adaptive.values()))

    async def deliver_for_ever(self) -> None:
        """Deliver segments as they come, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._places.take()
                segment = await self._journal.next_segment()
                group.create_task(self._deliver_and_make_room(segment))

    async def _deliver_and_make_room(self, segment: Segment) -> None:
        try:
            await self.deliver(segment)
        finally:
            self._places.give_back()

    async def deliver(self, segment: Segment) -> None:
        """Bring one segment to every sink that does not have it yet."""
        tools = self._tools
        segment = await self._look_again(segment)
        has_it = await tools.ledger.has_taken(segment.token)
        routes = [route for route in self._routes if route.sink_id not in has_it]
        as_lines = [route for route in self._routes if await self._takes_lines(route)]
        as_events = await self._take_events(segment)
        as_they_are = [*as_lines, *as_events]
        through_worker = [route for route in self._routes if route not in as_they_are]
        processed = await self._process(segment, through_worker)
        await tools.rejected.keep(processed.rejected, token=segment.token)
        # In a thread: a segment that has waited for hours is not in memory any more.
        pieces = await asyncio.to_thread(_pieces, segment)
        async with asyncio.TaskGroup() as group:
            for route in routes:
                if route in as_they_are:
                    own = pieces
                else:
                    own = _made_piece(pieces, processed, route.sink_id)
                group.create_task(self._send(route, segment, own, as_lines=route in as_lines))
        await tools.ledger.finish_segment(
            segment.token,
            self._source_id,
            segment.events,
            self._counts(segment, processed),
            last_positions(segment),
            moments_of_rejected(processed.rejected),
            again=segment.again,
        )
        await self._journal.remove(segment)
        self._report(segment, processed)

    async def _look_again(self, segment: Segment) -> Segment:
        """What has been on the disk for long is read with its checksums, as after a start."""
        age_ms = self._tools.clock.now_ms() - segment.first_received_at_ms
        if segment.verify or age_ms < BELIEVED_MS:
            return segment
        damaged = await asyncio.to_thread(set_damage_aside, segment.path)
        if damaged:
            self._tools.components[self._source_id].set_aside(1)
        return replace(segment, verify=True)

    async def _takes_lines(self, route: Route) -> bool:
        return route.is_direct and await route.sink.takes_lines(self._added_fields)

    async def _take_events(self, segment: Segment) -> list[Route]:
        """The routes to sinks that want just the events that a segment's lines are."""
        routes = [route for route in self._routes if route.may_be_ready]
        if not routes or not await asyncio.to_thread(_is_ready, segment):
            return []
        encoders = [await route.sink.encoder() for route in routes]
        return [
            route
            for route, encoder in zip(routes, encoders, strict=True)
            if encoder.writes_events_as_they_are()
        ]

    async def _process(self, segment: Segment, routes: Sequence[Route]) -> Processed:
        if not routes:
            return Processed()
        encoders = {route.sink_id: await route.sink.encoder() for route in routes}
        return await self._tools.workers.process(Job(self._source_id, segment, encoders))

    async def _send(
        self, route: Route, segment: Segment, pieces: Sequence[Piece], *, as_lines: bool = True
    ) -> None:
        tools = self._tools
        token = f"{segment.token}-{route.sink_id}"
        batch = SinkBatch(token, self._source_id, pieces)
        delivery = await self._deliver(route, batch) if batch.size_bytes else Delivery()
        await tools.rejected.keep(delivery.rejected, route.sink_id, token)
        now_ms = tools.clock.now_ms()
        latency_ms = now_ms - segment.first_received_at_ms
        await tools.ledger.write_batch(
            BatchRow(
                token=segment.token,
                sink_id=route.sink_id,
                source_id=self._source_id,
                delivered_at_ms=now_ms,
                events=batch.rows,
                sent=delivery.sent_rows,
                rejected=len(delivery.rejected),
                bytes=delivery.sent_bytes,
                attempts=delivery.attempts,
                latency_ms=latency_ms,
            ),
            *await asyncio.to_thread(arrivals_of, pieces, delivery, as_lines=as_lines),
            rejected=moments_of_rejected(delivery.rejected),
            again=segment.again,
        )
        route.metrics.received(batch.rows, batch.size_bytes)
        route.metrics.sent(delivery.sent_rows, delivery.sent_bytes)
        route.metrics.delivered(delivery.sent_bytes, latency_ms / 1000)
        if delivery.rejected:
            rejected = len(delivery.rejected)
            route.metrics.error("rejected_by_destination", rejected)
            route.metrics.discarded(rejected, "rejected", intentional=False)

    async def _deliver(self, route: Route, batch: SinkBatch) -> Delivery:
        async with self._sending[route.sink_id]:
            return await self._deliver_now(route, batch)

    async def _deliver_now(self, route: Route, batch: SinkBatch) -> Delivery:
        limit = self._adaptive.get(route.sink_id)
        if limit is None:
            return await route.sink.deliver(batch)
        began, secs = self._tools.clock.monotonic(), None
        limit.begin()
        try:
            delivery = await route.sink.deliver(batch)
            secs = self._tools.clock.monotonic() - began
        finally:
            limit.end(secs)
        return delivery

    def _counts(self, segment: Segment, processed: Processed) -> list[Count]:
        counts = [Count(self._source_id, "received", segment.events)]
        if segment.again:
            counts.append(Count(self._source_id, "again", segment.events))
        if not processed.counts:
            counts.append(Count(self._source_id, "sent", segment.events))
        counts += [
            Count(component_id, name, number, reason)
            for (component_id, name, reason), number in processed.counts.items()
        ]
        return counts

    def _report(self, segment: Segment, processed: Processed) -> None:
        components = self._tools.components
        if not processed.counts:
            components[self._source_id].sent(segment.events, segment.size_bytes)
        for (component_id, name, reason), number in processed.counts.items():
            metrics = components[component_id]
            match name:
                case "received":
                    metrics.received(number, 0)
                case "sent":
                    metrics.sent(number, 0)
                case "discarded":
                    metrics.discarded(number, reason, intentional=True)
                case "rejected":
                    metrics.discarded(number, "rejected", intentional=False)
                case "errors" if number:
                    metrics.error("transform_failed", number)
                case _:
                    continue


def _is_ready(segment: Segment) -> bool:
    return all(is_ready(record.metadata) for record in segment.records())


def _pieces(segment: Segment) -> list[Piece]:
    return [
        Piece(
            record.payload,
            record.events,
            record.received_at_ms,
            read_origin(record.metadata)[0].peer,
        )
        for record in segment.records()
    ]


def _made_piece(pieces: Sequence[Piece], processed: Processed, sink_id: str) -> list[Piece]:
    """A worker's lines as one piece; who sent them is known only where it was one peer."""
    peers = {piece.peer for piece in pieces}
    return [
        Piece(
            processed.bodies[sink_id],
            processed.rows[sink_id],
            pieces[0].received_at_ms,
            peers.pop() if len(peers) == 1 else "",
        )
    ]
