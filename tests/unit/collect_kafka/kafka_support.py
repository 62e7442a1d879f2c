"""What the tests of the source and the sink `kafka` share."""

from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from tailrace.collect.source import Frames, Origin
from tailrace.collect.sources.kafka import messages as kafka_messages


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


def offsets_as_lines(messages: Sequence[kafka_messages.Message]) -> list[Frames]:
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

    def read(self, topic: str) -> list[Message]:
        """All messages of a topic, partition after partition."""
        consumer = Consumer(
            {"bootstrap.servers": self.servers, "group.id": "reader", "log_level": 0}
        )
        found: list[Message] = []
        for number in consumer.list_topics(topic, timeout=20).topics[topic].partitions:
            place = TopicPartition(topic, number, 0)
            _, end = consumer.get_watermark_offsets(place, timeout=20)
            consumer.assign([place])
            wanted = len(found) + end
            while len(found) < wanted:
                found += consumer.consume(wanted - len(found), 0.1)
        consumer.close()
        return found

    def committed(self, group: str, topic: str, partition: int = 0) -> tuple[int, str]:
        """Where a group stands, and what is written beside it."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": group, "log_level": 0})
        (found,) = consumer.committed([TopicPartition(topic, partition)], timeout=20)
        consumer.close()
        return found.offset, found.metadata or ""
