"""What the ClickHouse sink sends, repeats, splits and refuses."""

import asyncio
import itertools

import httpx
import orjson
import pytest
from pydantic import ValidationError

from tailrace.collect.encoding import FieldChoice
from tailrace.collect.retry import fibonacci
from tailrace.collect.sink import MemoryRefusals, Piece, SinkBatch
from tailrace.collect.sinks.clickhouse import client as client_module
from tailrace.collect.sinks.clickhouse.config import ClickhouseConfig
from tailrace.collect.sinks.clickhouse.encode import RowEncoder
from tailrace.collect.sinks.clickhouse.insert import Insert, insert_lines
from tailrace.collect.sinks.clickhouse.judge import Verdict, judge
from tailrace.collect.sinks.clickhouse.sink import ClickhouseSink
from tailrace.collect.transform import Timestamp
from tests.unit.collect.support import FakeClickhouse, refusal, sink_context

LOGS = {"message": "String", "host": "String", "timestamp": "DateTime64(9)"}
ATTRIBUTES = {**LOGS, "attributes": "Map(LowCardinality(String), String)"}


def make_sink(
    server: FakeClickhouse, refusals: MemoryRefusals | None = None, **options: object
) -> ClickhouseSink:
    config = ClickhouseConfig.model_validate(
        {
            "inputs": ["in"],
            "endpoint": "http://127.0.0.1:8123",
            "database": "logs",
            "table": "intake",
            "format": "json_as_string",
            **options,
        }
    )
    return ClickhouseSink(config, sink_context(refusals=refusals), server.transport)


def batch(*payloads: bytes, peer: str = "10.0.0.1", name: str = "token") -> SinkBatch:
    pieces = [Piece(part, part.count(b"\n"), 1_764_000_000_000, peer) for part in payloads]
    return SinkBatch(name, "in", pieces)


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "fibonacci", lambda first, most: itertools.repeat(0.0))


async def test_lines_go_as_they_are_in_one_insert_under_the_batch_token() -> None:
    server = FakeClickhouse()
    sink = make_sink(server)
    delivery = await sink.deliver(batch(b'{"a":1}\n', b'{"b":2}\nnot json\n'))
    await sink.close()
    assert server.rows == [b'{"a":1}', b'{"b":2}', b"not json"]
    assert (delivery.sent_rows, delivery.rejected, delivery.attempts) == (3, [], 1)
    parameters = server.requests[-1].url.params
    assert parameters["insert_deduplication_token"] == "token"
    assert parameters["async_insert"] == "0"
    assert parameters["param_peer"] == "10.0.0.1"
    assert parameters["param_component_id"] == "in"
    assert parameters["param_received_at_ms"] == "1764000000000"
    assert "content-encoding" not in server.requests[-1].headers, "plain on this machine"


@pytest.mark.parametrize(
    ("endpoint", "asked"),
    [
        ("http://127.0.0.1:8123", "http://clickhouse.example:8123/"),
        ("http://localhost:8123/", "http://clickhouse.example:8123/"),
        ("http://127.0.0.1:9999", "http://127.0.0.1:9999/"),
    ],
)
async def test_the_address_of_the_engine_stands_for_the_clickhouse_that_is_set(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, asked: str
) -> None:
    monkeypatch.setenv("TAILRACE_CLICKHOUSE_URL", "http://clickhouse.example:8123")
    server = FakeClickhouse()
    sink = make_sink(server, endpoint=endpoint)
    await sink.deliver(batch(b'{"a":1}\n'))
    await sink.close()
    assert {str(request.url.copy_with(query=None)) for request in server.requests} == {asked}


async def test_elsewhere_bodies_are_compressed() -> None:
    server = FakeClickhouse()
    sink = make_sink(server, endpoint="http://clickhouse.example:8123")
    await sink.deliver(batch(b'{"a":1}\n'))
    await sink.close()
    assert server.requests[-1].headers["content-encoding"] == "gzip"
    assert server.rows == [b'{"a":1}']


def test_lines_of_several_peers_carry_their_marks() -> None:
    pieces = [Piece(b"one\ntwo\n", 2, 1_764_000_000_000, "a"), Piece(b"three\n", 1, 5, "b\tc")]
    insert = insert_lines("`t`", "json", "in", pieces)
    assert b"".join(insert.body) == (
        b"1764000000000\ta\tone\n1764000000000\ta\ttwo\n0000000000005\tb c\tthree\n"
    )
    assert insert.parameters == {"component_id": "in"}


def test_a_body_in_chunks_is_the_body() -> None:
    parts = [b"a" * 10, b"b" * 5_000_000, b"c" * 3, b"d" * 300_000, *[b"e" * 1000] * 3000]
    chunks = list(Insert("", {}, parts).chunks())
    assert b"".join(chunks) == b"".join(parts)
    assert max(map(len, chunks)) <= 2 * 1024**2
    assert len(chunks) < 20


async def test_rows_wait_for_a_table_that_would_forget_them() -> None:
    server = FakeClickhouse()
    server.swallows_rows = 2
    sink = make_sink(server)
    await sink.deliver(batch(b'{"a":1}\n'))
    await sink.close()
    asked = [query.split()[0] for query in server.queries]
    assert asked == ["DESCRIBE", "SELECT", "SELECT", "SELECT", "INSERT"]
    assert server.rows == [b'{"a":1}']


async def test_rows_wait_for_the_views_of_a_table_that_is_made_anew() -> None:
    server = FakeClickhouse()
    sink = make_sink(server)
    await sink.deliver(batch(b'{"a":1}\n'))
    server.next_answers = [refusal(60, "Table logs.intake does not exist", 404)]
    server.swallows_rows = 2
    await sink.deliver(batch(b'{"a":2}\n', name="second"))
    await sink.close()
    asked = [query.split()[0] for query in server.queries[3:]]
    assert asked == ["INSERT", "SELECT", "SELECT", "SELECT", "INSERT"]
    assert server.rows == [b'{"a":1}', b'{"a":2}']


async def test_a_lost_answer_adds_no_row() -> None:
    server = FakeClickhouse()
    server.loses_answers = 2
    sink = make_sink(server)
    delivery = await sink.deliver(batch(b'{"a":1}\n'))
    await sink.close()
    assert server.rows == [b'{"a":1}']
    assert delivery.attempts == 3


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("closed"),
        httpx.DecodingError("a body that is not what its Content-Encoding says"),
        httpx.Response(500, text="busy"),
        httpx.Response(503),
        httpx.Response(429),
        httpx.Response(408),
        refusal(60, "Table logs.intake does not exist", 404),
        refusal(81, "Database logs does not exist", 404),
        refusal(516, "Authentication failed", 403),
        refusal(241, "Memory limit exceeded", 500),
        refusal(252, "Too many parts. Merges are slower than inserts", 500),
    ],
)
async def test_what_may_pass_is_repeated_until_it_does(
    trouble: httpx.Response | Exception,
) -> None:
    server = FakeClickhouse()
    server.next_answers = [trouble] * 5
    sink = make_sink(server)
    delivery = await sink.deliver(batch(b'{"a":1}\n'))
    assert sink.is_well
    await sink.close()
    assert server.rows == [b'{"a":1}']
    assert delivery.rejected == []


async def test_a_sink_that_cannot_deliver_says_so() -> None:
    server = FakeClickhouse()
    server.next_answers = [httpx.ConnectError("refused")]
    sink = make_sink(server)
    assert sink.is_well
    delivering = asyncio.create_task(sink.deliver(batch(b"{}\n")))
    states = {sink.is_well}
    while not delivering.done():
        await asyncio.sleep(0)
        states.add(sink.is_well)
    await sink.close()
    assert states == {True, False}


async def test_bad_rows_are_found_out_and_good_ones_are_in_once() -> None:
    server = FakeClickhouse()
    server.is_bad = lambda row: b"bad" in row
    sink = make_sink(server)
    lines = [b'{"n":%d%s}\n' % (n, b',"bad":1' if n in (3, 40, 41) else b"") for n in range(64)]
    first = await sink.deliver(batch(*lines))
    again = await sink.deliver(batch(*lines))
    await sink.close()
    for delivery in (first, again):
        assert [row.raw for row in delivery.rejected] == [
            lines[n].removesuffix(b"\n") for n in (3, 40, 41)
        ]
        assert delivery.sent_rows == 61
    assert "Cannot parse input" in first.rejected[0].reason
    assert (first.rejected[0].peer, first.rejected[0].component_id) == ("10.0.0.1", "out")
    assert len(server.rows) == 61, "the second time brought nothing new"


async def test_after_a_crash_the_same_parts_are_sent_whatever_the_table_takes_by_then() -> None:
    """Half of a refused batch is in; then the collector dies, and somebody alters the table."""
    server = FakeClickhouse()
    server.is_bad = lambda row: b"bad" in row
    refusals = MemoryRefusals()
    lines = [b'{"n":%d%s}\n' % (n, b',"bad":1' if n == 7 else b"") for n in range(8)]
    first = make_sink(server, refusals)
    await first.deliver(batch(*lines))
    await first.close()
    server.is_bad = lambda row: False
    again = make_sink(server, refusals)
    delivery = await again.deliver(batch(*lines))
    await again.close()
    assert len(server.rows) == 7
    assert [row.raw for row in delivery.rejected] == [b'{"n":7,"bad":1}']


async def test_a_good_row_beside_one_that_is_no_json_is_stored() -> None:
    server = FakeClickhouse(LOGS)
    server.is_bad = lambda row: not row.startswith(b"{")
    sink = make_sink(server, format="json_each_row")
    delivery = await sink.deliver(batch(b"oops\n", b"{}\n"))
    await sink.close()
    assert server.rows == [b"{}"]
    assert [row.raw for row in delivery.rejected] == [b"oops"]


async def test_lines_that_are_no_json_are_found_out_without_asking() -> None:
    server = FakeClickhouse(LOGS)
    server.is_bad = lambda row: not row.startswith(b"{")
    sink = make_sink(server, format="json_each_row")
    lines = [b"{}\n", b"oops\n", b"42\n"] * 100
    delivery = await sink.deliver(batch(*lines))
    await sink.close()
    assert (delivery.sent_rows, len(delivery.rejected)) == (100, 200)
    assert len(server.requests) < 10
    assert {row.reason for row in delivery.rejected} >= {"not a JSON object"}


@pytest.mark.parametrize(
    ("columns", "options", "added", "expected"),
    [
        (None, {}, {"host"}, True),
        (None, {}, {"host", "port"}, False),
        ({"json": "String"}, {}, set(), False),
        (None, {"encoding": {"except_fields": ["a"]}}, set(), False),
        ({"message": "String"}, {"format": "json_each_row"}, {"host"}, True),
        (LOGS, {"format": "json_each_row"}, {"port"}, False),
        (ATTRIBUTES, {"format": "json_each_row"}, set(), False),
        (
            {"message": "String", "attributes": "Map(String, String)"},
            {"format": "json_each_row", "skip_unknown_fields": True},
            set(),
            True,
        ),
    ],
)
async def test_bytes_go_as_they_are_where_nothing_is_missed(
    columns: dict[str, str] | None, options: dict[str, object], added: set[str], expected: bool
) -> None:
    sink = make_sink(FakeClickhouse(columns), None, **options)
    assert await sink.takes_lines(frozenset(added)) is expected
    await sink.close()


async def test_a_column_with_a_default_misses_nothing() -> None:
    server = FakeClickhouse({"timestamp": "DateTime64(9)"})
    sink = make_sink(server, format="json_each_row")
    assert not await sink.takes_lines(frozenset())
    server.defaults = {"timestamp"}
    again = make_sink(server, format="json_each_row")
    assert await again.takes_lines(frozenset())
    await sink.close()
    await again.close()


async def test_fields_without_a_column_become_attributes() -> None:
    sink = make_sink(FakeClickhouse(ATTRIBUTES), format="json_each_row")
    encoder = await sink.encoder()
    await sink.close()
    line = encoder.encode(
        [{"message": "m", "user": "u", "n": 1, "deep": {"a": {"b": None}}, "attributes": {"k": 2}}]
    )
    assert orjson.loads(line) == {
        "message": "m",
        "attributes": {"k": "2", "user": "u", "n": "1", "deep.a.b": "null"},
    }


def test_options_of_encoding_are_obeyed() -> None:
    event = {"a": 1, "b": 2, "t": Timestamp("2026-01-02T03:04:05.678Z")}
    assert RowEncoder(FieldChoice(only_fields=("b", "t"))).encode([dict(event)]) == (
        b'{"b":2,"t":"2026-01-02T03:04:05.678Z"}\n'
    )
    encoder = RowEncoder(FieldChoice(except_fields=("a",), timestamp_format="unix_ms"))
    assert encoder.encode([dict(event)]) == b'{"b":2,"t":1767323045678}\n'


async def test_options_become_settings() -> None:
    server = FakeClickhouse(LOGS)
    sink = make_sink(
        server,
        format="json_each_row",
        skip_unknown_fields=True,
        date_time_best_effort=True,
        insert_random_shard=True,
        auth={"strategy": "basic", "user": "me", "password": "secret"},
    )
    await sink.deliver(batch(b"{}\n"))
    await sink.close()
    request = server.requests[-1]
    assert request.url.params["query"] == "INSERT INTO `logs`.`intake` FORMAT JSONEachRow"
    assert request.url.params["input_format_skip_unknown_fields"] == "1"
    assert request.url.params["date_time_input_format"] == "best_effort"
    assert request.url.params["insert_distributed_one_random_shard"] == "1"
    assert request.url.params["input_format_import_nested_json"] == "1"
    assert request.headers["authorization"].startswith("Basic ")


def test_waits_grow_as_the_fibonacci_numbers_do() -> None:
    assert list(itertools.islice(fibonacci(1, 30), 10)) == [1, 1, 2, 3, 5, 8, 13, 21, 30, 30]


@pytest.mark.parametrize(
    ("status", "code", "text", "verdict"),
    [
        (500, 27, "", Verdict.SPLIT),
        (400, 117, "", Verdict.SPLIT),
        (400, 9999, "", Verdict.SPLIT),
        (501, 0, "", Verdict.SPLIT),
        (500, 252, "Too many partitions for single INSERT block", Verdict.SPLIT),
        (500, 252, "Too many parts", Verdict.RETRY),
        (404, 60, "", Verdict.RETRY_SOON),
        (400, 62, "Syntax error", Verdict.RETRY_SOON),
        (500, 9999, "", Verdict.RETRY),
        (404, 0, "nginx", Verdict.RETRY),
    ],
)
def test_answers_are_judged(status: int, code: int, text: str, verdict: Verdict) -> None:
    assert judge(status, code, text)[0] is verdict


async def test_the_rate_limit_holds_for_repetitions_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, waited, now = FakeClickhouse(), list[float](), [0.0]
    request = {"rate_limit_num": 2, "rate_limit_duration_secs": 5}
    sink = make_sink(server, request=request)

    async def wait(seconds: float) -> None:
        if seconds:
            waited.append(seconds)
            now[0] += seconds

    monkeypatch.setattr(asyncio, "sleep", wait)
    monkeypatch.setattr(sink._client._rate._clock, "monotonic", lambda: now[0])
    server.next_answers = [httpx.ReadError("lost")] * 3
    assert (await sink.deliver(batch(b"{}\n"))).sent_rows == 1
    await sink.close()
    assert len(waited) == (len(server.requests) - 1) // 2


@pytest.mark.parametrize(
    ("given", "most", "adapts"),
    [({}, 3, False), ("none", 1, False), (5, 5, False), ("adaptive", 16, True)],
)
async def test_concurrency_is_a_number_none_or_adaptive(
    given: object, most: int, adapts: bool
) -> None:
    sink = make_sink(FakeClickhouse(), request={"concurrency": given} if given else {})
    await sink.close()
    assert (sink.concurrency, sink.adapts_concurrency) == (most, adapts)


def test_giving_up_is_refused_but_for_vectors_way_to_say_never() -> None:
    never = make_sink(FakeClickhouse(), request={"retry_attempts": 2**64 - 1})
    assert never.config.request.most_attempts > 2**63
    with pytest.raises(ValidationError, match="nobody knows whether its rows are in the table"):
        make_sink(FakeClickhouse(), request={"retry_attempts": 5})


def test_an_option_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValidationError, match="rate_limit"):
        make_sink(FakeClickhouse(), rate_limit=1)
