"""`tailrace up --workers 3` with a real broker: shares, a killed worker, the books, the end."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from bench.system import System, free_port, running_system
from tailrace.collect.books import read_books
from tailrace.packs.collatz.chains import chain
from tests.integration.collect_system import eventually
from tests.kafka_cluster import KafkaCluster, running_cluster

PARTITIONS = 6
WORKERS = 3
CLIENTS = {"tailrace", "tailrace-2", "tailrace-3"}
NUMBERS_AT_ONCE = 20
LONG_SECS = 180.0
"""Until Kafka has missed a killed member, which takes seconds, and a busy machine has told the others."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    with running_cluster(tmp_path_factory.mktemp("broker"), brokers=1) as cluster:
        yield cluster


class Shared:
    """A running system of three workers, and the topic that they read."""

    def __init__(self, system: System, broker: KafkaCluster, topic: str, folder: Path) -> None:
        self.system = system
        self.folder = folder
        self.sent = 0
        self._broker = broker
        self._topic = topic
        self._number = 0

    def send(self, rounds: int = 1) -> None:
        """Chains, round about over all partitions."""
        for _ in range(rounds):
            values = []
            for _ in range(NUMBERS_AT_ONCE):
                self._number += 1
                values += [
                    b'{"Number":%d,"Step":%d,"Value":%d}' % (self._number, step, value)
                    for step, value in enumerate(chain(self._number))
                ]
            self._broker.send(self._topic, values, PARTITIONS)
            self.sent += len(values)

    def send_bad(self, count: int) -> None:
        """What is no step of a chain."""
        self._broker.send(self._topic, [b'{"Number":0}'] * count, PARTITIONS)

    def rows(self) -> int:
        """Steps in the table."""
        return self.system.count("rikstv.data_series")

    def in_books(self) -> int:
        """What the collectors together have written down."""
        folders = [self.folder, *(self.folder / "workers").glob("*/")]
        books = [read_books(folder / "buffer") for folder in folders]
        return sum(one.sum("collatz_kafka", "received") for one in books)

    def check(self) -> None:
        """Every message is there, and once."""
        eventually(lambda: self.rows() >= self.sent, f"{self.sent} rows")
        counted = "SELECT count(), uniqExact(number, step) FROM rikstv.data_series"
        assert self.system.sql(counted).split() == [str(self.sent)] * 2

    def shares(self) -> dict[str, int]:
        """Partitions of each member, as the page Streams has it; empty while they move."""
        for group in self.ask("/api/v1/streams")["groups"]:
            if group["name"] == self._topic and group["state"] == "stable":
                return {one["client"]: one["partitions"] for one in group["members"]}
        return {}

    def wait_for_shares(self) -> None:
        """Until each of three members has as many partitions as the others."""
        fair = dict.fromkeys(CLIENTS, PARTITIONS // WORKERS)
        eventually(lambda: self.shares() == fair, "a fair share for each", LONG_SECS)

    def ask(self, path: str) -> Any:
        """JSON of the pages."""
        return self._get(path).json()

    def unready(self) -> str:
        """What the pages say is not ready; empty where everything is."""
        answer = self._get("/readyz")
        return "" if answer.status_code == 200 else str(answer.json()["detail"])

    def says(self, text: str) -> bool:
        """Whether a page has it, its header for example."""
        return text in self._get("/").text

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.system.web_port}{path}", timeout=60)

    def run(self, *arguments: str) -> tuple[int, list[Any]]:
        """A command in the system's own environment; its exit code, and the JSON that it prints."""
        variables = Path(f"/proc/{self.system.process.pid}/environ").read_bytes().decode()
        environment = dict(item.split("=", 1) for item in variables.split("\0") if item)
        done = subprocess.run(
            [sys.executable, "-m", "tailrace", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def is_well(self) -> dict[str, str]:
        """What `tailrace doctor` says, once all that it finds is well."""

        def examined() -> dict[str, str]:
            code, findings = self.run("doctor")
            return {} if code else {one["check"]: one["text"] for one in findings}

        found: dict[str, str] = eventually(examined, "a system that is well")
        return found

    def worker(self, number: int) -> int:
        """The process id of a worker; 0 where none runs."""
        folder = str(self.folder / "workers" / str(number))
        for process in psutil.Process(self.system.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if folder in process.cmdline():
                    return int(process.pid)
        return 0


def free_ports(count: int) -> int:
    """A port that is free, as are the workers' behind it."""
    while True:
        first = free_port()
        with contextlib.ExitStack() as held, contextlib.suppress(OSError, OverflowError):
            for number in range(count):
                probe = held.enter_context(socket.socket())
                probe.bind(("127.0.0.1", first + 10 * number))
            return first


@pytest.fixture
def shared(
    broker: KafkaCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shared]:
    topic = broker.create_topic(PARTITIONS, 1)
    for name, value in {
        "TAILRACE_PACKS": "collatz",
        "TAILRACE_WORKERS": str(WORKERS),
        "BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "KAFKA_TOPIC_NAME": topic,
        "KAFKA_GROUP_ID": topic,
        "COLLATZ_TCP": f"127.0.0.1:{free_port()}",
    }.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "data"
    with running_system(folder, collector_port=free_ports(WORKERS)) as system:
        yield Shared(system, broker, topic, folder)


def test_three_workers_share_a_topic_until_the_end_and_one_is_killed_meanwhile(
    shared: Shared, tmp_path: Path
) -> None:
    shared.send()
    shared.wait_for_shares()
    shared.check()

    # Under load, and with something on its way.
    victim = shared.worker(2)
    assert victim
    before = shared.rows()
    sending = threading.Thread(target=shared.send, args=(20,))
    sending.start()
    eventually(lambda: shared.rows() > before, "rows while it is sent")
    os.kill(victim, signal.SIGKILL)
    sending.join()
    eventually(lambda: shared.worker(2) not in (0, victim), "a new worker")
    shared.wait_for_shares()
    shared.send()
    shared.check()

    found = shared.is_well()
    for name in ("collector", "worker 2", "worker 3"):
        assert "/readyz" in found[name]
        assert "events delivered" in found[f"books of {name}"]
    assert f"{shared.sent:,} rows" in found["logs.rejected and rikstv.data_series"]
    _, [snapshot] = shared.run("top", "--interval", "0.1")
    assert {one["collector"] for one in snapshot["components"]} == {
        "collector",
        "worker 2",
        "worker 3",
    }
    assert "problems" not in snapshot

    processes = psutil.Process(shared.system.process.pid).children(recursive=True)
    shared.system.process.terminate()
    assert shared.system.process.wait(60) == 0
    _, left = psutil.wait_procs(processes, timeout=60)
    assert left == []
    said = (tmp_path / "data.log").read_text()
    assert "3 collectors share what collatz reads from Kafka" in said
    assert "worker 2 was killed by SIGKILL" in said
    assert "cannot commit" not in said


def test_what_is_deleted_shows_whichever_worker_has_delivered_it(shared: Shared) -> None:
    shared.wait_for_shares()
    shared.send()
    shared.check()
    eventually(lambda: shared.in_books() == shared.sent, "books of all that was sent")
    # One row of each partition, so of each worker.
    gone = "number IN (1, 2) OR number = 3 AND step < 3"
    shared.system.sql(f"ALTER TABLE rikstv.data_series DELETE WHERE {gone}", mutations_sync="1")
    code, findings = shared.run("doctor")
    assert code == 1
    [problem] = [one["text"] for one in findings if one["state"] == "bad"]
    assert problem.startswith("6 rows that arrived on")
    shared.run("doctor", "--accept")

    # What any of them has rejected may be dropped by the command, and that is no gap.
    shared.send_bad(2 * PARTITIONS)
    eventually(lambda: shared.system.count("logs.rejected") == 2 * PARTITIONS, "rejected rows")
    shared.run("rejected", "drop", "--all")
    assert shared.system.count("logs.rejected") == 0
    shared.is_well()

    # The pages know all three, and which of them does not answer.
    eventually(lambda: not shared.unready(), "all of them ready")
    eventually(lambda: shared.says("all delivered"), "a header that says so")
    stopped = shared.worker(3)
    assert stopped
    os.kill(stopped, signal.SIGSTOP)
    try:
        eventually(lambda: shared.says("2 of 3 collectors"), "a header that counts them")
        eventually(lambda: "worker 3 at http://" in shared.unready(), "the name of the one")
    finally:
        os.kill(stopped, signal.SIGCONT)
    eventually(lambda: not shared.unready(), "all of them ready again")
