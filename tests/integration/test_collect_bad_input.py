"""Input that no one should send: nothing crashes, good neighbours are stored, the bad is kept."""

import socket
from collections.abc import Iterator

import pytest

from tests.integration.collect_system import (
    HTTP,
    TCP,
    Collector,
    Engine,
    eventually,
    pipeline,
)

BRACKETS = b"[" * 20_000 + b"]" * 20_000
LONG = b"x" * 10_000_000


@pytest.fixture(scope="module")
def collector(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("collector")
    with Collector(pipeline(engine.url, tcp=TCP, http=HTTP), folder) as running:
        yield running


@pytest.fixture(params=["tcp", "http"])
def way(request: pytest.FixtureRequest, engine: Engine) -> str:
    engine.clear()
    return str(request.param)


def bring(collector: Collector, way: str, bad: bytes) -> int | None:
    """Send a bad line between two good ones; the answer's status, by HTTP."""
    body = b'{"message":"before"}\n' + bad + b'\n{"message":"after"}\n'
    if way == "tcp":
        collector.send(body)
        return None
    return collector.post(body)[0]


def messages(engine: Engine) -> list[str]:
    rows = engine.query("SELECT message FROM logs.application_logs ORDER BY arrival")
    return [row["message"] for row in rows]


REJECTED = {
    "no JSON": b"plain text, no JSON",
    "JSON cut short": b'{"message":"half',
    "a number": b"42",
    "a string": b'"text"',
    "null": b"null",
    "an impossible timestamp": b'{"message":"bad","timestamp":"2026-02-31T99:00:00Z"}',
    "a timestamp that is none": b'{"message":"bad","timestamp":"noon"}',
    "20,000 nested brackets": b'{"message":"deep","a":' + BRACKETS + b"}",
    "brackets alone": BRACKETS,
    "a NUL byte": b'{"message":"nul \x00 byte"}',
}


@pytest.mark.parametrize("name", REJECTED)
def test_what_cannot_be_an_event_is_kept_with_its_reason(
    collector: Collector, engine: Engine, way: str, name: str
) -> None:
    status = bring(collector, way, REJECTED[name])
    eventually(lambda: messages(engine) == ["before", "after"], "both neighbours")
    rows = eventually(
        lambda: engine.query("SELECT component_id, peer, reason, raw FROM logs.rejected"),
        "the rejected row",
    )
    assert len(rows) == 1
    assert rows[0]["raw"].encode() == REJECTED[name]
    assert rows[0]["reason"]
    assert (rows[0]["component_id"], rows[0]["peer"]) == (way, "127.0.0.1")
    assert status in (None, 200)


STORED: dict[str, tuple[bytes, dict[str, object]]] = {
    "no timestamp": (b'{"message":"x"}', {}),
    "a level in lower case": (b'{"message":"x","log_level":"warning"}', {"log_level": "WARNING"}),
    "a level of another name": (b'{"message":"x","level":"fatal"}', {"log_level": "CRITICAL"}),
    "a level of its own": (b'{"message":"x","level":"Odd"}', {"log_level": "ODD"}),
    "a carriage return at its end": (b'{"message":"x"}\r', {"attributes": {}}),
    "an empty name": (b'{"message":"x","":"value"}', {"attributes": {"": "value"}}),
    "a number beyond 64 bits": (
        b'{"message":"x","big":123456789012345678901234567890}',
        {"attributes": {"big": "123456789012345678901234567890"}},
    ),
    "a NUL that is escaped": (
        b'{"message":"x","a":"\\u0000"}',
        {"attributes": {"a": "\0"}},
    ),
    "hostile text": (
        b'{"message":"x","a":"<script>\'; DROP TABLE logs; --"}',
        {"attributes": {"a": "<script>'; DROP TABLE logs; --"}},
    ),
}


@pytest.mark.parametrize("name", STORED)
def test_what_is_odd_but_an_event_is_stored(
    collector: Collector, engine: Engine, way: str, name: str
) -> None:
    line, expected = STORED[name]
    bring(collector, way, line)
    eventually(lambda: messages(engine) == ["before", "x", "after"], "all three")
    (row,) = engine.query("SELECT * FROM logs.application_logs WHERE message = 'x'")
    assert {field: row[field] for field in expected} == expected
    assert engine.value("SELECT toUInt32(count()) FROM logs.rejected") == 0


def test_invalid_utf8_is_nowhere_lost(collector: Collector, engine: Engine, way: str) -> None:
    bring(collector, way, b'{"message":"caf\xe9"}')
    eventually(lambda: {"before", "after"} <= set(messages(engine)), "both neighbours")
    rejected = "SELECT hex(raw) AS raw FROM logs.rejected"
    found = eventually(
        lambda: len(messages(engine)) == 3 or engine.query(rejected), "the third line"
    )
    assert found is True or found == [{"raw": b'{"message":"caf\xe9"}'.hex().upper()}]


def test_a_line_of_10_mb_is_stored(collector: Collector, engine: Engine, way: str) -> None:
    bring(collector, way, b'{"message":"' + LONG + b'"}')
    eventually(lambda: len(messages(engine)) == 3, "all three")
    longest = "SELECT toUInt32(max(length(message))) FROM logs.application_logs"
    assert engine.value(longest) == len(LONG)


def test_a_connection_cut_in_a_line_loses_nothing_that_was_whole(
    collector: Collector, engine: Engine, way: str
) -> None:
    del way
    with socket.create_connection(("127.0.0.1", collector.ports["tcp"])) as connection:
        connection.sendall(b'{"message":"whole"}\n{"message":"cut')
        # A reset, not an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        eventually(lambda: messages(engine) == ["whole"], "the whole line")
    (row,) = eventually(lambda: engine.query("SELECT raw FROM logs.rejected"), "the cut one")
    assert row["raw"] == '{"message":"cut'


def test_a_body_of_which_nothing_can_be_read_is_refused_and_kept(
    collector: Collector, engine: Engine, way: str
) -> None:
    del way
    status, problem = collector.post(b"no JSON at all")
    assert status == 400
    assert problem["status"] == 400
    assert "not JSON" in problem["detail"]
    (row,) = eventually(lambda: engine.query("SELECT raw FROM logs.rejected"), "what came")
    assert row["raw"] == "no JSON at all"


def test_empty_lines_are_nothing(collector: Collector, engine: Engine, way: str) -> None:
    bring(collector, way, b"\n\r\n\n")
    eventually(lambda: messages(engine) == ["before", "after"], "both neighbours")
    assert engine.value("SELECT toUInt32(count()) FROM logs.rejected") == 0


def test_a_body_that_is_too_large_is_refused_before_it_comes(
    collector: Collector, engine: Engine, way: str
) -> None:
    del engine, way
    with socket.create_connection(("127.0.0.1", collector.ports["http"])) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 104857601\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_the_rejected_counts_are_told(collector: Collector, engine: Engine, way: str) -> None:
    del way
    status, answer = collector.post(b'{"message":"good"}\nbad\n')
    assert (status, answer) == (200, {"accepted": 1, "rejected": 1})
    # So that they do not come into another test's tables.
    eventually(lambda: messages(engine) == ["good"], "the good row")
    eventually(lambda: engine.query("SELECT raw FROM logs.rejected"), "the bad one")
