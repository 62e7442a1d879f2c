"""Source `kafka`: the messages of topics, read as a member of a consumer group."""

from tailrace.collect.sources.kafka.source import KAFKA

__all__ = ["KAFKA"]
