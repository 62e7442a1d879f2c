"""From real sockets through a real collector into the real engine."""

import gzip
import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.integration.collect_system import (
    HTTP,
    INTAKE,
    TCP,
    Collector,
    Engine,
    eventually,
    pipeline,
)

DEAD_ENGINE = "http://127.0.0.1:9"

SILENCE_SECS = 3.0
"""A connection that takes nothing for so long is not read."""

pytestmark = pytest.mark.usefixtures("empty_tables")


def count(engine: Engine) -> int:
    return int(engine.value("SELECT toUInt32(count()) FROM logs.application_logs"))


def lines(number: int, first: int = 0) -> bytes:
    return b"".join(b'{"message":"%d"}\n' % n for n in range(first, first + number))


def test_many_connections_at_once_lose_and_mix_nothing(engine: Engine, tmp_path: Path) -> None:
    with Collector(pipeline(engine.url, tcp=TCP), tmp_path) as collector:
        connections = [
            socket.create_connection(
                ("127.0.0.1", collector.ports["tcp"]), source_address=(f"127.0.0.{n % 3 + 1}", 0)
            )
            for n in range(200)
        ]
        for turn in range(5):
            for number, connection in enumerate(connections):
                # Each line comes in two pieces, with others' pieces between them.
                connection.sendall(b'{"message":"%d' % turn)
                connection.sendall(b'","n":%d}\n' % number)
        for connection in connections:
            connection.close()
        eventually(lambda: count(engine) == 1000, "1000 rows")
    rows = engine.query(
        "SELECT host, toUInt32(count()) AS rows, toUInt32(countDistinct(message, attributes))"
        " AS different FROM logs.application_logs GROUP BY host ORDER BY host"
    )
    assert [row["host"] for row in rows] == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    assert sum(row["different"] for row in rows) == 1000


def test_compressed_bodies_arrays_and_documents_come_in(engine: Engine, tmp_path: Path) -> None:
    with Collector(pipeline(engine.url, http=HTTP), tmp_path) as collector:
        assert collector.post(gzip.compress(lines(3)), Content_Encoding="gzip")[0] == 200
        assert collector.post(b'[{"message":"a"},{"message":"b"}]')[1]["accepted"] == 2
        assert collector.post(json.dumps({"message": "c"}, indent=2).encode())[0] == 200
        assert collector.post(b"{}", path="/elsewhere")[0] == 404
        assert collector.post(b"x", Content_Encoding="br")[0] == 400
        eventually(lambda: count(engine) == 6, "6 rows")


def test_the_options_of_http_are_obeyed(engine: Engine, tmp_path: Path) -> None:
    source = {
        **HTTP,
        "path": "/in",
        "strict_path": False,
        "path_key": "where",
        "headers": ["X-Team", "x-extra-*"],
        "query_parameters": ["q"],
        "response_code": 202,
        "auth": {"strategy": "basic", "username": "me", "password": "secret"},
    }
    with Collector(pipeline(engine.url, http=source), tmp_path) as collector:
        assert collector.post(b'{"message":"a"}', path="/in/deeper")[0] == 401
        status, _ = collector.post(
            b'{"message":"a"}',
            path="/in/deeper?q=1&r=2",
            Authorization="Basic bWU6c2VjcmV0",
            X_Team="blue",
            X_Extra_One="1",
        )
        assert status == 202
        eventually(lambda: count(engine) == 1, "the row")
    (row,) = engine.query("SELECT attributes FROM logs.application_logs")
    assert row["attributes"] == {
        "where": "/in/deeper",
        "X-Team": "blue",
        "x-extra-one": "1",
        "q": "1",
    }


def test_transforms_run_and_what_they_refuse_is_kept(engine: Engine, tmp_path: Path) -> None:
    configuration = {
        "sources": {"tcp": {**TCP, "decoding": {"codec": "bytes"}}},
        "transforms": {
            "parse": {
                "type": "remap",
                "inputs": ["tcp"],
                "drop_on_error": True,
                "reroute_dropped": False,
                "source": ". = merge!({}, parse_regex!(.message, r'^(?P<log_level>\\w+) "
                "(?P<message>.*)$'))",
            }
        },
        "sinks": {"out": {**INTAKE, "inputs": ["parse"], "endpoint": engine.url}},
    }
    with Collector(configuration, tmp_path) as collector:
        collector.send(b"warn first\nnothing\nerror second\n")
        eventually(lambda: count(engine) == 2, "both rows")

        def counted(name: str) -> float:
            return collector.metric(f"component_{name}_events_total", "parse")

        # The table has the rows a moment before they are counted.
        eventually(lambda: (counted("received"), counted("sent")) == (3, 2), "both counts")
    rows = engine.query("SELECT log_level, message FROM logs.application_logs ORDER BY arrival")
    assert [tuple(row.values()) for row in rows] == [("WARNING", "first"), ("ERROR", "second")]


def test_a_file_on_standard_input_is_delivered_and_then_it_ends(
    engine: Engine, tmp_path: Path
) -> None:
    configuration = {
        "sources": {"in": {"type": "stdin", "decoding": {"codec": "json"}}},
        "sinks": {"out": {**INTAKE, "inputs": ["in"], "endpoint": engine.url}},
    }
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(configuration))
    ended = subprocess.run(
        [sys.executable, "-m", "tailrace", "collect", str(path), "--data-dir", str(tmp_path)],
        check=False,
        input=lines(5000) + b'{"message":"without newline"}',
        capture_output=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    assert count(engine) == 5001


def test_an_engine_that_comes_later_gets_everything(engine: Engine, tmp_path: Path) -> None:
    with Collector(pipeline(DEAD_ENGINE, http=HTTP), tmp_path) as collector:
        assert collector.is_ready()
        assert collector.post(lines(10))[0] == 200
        eventually(lambda: "cannot connect" in collector.log, "a word about it")
        assert not collector.is_ready()
        assert collector.stop() == 0
    assert count(engine) == 0
    with Collector(pipeline(engine.url, http=HTTP), tmp_path) as collector:
        eventually(lambda: count(engine) == 10, "what the first one had acknowledged")


def test_a_full_buffer_sends_http_clients_away_and_reads_no_tcp(
    engine: Engine, tmp_path: Path
) -> None:
    small = {"TAILRACE_BUFFER_MAX_BYTES": str(1024**2)}
    with Collector(pipeline(DEAD_ENGINE, tcp=TCP, http=HTTP), tmp_path, small) as collector:
        body = b'{"message":"%s"}\n' % (b"x" * 2**16)
        acknowledged = 0
        while (status := collector.post(body)[0]) == 200:
            acknowledged += 1
        assert status == 503
        with socket.create_connection(("127.0.0.1", collector.ports["tcp"])) as connection:
            taken = fill(connection, lines(50_000))
        assert taken < MOST_TAKEN_BYTES, "the sender is made to wait"
        # A machine that stood still for so long has sent less: the rest is read now.
        eventually(lambda: collector.metric("buffer_byte_size", "tcp") >= 1024**2, "a full buffer")
    assert acknowledged >= 10


MOST_TAKEN_BYTES = 200 * 1024**2
"""Far more than the system's buffers, the collector's memory and its buffer on disk hold together."""


def fill(connection: socket.socket, data: bytes) -> int:
    """Send `data` again and again until nobody takes it any more; how much was taken."""
    connection.setblocking(False)
    taken, rest = 0, data
    while taken < MOST_TAKEN_BYTES:
        _, writable, _ = select.select([], [connection], [], SILENCE_SECS)
        if not writable:
            break
        sent = connection.send(rest)
        taken, rest = taken + sent, rest[sent:] or data
    return taken


def test_sigterm_delivers_what_has_come_and_ends_well(engine: Engine, tmp_path: Path) -> None:
    slow = pipeline(engine.url, tcp=TCP)
    slow["sinks"]["out"]["batch"]["timeout_secs"] = 3600
    with Collector(slow, tmp_path) as collector:
        with socket.create_connection(("127.0.0.1", collector.ports["tcp"])) as connection:
            connection.sendall(lines(1000) + b'{"message":"unfin')
            assert collector.stop() == 0
    # The time for an end may be too short for the insert, on a machine that stands still meanwhile.
    if "events stay in the buffer for the next start" in collector.log:
        with Collector(pipeline(engine.url, tcp=TCP), tmp_path):
            eventually(lambda: count(engine) == 1000, "what had stayed")
    assert count(engine) == 1000
    raw = [row["raw"] for row in engine.query("SELECT raw FROM logs.rejected")]
    assert raw in (['{"message":"unfin'], []), "in the table, or in the buffer for the next start"


def test_a_taken_port_names_the_component_and_its_option(engine: Engine, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path = tmp_path / "pipeline.yaml"
        source = {**TCP, "address": f"127.0.0.1:{port}"}
        path.write_text(yaml.safe_dump(pipeline(engine.url, logs=source)))
        ended = subprocess.run(
            [sys.executable, "-m", "tailrace", "collect", str(path)],
            check=False,
            capture_output=True,
            timeout=60,
            cwd=tmp_path,
            env={**os.environ, "TAILRACE_COLLECTOR_PORT": "0"},
        )
    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr.decode()
    assert "sources.logs.address" in ended.stderr.decode()


def test_a_table_with_columns_gets_fields_of_the_source(engine: Engine, tmp_path: Path) -> None:
    """The way that configurations written for Vector go: rows straight into the table."""
    sink = {
        "type": "clickhouse",
        "inputs": ["tcp"],
        "endpoint": engine.url,
        "database": "logs",
        "table": "application_logs",
        "date_time_best_effort": True,
        "batch": {"timeout_secs": 0.05},
    }
    configuration = {"sources": {"tcp": {**TCP, "port_key": "port"}}, "sinks": {"out": sink}}
    with Collector(configuration, tmp_path) as collector:
        collector.send(
            b'{"message":"m","timestamp":"2026-01-02T03:04:05.678Z","user":"u"}\n'
            b"no json\n"
            b'{"message":"bad","received_at":"never"}\n'
        )
        eventually(lambda: count(engine) == 1, "the good row")
        rejected = eventually(
            lambda: (
                len(rows := engine.query("SELECT * FROM logs.rejected ORDER BY raw")) == 2 and rows
            ),
            "both bad rows",
        )
    (row,) = engine.query("SELECT * FROM logs.application_logs")
    assert row["timestamp"] == "2026-01-02 03:04:05.678000000"
    assert row["host"] == "127.0.0.1"
    assert row["attributes"]["user"] == "u"
    assert row["attributes"]["source_type"] == "socket"
    assert rejected[0]["raw"] == "no json"
    assert "never" in rejected[1]["raw"]
    assert "DateTime" in rejected[1]["reason"] or "parse" in rejected[1]["reason"]
