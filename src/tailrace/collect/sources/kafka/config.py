"""Options of the source `kafka`, as Vector names them."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from tailrace.collect.component import Options, SourceConfig
from tailrace.collect.kafka import KafkaConnection, check_consumer, check_options
from tailrace.collect.options import Acknowledgements, Decoding, Framing

OURS = (
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "group.id",
    "auto.commit.interval.ms",
)
FETCHED_KBYTES = 32 * 1024
"""What librdkafka fetches ahead, at most; its own default is twice that."""

FETCH_AGAIN_MS = 10
"""Pause after so much was fetched ahead. By librdkafka's own default, a second, it is consumed long
before more comes."""


class KafkaMetrics(Options):
    """Metrics that are made only where they are wanted."""

    topic_lag_metric: bool = False
    """Whether `kafka_consumer_lag` tells how many messages of each partition are not delivered."""


class KafkaConfig(KafkaConnection, SourceConfig):
    """Reads topics of Kafka in a consumer group; an offset is committed when its message is at its
    destinations, and a table of ClickHouse gets each message once, whatever fails.

    With `decoding.codec` json, `framing.method` bytes and all five fields empty, messages go on as
    they are, byte for byte, for less than half the CPU time: an event's `timestamp` is its own then,
    or the time of its arrival. Else it is that of the message, as in Vector."""

    type: Literal["kafka"] = "kafka"

    group_id: str = Field(min_length=1)
    """Name of the consumer group; collectors of one group share the partitions."""

    topics: tuple[str, ...] = Field(min_length=1)
    """Topics to read; one that begins with `^` is a regular expression."""

    auto_offset_reset: Literal[
        "smallest", "earliest", "beginning", "largest", "latest", "end", "error"
    ] = "largest"
    """Where to begin with a partition of which the group has no offset, or one that is gone."""

    commit_interval_ms: int = Field(default=5000, ge=1)
    """Time in ms after its delivery at which a message's offset is committed, at the latest; while
    messages come it is committed with every batch."""

    session_timeout_ms: int = Field(default=10_000, ge=1)
    """Time in ms after which the group takes a collector that says nothing for dead."""

    drain_timeout_ms: int | None = Field(default=None, ge=0)
    """Time in ms that is waited at the end, or when a partition goes to another member, for what is
    on its way. Less than `session_timeout_ms`; unset: half of it."""

    fetch_wait_max_ms: int = Field(default=100, ge=0)
    """Time in ms that a broker may wait for more messages before it answers."""

    key_field: str = "message_key"
    """Field that gets the message's key; empty for none."""

    topic_key: str = "topic"
    """Field that gets the topic; empty for none."""

    partition_key: str = "partition"
    """Field that gets the partition; empty for none."""

    offset_key: str = "offset"
    """Field that gets the offset; empty for none."""

    headers_key: str = "headers"
    """Field that gets the headers; empty for none."""

    framing: Framing = Framing(method="bytes")
    """How a message is cut into frames; `bytes`: it is one."""

    decoding: Decoding = Decoding()
    """How a frame becomes events."""

    metrics: KafkaMetrics = KafkaMetrics()
    """Metrics that are made only where they are wanted."""

    acknowledgements: Acknowledgements = Acknowledgements()
    """Always kept."""

    @override
    def added_fields(self) -> frozenset[str]:
        return frozenset(
            {
                self.key_field,
                self.topic_key,
                self.partition_key,
                self.offset_key,
                self.headers_key,
            }
        ) - {""}

    @property
    @override
    def codec(self) -> str:
        return self.decoding.codec

    @property
    @override
    def enveloped(self) -> bool:
        is_json = self.codec == "json" and self.framing.method == "bytes"
        return not is_json or bool(self.added_fields())

    @property
    def drain_secs(self) -> float:
        """`drain_timeout_ms`, worked out."""
        ms = self.drain_timeout_ms
        return (self.session_timeout_ms / 2 if ms is None else ms) / 1000

    @field_validator("librdkafka_options")
    @classmethod
    def _keep_promises(cls, options: dict[str, str]) -> dict[str, str]:
        check_options(options, OURS, "an offset is committed when its message is delivered")
        return options

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.drain_secs * 1000 >= self.session_timeout_ms:
            raise ValueError("drain_timeout_ms must be less than session_timeout_ms")
        check_consumer(self.settings())
        return self

    def settings(self) -> dict[str, str | int]:
        """All options, as librdkafka wants them."""
        ours: dict[str, str | int] = {
            "group.id": self.group_id,
            "auto.offset.reset": self.auto_offset_reset,
            "session.timeout.ms": self.session_timeout_ms,
            "heartbeat.interval.ms": max(1, min(3000, self.session_timeout_ms // 3)),
            "fetch.wait.max.ms": self.fetch_wait_max_ms,
            "enable.auto.commit": "false",
            "enable.auto.offset.store": "false",
            "enable.partition.eof": "true",
            "partition.assignment.strategy": "cooperative-sticky",
            "queued.max.messages.kbytes": FETCHED_KBYTES,
            "fetch.queue.backoff.ms": FETCH_AGAIN_MS,
        }
        return {**self.connection_settings(), **ours, **self.librdkafka_options}
