"""The official client's everyday behaviour against `tailrace engine`."""

import asyncio
import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import clickhouse_connect
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sqlalchemy as sa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

from tests.processes import Process

WHEN = datetime(2026, 11, 22, 3, 4, 5, 678000, tzinfo=UTC)
TABLE = """CREATE TABLE events (a UInt64, b String DEFAULT concat('d', toString(a)),
    c DateTime64(3, 'UTC') DEFAULT '2026-11-22 03:04:05.678') ENGINE = MergeTree ORDER BY a"""


def test_queries_return_typed_rows(client: Client) -> None:
    result = client.query("SELECT 1 AS one, 'x' AS text, [1, 2] AS list, NULL AS nothing")
    assert result.column_names == ("one", "text", "list", "nothing")
    assert result.result_rows == [(1, "x", [1, 2], None)]


def test_an_empty_answer_has_no_rows(client: Client) -> None:
    assert client.query("SELECT number FROM numbers(0)").result_rows == []


def test_a_datetime_keeps_its_time_zone(client: Client) -> None:
    query = "SELECT 1 AS a, toDateTime('2020-01-01 00:00:00', 'Asia/Tokyo') AS t"
    ((_, moment),) = client.query(query).result_rows
    assert moment == datetime(2020, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo"))


@pytest.mark.parametrize("rows", [1, 100_000])
def test_inserted_rows_come_back(client: Client, rows: int) -> None:
    client.command(TABLE)
    data = [[n, "é'\t\\\n" * 3, WHEN] for n in range(rows)]
    summary = client.insert("events", data, column_names=["a", "b", "c"])
    assert summary.written_rows == rows
    found = client.query("SELECT * FROM events ORDER BY a").result_rows
    assert [list(row) for row in found] == data


def test_columns_that_are_left_out_take_their_defaults(client: Client) -> None:
    client.command(TABLE)
    client.insert("events", [[7]], column_names=["a"])
    assert client.query("SELECT * FROM events").result_rows == [(7, "d7", WHEN)]


def test_pandas_goes_in_and_out(client: Client) -> None:
    client.command(TABLE)
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    assert client.insert_df("events", frame).written_rows == 2
    found = client.query_df("SELECT a, b FROM events ORDER BY a")
    assert found["a"].tolist() == [1, 2]
    assert found["b"].tolist() == ["x", "y"]


def test_numpy_comes_out(client: Client) -> None:
    found = client.query_np("SELECT number, number * 2 FROM numbers(3)")
    assert np.array_equal(found, np.array([[0, 0], [1, 2], [2, 4]]))


def test_arrow_goes_in_and_out(client: Client) -> None:
    client.command(TABLE)
    table = pa.table({"a": pa.array([1, 2], pa.uint64()), "b": ["x", "y"]})
    assert client.insert_arrow("events", table).written_rows == 2
    assert client.query_arrow("SELECT a FROM events ORDER BY a")["a"].to_pylist() == [1, 2]


def test_polars_goes_in_and_out(client: Client) -> None:
    client.command(TABLE)
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    assert client.insert_df_arrow("events", frame).written_rows == 2
    found: Any = client.query_df_arrow(
        "SELECT a FROM events ORDER BY a", dataframe_library="polars"
    )
    assert found["a"].to_list() == [1, 2]


def test_streams_deliver_every_row(client: Client) -> None:
    query = "SELECT number, toString(number) AS text FROM numbers(300000)"
    with client.query_row_block_stream(query) as blocks:
        assert sum(len(block) for block in blocks) == 300_000
    with client.query_df_stream(query) as frames:
        assert sum(len(frame) for frame in frames) == 300_000
    with client.query_arrow_stream(query) as batches:
        assert sum(batch.num_rows for batch in batches) == 300_000


@pytest.mark.parametrize(
    ("form", "body", "compression"),
    [
        ("JSONEachRow", b'{"a":1}\n{"a":2,"b":"x"}\n', None),
        ("CSV", b"1,d1,2026-11-22 03:04:05.678\n2,x,2026-11-22 03:04:05.678\n", None),
        ("CSVWithNames", gzip.compress(b"b,a\nd1,1\nx,2\n", mtime=0), "gzip"),
    ],
)
def test_raw_inserts_take_any_format(
    client: Client, form: str, body: bytes, compression: str | None
) -> None:
    client.command(TABLE)
    summary = client.raw_insert("events", insert_block=body, fmt=form, compression=compression)
    assert summary.written_rows == 2
    assert client.query("SELECT a, b FROM events ORDER BY a").result_rows == [(1, "d1"), (2, "x")]


def test_parameters_are_bound_by_the_engine(client: Client) -> None:
    values = {"text": "it's\ta \\ \n{x}", "list": ["a'b", "c"], "n": 5, "when": WHEN}
    query = (
        "SELECT {text:String}, {list:Array(String)}, {n:UInt8}, {when:DateTime64(3, 'UTC')} = "
        "toDateTime64('2026-11-22 03:04:05.678', 3, 'UTC')"
    )
    found = client.query(query, parameters=values).result_rows
    assert found == [(values["text"], ["a'b", "c"], 5, True)]


def test_parameters_may_come_as_a_form(engine: Process) -> None:
    with clickhouse_connect.get_client(
        host="127.0.0.1", port=engine.port, form_encode_query_params=True
    ) as client:
        found = client.query("SELECT {x:String}", parameters={"x": "é'&=%"}).result_rows
    assert found == [("é'&=%",)]


@pytest.mark.parametrize("described", [{"structure": ["name String", "cost Decimal(10, 2)"]}])
def test_external_tables_are_joined(client: Client, described: dict[str, Any]) -> None:
    data = ExternalData(file_name="costs.csv", fmt="CSV", data=b"abc,1.5\ndef,2\n", **described)
    query = "SELECT name, cost, {x:UInt8} FROM costs ORDER BY name"
    found = client.query(query, parameters={"x": 1}, external_data=data).result_rows
    assert found == [("abc", Decimal("1.5"), 1), ("def", Decimal(2), 1)]
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        client.query("SELECT * FROM costs")


def test_external_tables_may_have_types_only(client: Client) -> None:
    data = ExternalData(file_name="t.csv", fmt="CSV", types="String,Decimal(10,2)", data=b"a,1\n")
    assert client.query("SELECT _1, _2 FROM t", external_data=data).result_rows == [("a", 1)]


def test_a_session_keeps_its_temporary_tables(client: Client, engine: Process) -> None:
    client.command("CREATE TEMPORARY TABLE mine (a UInt8)")
    client.insert("mine", [[1], [2]])
    assert client.command("SELECT sum(a) FROM mine") == 3
    with (
        clickhouse_connect.get_client(host="127.0.0.1", port=engine.port) as other,
        pytest.raises(DatabaseError, match="UNKNOWN_TABLE"),
    ):
        other.command("SELECT * FROM mine")


def test_errors_are_clickhouses_own(client: Client) -> None:
    with pytest.raises(DatabaseError, match=r"Code: 60\..*UNKNOWN_TABLE") as caught:
        client.query("SELECT * FROM nowhere")
    assert caught.value.code == 60
    with pytest.raises(DatabaseError, match="SYNTAX_ERROR"):
        client.command("SELEC 1")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_error_in_the_middle_of_a_stream_is_raised(client: Client) -> None:
    query = "SELECT throwIf(number = 280000) FROM numbers(300000)"
    with (
        pytest.raises(StreamFailureError, match=r"Code: 395"),
        client.query_row_block_stream(query) as blocks,
    ):
        for _ in blocks:
            pass
    assert client.command("SELECT 1") == 1


def test_an_error_of_a_query_that_waits_is_an_ordinary_error(client: Client) -> None:
    with pytest.raises(DatabaseError, match=r"Code: 395"):
        client.query("SELECT throwIf(number = 280000) FROM numbers(300000)")


@pytest.mark.parametrize("compression", [False, "lz4", "zstd", "br", "gzip"])
def test_every_compression_works_both_ways(engine: Process, compression: Any) -> None:
    with clickhouse_connect.get_client(
        host="127.0.0.1", port=engine.port, compress=compression
    ) as client:
        client.command("DROP TABLE IF EXISTS packed")
        client.command("CREATE TABLE packed (a UInt64, b String) ENGINE = Memory")
        client.insert("packed", [[n, "x" * 30] for n in range(50_000)])
        assert client.query("SELECT * FROM packed").row_count == 50_000
        assert client.command("SELECT sum(a) FROM packed") == sum(range(50_000))


def test_a_summary_has_real_numbers(client: Client) -> None:
    client.command(TABLE)
    summary = client.insert("events", [[n] for n in range(1000)], column_names=["a"])
    assert summary.written_rows == 1000
    assert summary.written_bytes() > 1000
    found = client.query("SELECT a FROM events WHERE a < 10").summary
    assert int(found["read_rows"]) == 1000
    assert int(found["result_rows"]) == 10
    assert int(found["elapsed_ns"]) > 0


def test_queries_keep_the_id_that_they_are_given(client: Client) -> None:
    result = client.query("SELECT queryID()", settings={"query_id": "my-own-id"})
    assert result.query_id == "my-own-id"
    assert result.result_rows == [("my-own-id",)]


@pytest.mark.parametrize(
    "statement", ["SHOW TABLES", "DESCRIBE TABLE events", "EXISTS TABLE events", "EXPLAIN SELECT 1"]
)
def test_statements_other_than_select_have_rows(client: Client, statement: str) -> None:
    client.command(TABLE)
    assert client.query(statement).result_rows


def test_queries_run_at_once(engine: Process) -> None:
    all_connected = threading.Barrier(4)

    def sleep(_: int) -> object:
        with clickhouse_connect.get_client(host="127.0.0.1", port=engine.port) as one:
            all_connected.wait(60)
            return one.command("SELECT max(running) FROM (SELECT sleep(3), running FROM seen)")

    with clickhouse_connect.get_client(host="127.0.0.1", port=engine.port) as admin:
        admin.command(
            "CREATE OR REPLACE VIEW seen AS SELECT count() AS running FROM system.processes"
        )
        with ThreadPoolExecutor(4) as pool:
            assert max(int(str(n)) for n in pool.map(sleep, range(4))) > 1


async def test_the_async_client_works(engine: Process, client: Client) -> None:
    client.command(TABLE)
    asynchronous = await clickhouse_connect.get_async_client(
        host="127.0.0.1", port=engine.port, database="scratch"
    )
    async with asynchronous:
        answers = await asyncio.gather(*[asynchronous.query(f"SELECT {n}") for n in range(10)])
        assert [answer.result_rows[0][0] for answer in answers] == list(range(10))
        await asynchronous.insert("events", [[1]], column_names=["a"])
        async with await asynchronous.query_row_block_stream(
            "SELECT number FROM numbers(200000)"
        ) as blocks:
            assert sum([len(block) async for block in blocks]) == 200_000
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            await asynchronous.query("SELECT * FROM nowhere")


def test_sqlalchemy_queries_and_reflects(engine: Process, client: Client) -> None:
    client.command(TABLE)
    client.insert("events", [[1]], column_names=["a"])
    source = sa.create_engine(f"clickhousedb://default:@127.0.0.1:{engine.port}/scratch")
    with source.connect() as connection:
        found = connection.execute(sa.text("SELECT a, b FROM events WHERE a = :x"), {"x": 1})
        assert found.fetchall() == [(1, "d1")]
    inspector = sa.inspect(source)
    assert inspector.get_table_names() == ["events"]
    assert "scratch" in inspector.get_schema_names()
    reflected = sa.Table("events", sa.MetaData(), autoload_with=source)
    assert reflected.columns.keys() == ["a", "b", "c"]
    source.dispose()
