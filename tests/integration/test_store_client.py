"""The store's client against the real engine."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tailrace.errors import StoreError, StoreUnavailableError
from tailrace.store import Limits, Store
from tests.processes import Process, start_engine

READONLY = 164


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with start_engine(tmp_path_factory.mktemp("engine")) as process:
        yield process


@pytest.fixture(scope="module")
def store(engine: Process) -> Iterator[Store]:
    with Store(engine.url) as store:
        store.command("CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
        store.command("INSERT INTO t SELECT number, toString(number) FROM numbers(1000)")
        yield store


def test_an_answer_has_names_types_rows_and_what_it_took(store: Store) -> None:
    result = store.query("SELECT a, b FROM t WHERE a < {n:UInt64} ORDER BY a", {"n": 2})
    assert result.columns == ("a", "b")
    assert result.types == ("UInt64", "String")
    assert result.rows == [(0, "0"), (1, "1")]
    assert result.dicts() == [{"a": 0, "b": "0"}, {"a": 1, "b": "1"}]
    assert result.statistics.rows_read == 1000
    assert result.statistics.bytes_read > 0
    assert result.statistics.elapsed_ms > 0
    assert result.statistics.limit is None


@pytest.mark.parametrize("text", ["'); DROP TABLE t --", "\\'", "{n:UInt64}", "a\nb\0", "é", ""])
def test_parameters_are_bound(store: Store, text: str) -> None:
    assert store.query("SELECT {text:String}", {"text": text}).value() == text


def test_a_stream_comes_block_by_block_and_may_be_left(store: Store) -> None:
    with store.stream("SELECT number FROM numbers(1000000)") as stream:
        assert stream.columns == ("number",)
        assert len(next(stream.blocks)) < 1_000_000
    with store.stream("SELECT number FROM numbers(200000)") as stream:
        assert sum(len(block) for block in stream.blocks) == 200_000
    assert store.query("SELECT 1").value() == 1


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM s3('http://127.0.0.1:1/bucket/key.csv', 'CSV', 'a String')",
        "SELECT * FROM remote('127.0.0.1:1', 'system', 'one')",
        "SELECT file('/etc/passwd')",
        "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
        "SELECT * FROM eval('SELECT 1')",
        "INSERT INTO t VALUES (1, 'x')",
        "INSERT INTO t SELECT 1, 'x'",
        "CREATE TABLE u (a UInt8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE u (a UInt8)",
        "ALTER TABLE t DELETE WHERE 1",
        "TRUNCATE TABLE t",
        "DROP TABLE t",
        "SET max_threads = 1",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_execution_time = 0",
        "SYSTEM SHUTDOWN",
        "KILL QUERY WHERE 1",
    ],
)
def test_a_limited_query_can_only_read_tables(store: Store, sql: str) -> None:
    with pytest.raises(StoreError) as refused:
        store.query(sql, limits=Limits())
    assert refused.value.code == READONLY
    assert store.query("SELECT count() FROM t").value() == 1000


def test_a_limited_query_writes_no_file(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        store.query(f"SELECT 1 INTO OUTFILE '{tmp_path}/out'", limits=Limits())
    assert list(tmp_path.iterdir()) == []


def test_too_many_rows_are_cut_and_that_is_said(store: Store) -> None:
    cut = store.query("SELECT a FROM t ORDER BY a", limits=Limits(max_rows=10))
    assert [row[0] for row in cut.rows] == list(range(10))
    assert cut.statistics.limit == "max_rows"
    whole = store.query("SELECT a FROM t WHERE a < 10", limits=Limits(max_rows=10))
    assert len(whole.rows) == 10
    assert whole.statistics.limit is None


def test_a_query_that_takes_too_long_is_ended(store: Store) -> None:
    with pytest.raises(StoreError) as ended:
        store.query("SELECT sleepEachRow(1) FROM numbers(60)", limits=Limits(max_seconds=0.3))
    assert ended.value.code in (159, 160)  # it was too slow, or it was seen that it would be


def test_a_query_that_takes_too_much_memory_is_ended(store: Store) -> None:
    with pytest.raises(StoreError) as ended:
        store.query(
            "SELECT groupArray(number) FROM numbers(50000000)",
            limits=Limits(max_memory_bytes=50_000_000),
        )
    assert ended.value.code == 241


def test_errors_carry_clickhouses_code(store: Store) -> None:
    with pytest.raises(StoreError, match="nothing_here") as unknown:
        store.query("SELECT * FROM nothing_here")
    assert unknown.value.code == 60
    assert not isinstance(unknown.value, StoreUnavailableError)


def test_errors_are_in_clickhouses_words_alone(store: Store) -> None:
    with pytest.raises(StoreError) as refused:
        store.query("SELECT nothing_here FROM system.one")
    said = str(refused.value)
    assert said.startswith("cannot run the query: Code: 47. DB::Exception: ")
    assert "(for url" not in said


def test_many_threads_and_tasks_may_ask_at_once(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: store.query(f"SELECT {n}").value(), range(40)))
    assert answers == list(range(40))

    async def ask_all() -> list[int]:
        results = await asyncio.gather(*(store.aquery(f"SELECT {n}") for n in range(40)))
        return [result.value() for result in results]

    assert asyncio.run(ask_all()) == list(range(40))


def test_an_insert_of_bytes(store: Store) -> None:
    store.command("CREATE TABLE bytes (a UInt8) ENGINE = Memory")
    store.insert("bytes", b'{"a":1}\n{"a":2}\n', "JSONEachRow")
    assert store.query("SELECT sum(a) FROM bytes").value() == 3


def test_an_engine_that_comes_back_is_used_again(tmp_path: Path) -> None:
    first = start_engine(tmp_path)
    with Store(first.url) as store, first:
        store.ping()
        first.stop()
        with pytest.raises(StoreUnavailableError, match="cannot reach ClickHouse"):
            store.ping()
        with start_engine(tmp_path, None, "--engine-port", str(first.port)) as second:
            assert second.port == first.port
            store.ping()


def test_a_store_that_was_made_before_its_engine_works_once_it_is_there(tmp_path: Path) -> None:
    with start_engine(tmp_path) as first:
        url, port = first.url, first.port
    with Store(url) as store:
        with pytest.raises(StoreUnavailableError):
            store.ping()
        with start_engine(tmp_path, None, "--engine-port", str(port)):
            store.ping()


def test_a_wrong_password_names_the_settings(tmp_path: Path) -> None:
    secured = {"TAILRACE_CLICKHOUSE_USER": "me", "TAILRACE_CLICKHOUSE_PASSWORD": "sesame"}
    with start_engine(tmp_path, secured) as engine:
        with Store(engine.url, "me", "sesame") as store:
            assert store.query("SELECT 1").value() == 1
        with (
            Store(engine.url, "me", "wrong") as store,
            pytest.raises(StoreError, match="TAILRACE_CLICKHOUSE_PASSWORD"),
        ):
            store.query("SELECT 1")
