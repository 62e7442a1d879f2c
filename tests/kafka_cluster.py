"""A real Kafka cluster of three brokers for tests, by `scripts/kafka`."""

import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, TopicMetadata  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewTopic

WHILE_BROKERS_CHANGE = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
    }
)
"""What is answered when a killed broker's groups have just come to another, or back to it."""
SCRIPT = Path(__file__).parents[1] / "scripts" / "kafka"


class KafkaCluster:
    """A running cluster."""

    def __init__(self, folder: Path, bootstrap_servers: str, secure_servers: str = "") -> None:
        self.folder = folder
        self.bootstrap_servers = bootstrap_servers
        self.secure_servers = secure_servers
        self._producer = Producer(
            {"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, "log_level": 2}
        )

    def create_topic(self, partitions: int = 4, replicas: int = 3) -> str:
        """A new topic's name; it is there on every broker."""
        name = f"t-{uuid.uuid4().hex[:12]}"
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers})
        admin.create_topics([NewTopic(name, partitions, replicas)])[name].result(60)
        for server in self.bootstrap_servers.split(","):
            # It asks the one broker that it knows.
            one = AdminClient({"bootstrap.servers": server, "log_level": 2})
            while not _is_there(one.list_topics(timeout=60).topics.get(name), partitions):
                time.sleep(0.02)
        return name

    def send(self, topic: str, values: Sequence[bytes], partitions: int = 4) -> None:
        """Produce messages, one after the other to each partition, acknowledged by all replicas."""
        producer = self._producer
        for number, value in enumerate(values):
            while True:
                try:
                    producer.produce(topic, value, partition=number % partitions)
                    break
                except BufferError:
                    producer.poll(0.05)
        assert producer.flush(120) == 0

    def read(self, topic: str, partitions: int, count: int) -> list[bytes]:
        """Values of a topic's messages, as soon as there are so many different ones."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap_servers, "group.id": "reader"})
        consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        found: list[bytes] = []
        for _ in range(1200):
            messages = consumer.consume(1000, 0.1)
            found += [message.value() or b"" for message in messages if not message.error()]
            if len(set(found)) >= count:
                break
        consumer.close()
        return found

    def committed(self, group: str, topic: str, partitions: int) -> int:
        """Messages of a topic that a group has acknowledged, of all partitions together."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap_servers, "group.id": group})
        places = [TopicPartition(topic, number) for number in range(partitions)]
        try:
            found = consumer.committed(places, timeout=20)
        except KafkaException as error:
            if error.args[0].code() not in WHILE_BROKERS_CHANGE:
                raise
            found = consumer.committed(places, timeout=60)
        finally:
            consumer.close()
        return sum(max(0, place.offset) for place in found)

    def kill_broker(self, number: int) -> None:
        """kill -9 of one broker; `start_again` brings it back."""
        os.kill(self._pids()[number], signal.SIGKILL)

    def start_again(self) -> None:
        """Start the brokers that do not run."""
        started = _run("start", "--dir", str(self.folder))
        assert started.returncode == 0, started.stderr

    def _pids(self) -> Mapping[int, int]:
        brokers = json.loads((self.folder / "cluster.json").read_text(encoding="utf-8"))
        return {broker["id"]: broker["pid"] for broker in brokers}


def _is_there(topic: TopicMetadata | None, partitions: int) -> bool:
    """Whether each of so many partitions has somebody who takes messages."""
    found = topic.partitions.values() if topic else ()
    return len(found) == partitions and all(part.leader >= 0 for part in found)


@contextmanager
def running_cluster(
    folder: Path, brokers: int = 3, secure: Sequence[str] = ()
) -> Iterator[KafkaCluster]:
    """A cluster; the test is skipped where there is no Java, or no Maven that could bring Kafka.

    `secure` is a file with a key and a certificate, a name and a password, which its
    `secure_servers` then want of clients.
    """
    if shutil.which("java") is None:
        pytest.skip("Kafka needs Java: apt-get install openjdk-17-jre-headless")
    installed = _run("install")
    if not installed.stdout.strip():
        pytest.skip(installed.stderr.strip())
    more = ["--secure", *secure] if secure else []
    started = _run("start", "--dir", str(folder), "--brokers", str(brokers), *more)
    try:
        assert started.returncode == 0, started.stderr
        said = dict(line.split("=", 1) for line in started.stdout.splitlines())
        yield KafkaCluster(folder, said["BOOTSTRAP_SERVERS"], said.get("SECURE_SERVERS", ""))
    finally:
        _run("stop", "--dir", str(folder))


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SCRIPT), *arguments], capture_output=True, text=True, check=False)
