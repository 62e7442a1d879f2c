"""`tailrace engine` as a process: who may reach it, how it ends, what it leaves behind."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import httpx
import psutil
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.processes import Process, answers, start_engine

MEGABYTE = 1024 * 1024
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what the engine must guard


def post(engine: Process, query: str, body: bytes = b"") -> str:
    with httpx.Client(timeout=60) as client:
        answer = client.post(engine.url, params={"query": query}, content=body)
    assert answer.status_code == 200, answer.text
    return answer.text


def eventually(what: threading.Event) -> None:
    assert what.wait(120)


def test_only_who_knows_the_password_gets_in(tmp_path: Path) -> None:
    environment = {"TAILRACE_CLICKHOUSE_USER": "alice", "TAILRACE_CLICKHOUSE_PASSWORD": "sésame"}
    with start_engine(tmp_path, environment, "--engine-host", EVERYWHERE) as engine:
        url = f"http://127.0.0.1:{engine.port}"
        right = [
            httpx.get(url, headers=headers, params={"query": "SELECT 1", **params}, timeout=60)
            for headers, params in (
                ({b"X-ClickHouse-User": b"alice", b"X-ClickHouse-Key": "sésame".encode()}, {}),
                ({}, {"user": "alice", "password": "sésame"}),
            )
        ]
        assert [answer.text for answer in right] == ["1\n", "1\n"]
        with clickhouse_connect.get_client(
            host="127.0.0.1", port=engine.port, username="alice", password="sésame"
        ) as client:
            assert client.command("SELECT 1") == 1
        for user, password in (("alice", "x"), ("alice", ""), ("default", ""), ("bob", "sésame")):
            with pytest.raises(DatabaseError, match="AUTHENTICATION_FAILED") as caught:
                clickhouse_connect.get_client(
                    host="127.0.0.1", port=engine.port, username=user, password=password
                )
            assert caught.value.code == 516
        nobody = httpx.get(f"{url}/?query=SELECT+1", timeout=60)
        assert (nobody.status_code, nobody.headers["X-ClickHouse-Exception-Code"]) == (403, "516")
        assert httpx.get(f"{url}/metrics", timeout=60).status_code == 403
        assert answers(f"{url}/ping")


def test_without_a_password_it_stays_on_loopback(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ended") as caught:
        start_engine(tmp_path, None, "--engine-host", EVERYWHERE)
    assert "cannot listen on '0.0.0.0' without a password" in str(caught.value)
    assert "ended (2)" in str(caught.value)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = Process(["engine", "--data-dir", str(tmp_path), "--engine-port", str(port)])
        assert process.wait() == 1
    assert f"cannot listen on 127.0.0.1:{port}" in process.log
    assert "TAILRACE_ENGINE_PORT" in process.log


def test_a_second_engine_on_the_folder_names_the_first(tmp_path: Path) -> None:
    with start_engine(tmp_path) as first:
        with pytest.raises(AssertionError, match="ended") as caught:
            start_engine(tmp_path)
        assert str(tmp_path) in str(caught.value)
        assert f"process {first.pid}" in str(caught.value)
        assert answers(f"{first.url}/ping")


def test_a_folder_with_a_question_mark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="cannot keep a database in"):
        start_engine(tmp_path / "what?")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_to_and_keeps_its_data(tmp_path: Path, how: signal.Signals) -> None:
    with start_engine(tmp_path) as engine:
        post(engine, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
        post(engine, "INSERT INTO t FORMAT CSV", b"1\n2\n")
        assert engine.stop(how) == 0
    with start_engine(tmp_path) as engine:
        assert post(engine, "SELECT sum(a) FROM t") == "3\n"


def test_an_insert_that_runs_is_finished_before_the_end(tmp_path: Path) -> None:
    with start_engine(tmp_path) as engine:
        post(engine, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
        slow = "INSERT INTO t SELECT x + sleepEachRow(0.5) FROM input('x UInt64') FORMAT CSV"
        told: list[str] = []
        insert = threading.Thread(target=lambda: told.append(post(engine, slow, b"1\n2\n3\n")))
        insert.start()
        while post(engine, "SELECT countIf(query_kind = 'Insert') FROM system.processes") == "0\n":
            time.sleep(0.01)
        assert engine.stop() == 0
        insert.join(60)
        assert told == [""]
    with start_engine(tmp_path) as engine:
        assert post(engine, "SELECT sum(a) FROM t") == "6\n"


def test_a_query_that_never_ends_does_not_hold_the_end_up(tmp_path: Path) -> None:
    with start_engine(tmp_path) as engine:
        query = "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)"
        codes: list[str] = []

        def ask() -> None:
            answer = httpx.post(engine.url, content=query, timeout=60)
            codes.append(answer.headers["X-ClickHouse-Exception-Code"])

        thread = threading.Thread(target=ask)
        thread.start()
        while post(engine, "SELECT count() FROM system.processes") == "1\n":
            time.sleep(0.01)
        assert engine.stop() == 0
        thread.join(60)
        assert codes == ["394"]


def test_kill_9_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    with start_engine(tmp_path) as engine:
        post(
            engine,
            "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a "
            "SETTINGS non_replicated_deduplication_window = 1000",
        )
        said_yes: list[int] = []
        enough = threading.Event()

        def insert() -> None:
            with httpx.Client(base_url=engine.url, timeout=60) as client:
                for n in range(100_000):
                    query = f"INSERT INTO t SETTINGS insert_deduplication_token='{n}' FORMAT CSV"
                    try:
                        answer = client.post("/", params={"query": query}, content=b"%d\n" % n)
                    except httpx.TransportError:
                        return
                    if answer.status_code == 200:
                        said_yes.append(n)
                    if n == 30:
                        enough.set()

        thread = threading.Thread(target=insert)
        thread.start()
        eventually(enough)
        engine.kill()
        thread.join(60)
    with start_engine(tmp_path) as engine:
        found = [int(line) for line in post(engine, "SELECT a FROM t ORDER BY a").split()]
    assert set(said_yes) <= set(found)
    assert len(found) == len(set(found)) <= len(said_yes) + 1
    assert list((tmp_path / "clickhouse-tmp").iterdir()) == []


def test_a_large_insert_does_not_go_through_memory(tmp_path: Path) -> None:
    row = b"x" * 1000 + b"\n"
    megabytes = 700

    def body() -> Iterator[bytes]:
        for _ in range(megabytes):
            yield row * (MEGABYTE // len(row))

    with start_engine(tmp_path) as engine:
        post(engine, "CREATE TABLE t (line String) ENGINE = Null")
        memory = psutil.Process(engine.pid)
        before = memory.memory_info().rss
        highest = 0
        done = threading.Event()

        def watch() -> None:
            nonlocal highest
            while not done.wait(0.01):
                highest = max(highest, memory.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        url = f"{engine.url}/?query=INSERT+INTO+t+FORMAT+LineAsString"
        answer = httpx.post(url, content=body(), timeout=120)
        done.set()
        watcher.join()
    assert answer.status_code == 200
    written = int(answer.headers["X-ClickHouse-Summary"].split('"written_rows":"')[1].split('"')[0])
    assert written == megabytes * (MEGABYTE // len(row))
    assert highest - before < megabytes * MEGABYTE * 0.75


def test_it_is_small_when_idle(tmp_path: Path) -> None:
    with start_engine(tmp_path) as engine:
        assert psutil.Process(engine.pid).memory_info().rss < 350 * MEGABYTE


def test_its_files_are_its_owners_alone(tmp_path: Path) -> None:
    with start_engine(tmp_path) as engine:
        post(engine, "SELECT 1")
        spool = tmp_path / "clickhouse-tmp"
        assert os.stat(spool).st_mode & 0o077 == 0


def test_inserts_are_forced_to_disk_in_few_files_and_merges_give_way(tmp_path: Path) -> None:
    with start_engine(tmp_path) as engine, httpx.Client(base_url=engine.url, timeout=60) as http:
        http.post("/", params={"query": "CREATE TABLE t (a UInt64, b String) ORDER BY a"})
        for start in (0, 400_000):
            rows = f"SELECT number + {start}, repeat('x', 80) FROM numbers(400000)"
            assert http.post("/", params={"query": f"INSERT INTO t {rows}"}).is_success
        kinds = "SELECT DISTINCT part_type FROM system.parts WHERE table = 't' AND active"
        assert http.get("/", params={"query": kinds}).text == "Compact\n"
        configured = (
            "SELECT name, value FROM system.merge_tree_settings WHERE name LIKE 'fsync_%part%' "
            "OR name = 'fsync_after_insert' UNION ALL SELECT name, value FROM "
            "system.server_settings WHERE name = 'os_threads_nice_value_merge_mutate'"
        )
        answer = http.get("/", params={"query": configured}).text
    assert dict(line.split("\t") for line in answer.splitlines()) == {
        "fsync_after_insert": "1",
        "fsync_part_directory": "1",
        "os_threads_nice_value_merge_mutate": "10",
    }
