"""What the tests of the source and the sink `kafka` share."""

from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, Producer, TopicPartition

from tailrace.collect.source import Frames, Origin
from tailrace.collect.sources.kafka.messages import Message


@dataclass(frozen=True)
class FakeMessage:
    """A message that no broker has seen."""

    at: int
    said: bytes | None = b"{}"
    named: bytes | None = None
    marked: tuple[tuple[str, bytes | None], ...] | None = None
    sent_at: tuple[int, int] = (1, 1000)
    where: tuple[str, int] = ("t", 0)

    def topic(self) -> str:
        return self.where[0]

    def partition(self) -> int:
        return self.where[1]

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return self.named

    def value(self) -> bytes | None:
        return self.said

    def headers(self) -> object:
        return self.marked

    def timestamp(self) -> tuple[int, int]:
        return self.sent_at

    def error(self) -> None:
        return None


def offsets_as_lines(messages: Sequence[Message]) -> list[Frames]:
    """Each message as a line that is its offset; none for tombstones."""
    lines = [b"%d\n" % (message.offset() or 0) for message in messages if message.value()]
    return [Frames(b"".join(lines), len(lines), Origin())] if lines else []


class MockCluster:
    """librdkafka's own mock of a cluster; topics come into being when they are written to.

    It is inside of a client of this process, and ends with it.
    """

    def __init__(self, brokers: int = 1) -> None:
        self._host = Producer({"test.mock.num.brokers": brokers, "log_level": 0})
        found = self._host.list_topics(timeout=20).brokers.values()
        self.servers = ",".join(f"{broker.host}:{broker.port}" for broker in found)
        self._producer = Producer(
            {"bootstrap.servers": self.servers, "log_level": 0, "linger.ms": 0}
        )

    def send(self, topic: str, values: Sequence[bytes | None], partition: int = 0) -> None:
        """Send messages, in their order."""
        for value in values:
            self._producer.produce(topic, value, partition=partition)
        assert self._producer.flush(20) == 0

    def committed(self, group: str, topic: str, partition: int = 0) -> tuple[int, str]:
        """Where a group stands, and what is written beside it."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": group, "log_level": 0})
        (found,) = consumer.committed([TopicPartition(topic, partition)], timeout=20)
        consumer.close()
        return found.offset, found.metadata or ""

    def commit(self, group: str, topic: str, offset: int, text: str = "") -> None:
        """Set where a group without members stands."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": group, "log_level": 0})
        place = TopicPartition(topic, 0, offset, metadata=text)
        consumer.commit(offsets=[place], asynchronous=False)
        consumer.close()
