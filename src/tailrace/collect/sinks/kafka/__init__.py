"""Sink `kafka`: events as messages in topics."""

from tailrace.collect.component import Component
from tailrace.collect.sink import Sink
from tailrace.collect.sinks.kafka.config import KafkaSinkConfig
from tailrace.collect.sinks.kafka.sink import KafkaSink

KAFKA: Component[Sink] = Component(KafkaSinkConfig, KafkaSink)

__all__ = ["KAFKA", "KafkaSink", "KafkaSinkConfig"]
