"""The page and the API of streams over a real Kafka, and without one."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.integration.collect_system import eventually
from tests.kafka_cluster import KafkaCluster
from tests.processes import Process
from tests.web_system import free_port, start_web

VALUES = [b'{"n":%d}' % number for number in range(200)]


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {
        "TAILRACE_DATA_DIR": str(folder),
        "TAILRACE_ENGINE_PORT": str(free_port()),
        "TAILRACE_COLLECTOR_PORT": str(free_port()),
        **more,
    }


@pytest.fixture(scope="module")
def web(kafka: KafkaCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("web")
    with start_web(environment(folder, BOOTSTRAP_SERVERS=kafka.bootstrap_servers)) as process:
        yield process


@pytest.fixture(scope="module")
def topic(kafka: KafkaCluster) -> str:
    """Four partitions with fifty messages each."""
    name = kafka.create_topic(4, 3)
    kafka.send(name, VALUES)
    return name


def get(web: Process, path: str, **parameters: Any) -> Any:
    answer = httpx.get(f"{web.url}{path}", params=parameters or None, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_overview_knows_brokers_topics_and_rates(web: Process, topic: str) -> None:
    found = get(web, "/api/v1/streams")
    assert len(found["brokers"]) == 3
    assert sum(broker["is_controller"] for broker in found["brokers"]) == 1
    [ours] = [one for one in found["topics"] if one["name"] == topic]
    assert ours["messages"] == 200
    assert [(part["first"], part["end"]) for part in ours["partitions"]] == [(0, 50)] * 4
    assert all(len(part["in_sync"]) == 3 for part in ours["partitions"])
    assert ours["per_sec"] > 0
    assert not any(one["name"].startswith("__") for one in found["topics"])


def test_a_groups_lag_and_its_members_are_shown(
    web: Process, kafka: KafkaCluster, topic: str
) -> None:
    group = f"g-{topic}"
    options = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": group}
    consumer = Consumer({**options, "enable.auto.commit": False, "client.id": "reader-1"})
    consumer.subscribe([topic])
    eventually(lambda: consumer.poll(0.1) is None and consumer.assignment(), "an assignment")
    consumer.commit(offsets=[TopicPartition(topic, 0, 20), TopicPartition(topic, 1, 50)])

    def shown() -> Any:
        groups = {one["name"]: one for one in get(web, "/api/v1/streams")["groups"]}
        one = groups.get(group)
        return one if one and one["partitions"] and one["state"] == "stable" else None

    found = eventually(shown, "the group")
    assert found["lag"] == 30
    assert [(lag["partition"], lag["committed"], lag["lag"]) for lag in found["partitions"]] == [
        (0, 20, 30),
        (1, 50, 0),
    ]
    assert {lag["client"] for lag in found["partitions"]} == {"reader-1"}
    assert [(member["client"], member["partitions"]) for member in found["members"]] == [
        ("reader-1", 4)
    ]
    page = httpx.get(f"{web.url}/streams", timeout=60).text
    assert group in page
    assert "lag 30" in page
    consumer.close()


def test_messages_are_found_by_place_by_time_and_by_text(web: Process, topic: str) -> None:
    path = f"/api/v1/streams/{topic}/messages"
    newest = get(web, path, limit=10)
    assert len(newest["rows"]) == 10
    assert newest["is_whole"]
    times = [row["time"] for row in newest["rows"]]
    assert times == sorted(times, reverse=True)

    placed = get(web, path, partition=2, offset=7, limit=3)["rows"]
    assert [(row["offset"], row["value"]) for row in placed] == [
        (7, '{"n":30}'),
        (8, '{"n":34}'),
        (9, '{"n":38}'),
    ]
    assert get(web, path, since="1h", limit=500)["looked_at"] == 200
    assert get(web, path, since=str(int(time.time()) + 3600))["rows"] == []
    assert get(web, path, partition=1, offset=10**15)["rows"] == []
    searched = get(web, path, q='"N":117}', last=1000)
    assert [(row["partition"], row["offset"]) for row in searched["rows"]] == [(1, 29)]
    assert searched["looked_at"] == 200
    assert get(web, path, q='"n":0}', last=100)["looked_at"] == 100


def test_looking_joins_no_group_and_commits_nothing(
    web: Process, kafka: KafkaCluster, topic: str
) -> None:
    get(web, f"/api/v1/streams/{topic}/messages")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    groups = {one.group_id for one in admin.list_consumer_groups().result(30).valid}
    assert not any("tailrace-looks" in name for name in groups)


def test_a_hostile_message_is_text(web: Process, kafka: KafkaCluster) -> None:
    name = kafka.create_topic(1, 1)
    kafka.send(name, [b"<script>alert(1)</script>\x1b[31m", b"\xff\xfe", b"x" * 30_000], 1)
    page = httpx.get(f"{web.url}/streams/{name}", timeout=60)
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;␛[31m" in page.text
    assert "30,000 bytes" in page.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/streams/no-such-topic/messages", 404),
        ("/streams/no-such-topic", 404),
        ("/api/v1/streams/{topic}/messages?partition=9", 404),
        ("/api/v1/streams/{topic}/messages?offset=x", 422),
        ("/api/v1/streams/{topic}/messages?since=whenever", 400),
    ],
)
def test_what_is_not_there_is_said(web: Process, topic: str, path: str, status: int) -> None:
    answer = httpx.get(f"{web.url}{path.format(topic=topic)}", timeout=60)
    assert answer.status_code == status
    assert answer.json()["detail"].startswith("cannot ")


def test_without_a_broker_the_page_says_how_to_name_one(tmp_path: Path) -> None:
    with start_web(environment(tmp_path)) as web:
        page = httpx.get(f"{web.url}/streams", timeout=60)
        assert page.status_code == 200
        assert "BOOTSTRAP_SERVERS=kafka1:9092" in page.text
        answer = httpx.get(f"{web.url}/api/v1/streams", timeout=60)
        assert (answer.status_code, answer.json()["detail"][:19]) == (503, "cannot show streams")


def test_brokers_that_are_away_are_named(tmp_path: Path) -> None:
    servers = f"127.0.0.1:{free_port()}"
    with start_web(environment(tmp_path, BOOTSTRAP_SERVERS=servers)) as web:
        page = httpx.get(f"{web.url}/streams", timeout=60)
        assert page.status_code == 503
        assert servers in page.text
