"""The page and the API of streams over a real Kafka, and without one."""

import re
import time
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psutil
import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

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


def commit(kafka: KafkaCluster, topic: str, groups: list[str]) -> None:
    """Let groups be there that have read five messages of a partition, and nobody is in."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    places = [TopicPartition(topic, 0, 5)]
    for group in groups:
        asked = ConsumerGroupTopicPartitions(group, places)
        admin.alter_consumer_group_offsets([asked])[group].result(30)


def get(web: Process, path: str, **parameters: Any) -> Any:
    """What is found; asked for again when brokers took too long, as such an answer says."""

    def found() -> Any:
        answer = httpx.get(f"{web.url}{path}", params=parameters or None, timeout=60)
        assert answer.status_code in (200, 503), answer.text
        return [answer.json()] if answer.status_code == 200 else None

    return eventually(found, f"an answer of {path}")[0]


def get_groups(web: Process, **parameters: Any) -> Any:
    """Groups, when brokers have told of all of them: of those that took too long less is known."""

    def found() -> Any:
        page = get(web, "/api/v1/streams/groups", **parameters)
        is_known = all(row["state"] != "unknown" for row in page["rows"])
        return page if page["is_whole"] and is_known else None

    return eventually(found, "what brokers tell of groups")


def get_messages(web: Process, topic: str, **parameters: Any) -> Any:
    """Messages, when there was time for all that were to be read."""

    def found() -> Any:
        page = get(web, f"/api/v1/streams/{topic}/messages", **parameters)
        return page if page["is_whole"] else None

    return eventually(found, "all messages")


def page_of(web: Process, path: str, *shown: str) -> str:
    """A page that shows all of this; as above, it may not at once."""

    def found() -> Any:
        answer = httpx.get(f"{web.url}{path}", timeout=60)
        assert answer.status_code in (200, 503), answer.text
        is_whole = answer.status_code == 200 and all(text in answer.text for text in shown)
        return answer.text if is_whole else None

    return str(eventually(found, f"{path} with {shown}"))


def test_the_overview_knows_brokers_topics_and_rates(web: Process, topic: str) -> None:
    def told() -> Any:
        found = get(web, "/api/v1/streams")
        parts = [part for one in found["topics"] for part in one["partitions"]]
        is_told = all(None not in (part["first"], part["end"], part["per_sec"]) for part in parts)
        return found if is_told and any(one["is_controller"] for one in found["brokers"]) else None

    found = eventually(told, "what all brokers tell")
    assert len(found["brokers"]) == 3
    # of KRaft, each of these brokers is a controller as well
    assert all(broker["is_controller"] for broker in found["brokers"])
    assert all(broker["replicas"] >= 4 for broker in found["brokers"])
    assert sum(broker["leads"] for broker in found["brokers"]) >= 4
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
    consumer = Consumer(
        {**options, "enable.auto.commit": False, "client.id": "reader-1", "log_level": 2}
    )
    consumer.subscribe([topic])
    eventually(lambda: consumer.poll(0.1) is None and consumer.assignment(), "an assignment")
    read = [TopicPartition(topic, 0, 20), TopicPartition(topic, 1, 50)]
    consumer.commit(offsets=read, asynchronous=False)

    def shown() -> Any:
        groups = {one["name"]: one for one in get(web, "/api/v1/streams")["groups"]}
        one = groups.get(group)
        if not one or len(one["partitions"]) != 4 or one["state"] != "stable":
            return None
        return one if all(lag["end"] for lag in one["partitions"]) else None

    found = eventually(shown, "the group")
    assert found["lag"] == 30
    assert [(lag["partition"], lag["committed"], lag["lag"]) for lag in found["partitions"]] == [
        (0, 20, 30),
        (1, 50, 0),
        (2, None, None),
        (3, None, None),
    ]
    assert {lag["client"] for lag in found["partitions"]} == {"reader-1"}
    [member] = found["members"]
    assert (member["client"], member["partitions"]) == ("reader-1", 4)
    assert member["assigned"] == [[topic, number] for number in range(4)]
    page_of(web, f"/streams/groups/{group}", "reader-1", ">30<")
    page_of(web, f"/streams/{topic}?show=groups", f"/streams/groups/{group}")
    consumer.close()


def test_a_groups_name_may_have_any_characters(
    web: Process, kafka: KafkaCluster, topic: str
) -> None:
    name = f"a/b?<i>#{topic} %2F"
    commit(kafka, topic, [name])
    page = page_of(web, f"/streams?q={quote(topic)}", 'href="/streams/groups/a')
    [link] = re.findall(r'href="(/streams/groups/a[^"]*)"', page)[:1]
    page_of(web, unescape(link), f"<title>{escape(name)} · tailrace</title>")
    assert "<i>" not in page.replace("<i></i>", "").split("<main")[1].split("shares")[0]


def test_topics_and_groups_are_found_by_name_and_page_by_page(
    web: Process, kafka: KafkaCluster, topic: str
) -> None:
    names = sorted(f"{topic}-group-{number:02}" for number in range(60))
    commit(kafka, topic, names)
    first = get_groups(web, q=f"{topic}-GROUP", limit=25)
    assert [row["name"] for row in first["rows"]] == names[:25]
    assert (first["total"], first["next"]) == (60, names[24])
    assert {row["lag"] for row in first["rows"]} == {45}
    last = get_groups(web, q=f"{topic}-group", limit=25, after=names[49])
    assert ([row["name"] for row in last["rows"]], last["next"]) == (names[50:], None)
    found = get(web, "/api/v1/streams/topics", q=topic)
    assert ([row["name"] for row in found["rows"]], found["total"]) == ([topic], 1)
    assert found["rows"][0]["history"]

    page = page_of(web, f"/streams?q={topic}-group", names[0])
    shown: list[str] = []
    more = [""]
    while more:
        shown += re.findall(r'scope="row"><a href="/streams/groups/([^"]+)"', page)
        more = re.findall(r'rel="next" href="([^"]+groups_after[^"]+)"', page)
        if more:
            page = page_of(web, unescape(more[0]), names[len(shown)])
    assert shown == names
    assert not more
    assert 'rel="prev"' in page


def test_the_process_that_asks_about_groups_may_end(
    web: Process, kafka: KafkaCluster, topic: str
) -> None:
    """As it does by librdkafka's own doing when a broker goes away."""
    group = f"{topic}-survivor"
    commit(kafka, topic, [group])
    for name in (group, group.upper(), group.title()):  # each is asked for anew
        found = get_groups(web, q=name)["rows"]
        assert [(row["name"], row["state"], row["lag"]) for row in found] == [(group, "empty", 45)]
        [asker] = psutil.Process(web.pid).children()
        asker.kill()
    assert web.exit_code is None


def test_topics_of_kafkas_own_are_shown_when_asked_for(
    web: Process, kafka: KafkaCluster, topic: str
) -> None:
    commit(kafka, topic, [f"{topic}-any"])  # which makes __consumer_offsets
    page_of(web, "/streams?internal=1", "/streams/__consumer_offsets")
    assert "/streams/__consumer_offsets" not in page_of(web, "/streams", f"/streams/{topic}")
    own = get(web, "/api/v1/streams/topics", q="__consumer", internal="true")["rows"]
    assert [row["is_internal"] for row in own] == [True]
    assert get(web, "/api/v1/streams/topics", q="__consumer")["rows"] == []


def test_a_topics_configuration_is_shown_with_who_has_set_it(
    web: Process, kafka: KafkaCluster
) -> None:
    name = kafka.create_topic(1, 1)
    resource = ConfigResource(
        ResourceType.TOPIC,
        name,
        incremental_configs=[
            ConfigEntry("retention.ms", "86400000", incremental_operation=AlterConfigOpType.SET)
        ],
    )
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.incremental_alter_configs([resource])[resource].result(30)

    def shown() -> Any:
        rows = get(web, f"/api/v1/streams/{name}/configuration")["rows"]
        options = {row["name"]: row for row in rows}
        return options if options["retention.ms"]["value"] == "86400000" else None

    options = eventually(shown, "the new retention")
    assert options["retention.ms"]["meaning"] == "1 d"
    assert options["retention.ms"]["source"] == "this topic"
    assert options["cleanup.policy"]["value"] == "delete"
    assert options["cleanup.policy"]["is_default"]
    page_of(web, f"/streams/{name}?show=configuration", "<b>this topic</b>")


def test_messages_are_read_page_by_page_each_once(web: Process, topic: str) -> None:
    for start in ({}, {"since": "1h"}, {"offset": 0}, {"q": "1", "last": 40}):
        found = get_messages(web, topic, limit=30, **start)
        rows, pages = found["rows"], 1
        while found["next"]:
            text = {name: start[name] for name in ("q", "last") if name in start}
            found = get_messages(web, topic, limit=30, cursor=found["next"], **text)
            rows, pages = rows + found["rows"], pages + 1
        values = [row["value"] for row in rows]
        expected = [value.decode() for value in VALUES if b"1" in value or "q" not in start]
        assert sorted(values) == sorted(expected)
        assert pages > 1


def test_a_message_is_opened_and_stays(web: Process, kafka: KafkaCluster) -> None:
    name = kafka.create_topic(1, 1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    value = b'{"big":12345678901234567890123,"list":[1,{"a":1.50}],"<b>":"\\u003c"}'
    producer.produce(name, value, b"the key", headers=[("trace", b"abc"), ("<i>", b"\xff")])
    producer.flush(30)
    kafka.send(name, [b"newer"] * 60, 1)
    page = page_of(web, f"/streams/{name}?open=0-0", "the key", "newer")
    assert '"big": 12345678901234567890123,\n' in text_of(page)
    for part in ("the key", "header trace", "abc", "header &lt;i&gt;", "created", "newer"):
        assert part in page
    assert "<i>" not in page.split("<main")[1]
    page_of(web, f"/streams/{name}?open=0-999")


def test_messages_are_found_by_place_by_time_and_by_text(web: Process, topic: str) -> None:
    newest = get_messages(web, topic, limit=10)
    assert len(newest["rows"]) == 10
    times = [row["time"] for row in newest["rows"]]
    assert times == sorted(times, reverse=True)

    placed = get_messages(web, topic, partition=2, offset=7, limit=3)["rows"]
    assert [(row["offset"], row["value"]) for row in placed] == [
        (7, '{"n":30}'),
        (8, '{"n":34}'),
        (9, '{"n":38}'),
    ]
    assert get_messages(web, topic, since="1h", limit=500)["looked_at"] == 200
    assert get_messages(web, topic, since=str(int(time.time()) + 3600))["rows"] == []
    assert get_messages(web, topic, partition=1, offset=10**15)["rows"] == []
    searched = get_messages(web, topic, q='"N":117}', last=1000)
    assert [(row["partition"], row["offset"]) for row in searched["rows"]] == [(1, 29)]
    assert searched["looked_at"] == 200
    assert get_messages(web, topic, q='"n":0}', last=100)["looked_at"] == 100


def test_looking_joins_no_group_and_commits_nothing(
    web: Process, kafka: KafkaCluster, topic: str
) -> None:
    get(web, f"/api/v1/streams/{topic}/messages")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    groups = {one.group_id for one in admin.list_consumer_groups().result(30).valid}
    assert not any("tailrace-looks" in name for name in groups)


def test_a_hostile_message_is_text(web: Process, kafka: KafkaCluster) -> None:
    name = kafka.create_topic(1, 1)
    hostile = b"<script>alert(1)</script>\x1b[31m\xe2\x80\xae"
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(name, hostile, hostile, headers=[(hostile.decode(), hostile)] * 300)
    producer.flush(30)
    kafka.send(name, [b"\xff\xfe", b"x" * 30_000, b"[" * 15_000 + b"]" * 15_000], 1)
    for place in ("", "0-0", "0-1", "0-2", "0-3"):
        page = page_of(web, f"/streams/{name}?open={place}&q=", "alert(1)")
        assert "<script>alert" not in page
        assert not {"\x1b", "\u202e"} & set(page)
        assert "<script>alert(1)</script>␛[31m⟨U+202E⟩" in text_of(page)
        assert ("cut: it has 29.3 KiB" in text_of(page)) == (place in ("0-2", "0-3"))
    page_of(web, f"/streams/{name}?open=0-0", "200 more")


def text_of(page: str) -> str:
    """What a person reads."""
    return unescape(re.sub("<[^>]+>", "", page))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/streams/no-such-topic/messages", 404),
        ("/streams/no-such-topic", 404),
        ("/api/v1/streams/{topic}/messages?partition=9", 404),
        ("/api/v1/streams/{topic}/messages?offset=x", 422),
        ("/api/v1/streams/{topic}/messages?since=whenever", 400),
        ("/api/v1/streams/{topic}/messages?cursor=b1", 400),
        ("/api/v1/streams/{topic}/messages?cursor=no", 400),
        ("/api/v1/streams/no-such-topic/configuration", 404),
        ("/streams/groups/no-such-group", 404),
        ("/streams/{topic}?open=x", 422),
        ("/streams/{topic}?show=x", 422),
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
