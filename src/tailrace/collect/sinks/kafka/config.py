"""Options of the sink `kafka`, as Vector names them."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import AliasChoices, Field, field_validator, model_validator

from tailrace.collect.component import SinkConfig
from tailrace.collect.encoding import Encoding
from tailrace.collect.fields import split_path
from tailrace.collect.kafka import KafkaConnection, check_options, check_producer
from tailrace.collect.options import Acknowledgements, Batch, Healthcheck
from tailrace.collect.template import Template

OURS = ("enable.idempotence", "acks", "request.required.acks", "transactional.id")


class KafkaSinkConfig(KafkaConnection, SinkConfig):
    """Sends events to topics of Kafka, as an idempotent producer; what was sent is replicated."""

    templates: ClassVar[frozenset[str]] = frozenset({"topic"})

    not_taken: ClassVar[Mapping[str, str]] = {
        **SinkConfig.not_taken,
        "rate_limit_duration_secs": "messages go as fast as brokers take them",
        "rate_limit_num": "messages go as fast as brokers take them",
    }

    type: Literal["kafka"] = "kafka"

    topic: str = Field(min_length=1)
    """Topic to send to; strftime's letters and `{{ field }}` are filled in for each event."""

    dangerously_allow_unconfined_template_resolution: bool = False
    """Let events choose any topic."""

    healthcheck_topic: str | None = None
    """Topic that is asked for at start; unset: `topic`, where it is the same for every event."""

    key_field: str | None = None
    """Field that is the message's key; messages of one key stay in order. Unset: no key."""

    headers_key: str | None = Field(
        default=None, validation_alias=AliasChoices("headers_key", "headers_field")
    )
    """Field whose own fields are the message's headers; unset: no headers."""

    encoding: Encoding
    """How an event becomes bytes."""

    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "none"
    """How messages are compressed on their way and in Kafka."""

    message_timeout_ms: int = Field(default=300_000, ge=1)
    """Time in ms after which a message that no broker has confirmed is sent anew."""

    batch: Batch = Batch()
    """How many events travel together."""

    acknowledgements: Acknowledgements = Acknowledgements()
    """Always kept."""

    healthcheck: Healthcheck = Healthcheck()
    """Whether Kafka is asked at start."""

    @field_validator("topic")
    @classmethod
    def _is_template(cls, topic: str) -> str:
        Template.parse(topic)
        return topic

    @field_validator("key_field", "headers_key")
    @classmethod
    def _is_path(cls, path: str | None) -> str | None:
        if path is not None:
            split_path(path)
        return path

    @field_validator("librdkafka_options")
    @classmethod
    def _keep_promises(cls, options: dict[str, str]) -> dict[str, str]:
        check_options(options, OURS, "messages are confirmed by all replicas, and sent once")
        return options

    @model_validator(mode="after")
    def _is_confined(self) -> Self:
        template = Template(self.topic)
        is_free = template.has_fields and not template.prefix
        if is_free and not self.dangerously_allow_unconfined_template_resolution:
            raise ValueError(
                f"an event could choose any topic here: {self.topic!r} needs a literal prefix, as "
                "in 'logs-{{ app }}'"
            )
        return self

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        for option, name in (("max_bytes", "batch.size"), ("max_events", "batch.num.messages")):
            if option in self.batch.model_fields_set and name in self.librdkafka_options:
                raise ValueError(
                    f"batch.{option} and librdkafka_options.{name} say the same: delete one"
                )
        check_producer(self.settings())
        return self

    def settings(self) -> dict[str, str | int]:
        """All options, as librdkafka wants them."""
        ours: dict[str, str | int] = {
            "enable.idempotence": "true",
            "compression.codec": self.compression,
            "message.timeout.ms": self.message_timeout_ms,
        }
        if "max_bytes" in self.batch.model_fields_set:
            ours["batch.size"] = self.batch.max_bytes
        if self.batch.max_events:
            ours["batch.num.messages"] = self.batch.max_events
        return {**self.connection_settings(), **ours, **self.librdkafka_options}
