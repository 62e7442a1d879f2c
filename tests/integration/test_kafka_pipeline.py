"""Events through a real Kafka and back, with the fields that Vector adds; what fails on the way."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from tests.integration.collect_system import (
    INTAKE,
    TCP,
    Collector,
    Engine,
    eventually,
)
from tests.kafka_cluster import KafkaCluster


def reading(
    kafka: KafkaCluster, topic: str, engine: Engine, transform: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A pipeline from a topic into the log table, with or without a transform."""
    source = {
        "type": "kafka",
        "bootstrap_servers": kafka.bootstrap_servers,
        "group_id": topic,
        "topics": [topic],
        "auto_offset_reset": "earliest",
        "session_timeout_ms": 2000,
        "commit_interval_ms": 100,
        "decoding": {"codec": "json"},
        "metrics": {"topic_lag_metric": True},
    }
    sink = {**INTAKE, "inputs": ["between" if transform else "topic"], "endpoint": engine.url}
    transforms = {"between": {**transform, "inputs": ["topic"]}} if transform else {}
    return {"sources": {"topic": source}, "transforms": transforms, "sinks": {"out": sink}}


def writing(kafka: KafkaCluster, topic: str) -> dict[str, Any]:
    """A pipeline from TCP into a topic."""
    sink = {
        "type": "kafka",
        "inputs": ["tcp"],
        "bootstrap_servers": kafka.bootstrap_servers,
        "topic": f"{topic[:3]}{{{{ rest }}}}",
        "key_field": "customer",
        "headers_key": "headers",
        "encoding": {"codec": "json", "except_fields": ["rest"]},
        "compression": "lz4",
        "batch": {"timeout_secs": 0.05},
    }
    return {"sources": {"tcp": TCP}, "sinks": {"out": sink}}


def test_events_go_to_kafka_and_come_back_with_its_fields(
    kafka: KafkaCluster, engine: Engine, tmp_path: Path
) -> None:
    topic = kafka.create_topic(1)
    line = (
        b'{"message":"hello %d","customer":"c%d","headers":{"trace":"t%d"},"rest":"'
        + topic[3:].encode()
        + b'"}\n'
    )
    with Collector(writing(kafka, topic), tmp_path / "writer") as writer:
        writer.send(b"".join(line % (n, n, n) for n in range(100)))
        with Collector(reading(kafka, topic, engine), tmp_path / "reader") as reader:
            where = f"attributes['topic'] = '{topic}'"
            count = f"SELECT count() FROM logs.application_logs WHERE {where}"
            eventually(lambda: int(engine.value(count)) == 100, "rows")
            kafka.send(topic, [b"no json", b'["neither"]'], partitions=1)
            peers = f"SELECT peer, raw FROM logs.rejected WHERE peer LIKE '{topic}/%' ORDER BY peer"
            eventually(lambda: len(engine.query(peers)) == 2, "rejected rows")
            lag = f'kafka_consumer_lag{{component_id="topic",component_kind="source",component_type="kafka",partition_id="0",topic_id="{topic}"}} 0.0'
            eventually(lambda: lag in reader.page("/metrics"), "no lag")
    assert engine.query(peers) == [
        {"peer": f"{topic}/0@100", "raw": "no json"},
        {"peer": f"{topic}/0@101", "raw": '["neither"]'},
    ]
    found = engine.query(
        "SELECT message, attributes['message_key'] AS key, attributes['offset'] AS offset, "
        "attributes['partition'] AS partition, attributes['headers.trace'] AS trace "
        f"FROM logs.application_logs WHERE {where} AND attributes['customer'] = 'c7'"
    )
    (row,) = found
    assert (row["message"], row["key"], row["partition"], row["trace"]) == (
        "hello 7",
        "c7",
        "0",
        "t7",
    )
    assert committed(kafka, topic) == (102, "")


def committed(kafka: KafkaCluster, topic: str) -> tuple[int, str]:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": topic})
    (found,) = consumer.committed([TopicPartition(topic, 0)], timeout=30)
    consumer.close()
    return found.offset, found.metadata or ""


def test_a_transform_that_remembers_gives_the_same_answer_after_a_crash(
    kafka: KafkaCluster, engine: Engine, tmp_path: Path
) -> None:
    """Without it, `dedupe` would take its own first half of the work for a repetition."""
    topic = kafka.create_topic(1)
    dedupe = {"type": "dedupe", "fields": {"match": ["n"]}, "cache": {"num_events": 100_000}}
    pipeline = reading(kafka, topic, engine, dedupe)
    sent = 0
    count = f"SELECT count() FROM logs.application_logs WHERE attributes['topic'] = '{topic}'"

    def has_more(than: int) -> bool:
        return int(engine.value(count)) > than

    for _ in range(4):
        collector = Collector(pipeline, tmp_path / "collector")
        values = [b'{"n":%d}' % (number // 2) for number in range(sent, sent + 2000)]
        # Before they are sent: all of them may be there when they have been.
        before = int(engine.value(count))
        kafka.send(topic, values, partitions=1)
        eventually(partial(has_more, before), "some rows")
        collector.kill()
        sent += 2000
    with Collector(pipeline, tmp_path / "collector"):
        eventually(lambda: committed(kafka, topic) == (sent, ""), "the last offset")
    (found,) = engine.query(
        "SELECT count() AS rows, uniqExact(attributes['n']) AS different "
        f"FROM logs.application_logs WHERE attributes['topic'] = '{topic}'"
    )
    assert {int(value) for value in found.values()} == {sent // 2}
