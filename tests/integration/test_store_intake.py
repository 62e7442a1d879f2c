"""What becomes of a line that goes into `logs.intake`: columns, attributes, or `logs.rejected`."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from tailrace.errors import StoreError
from tailrace.packs import find_packs
from tailrace.settings import Settings
from tailrace.store import Store
from tailrace.store.migrations import set_up
from tests.processes import start_engine

ONE_BLOCK: Mapping[str, str | int] = {
    "async_insert": 0,
    "min_insert_block_size_rows": 100_000_000,
    "min_insert_block_size_bytes": 1_000_000_000,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
}
ARRIVED = datetime.now(UTC).replace(microsecond=123_000)
MINIMAL = {"message": "m"}


@pytest.fixture(scope="module")
def engine_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with (
        start_engine(tmp_path_factory.mktemp("engine")) as engine,
        Store(engine.url) as store,
    ):
        settings = Settings.read(clickhouse_url=engine.url)
        set_up(store, find_packs(settings, ["logs"]), settings)
        yield store


@pytest.fixture
def store(engine_store: Store) -> Store:
    engine_store.command("TRUNCATE TABLE logs.application_logs")
    engine_store.command("TRUNCATE TABLE logs.rejected")
    return engine_store


def insert(store: Store, *lines: bytes | dict[str, Any], token: str = "") -> None:
    """The insert as the collector does it."""
    body = b"".join(
        (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines
    )
    store.insert(
        "logs.intake (json, component_id, peer, received_at) "
        f"SELECT line, 'logs_tcp', '10.0.0.1:55', '{ARRIVED:%Y-%m-%d %H:%M:%S}.123' "
        "FROM input('line String')",
        body,
        "LineAsString",
        settings={**ONE_BLOCK, **({"insert_deduplication_token": token} if token else {})},
    )


def stored(store: Store) -> list[dict[str, Any]]:
    return store.query(
        "SELECT *, toString(timestamp) AS time FROM logs.application_logs ORDER BY arrival"
    ).dicts()


def rejected(store: Store) -> list[dict[str, Any]]:
    return store.query("SELECT * FROM logs.rejected").dicts()


def counts(store: Store) -> tuple[int, int]:
    good, bad = (
        store.query(f"SELECT count() FROM logs.{table}").value()
        for table in ("application_logs", "rejected")
    )
    return good, bad


def only(store: Store, line: bytes | dict[str, Any]) -> dict[str, Any]:
    insert(store, line)
    assert rejected(store) == []
    [row] = stored(store)
    return row


def test_a_line_comes_out_in_its_columns(store: Store) -> None:
    row = only(
        store,
        {
            "timestamp": "2026-01-02T03:04:05.123456789Z",
            "log_level": "ERROR",
            "message": 'it\'s\n"hostile" \\ <b>é ✓</b>',
            "source": "auth",
            "host": "web-1",
            "trace_id": "abc",
            "span_id": "def",
            "user_id": 7,
        },
    )
    assert row["time"] == "2026-01-02 03:04:05.123456789"
    assert row["log_level"] == "ERROR"
    assert row["message"] == 'it\'s\n"hostile" \\ <b>é ✓</b>'
    assert (row["source"], row["host"], row["trace_id"], row["span_id"]) == (
        "auth", "web-1", "abc", "def",
    )  # fmt: skip
    assert row["attributes"] == {"user_id": "7"}
    assert row["received_at"] == ARRIVED


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02 03:04:05.000000000"),
        ("2026-01-02T03:04:05.5", "2026-01-02 03:04:05.500000000"),
        ("2026-01-02T03:04:05.25+05:30", "2026-01-01 21:34:05.250000000"),
        ("2026-01-02 03:04:05", "2026-01-02 03:04:05.000000000"),
        ("2026-01-02 03:04:05.123456", "2026-01-02 03:04:05.123456000"),
        ("2026-01-02 03:04:05,747", "2026-01-02 03:04:05.747000000"),
        ("2026-01-02", "2026-01-02 00:00:00.000000000"),
        ("1960-01-02 03:04:05", "1960-01-02 03:04:05.000000000"),
        (1732000000, "2024-11-19 07:06:40.000000000"),
        (1732000000.123456, "2024-11-19 07:06:40.123456000"),
        (1732000000123, "2024-11-19 07:06:40.123000000"),
        (1732000000123456, "2024-11-19 07:06:40.123456000"),
        (1732000000123456789, "2024-11-19 07:06:40.123456789"),
        ("1732000000.5", "2024-11-19 07:06:40.500000000"),
        (0, "1970-01-01 00:00:00.000000000"),
        ("Tue, 15 Nov 1994 08:12:31 +0200", "1994-11-15 06:12:31.000000000"),
        ("Sun Dec 04 04:47:44 2005", "2005-12-04 04:47:44.000000000"),
        ("10/Oct/2000:13:55:36 -0700", "2000-10-10 20:55:36.000000000"),
    ],
)
def test_timestamps_are_read(store: Store, written: object, time: str) -> None:
    assert only(store, {"timestamp": written, **MINIMAL})["time"] == time


@pytest.mark.parametrize("written", [{}, {"timestamp": None}, {"timestamp": ""}])
def test_without_a_timestamp_the_arrival_counts(store: Store, written: dict[str, Any]) -> None:
    row = only(store, {**written, **MINIMAL})
    assert row["timestamp"] == row["received_at"] == ARRIVED
    assert row["attributes"] == {}


@pytest.mark.parametrize(
    "written",
    [
        "2024-13-45", "2024-02-30T00:00:00Z", "2024-01-01T25:00:00Z", "2024-01-01T00:61:00Z",
        "9999-01-01T00:00:00Z", "1600-01-01T00:00:00Z", "noon", "10:00", "12:30:00", -5, True,
        "2024-00-10T00:00:00Z", "2024-01-00", "2024-01-01T00:00:00+24:00", "9223372036.9",
        "2024-01-01T00:00:00-99:99", "99999999999999999999", [1], "'); DROP TABLE logs.rejected --",
    ],
)  # fmt: skip
def test_impossible_timestamps_are_rejected_and_quoted(store: Store, written: object) -> None:
    line = json.dumps({"timestamp": written, **MINIMAL}).encode()
    insert(store, line, MINIMAL)
    assert len(stored(store)) == 1
    [row] = rejected(store)
    assert "cannot read the timestamp" in row["reason"]
    text = written if isinstance(written, str) else json.dumps(written)
    assert f"'{text}'" in row["reason"]
    assert row["raw"] == line.decode()
    assert (row["component_id"], row["peer"], row["received_at"]) == (
        "logs_tcp", "10.0.0.1:55", ARRIVED,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "level"),
    [
        ("info", "INFO"), (" Warn ", "WARNING"), ("err", "ERROR"), ("fatal", "CRITICAL"),
        ("crit", "CRITICAL"), ("emerg", "CRITICAL"), ("panic", "CRITICAL"), ("notice", "INFO"),
        ("trace", "DEBUG"), ("audit", "AUDIT"), (3, "ERROR"), ("7", "DEBUG"), (30, "INFO"),
        (60, "CRITICAL"), ("", "INFO"), (None, "INFO"),
    ],
)  # fmt: skip
def test_levels_get_their_one_name(store: Store, written: object, level: str) -> None:
    assert only(store, {"log_level": written, **MINIMAL})["log_level"] == level


@pytest.mark.parametrize(
    ("event", "column", "value"),
    [
        ({"level": "error"}, "log_level", "ERROR"),
        ({"severity": "error"}, "log_level", "ERROR"),
        ({"levelname": "ERROR"}, "log_level", "ERROR"),
        ({"msg": "x"}, "message", "x"),
        ({"body": "x"}, "message", "x"),
        ({"event": "x"}, "message", "x"),
        ({"service": "x"}, "source", "x"),
        ({"logger": "x"}, "source", "x"),
        ({"service": {"name": "x"}}, "source", "x"),
        ({"log": {"level": "error"}}, "log_level", "ERROR"),
        ({"hostname": "x"}, "host", "x"),
        ({"traceId": "x"}, "trace_id", "x"),
        ({"@timestamp": "2026-01-02T03:04:05Z"}, "time", "2026-01-02 03:04:05.000000000"),
        ({"ts": 1732000000.5}, "time", "2024-11-19 07:06:40.500000000"),
        ({"time": "2026-01-02T03:04:05Z"}, "time", "2026-01-02 03:04:05.000000000"),
    ],
)
def test_other_names_of_a_column_are_known(
    store: Store, event: dict[str, Any], column: str, value: str
) -> None:
    row = only(store, event)
    assert row[column] == value
    assert row["attributes"] == {}


def test_an_alias_that_is_not_needed_stays_an_attribute(store: Store) -> None:
    row = only(
        store, {"log_level": "INFO", "level": "7", "message": "a", "msg": "b", "time": "13 ms"}
    )
    assert (row["log_level"], row["message"]) == ("INFO", "a")
    assert row["attributes"] == {"level": "7", "msg": "b", "time": "13 ms"}
    assert row["timestamp"] == ARRIVED


def test_what_has_no_column_becomes_an_attribute(store: Store) -> None:
    row = only(
        store,
        b'{"message":"m","whole":123456789012345678901234567890,"u":18446744073709551615,"half":0.5,'
        b'"yes":true,"nothing":null,"list":[1,{"a":"b"}],"":"no name","text":"q\\u00e9\\n\\u0000",'
        b'"looks":"{\\"like\\": 1}"}',
    )
    assert row["attributes"] == {
        "whole": "123456789012345678901234567890",
        "u": "18446744073709551615",
        "half": "0.5",
        "yes": "true",
        "nothing": "null",
        "list": '[1,{"a":"b"}]',
        "": "no name",
        "text": "qé\n\0",
        "looks": '{"like": 1}',
    }


def test_nested_objects_become_dotted_names_three_levels_deep(store: Store) -> None:
    row = only(store, {"message": "m", "a": {"b": {"c": {"d": 1}}, "e": {}, "f": "x"}, "n": None})
    assert row["attributes"] == {"a.b.c": '{"d":1}', "a.e": "{}", "a.f": "x", "n": "null"}


def test_what_vector_adds_of_its_own_is_left_out(store: Store) -> None:
    assert only(store, {"source_type": "socket", **MINIMAL})["attributes"] == {}


def test_a_source_type_of_the_events_own_stays(store: Store) -> None:
    assert only(store, {"source_type": "river", **MINIMAL})["attributes"] == {
        "source_type": "river"
    }


def test_without_a_host_the_senders_address_counts(store: Store) -> None:
    assert only(store, MINIMAL)["host"] == "10.0.0.1"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json", "not JSON"),
        (b'{"message":"cut in the mid', "not JSON"),
        (b'{"message":"a"} {"message":"b"}', "not JSON"),
        (b"[1,2]", "JSON array"),
        (b"[]", "JSON array"),
        (b'"text"', "JSON string"),
        (b"null", "JSON null"),
        (b'{"message":"\xff"}', "not valid UTF-8"),
        (b'{"message":"nul \x00"}', "not JSON"),
        (b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "nested too deep"),
        (b'{"a":1e999}', "not JSON"),
    ],
)
def test_lines_that_are_no_event_are_rejected_whole(store: Store, line: bytes, reason: str) -> None:
    insert(store, MINIMAL, line, MINIMAL)
    assert len(stored(store)) == 2
    found = store.query("SELECT reason, hex(raw) FROM logs.rejected").rows
    assert found == [(found[0][0], line.hex().upper())]
    assert reason in found[0][0]


def test_a_name_that_is_there_twice_keeps_both_values(store: Store) -> None:
    line = b'{"message":"first","message":"second","source":"a","k":1,"k":2}'
    row = only(store, line)
    assert (row["message"], row["source"]) == ("first", "a")
    [pairs] = store.query(
        "SELECT arrayZip(mapKeys(attributes), mapValues(attributes)) FROM logs.application_logs"
    ).rows[0]
    assert [tuple(pair) for pair in pairs] == [("message", "second"), ("k", "1"), ("k", "2")]


def test_an_array_may_have_blanks_around_it(store: Store) -> None:
    insert(store, b' \t[ {"message":"a"} , {"message":"b"} ] ')
    assert [row["message"] for row in stored(store)] == ["a", "b"]
    assert rejected(store) == []


def test_an_array_of_objects_is_as_many_events(store: Store) -> None:
    insert(store, b'[{"message":"a"}, {"message":"b"}]', b'[{"message":"c"}, 7]')
    assert [row["message"] for row in stored(store)] == ["a", "b"]
    [bad] = rejected(store)
    assert bad["raw"] == '[{"message":"c"}, 7]'


def test_a_line_of_ten_megabytes_is_stored(store: Store) -> None:
    text = "x" * 10_000_000
    insert(store, {"message": text}, MINIMAL)
    assert [len(row["message"]) for row in stored(store)] == [len(text), 1]


def test_lines_of_one_instant_keep_their_order(store: Store) -> None:
    insert(store, *({"timestamp": "2026-01-02T03:04:05Z", "message": str(n)} for n in range(500)))
    rows = store.query(
        "SELECT message FROM logs.application_logs ORDER BY timestamp DESC, arrival DESC"
    ).rows
    assert [int(row[0]) for row in rows] == list(reversed(range(500)))


EVERY_WAY = (MINIMAL, {"msg": "by another name"}, {"message": "m", "nested": {"a": 1}}, b"bad")


def test_a_batch_that_comes_again_adds_nothing(store: Store) -> None:
    for _ in range(3):
        insert(store, *EVERY_WAY, token="t1")
    assert counts(store) == (3, 1)
    insert(store, *EVERY_WAY, token="t2")
    assert counts(store) == (6, 2)


def test_a_batch_that_failed_half_way_is_completed_by_its_retry(store: Store) -> None:
    """One table cannot be written: the retry reaches it, and adds nothing to the other."""
    store.command("RENAME TABLE logs.rejected TO logs.rejected_away")
    try:
        with pytest.raises(StoreError):
            insert(store, *EVERY_WAY, token="half")
    finally:
        store.command("RENAME TABLE logs.rejected_away TO logs.rejected")
    for _ in range(2):
        insert(store, *EVERY_WAY, token="half")
    assert counts(store) == (3, 1)


def test_lines_that_go_different_ways_keep_their_order(store: Store) -> None:
    lines: list[dict[str, Any]] = [{"message": str(n)} for n in range(30)]
    lines[5::7] = [{**line, "nested": {"a": 1}} for line in lines[5::7]]
    lines[3::5] = [{"msg": line["message"]} for line in lines[3::5]]
    insert(store, *lines[:25], b"bad", json.dumps(lines[25:]).encode())
    assert [int(row["message"]) for row in stored(store)] == list(range(30))


def test_attributes_and_words_are_found_by_their_indexes(store: Store) -> None:
    insert(store, *({"message": f"Hello number{n}", "user_id": n} for n in range(1000)))
    store.command("OPTIMIZE TABLE logs.application_logs FINAL")
    for condition in (
        "has(attribute_items, 'user_id=77')",
        "hasAllTokens(lower(message), ['number77'])",
        "attributes['user_id'] = '77'",
    ):
        rows = store.query(f"SELECT message FROM logs.application_logs WHERE {condition}").rows
        assert rows == [("Hello number77",)], condition
    plan = store.query(
        "EXPLAIN indexes = 1 SELECT message FROM logs.application_logs "
        "WHERE has(attribute_items, 'user_id=77') AND hasAllTokens(lower(message), ['number77'])"
    )
    told = "\n".join(str(row[0]) for row in plan.rows)
    assert "attribute_words" in told
    assert "message_words" in told
