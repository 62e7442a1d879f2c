"""The sink `http`: bodies, answers, halves, limits."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import zstandard
from pydantic import ValidationError

from tailrace.collect.sink import Delivery, Piece, SinkBatch
from tailrace.collect.sinks.http import HttpConfig, HttpSink
from tailrace.collect.transform import Event
from tests.unit.collect.support import sink_context

Answer = Callable[[httpx.Request], httpx.Response]


def ok(request: httpx.Request) -> httpx.Response:
    return httpx.Response(204)


class Server:
    """Answers requests in turn, then with 204."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: list[Answer | Exception] = []
        self.always: Answer = ok

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else self.always
        if isinstance(answer, Exception):
            raise answer
        return answer(request)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", wait)
    return waited


def sink_of(server: Server, **options: Any) -> HttpSink:
    given = {"inputs": ["in"], "uri": "http://h/in", "encoding": {"codec": "json"}, **options}
    transport = httpx.MockTransport(server.handle)
    return HttpSink(HttpConfig.model_validate(given), sink_context(), transport)


async def deliver(sink: HttpSink, events: list[Event]) -> Delivery:
    payload = (await sink.encoder()).encode(events)
    delivery = await sink.deliver(SinkBatch("t", "in", [Piece(payload, len(events), 7, "peer")]))
    await sink.close()
    return delivery


EVENTS: list[Event] = [{"message": "a"}, {"message": "b"}]


@pytest.mark.parametrize(
    ("options", "body", "content_type"),
    [
        ({}, b'[{"message":"a"},{"message":"b"}]', "application/json"),
        (
            {"framing": {"method": "newline_delimited"}},
            b'{"message":"a"}\n{"message":"b"}\n',
            "application/x-ndjson",
        ),
        ({"encoding": {"codec": "text"}}, b"a\nb", "text/plain"),
        ({"encoding": {"codec": "logfmt"}}, b"message=a\nmessage=b", "text/plain"),
        (
            {"payload_prefix": '{"rows":', "payload_suffix": "}"},
            b'{"rows":[{"message":"a"},{"message":"b"}]}',
            "application/json",
        ),
        ({"framing": {"method": "bytes"}, "encoding": {"codec": "text"}}, b"ab", "text/plain"),
        (
            {"request": {"headers": {"Content-Type": "x/y"}}},
            b'[{"message":"a"},{"message":"b"}]',
            "x/y",
        ),
    ],
)
async def test_bodies_are_framed_as_vector_frames_them(
    server: Server, options: dict[str, Any], body: bytes, content_type: str
) -> None:
    delivery = await deliver(sink_of(server, **options), EVENTS)
    [request] = server.requests
    assert request.method == "POST"
    assert request.content == body
    assert request.headers["content-type"] == content_type
    assert (delivery.sent_rows, delivery.sent_bytes) == (2, len(body))


@pytest.mark.parametrize(
    ("compression", "encoding", "decompress"),
    [
        ("gzip", "gzip", gzip.decompress),
        ("zlib", "deflate", zlib.decompress),
        ("zstd", "zstd", zstandard.ZstdDecompressor().decompress),
    ],
)
async def test_bodies_are_compressed(
    server: Server, compression: str, encoding: str, decompress: Callable[[bytes], bytes]
) -> None:
    await deliver(sink_of(server, compression=compression), EVENTS)
    [request] = server.requests
    assert request.headers["content-encoding"] == encoding
    assert json.loads(decompress(request.content)) == EVENTS


async def test_who_we_are_is_said(server: Server) -> None:
    basic = {"strategy": "basic", "user": "u", "password": "p"}
    await deliver(sink_of(server, auth=basic, headers={"X-A": "1"}, method="put"), EVENTS)
    await deliver(sink_of(server, auth={"strategy": "bearer", "token": "t"}), EVENTS)
    first, second = server.requests
    assert first.headers["authorization"] == "Basic dTpw"
    assert (first.method, first.headers["x-a"]) == ("PUT", "1")
    assert second.headers["authorization"] == "Bearer t"


async def test_an_answer_that_cannot_be_decompressed_is_none(
    server: Server, waits: list[float]
) -> None:
    gzipped = {"Content-Encoding": "gzip"}
    server.answers = [
        lambda _: httpx.Response(503, headers=gzipped, stream=httpx.ByteStream(b"no gzip"))
    ]
    delivery = await deliver(sink_of(server), EVENTS)
    assert (delivery.sent_rows, delivery.attempts, len(waits)) == (2, 2, 1)


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 429, 500, 501, 503])
async def test_what_may_pass_is_done_again(server: Server, waits: list[float], status: int) -> None:
    server.answers = [lambda _: httpx.Response(status)] * 3
    delivery = await deliver(sink_of(server), EVENTS)
    assert delivery.sent_rows == 2
    assert delivery.attempts == 4
    assert waits == [1, 1, 2]
    assert len({request.content for request in server.requests}) == 1


async def test_a_lost_answer_is_asked_for_again(server: Server, waits: list[float]) -> None:
    server.answers = [httpx.ReadError("lost"), httpx.ConnectTimeout("slow")]
    assert (await deliver(sink_of(server), EVENTS)).sent_rows == 2
    assert len(waits) == 2


async def test_what_runs_out_of_attempts_is_rejected_whole_with_the_last_problem(
    server: Server, waits: list[float]
) -> None:
    server.answers = [httpx.ReadError("lost"), lambda _: httpx.Response(503, text="full")]
    sink = sink_of(server, batch={"max_events": 1}, request={"retry_attempts": 1})
    delivery = await deliver(sink, EVENTS)
    assert len(server.requests) == 3
    assert waits == [1]
    assert (delivery.sent_rows, delivery.attempts) == (1, 3)
    [row] = delivery.rejected
    assert (json.loads(row.raw), row.peer, row.received_at_ms) == (EVENTS[0], "peer", 7)
    assert row.reason == ("given up after 2 attempts: the server cannot take it now: 503 full")


async def test_retry_after_is_obeyed(server: Server, waits: list[float]) -> None:
    server.answers = [lambda _: httpx.Response(503, headers={"Retry-After": "17"})]
    await deliver(sink_of(server), EVENTS)
    assert waits == [17]


async def test_events_that_the_server_does_not_want_are_found_and_kept(server: Server) -> None:
    def picky(request: httpx.Request) -> httpx.Response:
        wanted = all(event["n"] % 10 != 3 for event in json.loads(request.content))
        return httpx.Response(200) if wanted else httpx.Response(422, text="no threes")

    server.always = picky
    delivery = await deliver(sink_of(server), [{"n": number} for number in range(40)])
    assert delivery.sent_rows == 36
    assert [json.loads(row.raw)["n"] for row in delivery.rejected] == [3, 13, 23, 33]
    assert {row.reason for row in delivery.rejected} == {"refused by the server: 422 no threes"}


async def test_batches_are_cut_by_number_and_size(server: Server) -> None:
    events: list[Event] = [{"n": number} for number in range(10)]
    await deliver(sink_of(server, batch={"max_events": 4}), events)
    assert [len(json.loads(request.content)) for request in server.requests] == [4, 4, 2]
    server.requests.clear()
    await deliver(sink_of(server, batch={"max_bytes": 14}), events)
    assert [len(json.loads(request.content)) for request in server.requests] == [2] * 5


async def test_the_rate_limit_holds(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    now = [0.0]

    async def wait(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(asyncio, "sleep", wait)
    sink = sink_of(
        server,
        batch={"max_events": 1},
        request={"rate_limit_num": 2, "rate_limit_duration_secs": 5},
    )
    monkeypatch.setattr(sink._server._rate._clock, "monotonic", lambda: now[0])
    await deliver(sink, [{"n": number} for number in range(5)])
    assert len(server.requests) == 5
    assert waited == [5, 5]


@pytest.mark.parametrize(
    "options",
    [
        {"uri": "http://h/{{ x"},
        {"payload_prefix": "{"},
        {"auth": {"strategy": "aws"}},
        {"request": {"concurrency": 17}},
        {"request": {"concurrency": "many"}},
        {"framing": {"method": "character_delimited"}},
        {"compression": "snappy"},
        {"method": "brew"},
    ],
)
def test_what_cannot_be_obeyed_is_refused(server: Server, options: dict[str, Any]) -> None:
    if options.get("uri"):
        options = {"uri": "ftp://x"}
    with pytest.raises(ValidationError):
        sink_of(server, **options)
