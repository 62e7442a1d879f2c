"""kill -9 of collectors and brokers, and rebalances under load: every message is in the table once.

Collectors of one group have folders of their own, as on machines of their own: nothing but Kafka
tells one of them what another has done.
"""

import random
import threading
from pathlib import Path
from typing import Any

import pytest

from tailrace.collect.books import read_books, together
from tests.integration.collect_system import (
    HTTP,
    INTAKE,
    Collector,
    Engine,
    eventually,
)
from tests.kafka_cluster import KafkaCluster

PARTITIONS = 4
ROUNDS = 5
MESSAGES_A_ROUND = 3000


class Load:
    """Messages that are numbered, some of them no JSON, in a topic of their own."""

    def __init__(self, kafka: KafkaCluster, engine: Engine) -> None:
        self.kafka = kafka
        self.engine = engine
        self.topic = kafka.create_topic(PARTITIONS)
        self.sent = 0
        self.bad = 0

    def send(self, count: int) -> None:
        """Send so many more."""
        values = []
        for number in range(self.sent, self.sent + count):
            if number % 1000 == 999:
                values.append(b"no json %d" % number)
                self.bad += 1
            else:
                padding = b"." * (number % 200)
                values.append(
                    b'{"message":"%b %d","padding":"%b"}' % (self.topic.encode(), number, padding)
                )
        self.kafka.send(self.topic, values, PARTITIONS)
        self.sent += count

    def pipeline(self, **options: Any) -> dict[str, Any]:
        """What collectors of the group run."""
        fields = ("key_field", "topic_key", "partition_key", "offset_key", "headers_key")
        source = {
            "type": "kafka",
            "bootstrap_servers": self.kafka.bootstrap_servers,
            "group_id": self.topic,
            "topics": [self.topic],
            "auto_offset_reset": "earliest",
            "session_timeout_ms": 1500,
            "decoding": {"codec": "json"},
            **dict.fromkeys(fields, ""),
            **options,
        }
        sink = {**INTAKE, "inputs": ["topic"], "endpoint": self.engine.url}
        return {"sources": {"topic": source}, "sinks": {"out": sink}}

    def good_rows(self) -> int:
        """Rows of this topic in the table."""
        return int(self.engine.value(f"SELECT count() FROM {self._rows}"))

    def wait_for(self, rows: int) -> None:
        """Until so many are in the table."""
        eventually(lambda: self.good_rows() >= rows, f"{rows} rows")

    def bad_rows(self) -> int:
        """Those in the rejected table."""
        return int(self.engine.value(f"SELECT count() FROM {self._bad_rows}"))

    def check(self) -> None:
        """Every message is there, and once."""
        good = self.sent - self.bad
        eventually(lambda: self.good_rows() >= good and self.bad_rows() >= self.bad, "all messages")
        (found,) = self.engine.query(
            f"SELECT count() AS rows, uniqExact(message) AS different FROM {self._rows}"
        )
        assert {name: int(value) for name, value in found.items()} == {
            "rows": good,
            "different": good,
        }
        (found,) = self.engine.query(
            "SELECT count() AS rows, uniqExact(raw) AS different, uniqExact(peer) AS places "
            f"FROM {self._bad_rows}"
        )
        assert {int(value) for value in found.values()} == {self.bad}
        # What was killed between a row and its line in the books is delivered again first.
        eventually(
            lambda: self.kafka.committed(self.topic, self.topic, PARTITIONS) == self.sent,
            "the last offsets",
        )

    def check_books(self, *folders: Path) -> None:
        """The books of all collectors say how many rows there are of each moment: no more, no fewer."""
        books = together([read_books(folder / "data" / "buffer") for folder in folders])
        moment = "toUnixTimestamp64Milli(received_at) AS moment"
        found = self.engine.query(
            f"SELECT moment, count() AS rows FROM (SELECT {moment} FROM {self._rows} "
            f"UNION ALL SELECT {moment} FROM {self._bad_rows}) GROUP BY moment"
        )
        assert books.rows_at("out") == {int(one["moment"]): int(one["rows"]) for one in found}

    @property
    def _rows(self) -> str:
        return f"logs.application_logs WHERE startsWith(message, '{self.topic} ')"

    @property
    def _bad_rows(self) -> str:
        return f"logs.rejected WHERE startsWith(peer, '{self.topic}/')"


@pytest.fixture
def load(kafka: KafkaCluster, engine: Engine) -> Load:
    return Load(kafka, engine)


def test_kill_of_collectors(load: Load, tmp_path: Path) -> None:
    chance = random.Random(3)
    pipeline = load.pipeline()
    collectors = [Collector(pipeline, tmp_path / str(number)) for number in range(2)]
    try:
        for number in range(ROUNDS):
            before = load.good_rows()
            sending = threading.Thread(target=load.send, args=(MESSAGES_A_ROUND,))
            sending.start()
            sending.join(chance.random() * 0.4)
            load.wait_for(before + 1)
            victim = number % 2
            collectors[victim].kill()
            sending.join()
            collectors[victim] = Collector(pipeline, tmp_path / str(victim))
        load.check()
    finally:
        for collector in collectors:
            collector.stop()
    load.check_books(tmp_path / "0", tmp_path / "1")


def test_a_rebalance_under_load(load: Load, tmp_path: Path) -> None:
    pipeline = load.pipeline()
    stopping = threading.Event()

    def send() -> None:
        while not stopping.wait(0.05):
            load.send(500)

    sending = threading.Thread(target=send)
    sending.start()
    try:
        with Collector(pipeline, tmp_path / "first") as first:
            load.wait_for(load.good_rows() + 500)
            with Collector(pipeline, tmp_path / "second") as second:
                eventually(lambda: "partitions have come" in second.log, "a share for the second")
                load.wait_for(load.good_rows() + 500)
            assert "partitions are given up" in first.log
            load.wait_for(load.good_rows() + 500)
            stopping.set()
            sending.join()
            load.check()
    finally:
        stopping.set()
        sending.join()
    load.check_books(tmp_path / "first", tmp_path / "second")


def test_kill_of_a_broker(load: Load, kafka: KafkaCluster, tmp_path: Path) -> None:
    pipeline = load.pipeline()
    with Collector(pipeline, tmp_path / "a"), Collector(pipeline, tmp_path / "b"):
        load.send(2000)
        load.wait_for(1)
        kafka.kill_broker(1)
        try:
            load.send(4000)
            load.wait_for(4000)
        finally:
            kafka.start_again()
        load.send(2000)
        load.check()
    load.check_books(tmp_path / "a", tmp_path / "b")


def test_kill_of_a_collector_that_writes(load: Load, kafka: KafkaCluster, tmp_path: Path) -> None:
    """What is acknowledged arrives, at least once."""
    pipeline = {
        "sources": {"http": HTTP},
        "sinks": {
            "out": {
                "type": "kafka",
                "inputs": ["http"],
                "bootstrap_servers": kafka.bootstrap_servers,
                "topic": load.topic,
                "encoding": {"codec": "text"},
                "batch": {"timeout_secs": 0.05},
            }
        },
    }
    for first in range(0, 3000, 1000):
        with Collector(pipeline, tmp_path / "writer") as writer:
            for number in range(first, first + 1000, 50):
                lines = [b'{"message":"%d"}\n' % each for each in range(number, number + 50)]
                assert writer.post(b"".join(lines))[0] == 200
            writer.kill()
    with Collector(pipeline, tmp_path / "writer"):
        messages = kafka.read(load.topic, PARTITIONS, 3000)
    assert {int(message) for message in messages} == set(range(3000))
