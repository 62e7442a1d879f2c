"""ClickHouse's HTTP interface, spoken without a client library."""

import gzip
import json
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import brotli
import httpx
import lz4.frame
import pytest
import zstandard
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import Process

TABLE = """CREATE TABLE t (a UInt64, b String DEFAULT concat('d', toString(a)),
    m UInt64 MATERIALIZED a * 2, c LowCardinality(Nullable(String)))
    ENGINE = MergeTree ORDER BY a"""


@pytest.fixture
def table(http: httpx.Client) -> None:
    ask(http, TABLE)


def send(
    http: httpx.Client, query: str | None = None, body: bytes = b"", **options: object
) -> httpx.Response:
    params = {name: str(value) for name, value in options.items()}
    if query is not None:
        params["query"] = query
    return http.post("/", params=params, content=body)


def ask(http: httpx.Client, query: str | None = None, body: bytes = b"", **options: object) -> str:
    response = send(http, query, body, **options)
    assert response.status_code == 200, response.text
    return response.text


def code(response: httpx.Response) -> int:
    assert response.status_code >= 400
    text = response.text
    value = int(response.headers["X-ClickHouse-Exception-Code"])
    assert text.startswith(f"Code: {value}. DB::Exception: ")
    assert re.search(r" \([A-Z0-9_]+\) \(version [\d.]+ \(official build\)\)\n$", text)
    return value


def eventually(what: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not what():
        assert time.monotonic() < give_up
        time.sleep(0.02)


@pytest.mark.parametrize("path", ["/ping", "/replicas_status", "/healthz", "/"])
def test_health_answers_ok(http: httpx.Client, path: str) -> None:
    response = http.get(path)
    assert (response.status_code, response.text) == (200, "Ok.\n")


def test_the_query_may_stand_in_the_url_the_body_or_both(http: httpx.Client) -> None:
    assert http.get("/", params={"query": "SELECT 1"}).text == "1\n"
    assert ask(http, "SELECT 1") == "1\n"
    assert ask(http, None, b"SELECT 1") == "1\n"
    assert ask(http, "SELECT", b"1") == "1\n"


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("query", "body", "rows"),
    [
        ("INSERT INTO t (a) VALUES (1), (1 + 1)", b"", [[1, "d1", None], [2, "d2", None]]),
        ("INSERT INTO t (a) VALUES", b"(1),\n(1 + 1)", [[1, "d1", None], [2, "d2", None]]),
        (None, b"INSERT INTO t (a, b) VALUES (1, concat('x', 'y'))", [[1, "xy", None]]),
        ("INSERT INTO t", b"(a) FORMAT CSV\n1\n", [[1, "d1", None]]),
        ("INSERT INTO t (a) FORMAT CSV", b"1\n2\n", [[1, "d1", None], [2, "d2", None]]),
        (None, b'INSERT INTO t FORMAT JSONEachRow {"a":1}\n{"a":2,"c":"x"}',
         [[1, "d1", None], [2, "d2", "x"]]),
        (None, b"INSERT INTO t (c, a) FORMAT TSV\n\\N\t1\nq\t2\n", [[1, "d1", None], [2, "d2", "q"]]),
        ("INSERT INTO t FORMAT CSVWithNames", b"c,a\nq,1\n", [[1, "d1", "q"]]),
        ("INSERT INTO t FORMAT JSONCompactEachRow", b'[1,"b",null]', [[1, "b", None]]),
        ("INSERT INTO t (a) FORMAT RowBinary", struct.pack("<Q", 1), [[1, "d1", None]]),
        ("INSERT INTO t FORMAT RowBinaryWithNamesAndTypes",
         b"\x01\x01a\x06UInt64" + struct.pack("<Q", 1), [[1, "d1", None]]),
        ("INSERT INTO t (a) SETTINGS async_insert = 0 FORMAT CSV", b"1\n", [[1, "d1", None]]),
        ("INSERT INTO t (a) FORMAT CSV SETTINGS input_format_csv_skip_first_lines = 2",
         b"\nhead\n1\n", [[1, "d1", None]]),
        ("INSERT INTO t (a) SELECT number FROM numbers(2)", b"", [[0, "d0", None], [1, "d1", None]]),
        ("INSERT INTO t (a) SELECT x + 1 FROM input('x UInt64') WHERE x > 5 FORMAT CSV",
         b"5\n6\n", [[7, "d7", None]]),
        ("-- a comment; with FORMAT CSV\nINSERT /* VALUES */ INTO t (a) FORMAT CSV", b"1\n",
         [[1, "d1", None]]),
    ],
)  # fmt: skip
def test_inserts(http: httpx.Client, query: str | None, body: bytes, rows: list[object]) -> None:
    assert ask(http, query, body) == ""
    found = ask(
        http,
        "SELECT a, b, c FROM t ORDER BY a FORMAT JSONCompactEachRow",
        output_format_json_quote_64bit_integers=0,
    )
    assert [json.loads(line) for line in found.splitlines()] == rows
    assert ask(http, "SELECT countIf(m != a * 2) FROM t") == "0\n"


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("form", ["Native", "Parquet", "Arrow", "ArrowStream", "RowBinary"])
def test_binary_formats_go_through_unharmed(http: httpx.Client, form: str) -> None:
    source = "SELECT number * 2570 AS a, char(number, 10, 13, 59) AS b, NULL::Nullable(String) AS c"
    data = send(http, f"{source} FROM numbers(256) FORMAT {form}").content
    head = f"INSERT INTO t (a, b, c) FORMAT {form}\n".encode()
    ask(http, None, head + data)
    assert ask(http, "SELECT count() FROM t WHERE b = char(a / 2570, 10, 13, 59)") == "256\n"


@pytest.mark.parametrize("form", ["LineAsString", "JSONAsString"])
def test_whole_lines_become_one_column(http: httpx.Client, form: str) -> None:
    ask(http, "CREATE TABLE lines (line String) ENGINE = Memory")
    ask(http, f"INSERT INTO lines FORMAT {form}", b'{"a":1}\n{"b":"\\n"}\n')
    assert ask(http, "SELECT line FROM lines FORMAT TSVRaw") == '{"a":1}\n{"b":"\\n"}\n'


@pytest.mark.usefixtures("table")
def test_a_token_inserts_once(http: httpx.Client) -> None:
    ask(http, "ALTER TABLE t MODIFY SETTING non_replicated_deduplication_window = 100")
    for _ in range(3):
        ask(http, "INSERT INTO t (a) FORMAT CSV", b"1\n", insert_deduplication_token="once")
    assert ask(http, "SELECT count() FROM t") == "1\n"


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        ("SELEC 1", b"", (62, 400)),
        ("", b"", (62, 400)),
        ("SELECT 1; SELECT 2", b"", (62, 400)),
        ("SELECT * FROM nowhere", b"", (60, 404)),
        ("SELECT nothing", b"", (47, 404)),
        ("SELECT 1 FORMAT Nope", b"", (73, 404)),
        ("SELECT {x:UInt8}", b"", (456, 500)),
        ("INSERT INTO nowhere FORMAT CSV", b"1\n", (60, 404)),
        ("INSERT INTO t (a) FORMAT Nope", b"1\n", (73, 404)),
        ("INSERT INTO t (a) FORMAT CSV", b"x\n", (117, 400)),
        ("INSERT INTO t (a) FORMAT Parquet", b"PAR1 but not really", (117, 400)),
        ("SELECT 1 INTO OUTFILE '/tmp/stolen'", b"", (358, 500)),
        ("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", b"", (358, 500)),
    ],
)
def test_errors_have_clickhouses_code_and_status(
    http: httpx.Client, spool: Path, query: str, body: bytes, expected: tuple[int, int]
) -> None:
    response = send(http, query, body)
    assert (code(response), response.status_code) == expected
    assert str(spool) not in response.text
    assert ask(http, "SELECT count() FROM t") == "0\n"


def test_a_setting_is_a_parameter(http: httpx.Client) -> None:
    assert ask(http, "SELECT getSetting('max_threads')", max_threads=1) == "1\n"
    assert code(send(http, "SELECT 1", no_such_setting=1)) == 115
    odd = http.post("/", params={"max_threads = 1, readonly": 0}, content=b"SELECT 1")
    assert code(odd) == 115


def test_get_does_not_modify(http: httpx.Client) -> None:
    for query in ("CREATE TABLE u (a UInt8) ENGINE = Memory", "INSERT INTO u VALUES (1)"):
        assert code(http.get("/", params={"query": query})) == 164
    for query in ("CREATE DATABASE elsewhere", "SYSTEM STOP MERGES", "KILL QUERY WHERE 1"):
        assert code(http.get("/", params={"session_id": "get", "query": query})) == 164
    assert http.get("/", params={"session_id": "get", "query": "SELECT 1"}).text == "1\n"


def test_readonly_keeps_a_query_from_files_and_tables(http: httpx.Client, table: None) -> None:
    for query in (
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "INSERT INTO t (a) VALUES (1)",
        "SELECT 1 SETTINGS readonly = 0",
        "SET max_threads = 1",
    ):
        assert code(send(http, query, readonly=1)) == 164
        assert code(send(http, query, readonly=1, session_id="ro")) == 164
    assert ask(http, "SELECT 1", readonly=1, max_threads=1) == "1\n"


def test_parameters_cannot_leave_their_place(http: httpx.Client) -> None:
    evil = "1' UNION ALL SELECT * FROM system.one --"
    assert ask(http, "SELECT {x:String} FORMAT TSVRaw", param_x=evil) == evil + "\n"
    assert code(send(http, "SELECT {x:UInt8}", param_x=evil)) == 457


@pytest.mark.parametrize("option", ["default_format", "format", "output_format"])
def test_a_format_is_a_name_and_nothing_more(http: httpx.Client, option: str) -> None:
    for value in ("JSON; SELECT 2", "JSON SETTINGS max_threads = 1", "CSV\n", "../CSV"):
        answer = http.post("/", params={option: value}, content=b"SELECT 1")
        assert code(answer) == 73


def test_a_session_remembers_its_database(http: httpx.Client, engine: Process) -> None:
    with httpx.Client(base_url=engine.url, params={"session_id": "where"}, timeout=60) as own:
        own.post("/", content=b"USE system")
        other = own.post("/", params={"database": "scratch"}, content=b"SELECT currentDatabase()")
        assert other.text == "scratch\n"
        assert own.post("/", content=b"SELECT currentDatabase()").text == "system\n"
    assert ask(http, "SELECT currentDatabase()") == "scratch\n"


def test_invalid_utf_8_is_data_like_any_other(http: httpx.Client, engine: Process) -> None:
    assert ask(http, None, b"SELECT hex('\xff\x00\xfe')") == "FF00FE\n"
    url = f"{engine.url}/?query=SELECT+hex(%27%FF%27)"
    assert httpx.post(url, timeout=60).text == "FF\n"


def test_database_format_and_user_may_come_as_headers(http: httpx.Client) -> None:
    headers = {"X-ClickHouse-Database": "system", "X-ClickHouse-Format": "JSONEachRow"}
    found = http.post("/", content=b"SELECT currentDatabase() AS d", headers=headers)
    assert found.json() == {"d": "system"}
    assert found.headers["X-ClickHouse-Format"] == "JSONEachRow"
    assert code(http.post("/", content=b"SELECT 1", headers={"X-ClickHouse-User": "bob"})) == 516
    assert code(send(http, "SELECT 1", database="nowhere")) == 81


def test_answers_describe_themselves(http: httpx.Client) -> None:
    headers = send(http, "SELECT 1 AS x", default_format="JSON", query_id="an id").headers
    assert headers["X-ClickHouse-Query-Id"] == "an id"
    assert headers["X-ClickHouse-Format"] == "JSON"
    assert headers["X-ClickHouse-Timezone"]
    assert headers["X-ClickHouse-Server-Display-Name"]
    assert headers["Content-Type"] == "application/json; charset=UTF-8"
    assert len(headers["X-ClickHouse-Exception-Tag"]) == 16


@pytest.mark.parametrize(
    "form", ["JSON", "CSVWithNames", "JSONEachRow", "JSONCompact", "TSVWithNamesAndTypes", "Pretty"]
)
def test_each_format_is_one_document(http: httpx.Client, spool: Path, form: str) -> None:
    query = f"SELECT number AS n FROM numbers(150000) FORMAT {form} SETTINGS max_threads = 1"
    text = ask(http, query, output_format_json_quote_64bit_integers=0)
    if form.startswith("JSON") and form != "JSONEachRow":
        found = json.loads(text)
        assert (len(found["data"]), found["rows"]) == (150_000, 150_000)
    elif form == "Pretty":
        assert text.count(" n ") == 2  # above and below
    else:
        lines = text.splitlines()
        assert lines[-1] in ("149999", '{"n":149999}')
        assert len(lines) == 150_000 + {"CSVWithNames": 1, "TSVWithNamesAndTypes": 2}.get(form, 0)
    assert list(spool.iterdir()) == []


CODECS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gzip": (gzip.compress, gzip.decompress),
    "deflate": (zlib.compress, zlib.decompress),
    "br": (brotli.compress, brotli.decompress),
    "zstd": (
        lambda data: zstandard.ZstdCompressor().compress(data),
        lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    ),
    "lz4": (lz4.frame.compress, lz4.frame.decompress),
}


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("name", CODECS)
def test_bodies_may_be_compressed(http: httpx.Client, name: str) -> None:
    compress, _ = CODECS[name]
    headers = {"Content-Encoding": name}
    rows = b"".join(b"%d\n" % n for n in range(50_000))
    insert = "INSERT INTO t (a) FORMAT CSV"
    for params, body in (({"query": insert}, rows), ({}, insert.encode() + b"\n" + rows)):
        answer = http.post("/", params=params, content=compress(body), headers=headers)
        assert answer.status_code == 200, answer.text
    assert ask(http, "SELECT count(), sum(a) FROM t") == f"100000\t{2 * sum(range(50_000))}\n"
    cut = http.post("/", content=compress(b"SELECT 1" * 99)[:-9], headers=headers)
    assert code(cut) == 271


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("missing_bytes", [1, 4, 100])
def test_a_compressed_body_that_was_cut_inserts_nothing(
    http: httpx.Client, name: str, missing_bytes: int
) -> None:
    compress, _ = CODECS[name]
    rows = b"".join(b"%d\n" % n for n in range(50_000))
    answer = http.post(
        "/",
        params={"query": "INSERT INTO t (a) FORMAT CSV"},
        content=compress(rows)[:-missing_bytes],
        headers={"Content-Encoding": name},
    )
    assert answer.status_code >= 400
    assert ask(http, "SELECT count() FROM t") == "0\n"


@pytest.mark.parametrize("name", CODECS)
def test_answers_may_be_compressed(http: httpx.Client, name: str) -> None:
    _, decompress = CODECS[name]
    with http.stream(
        "POST", "/", params={"enable_http_compression": 1}, headers={"Accept-Encoding": name},
        content=b"SELECT number FROM numbers(200000)",
    ) as answer:  # fmt: skip
        raw = b"".join(answer.iter_raw())
        assert answer.headers["Content-Encoding"] == name
    plain = decompress(raw)
    assert plain.splitlines()[-1] == b"199999"
    assert len(raw) < len(plain)
    silent = http.post("/", headers={"Accept-Encoding": name}, content=b"SELECT 1")
    assert "Content-Encoding" not in silent.headers


@pytest.mark.usefixtures("table")
def test_clickhouses_own_blocks_go_both_ways(http: httpx.Client) -> None:
    packed = send(http, "SELECT number FROM numbers(300000)", compress=1).content
    ask(http, "INSERT INTO t (a) FORMAT TSV", packed, decompress=1)
    assert ask(http, "SELECT count() FROM t") == "300000\n"
    spoilt = packed[:-1] + bytes([packed[-1] ^ 1])
    assert code(send(http, "INSERT INTO t (a) FORMAT TSV", spoilt, decompress=1)) == 40
    assert code(send(http, "INSERT INTO t (a) FORMAT TSV", packed[:-1], decompress=1)) == 33


@pytest.mark.usefixtures("table")
def test_a_session_is_free_once_its_answer_has_come(engine: Process) -> None:
    def converse(number: int) -> set[str]:
        statements = [
            {"content": "INSERT INTO scratch.t (a) FORMAT CSV\n1\n"},
            {"content": "SELECT 1"},
            {"content": "SELECT 1 FORMAT JSON"},
            {"content": "SELECT 1", "params": {"wait_end_of_query": "1"}},
        ]
        # Each request has a connection of its own: those of one connection wait for each other.
        limits = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(
            base_url=engine.url,
            params={"session_id": f"own {number}"},
            limits=limits,
            timeout=60,
        ) as own:
            answers = [own.post("/", **statement) for statement in statements * 25]  # type: ignore[arg-type]
            return {answer.text for answer in answers if answer.status_code != 200}

    with ThreadPoolExecutor(16) as pool:
        assert set().union(*pool.map(converse, range(16))) == set()


def test_sessions(http: httpx.Client) -> None:
    ask(http, "CREATE TEMPORARY TABLE mine (a UInt8)", session_id="s")
    ask(http, "SET max_threads = 1", session_id="s")
    assert ask(http, "SELECT count() FROM mine", session_id="s") == "0\n"
    threads = "SELECT getSetting('max_threads')"
    assert ask(http, threads, session_id="s", max_threads=3) == "3\n"
    assert ask(http, threads, session_id="s") == "1\n"
    assert code(send(http, "SELECT count() FROM mine", session_id="other")) == 60
    assert code(send(http, "SELECT 1", session_id="unknown", session_check=1)) == 372
    assert code(send(http, "SELECT 1", session_id="s", session_timeout="x")) == 374
    assert code(send(http, "SELECT 1", session_id="s", session_timeout=9999)) == 374


def test_a_session_ends_after_its_timeout(http: httpx.Client) -> None:
    ask(http, "CREATE TEMPORARY TABLE short (a UInt8)", session_id="brief", session_timeout=0)
    eventually(
        lambda: code_or_none(send(http, "SELECT 1", session_id="brief", session_check=1)) == 372
    )


def code_or_none(response: httpx.Response) -> int | None:
    return None if response.status_code == 200 else code(response)


@pytest.fixture
def sleeper(http: httpx.Client, engine: Process) -> Iterator[str]:
    """A query that runs in the session `busy`; its id."""
    query_id = "sleeper"
    url = f"{engine.url}/?session_id=busy&query_id={query_id}"
    with httpx.Client(timeout=300) as own:
        body = b"SELECT sum(sipHash64(number)) FROM numbers(1000000000000)"
        thread = threading.Thread(target=lambda: own.post(url, content=body))
        thread.start()
        eventually(lambda: running(http, query_id) == 1)
        yield query_id
        ask(http, f"KILL QUERY WHERE query_id = '{query_id}' SYNC")
        thread.join(60)
    assert not thread.is_alive()


def running(http: httpx.Client, query_id: str) -> int:
    query = f"SELECT count() FROM system.processes WHERE query_id = '{query_id}'"
    return int(ask(http, query))


def test_a_busy_session_and_a_running_id_are_refused(http: httpx.Client, sleeper: str) -> None:
    assert code(send(http, "SELECT 1", session_id="busy")) == 373
    assert code(send(http, "SELECT 1", query_id=sleeper)) == 216
    assert ask(http, "SELECT 1") == "1\n"


def test_a_client_that_goes_away_ends_its_query(http: httpx.Client, engine: Process) -> None:
    query = b"SELECT sum(sipHash64(number)) FROM numbers(1000000000000)"
    with socket.create_connection(("127.0.0.1", engine.port)) as client:
        head = f"POST /?query_id=gone HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(query)}"
        client.sendall(head.encode() + b"\r\n\r\n" + query)
        eventually(lambda: running(http, "gone") == 1)
    eventually(lambda: running(http, "gone") == 0)


def test_a_reader_that_goes_away_ends_its_stream(http: httpx.Client, engine: Process) -> None:
    with httpx.Client(timeout=60) as own, own.stream(
        "POST", f"{engine.url}/?query_id=reader", content=b"SELECT number FROM numbers(1e12)"
    ) as answer:  # fmt: skip
        pieces = answer.iter_raw()
        assert next(pieces).startswith(b"0\n1\n")
        assert running(http, "reader") == 1
    eventually(lambda: running(http, "reader") == 0)


@pytest.mark.usefixtures("table")
def test_a_body_that_is_cut_inserts_nothing(
    http: httpx.Client, engine: Process, spool: Path
) -> None:
    with socket.create_connection(("127.0.0.1", engine.port)) as client:
        url = "/?database=scratch&query=INSERT%20INTO%20t%20(a)%20FORMAT%20CSV"
        head = f"POST {url} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
        client.sendall(head.encode() + b"1\n" * 100_000)
        eventually(lambda: any(file.stat().st_size for file in spool.iterdir()))
    eventually(lambda: not list(spool.iterdir()))
    assert ask(http, "SELECT count() FROM t") == "0\n"


def test_an_error_in_the_body_is_marked_and_the_answer_cut(http: httpx.Client) -> None:
    received, cut = b"", False
    with http.stream(
        "POST", "/", content=b"SELECT throwIf(number = 280000) FROM numbers(300000)"
    ) as answer:
        assert answer.status_code == 200
        tag = answer.headers["X-ClickHouse-Exception-Tag"].encode()
        try:
            for piece in answer.iter_raw():
                received += piece
        except httpx.RemoteProtocolError:
            cut = True
    frame = re.search(
        rb"\r\n__exception__\r\n%s\r\n(.*\n)(\d+) %s\r\n__exception__\r\n$" % (tag, tag),
        received,
        re.DOTALL,
    )
    assert cut
    assert frame is not None
    assert frame[1].startswith(b"Code: 395. DB::Exception: ")
    assert int(frame[2]) == len(frame[1])


def test_progress_comes_before_the_answer(http: httpx.Client) -> None:
    answer = send(
        http, "SELECT sleepEachRow(0.05) FROM numbers(10)", max_block_size=1,
        send_progress_in_http_headers=1, http_headers_progress_interval_ms=1, wait_end_of_query=1,
    )  # fmt: skip
    reports = [json.loads(p) for p in answer.headers.get_list("X-ClickHouse-Progress")]
    assert len(reports) > 1
    assert [int(report["read_rows"]) for report in reports] == sorted(
        int(report["read_rows"]) for report in reports
    )


def test_an_error_after_progress_has_its_code(http: httpx.Client) -> None:
    answer = send(
        http, "SELECT sleepEachRow(0.05), throwIf(number = 8) FROM numbers(10)", max_block_size=1,
        send_progress_in_http_headers=1, http_headers_progress_interval_ms=1, wait_end_of_query=1,
    )  # fmt: skip
    assert answer.headers["X-ClickHouse-Exception-Code"] == "395"
    assert answer.text.startswith("Code: 395. DB::Exception: ")


def test_head_options_and_others(http: httpx.Client) -> None:
    assert http.head("/", params={"query": "SELECT 1"}).content == b""
    assert http.options("/").headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    assert http.put("/").status_code == 501
    assert http.get("/no/such/page").status_code == 404


def test_pages_of_strangers_are_refused(http: httpx.Client) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example:8123"}):
        assert code(http.post("/", content=b"SELECT 1", headers=headers)) == 497
    near = http.post("/", content=b"SELECT 1", headers={"Origin": "http://localhost:3000"})
    assert near.text == "1\n"


def test_metrics_count(http: httpx.Client) -> None:
    def value(name: str) -> float:
        families = text_string_to_metric_families(http.get("/metrics").text)
        return sum(s.value for family in families for s in family.samples if s.name == name)

    queries, errors = "tailrace_engine_queries_total", "tailrace_engine_errors_total"
    before = value(queries), value(errors)
    ask(http, "SELECT 1")
    send(http, "SELEC 1")
    assert value(queries) == before[0] + 2
    assert value(errors) == before[1] + 1
