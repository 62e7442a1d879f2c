"""The pack `collatz` in the real system: from the generator through Kafka to the answers."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tailrace.packs import find_packs
from tailrace.packs.collatz.chains import chain
from tailrace.settings import Settings
from tests.integration.collect_system import Collector, Engine, engine_with_tables, eventually
from tests.kafka_cluster import KafkaCluster
from tests.processes import Process
from tests.web_system import free_port, start_web

BEYOND_64_BITS = 64848224337147
COUNT = "SELECT toUInt32(count()) FROM rikstv.data_series"


@dataclass
class System:
    """An engine with tables, and the pages."""

    engine: Engine
    web: Process

    def collector(self, folder: Path, servers: str | None = None) -> Collector:
        """The pack's pipeline as it is, but for addresses."""
        settings = Settings.read(clickhouse_url=self.engine.url, bootstrap_servers=servers)
        [pack] = find_packs(settings, ["collatz"])
        return Collector(yaml.safe_load(pack.render_pipeline(settings)), folder)

    def rows(self) -> int:
        """How many steps are stored."""
        return int(self.engine.value(COUNT))

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """A GET of the pages."""
        return httpx.get(f"{self.web.url}{path}", params=parameters, timeout=60)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    engine = engine_with_tables(tmp_path_factory.mktemp("engine"))
    with engine.process:
        setup = [sys.executable, "-m", "tailrace", "setup", "collatz", "--clickhouse", engine.url]
        subprocess.run(setup, check=True, capture_output=True)
        folder = tmp_path_factory.mktemp("web")
        environment = {
            "TAILRACE_DATA_DIR": str(folder),
            "TAILRACE_CLICKHOUSE_URL": engine.url,
            "TAILRACE_COLLECTOR_PORT": str(free_port()),
        }
        with start_web(environment) as web:
            yield System(engine, web)


@pytest.fixture
def empty(system: System, monkeypatch: pytest.MonkeyPatch) -> System:
    monkeypatch.setenv("COLLATZ_TCP", "127.0.0.1:0")
    for table in ("data_series", "chains", "arrivals"):
        system.engine.execute(f"TRUNCATE TABLE rikstv.{table}")
    system.engine.execute("TRUNCATE TABLE logs.rejected")
    return system


def messages(*numbers: int, spaces: bool = False) -> bytes:
    separators = (", ", ": ") if spaces else (",", ":")
    return b"".join(
        json.dumps({"Number": number, "Step": step, "Value": value}, separators=separators).encode()
        + b"\n"
        for number in numbers
        for step, value in enumerate(chain(number))
    )


def generate(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "generate", "collatz", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_messages_arrive_whole_and_bad_ones_are_kept_with_the_reason(
    empty: System, tmp_path: Path
) -> None:
    bad = [
        b"no json",
        b"[1, 2, 3]",
        b'{"Number": 3, "Step": 0}',
        b'{"Number": 3, "Step": -1, "Value": 3}',
        b'{"Number": 3, "Step": 0, "Value": 1.5}',
        b'{"Number": 0, "Step": 0, "Value": 1}',
        b'{"Number": 3, "Step": 0, "Value": ' + b"9" * 39 + b"}",
    ]
    good = messages(27, spaces=True) + messages(BEYOND_64_BITS)
    as_text = b'{"Value":"1274106920208158465786267728","Step":"7","Number":"5"}\n'
    with empty.collector(tmp_path) as collector:
        collector.send(good + b"\n".join(bad) + b"\n" + as_text, source="collatz_tcp")
        steps = good.count(b"\n") + 1
        eventually(lambda: empty.rows() == steps, f"{steps} rows")
        rejected = "SELECT raw, reason FROM logs.rejected ORDER BY raw"
        eventually(lambda: len(empty.engine.query(rejected)) == len(bad), "rejected rows")
    found = {row["raw"].encode(): row["reason"] for row in empty.engine.query(rejected)}
    assert found.keys() == set(bad)
    assert "Value" in found[bad[2]]
    assert "Step" in found[bad[3]]
    assert "Number" in found[bad[5]]
    values = empty.engine.query(
        "SELECT step, toString(value) AS value FROM rikstv.data_series "
        f"WHERE number = {BEYOND_64_BITS} ORDER BY step"
    )
    assert [int(row["value"]) for row in values] == list(chain(BEYOND_64_BITS))
    assert empty.engine.value("SELECT toString(max(value)) FROM rikstv.data_series") == (
        "1274106920208158465786267728"
    )


def test_two_collectors_of_one_group_bring_every_step_once(
    empty: System, kafka: KafkaCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"collatz-{tmp_path.name}"
    monkeypatch.setenv("KAFKA_TOPIC_NAME", topic)
    monkeypatch.setenv("KAFKA_GROUP_ID", topic)
    to = f"kafka://{kafka.bootstrap_servers}/{topic}?partitions=4&replication_factor=3"
    said = generate("--to", to, "--count", "2000", "--seed", "1")
    assert f"made the topic {topic} with 4 partitions on 3 of 3 brokers" in said
    servers = kafka.bootstrap_servers
    with (
        empty.collector(tmp_path / "one", servers),
        empty.collector(tmp_path / "two", servers),
    ):
        generate("--to", to, "--count", "8000", "--seed", "2")
        kafka.send(topic, [b"poison", b'{"Number":1,"Step":0,"Value":"one"}'], partitions=1)
        eventually(lambda: empty.rows() >= 10_000, "10,000 rows")
        peers = "SELECT peer FROM logs.rejected ORDER BY peer"
        eventually(lambda: len(empty.engine.query(peers)) == 2, "rejected rows")
    [once] = empty.engine.query(
        "SELECT toUInt32(count()) AS rows, toUInt32(uniqExact(number, step)) AS steps "
        "FROM rikstv.data_series"
    )
    assert once == {"rows": 10_000, "steps": 10_000}
    first, second = (row["peer"] for row in empty.engine.query(peers))
    assert first.startswith(f"{topic}/0")
    assert second.startswith(f"{topic}/0@")
    [summed] = empty.engine.query(
        "SELECT toUInt32((SELECT sum(messages) FROM rikstv.chains)) AS chains, "
        "toUInt32((SELECT sum(messages) FROM rikstv.arrivals)) AS arrivals"
    )
    assert summed == {"chains": 10_000, "arrivals": 10_000}
