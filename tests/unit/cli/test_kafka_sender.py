"""Events to Kafka: what a target says, and what becomes of messages, at a cluster within librdkafka."""

import threading
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from tailrace.cli._kafka_sender import KafkaSender, KafkaTarget, open_kafka
from tailrace.cli._senders import shown
from tailrace.clock import SystemClock
from tailrace.errors import UsageError
from tailrace.packs.sender import GaveUpError, Patience
from tailrace.settings import Settings

TOPIC = "numbers"
WITHIN_SECS = 60.0


def patience(give_up_secs: float = WITHIN_SECS) -> Patience:
    return Patience(threading.Event(), SystemClock(), lambda _: None, give_up_secs)


@pytest.fixture
def servers() -> Iterator[str]:
    """Addresses of a cluster that lives as long as its producer."""
    cluster = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 3, "log_level": 2})
    [addresses] = {
        ",".join(f"{broker.host}:{broker.port}" for broker in found.brokers.values())
        for found in [cluster.list_topics(TOPIC, timeout=WITHIN_SECS)]  # which makes it
    }
    yield addresses
    cluster.flush(1)


def read(servers: str, topic: str, partitions: int) -> list[tuple[int, bytes, bytes]]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "g", "log_level": 2})
    found: list[tuple[int, bytes, bytes]] = []
    for partition in range(partitions):
        place = TopicPartition(topic, partition, 0)
        _, end = consumer.get_watermark_offsets(place, timeout=WITHIN_SECS)
        consumer.assign([place])
        messages = consumer.consume(end, WITHIN_SECS) if end else []
        found += [(partition, one.key() or b"", one.value() or b"") for one in messages]
    consumer.close()
    return found


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        ("kafka://u:p@a:1,b:2/t.x?sasl.password=secret", "kafka://a:1,b:2/t.x"),
        ("https://u:secret@a.example/in?token=secret", "https://a.example/in"),
        ("tcp://[::1]:9000", "tcp://[::1]:9000"),
        ("logs/of?today.json", "logs/of?today.json"),
        ("-", "-"),
    ],
)
def test_a_target_is_shown_without_what_is_secret(target: str, seen: str) -> None:
    assert shown(target) == seen


def test_a_target_says_where_and_how() -> None:
    target = KafkaTarget.read("kafka://a:1,b:2/t.x?partitions=4&replication_factor=3&linger.ms=1")
    assert target == KafkaTarget("a:1,b:2", "t.x", 4, 3, {"linger.ms": "1"})
    assert KafkaTarget.read("kafka://a:1/t") == KafkaTarget("a:1", "t")


@pytest.mark.parametrize(
    "target",
    [
        "kafka://a:1",
        "kafka:///t",
        "kafka://[::1/t",
        "kafka://a:1/t?partitions=0",
        "kafka://a:1/t?replication_factor=x",
        "kafka://a:1/t?replicas=3",
        "kafka://a:1/t?no.such.setting=1",
    ],
)
def test_a_target_that_cannot_be_is_said(target: str) -> None:
    with pytest.raises(UsageError, match="cannot send to"):
        open_kafka(target, patience(), None, Settings.read())


def test_the_settings_of_sasl_and_tls_are_used_and_not_told() -> None:
    login = {"mechanism": "PLAIN", "username": "tail", "password": "sesame", "enabled": True}
    settings = Settings.read(**{f"kafka_sasl_{name}": value for name, value in login.items()})
    with pytest.raises(UsageError, match="SASL mechanism: NONE") as refused:
        open_kafka("kafka://a:1/t?sasl.mechanism=NONE", patience(), None, settings)
    assert "sesame" not in str(refused.value)
    wrong = Settings.read(kafka_tls_enabled=True, kafka_tls_ca_file="/no/such/authority")
    with pytest.raises(UsageError, match="TAILRACE_KAFKA_TLS_CA_FILE='/no/such/authority'"):
        open_kafka("kafka://a:1/t", patience(), None, wrong)


def test_messages_have_their_keys_and_partitions(servers: str) -> None:
    def keys(line: str) -> tuple[bytes, int]:
        return line[:1].encode(), int(line[0])

    sender = KafkaSender(KafkaTarget(servers, TOPIC, partitions=4), patience(), keys)
    sender.send(["1 a\n", "2 b\n", "5 c\n"])
    sender.close()
    assert (sender.tally.sent, sender.tally.not_sent, sender.tally.unconfirmed) == (3, 0, 0)
    count = len(
        Consumer({"bootstrap.servers": servers, "group.id": "x", "log_level": 2})
        .list_topics(TOPIC, timeout=WITHIN_SECS)
        .topics[TOPIC]
        .partitions
    )
    found = read(servers, TOPIC, count)
    assert sorted(value for _, _, value in found) == [b"1 a", b"2 b", b"5 c"]
    assert all(partition == int(key) % count for partition, key, _ in found)


def test_it_gives_up_when_there_is_no_broker() -> None:
    sender = KafkaSender(KafkaTarget("127.0.0.1:1", "t"), patience(0.01))
    with pytest.raises(GaveUpError, match="gave up"):
        sender.send(["a\n", "b\n"])
    sender.close()
    assert (sender.tally.sent, sender.tally.not_sent) == (0, 2)


def test_brokers_that_are_away_are_said_once(servers: str) -> None:
    said: list[str] = []
    told = Patience(threading.Event(), SystemClock(), said.append, WITHIN_SECS)
    sender = open_kafka(f"kafka://{servers}/{TOPIC}", told, None, Settings.read())
    assert isinstance(sender, KafkaSender)
    for _ in range(3):
        sender._say_what_is_wrong(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    sender.send(["one\n", "two\n"])
    sender.close()
    name = f"kafka://{servers}/{TOPIC}"
    assert said == [f"cannot reach {name}; trying again", f"{name} takes events again"]
