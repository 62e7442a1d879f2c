"""The pack `collatz` in the real system: from the generator through Kafka to the answers."""

import json
import random
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
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
NUMBERS = (3, 6, 7, 27, BEYOND_64_BITS)
COUNT = "SELECT toUInt32(count()) FROM rikstv.data_series"
RECORDS = {
    "longest-chains": "max(steps) AS most, toString(max(highest)) AS top FROM rikstv.chains "
    "GROUP BY number ORDER BY most DESC, number LIMIT 10",
    "highest-values": "max(highest) AS top, max(steps) AS most FROM rikstv.chains "
    "GROUP BY number ORDER BY top DESC, number LIMIT 10",
    "newest-numbers": "max(steps) AS most FROM rikstv.chains "
    "GROUP BY number ORDER BY min(first_at) DESC, number LIMIT 10",
}
VALUES = {
    "longest-chain": "max(steps) FROM rikstv.chains",
    "digits-of-the-highest-value": "length(toString(max(highest))) FROM rikstv.chains",
}
BY_STEPS = {
    "chains-by-their-steps": "concat(toString(fifty), ' to ', toString(fifty + 49)) AS steps, "
    "count() AS chains FROM (SELECT max(step) - max(step) % 50 AS fifty FROM rikstv.data_series "
    "GROUP BY number) GROUP BY fifty ORDER BY fifty"
}
"""What panels show, asked of every row. Those of records begin with the number."""


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

    def insert(self, steps: Iterable[tuple[int, int, int]]) -> None:
        """Put numbers, steps and values where the collector puts messages."""
        lines = (
            f'{{"Number":{number},"Step":{step},"Value":{value}}}' for number, step, value in steps
        )
        body = "\n".join(lines)
        self.engine.execute(f"INSERT INTO rikstv.intake (json) FORMAT JSONAsString\n{body}\n")

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """A GET of the pages."""
        return httpx.get(f"{self.web.url}{path}", params=parameters or None, timeout=60)


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
    for table in ("data_series", "chains", "arrivals", "lengths"):
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
    assert all(row["peer"].startswith(f"{topic}/0@") for row in empty.engine.query(peers))
    [summed] = empty.engine.query(
        "SELECT toUInt32((SELECT sum(messages) FROM rikstv.chains)) AS chains, "
        "toUInt32((SELECT sum(messages) FROM rikstv.arrivals)) AS arrivals"
    )
    assert summed == {"chains": 10_000, "arrivals": 10_000}


def test_a_bad_message_is_kept_with_its_offset(
    empty: System, kafka: KafkaCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = kafka.create_topic(1)
    monkeypatch.setenv("KAFKA_TOPIC_NAME", topic)
    monkeypatch.setenv("KAFKA_GROUP_ID", topic)
    good = messages(27).splitlines()
    bad = b'{"Number":27,"Step":"x","Value":1}'
    kafka.send(topic, [*good[:40], bad, *good[40:], bad, b"no json"], partitions=1)
    rejected = "SELECT peer FROM logs.rejected ORDER BY raw, peer"
    with empty.collector(tmp_path, kafka.bootstrap_servers):
        eventually(lambda: len(empty.engine.query(rejected)) == 3, "rejected rows")
        kafka.send(topic, [*good, bad], partitions=1)
        eventually(lambda: len(empty.engine.query(rejected)) == 4, "one more")
    peers = [row["peer"] for row in empty.engine.query(rejected)]
    assert peers.pop(0) == f"{topic}/0@114"
    assert f"{topic}/0@{115 + len(good)}" in peers
    for peer in peers:
        first, _, end = peer.partition("@")[2].partition("-")
        assert any(int(first) <= offset < int(end or int(first) + 1) for offset in (40, 113, 227))


@pytest.fixture
def stored(empty: System) -> System:
    """The chains of 3, 6, 7, 27 and of a number whose values need more than 64 bits."""
    body = messages(*NUMBERS).decode()
    empty.engine.execute(f"INSERT INTO rikstv.intake (json) FORMAT JSONAsString\n{body}")
    return empty


def test_the_four_questions_have_their_answers(stored: System) -> None:
    assert stored.get("/longest_step_chain").json() == {"longest": BEYOND_64_BITS}
    assert stored.get("/highest_value").json() == {"longest": BEYOND_64_BITS}
    for value in (3, 10, 107, 9232, 1274106920208158465786267728):
        expected = [[number] for number in NUMBERS if value in chain(number)]
        assert expected
        assert stored.get(f"/part/{value}").json() == expected
    paged = stored.get("/part/10", limit=2)
    assert paged.json() == [[3], [6]]
    following = httpx.get(paged.links["next"]["url"], timeout=60).json()
    assert following == [[7], [27]]
    for path, kind, begins in (
        ("/plot/27", "image/png", b"\x89PNG\r\n"),
        ("/plot/27?format=svg&theme=dark&from=5&to=50", "image/svg+xml", b"<?xml"),
        (f"/plot/{BEYOND_64_BITS}?scale=linear", "image/png", b"\x89PNG\r\n"),
    ):
        answer = stored.get(path)
        assert answer.headers["content-type"] == kind
        assert answer.content.startswith(begins)


def test_a_picture_is_drawn_again_only_when_its_chain_has_grown(stored: System) -> None:
    first = stored.get("/plot/27")
    known = {"If-None-Match": first.headers["etag"]}
    again = httpx.get(f"{stored.web.url}/plot/27", headers=known, timeout=60)
    assert (again.status_code, again.content) == (304, b"")
    assert stored.get("/plot/27", format="svg").headers["etag"] != first.headers["etag"]
    assert stored.get("/plot/27", to=50).headers["etag"] != first.headers["etag"]
    stored.insert([(27, 112, 4)])
    grown = httpx.get(f"{stored.web.url}/plot/27", headers=known, timeout=60)
    assert (grown.status_code, grown.content[:4]) == (200, b"\x89PNG")


def test_two_chains_are_drawn_in_one_picture(stored: System) -> None:
    both = stored.get(f"/plot/27?format=svg&with={BEYOND_64_BITS}").text
    assert both.count("<polyline") == 2
    assert "64,848,224,337,147" in both
    computed = stored.get("/plot/27?format=svg&with=97").text
    assert computed.count("<polyline") == 2


def test_pages_show_values_as_text(stored: System) -> None:
    records = stored.get("/collatz")
    assert "1,274,106,920,208,158,465,786,267,728" in records.text
    assert f"/plot/{BEYOND_64_BITS}/page" in records.text
    page = stored.get("/plot/27/page", **{"from": "70", "to": "80"}).text
    assert "9,232" in page
    assert "theme=dark&amp;from=70&amp;to=80&amp;scale=log" in page
    beside = stored.get("/plot/27/page", **{"with": "97"}).text
    assert "The chain of 97 has not come" in beside
    for typed, path in (
        ({"number": "27"}, "/plot/27/page"),
        ({"number": " 64,848,224,337,147 ", "with": ""}, f"/plot/{BEYOND_64_BITS}/page"),
        ({"number": "27", "with": "1 000"}, "/plot/27/page?with=1000"),
    ):
        found = stored.get("/collatz/find", **typed)
        assert (found.status_code, found.headers["location"]) == (303, path)


def test_a_chain_that_came_in_parts_is_one_record(empty: System) -> None:
    whole = list(enumerate(chain(27)))
    empty.insert([(97, step, value) for step, value in enumerate(chain(97))])
    for start in range(0, len(whole), 4):
        empty.insert([(27, step, value) for step, value in whole[start : start + 4]])
    page = re.sub(r"\s+", " ", empty.get("/collatz").text)
    rows = re.findall(r'<a href="/plot/(\d+)/page">.*?</tr>', page)
    assert sorted(rows) == ["27", "27", "27", "97", "97", "97"]
    assert page.count('"long">9,232<') == 6
    assert page.count("111…") == 0
    assert empty.get("/longest_step_chain").json() == {"longest": 97}
    # The highest value of both is the same: the smaller number is the answer.
    assert empty.get("/highest_value").json() == {"longest": 27}


def assert_panels_are_of_all_rows(system: System, *panels: dict[str, str]) -> None:
    for name, asked in [panel for some in panels for panel in some.items()]:
        answer = system.get(f"/api/v1/dashboards/collatz/panels/{name}").json()
        number = "toString(number) AS first, " if name in RECORDS else ""
        expected = system.engine.query(f"SELECT {number}{asked}")
        found = [
            [str(value) for column, value in row.items() if column != "came"]
            for row in answer["rows"]
        ]
        assert found == [[str(value) for value in row.values()] for row in expected], name


def test_panels_are_right_whatever_order_messages_come_in(empty: System) -> None:
    draw = random.Random(5)
    numbers = [draw.randint(1, 10**14) for _ in range(40)]
    steps = [(n, step, value) for n in numbers for step, value in enumerate(chain(n))]
    steps += steps[: len(steps) // 4]
    draw.shuffle(steps)
    size = -(-len(steps) // 6)
    for start in range(0, len(steps), size):
        empty.insert(steps[start : start + size])
    # Others at one moment.
    empty.insert([(n, step, value) for n in range(50, 90) for step, value in enumerate(chain(n))])
    assert_panels_are_of_all_rows(empty, RECORDS, VALUES, BY_STEPS)
    empty.engine.execute("OPTIMIZE TABLE rikstv.chains FINAL")
    assert_panels_are_of_all_rows(empty, RECORDS, VALUES, BY_STEPS)


def test_chains_of_many_parts_keep_no_others_from_the_records(stored: System) -> None:
    """More rows than are looked at first, all of one number, longer and higher with each."""
    stored.engine.execute(
        "INSERT INTO rikstv.chains SELECT 3, 5000 + number, toUInt128('1' || repeat('0', 30)) + number, "
        "1, 0, now64(3) + 60 + number, today() FROM numbers(1200) SETTINGS optimize_on_insert = 0"
    )
    stored.insert([(97, step, value) for step, value in enumerate(chain(97))])
    assert_panels_are_of_all_rows(stored, RECORDS, VALUES)
    assert stored.get("/longest_step_chain").json() == {"longest": 3}
    page = re.sub(r"\s+", " ", stored.get("/collatz").text)
    newest = page[page.index("Newest chains") :]
    found = re.findall(r'<a href="/plot/(\d+)/page">.*?</tr>', newest)
    assert found == ["97", *(str(number) for number in NUMBERS)]


def test_messages_that_came_again_change_no_answer(stored: System) -> None:
    for _ in range(3):
        stored.insert([(6, step, value) for step, value in enumerate(chain(6))])
    assert stored.get("/part/10").json() == [[number] for number in NUMBERS]
    paged = stored.get("/part/10", limit=2)
    assert paged.json() == [[3], [6]]
    following = httpx.get(paged.links["next"]["url"], timeout=60).json()
    assert following == [[7], [27]]
    assert stored.get("/part/10", limit=5).links == {}


def test_a_chain_is_checked_against_what_has_come(stored: System) -> None:
    whole = stored.get("/chain/27").json()
    assert (whole["steps"], whole["highest"], whole["is_whole"]) == (111, 9232, True)
    assert whole["values"] == list(chain(27))
    assert (whole["stored_messages"], whole["repeated_messages"]) == (112, 0)
    stored.insert([(5, 0, 5), (5, 0, 5), (5, 1, 16), (5, 2, 9), (5, 9, 1)])
    found = stored.get("/chain/5").json()
    assert not found["is_whole"]
    assert found["missing_steps"] == [2, 3, 4, 5]
    assert found["wrong_steps"] == [
        {"step": 2, "stored": [9], "expected": 8},
        {"step": 9, "stored": [1], "expected": None},
    ]
    assert (found["stored_messages"], found["repeated_messages"]) == (5, 1)
    absent = stored.get("/chain/8").json()
    assert (absent["values"], absent["stored_messages"]) == ([8, 4, 2, 1], 0)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/plot/11", 404),
        ("/plot/11/page", 404),
        ("/plot/27?from=200", 404),
        ("/part/11111", 404),
        ("/part/0", 422),
        ("/part/-5", 422),
        ("/part/x", 422),
        ("/part/1.5", 422),
        ("/part/" + "9" * 39, 422),
        ("/plot/18446744073709551616", 422),
        ("/plot/27?format=gif", 422),
        ("/chain/0", 422),
        ("/plot/" + "1" + "0" * 40, 422),
        ("/part/" + "1" + "0" * 40, 422),
        ("/plot/twenty", 422),
        ("/plot/27?with=0", 422),
        ("/plot/27/page?with=x", 422),
        ("/collatz/find?number=0", 422),
        ("/collatz/find?number=1.5", 422),
        ("/collatz/find?number=18446744073709551616", 422),
    ],
)
def test_what_cannot_be_answered_says_so(stored: System, path: str, status: int) -> None:
    answer = stored.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_without_chains_there_are_no_records(empty: System) -> None:
    assert empty.get("/longest_step_chain").status_code == 404
    assert empty.get("/highest_value").status_code == 404
    assert "No chain has come yet" in empty.get("/collatz").text
