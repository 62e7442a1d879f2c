"""Sends generated events to a topic of Kafka, and makes the topic where it is not there.

    kafka://HOST:PORT,HOST:PORT/TOPIC?partitions=4&replication_factor=3&compression.type=lz4

Names with a dot are settings of librdkafka; they count more than the settings `kafka_sasl_…` and
`kafka_tls_…`. Guarantees: an event is counted as sent when all replicas that
are in step have it, and is there once, in the order of its partition, however often a broker is lost
meanwhile (an idempotent producer). What was still under way when we were told to stop is counted as
unconfirmed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qsl

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tailrace.cli._senders import Retrying, shown, split_target
from tailrace.errors import UsageError
from tailrace.kafka import SILENT, check_security, explain, security_of
from tailrace.packs.generator import Keys
from tailrace.packs.sender import GaveUpError, Patience, Tally
from tailrace.settings import Settings

ASK_TIMEOUT_SECS: Final = 5.0
POLL_SECS: Final = 0.1
STOP_GRACE_SECS: Final = 3.0
MOST_UNDER_WAY: Final = 100_000
KEY_DECIDES: Final = -1
LARGEST_TIMEOUT_MS: Final = 2**31 - 1


@dataclass(frozen=True)
class KafkaTarget:
    """What a target says; UsageError for one that cannot be."""

    servers: str
    topic: str
    partitions: int = 1
    replication_factor: int = 1
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, target: str) -> "KafkaTarget":
        """From `kafka://HOST:PORT/TOPIC?…`."""
        parts = split_target(target)
        topic = parts.path.strip("/")
        said = dict(parse_qsl(parts.query))
        options = {name: value for name, value in said.items() if "." in name}
        counts = {name: value for name, value in said.items() if "." not in name}
        unknown = counts.keys() - {"partitions", "replication_factor"}
        if not parts.netloc or not topic or unknown or not all(map(_counts, counts.values())):
            raise UsageError(
                f"cannot send to {shown(target)!r}: give kafka://HOST:PORT,…/TOPIC, and after a ? maybe "
                "partitions, replication_factor (whole numbers from 1 on), and settings of "
                "librdkafka, whose names have a dot"
            )
        numbers = {name: int(value) for name, value in counts.items()}
        return cls(parts.netloc, topic, options=options, **numbers)

    @property
    def name(self) -> str:
        """For people."""
        return f"kafka://{self.servers}/{self.topic}"


def open_kafka(
    target: str, patience: Patience, keys: Keys | None, settings: Settings
) -> "KafkaSender":
    """A sender; UsageError for a target or for settings of SASL and TLS that cannot be."""
    read = KafkaTarget.read(target)
    check_security(settings)
    options = {**security_of(settings), **read.options}
    try:
        return KafkaSender(replace(read, options=options), patience, keys)
    except KafkaException as error:
        raise UsageError(f"cannot send to {read.name!r}: {explain(error)}") from error


class KafkaSender:
    """Lines as messages, without their newlines."""

    def __init__(self, target: KafkaTarget, patience: Patience, keys: Keys | None = None) -> None:
        self.tally = Tally()
        self._target = target
        self._patience = patience
        self._keys = keys
        self._retrying = Retrying(target.name, patience, "a broker")
        self._partitions = 0
        self._under_way = 0
        self._refused = ""
        self._is_away = False
        ours: dict[str, str | int | float] = {
            "bootstrap.servers": target.servers,
            "client.id": "tailrace-generate",
            "log_level": SILENT,
        }
        self._admin = AdminClient({**ours, **target.options})
        give_up_ms = int(min(max(patience.give_up_secs, 1) * 1000, LARGEST_TIMEOUT_MS))
        producing: dict[str, str | int | float | Callable[[KafkaError], None]] = {
            "enable.idempotence": True,
            "linger.ms": 5,
            "message.timeout.ms": give_up_ms,
            "queue.buffering.max.messages": MOST_UNDER_WAY,
            "error_cb": self._say_what_is_wrong,
        }
        self._producer = Producer({**ours, **producing, **target.options})

    def send(self, lines: Sequence[str]) -> None:
        """Hand the lines to the producer, which sends them in the background."""
        for number, line in enumerate(lines):
            try:
                self._produce(line)
            except GaveUpError:
                self.tally.not_sent += len(lines) - number
                raise
        self._producer.poll(0)

    def close(self) -> None:
        """Wait for what is under way: until it is there or given up, or not long after a stop."""
        clock = self._patience.clock
        stopped_at: float | None = None
        while self._under_way:
            self._producer.poll(POLL_SECS)
            if not self._patience.stop.is_set():
                continue
            stopped_at = clock.monotonic() if stopped_at is None else stopped_at
            if clock.monotonic() - stopped_at > STOP_GRACE_SECS:
                self.tally.unconfirmed += self._under_way
                return
        if self._refused:
            self._patience.say(f"cannot send to {self._target.name}: {self._refused}")

    def _produce(self, line: str) -> None:
        if not self._partitions:
            self._find_topic()
        key, number = self._keys(line) if self._keys else (None, None)
        partition = KEY_DECIDES if number is None else number % self._partitions
        value = line.rstrip("\n").encode()
        while True:
            if self._refused:
                raise GaveUpError(f"cannot send to {self._target.name}: {self._refused}")
            try:
                self._producer.produce(
                    self._target.topic, value, key, partition, on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(POLL_SECS)
                if self._patience.stop.is_set():
                    raise GaveUpError("stopped while the brokers took no events") from None
            else:
                self._under_way += 1
                return

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        self._under_way -= 1
        if error is None:
            if self._is_away:
                self._is_away = False
                self._patience.say(f"{self._target.name} takes events again")
            self.tally.sent += 1
            self.tally.sent_bytes += len(message.value() or b"") + len(message.key() or b"")
        else:
            self.tally.not_sent += 1
            self._refused = error.str()

    def _find_topic(self) -> None:
        """Learn how many partitions there are; make the topic where there is none."""
        while not self._partitions:
            try:
                found = self._admin.list_topics(timeout=ASK_TIMEOUT_SECS)
                topic = found.topics.get(self._target.topic)
                if topic is not None and topic.error is None and topic.partitions:
                    self._partitions = len(topic.partitions)
                    self._retrying.succeeded()
                    return
                self._make_topic(len(found.brokers))
            except KafkaException as error:
                if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                    continue  # somebody else was faster
                self._retrying.failed(explain(error))
            except TimeoutError:
                self._retrying.failed("no answer in time")

    def _make_topic(self, brokers: int) -> None:
        target = self._target
        replicas = max(1, min(target.replication_factor, brokers))
        topic = NewTopic(target.topic, target.partitions, replicas)
        made = self._admin.create_topics([topic], operation_timeout=ASK_TIMEOUT_SECS)
        made[target.topic].result(2 * ASK_TIMEOUT_SECS)
        self._patience.say(
            f"made the topic {target.topic} with {target.partitions} partitions on {replicas} of "
            f"{brokers} brokers"
        )

    def _say_what_is_wrong(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self._is_away:
            self._is_away = True
            self._patience.say(f"cannot reach {self._target.name}; trying again")


def _counts(text: str) -> bool:
    return text.isdigit() and 1 <= int(text) <= 100_000
