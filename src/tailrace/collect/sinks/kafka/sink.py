"""Sink `kafka`: sends events to topics of a Kafka cluster.

What is guaranteed: a batch counts as delivered when a broker has confirmed each of its messages,
which it does when all replicas that are in step have it. Within the life of this process a message is
there once, also where its confirmation was lost (the producer is idempotent), unless none comes
within `message_timeout_ms`. At least once beyond that: what was on its way when the process ended, or
had no confirmation in time, is sent again; who must not see it twice tells it by its key or content.

What no broker will ever take (a message larger than the topic allows, a name that no topic can have)
is rejected with the reason. All else is tried again, with growing waits, for ever: a topic that is not
there yet, or a right that is missing, a person will put right.
"""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from typing_extensions import override

from tailrace.collect.daemon import in_daemon
from tailrace.collect.retry import Trouble
from tailrace.collect.sink import (
    Delivery,
    Encoder,
    Piece,
    RejectedRow,
    Sink,
    SinkBatch,
    SinkContext,
)
from tailrace.collect.sinks.kafka.config import KafkaSinkConfig
from tailrace.collect.sinks.kafka.encode import MessageEncoder, Outgoing, unpack
from tailrace.collect.template import Template
from tailrace.kafka import explain

NEVER_TAKEN = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_RECORD,
        KafkaError._INVALID_ARG,
        KafkaError.INVALID_MSG_SIZE,
    }
)
POLL_SECS = 0.1
CHECK_SECS = 5.0
CLOSE_SECS = 1.0


@dataclass(frozen=True)
class _Row:
    message: Outgoing
    piece: Piece


class KafkaSink(Sink):
    """See the module."""

    concurrency = 1

    def __init__(self, config: KafkaSinkConfig, context: SinkContext) -> None:
        self._config = config
        self._context = context
        self.batch_max_bytes = config.batch.max_bytes
        self.batch_max_events = config.batch.max_events
        self.batch_timeout_secs = config.batch.timeout_secs
        self._trouble = Trouble(context)
        self._producer: Producer | None = None
        self._closing = threading.Event()

    @property
    @override
    def is_well(self) -> bool:
        return self._trouble.is_over

    @override
    async def check(self) -> str | None:
        if not self._config.healthcheck.enabled:
            return None
        template = Template(self._config.topic)
        topic = self._config.healthcheck_topic or (template.text if template.is_fixed else None)
        try:
            await in_daemon("kafka-check", partial(self._ask, topic))
        except KafkaException as error:
            return f"cannot reach {self._config.bootstrap_servers}: {explain(error)}"
        return None

    @override
    async def takes_lines(self, added_fields: frozenset[str]) -> bool:
        return False

    @override
    async def encoder(self) -> Encoder:
        return MessageEncoder(self._config)

    @override
    async def deliver(self, batch: SinkBatch) -> Delivery:
        delivery = Delivery()
        rows = await asyncio.to_thread(_rows, batch.pieces)
        self._reject([row for row in rows if row.message.reason], delivery)
        waiting = [row for row in rows if not row.message.reason]
        waits = self._trouble.waits()
        while True:
            delivery.attempts += 1
            errors = await in_daemon("kafka-sink", partial(self._send, waiting))
            sent = [row for row, error in zip(waiting, errors, strict=True) if error is None]
            delivery.sent_rows += len(sent)
            delivery.sent_bytes += sum(len(row.message.value) for row in sent)
            waiting = self._judge(waiting, errors, delivery)
            if not waiting:
                self._trouble.end()
                return delivery
            await asyncio.sleep(next(waits))

    @override
    async def close(self) -> None:
        self._closing.set()
        producer, self._producer = self._producer, None
        if producer:
            producer.purge()
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECS):
                    await in_daemon("kafka-close", partial(producer.flush, CLOSE_SECS))

    def _judge(
        self, rows: Sequence[_Row], errors: Sequence[KafkaError | None], delivery: Delivery
    ) -> list[_Row]:
        """The rows that are to be sent again; those that never will be taken are rejected."""
        again: list[_Row] = []
        for row, error in zip(rows, errors, strict=True):
            if error is None:
                continue
            if error.code() in NEVER_TAKEN:
                self._reject([row], delivery, f"refused by Kafka: {error.str()}")
                continue
            if error.fatal():
                self._producer = None
            if not again:
                self._trouble.report(f"cannot send to {row.message.topic!r}: {error.str()}")
            again.append(row)
        return again

    def _reject(self, rows: Sequence[_Row], delivery: Delivery, reason: str = "") -> None:
        delivery.rejected += [
            RejectedRow(
                self._context.component_id,
                row.piece.peer,
                row.piece.received_at_ms,
                reason or row.message.reason,
                row.message.value,
            )
            for row in rows
        ]

    def _send(self, rows: Sequence[_Row]) -> list[KafkaError | None]:
        """What became of each message; None: it is confirmed. Blocks until that is known."""
        producer = self._producer = self._producer or Producer(self._config.settings())
        errors: list[KafkaError | None] = [KafkaError(KafkaError._IN_PROGRESS)] * len(rows)
        left = len(rows)

        def note(number: int, error: KafkaError | None, _: Message) -> None:
            nonlocal left
            left -= 1
            errors[number] = error

        for number, row in enumerate(rows):
            try:
                self._produce(producer, row.message, partial(note, number))
            except KafkaException as error:
                left -= 1
                errors[number] = error.args[0]
        while left and not self._closing.is_set():
            producer.poll(POLL_SECS)
        return errors

    def _produce(self, producer: Producer, message: Outgoing, note: "partial[None]") -> None:
        while not self._closing.is_set():
            try:
                producer.produce(
                    message.topic,
                    message.value,
                    message.key,
                    headers=[*message.headers] or None,
                    on_delivery=note,
                )
            except BufferError:
                producer.poll(POLL_SECS)
            else:
                return

    def _ask(self, topic: str | None) -> None:
        producer = Producer(self._config.settings())
        found = (
            producer.list_topics(topic, timeout=CHECK_SECS)
            if topic
            else (producer.list_topics(timeout=CHECK_SECS))
        )
        error = found.topics[topic].error if topic else None
        if error:
            raise KafkaException(error)


def _rows(pieces: Sequence[Piece]) -> list[_Row]:
    return [_Row(message, piece) for piece in pieces for message in unpack([piece.payload])]
