"""Source `kafka`: the messages of topics, read as a member of a consumer group.

A table of ClickHouse gets each message once, whatever fails: see docs/decisions, 009, and `intents`,
which has the protocol. Kafka itself is the durable buffer: what is not delivered is not acknowledged,
and a crash of this collector, or the loss of its disk, loses nothing. So the limits of sinks' `buffer`
do not apply: what has no place waits in Kafka. To destinations that know no
tokens (files, HTTP) a batch comes at least once.

What holds where transforms stand between: the same messages are the same batch, so what transforms
make of it is sent under the same token, and the first that arrives counts. Transforms that remember
(`dedupe`, `reduce`, `sample`, `throttle`) remember in this collector alone: when a partition goes to
another one, that one begins with what it remembers itself.
"""

import asyncio
import threading
from contextlib import suppress

from confluent_kafka import KafkaException
from typing_extensions import override

from tailrace.collect.component import Component
from tailrace.collect.source import Batches, Source, SourceContext
from tailrace.collect.sources.kafka.config import KafkaConfig
from tailrace.collect.sources.kafka.messages import renderer
from tailrace.collect.sources.kafka.partition import Batch, Limits
from tailrace.collect.sources.kafka.reader import Left, Reader, Surroundings
from tailrace.errors import ConfigurationError
from tailrace.kafka import explain

BATCH_BYTES = 10_000_000
"""Size of a batch where no sink says otherwise."""

DRAIN_SHARE = 0.6
"""Of the time for stopping; the rest is for committing and for leaving the group."""


class KafkaSource(Source):
    """See the module. A thread reads; batches are delivered from the event loop."""

    def __init__(self, config: KafkaConfig, context: SourceContext) -> None:
        super().__init__()
        self._config = config
        self._context = context
        self._reader: Reader | None = None
        self._handed_over: asyncio.Queue[Batch | Left | BaseException | None] = asyncio.Queue()
        self._has_ended = asyncio.Event()
        self._delivering: dict[str, asyncio.Task[None]] = {}

    @override
    async def start(self) -> None:
        self._reader = reader = self._make_reader(asyncio.get_running_loop())
        self.tasks.append(asyncio.create_task(self._deliver_for_ever(reader)))
        # A daemon, for a broker that does not answer may hold it longer than we want to wait.
        threading.Thread(
            target=self._read,
            args=(reader,),
            name=f"kafka-{self._context.component_id}",
            daemon=True,
        ).start()

    @override
    async def stop(self, grace_secs: float) -> None:
        if self._reader is None:
            return
        self._reader.stop(grace_secs * DRAIN_SHARE)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._has_ended.wait(), grace_secs)
        # Batches that have no end yet too: they are made again, and nobody waits for these any more.
        ending = [*self.tasks, *self._delivering.values()]
        for task in ending:
            task.cancel()
        await asyncio.wait(ending)

    def _make_reader(self, loop: asyncio.AbstractEventLoop) -> Reader:
        context, config = self._context, self._config

        def hand_over(item: Batch | Left | BaseException | None) -> None:
            # The loop may have ended without waiting for us.
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._handed_over.put_nowait, item)

        self._hand_over = hand_over
        surroundings = Surroundings(
            renderer(config, context.decode),
            Limits(context.most_bytes_at_once or BATCH_BYTES, context.most_events_at_once),
            lambda: self._batches.timeout_secs,
            hand_over,
            context.metrics,
            context.clock,
            context.log.bind(source=context.component_id),
        )
        try:
            return Reader(config, surroundings)
        except KafkaException as error:
            raise ConfigurationError(
                f"cannot use sources.{context.component_id}: {explain(error)}"
            ) from error

    def _read(self, reader: Reader) -> None:
        """The thread's life."""
        try:
            reader.run()
        except BaseException as error:  # noqa: BLE001  # it is raised again in the event loop
            self._hand_over(error)
        else:
            self._hand_over(None)

    async def _deliver_for_ever(self, reader: Reader) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                match await self._handed_over.get():
                    case None:
                        self._has_ended.set()
                    case BaseException() as error:
                        self._has_ended.set()
                        raise error
                    case Left() as left:
                        group.create_task(self._batches.forget(left.prefix, left.names))
                    case Batch() as batch:
                        group.create_task(self._deliver(reader, batch))

    async def _deliver(self, reader: Reader, batch: Batch) -> None:
        """Where a partition was lost and has come back, a batch may come while it is on its way."""
        under_way = self._delivering.get(batch.name)
        if under_way is None:
            arrival_ms = batch.intent.arrival_ms(self._context.clock.now_ms())
            under_way = asyncio.ensure_future(
                self._batches.deliver(batch.name, batch.frames, arrival_ms, again=not batch.is_new)
            )
            self._delivering[batch.name] = under_way
            under_way.add_done_callback(lambda _: self._delivering.pop(batch.name))
        await asyncio.shield(under_way)
        reader.delivered(batch)

    @property
    def _batches(self) -> Batches:
        if self._context.batches is None:
            raise RuntimeError("BUG: a source that reads again needs to deliver batches")
        return self._context.batches


KAFKA: Component[Source] = Component(KafkaConfig, KafkaSource)
