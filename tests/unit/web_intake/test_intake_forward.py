"""The one way to the pipeline: what a client hears for what the pipeline says, and what is refused."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import zstandard
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException

from tailrace.http_pace import BODY_SECS
from tailrace.web.intake import forward, lines
from tailrace.web.intake.forward import Forwarder
from tailrace.web.intake.lines import BadBodyError, TooLargeError
from tests.leaping import now_secs, run_leaping
from tests.unit.web_intake.intake_support import Pipeline


@dataclass
class Same:
    """A body as it is."""

    payload: bytes
    answer_bytes: int = 0


class Forwarding:
    """A forwarder over a fake pipeline; `post` is a request to it."""

    def __init__(self) -> None:
        self.pipeline = Pipeline()
        self.forwarder = Forwarder(
            "pipeline.test:9001",
            httpx.AsyncClient(transport=httpx.MockTransport(self.pipeline.answer)),
        )
        app = FastAPI()

        @app.post("/")
        async def door(request: Request) -> str:
            return (await self.forwarder.take(request, self.translate)).payload.decode()

        self._app = app

    def translate(self, body: bytes) -> Same:
        if body == b"bad":
            raise BadBodyError("cannot read it")
        if body == b"large":
            raise TooLargeError("cannot take so much")
        if body == b"talkative":
            return Same(body, answer_bytes=forward.MOST_BODIES_BYTES)
        return Same(body)

    async def post(
        self, body: bytes | AsyncIterator[bytes], encoding: str = "", **headers: str
    ) -> httpx.Response:
        if encoding:
            headers["Content-Encoding"] = encoding
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/", content=body, headers=headers)


@pytest.fixture
async def forwarding() -> AsyncIterator[Forwarding]:
    made = Forwarding()
    yield made
    await made.forwarder.close()
    assert made.forwarder._bodies_bytes == 0


@pytest.mark.parametrize("repeated", [1, 20_000])
async def test_a_body_gets_there_however_it_is_compressed(
    forwarding: Forwarding, repeated: int
) -> None:
    body = b'{"a":1}\n' * repeated
    for encoding, sent in (
        ("", body),
        ("gzip", gzip.compress(body)),
        ("zstd", zstandard.compress(body)),
        ("identity", body),
    ):
        assert (await forwarding.post(sent, encoding)).status_code == 200
    assert forwarding.pipeline.payloads == [body] * 4


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://test", 200),
        ("https://elsewhere.example", 403),
        ("null", 403),
        ("http://[", 403),
        ("", 403),
    ],
)
async def test_pages_of_other_sites_may_not_send(
    forwarding: Forwarding, origin: str, status: int
) -> None:
    assert (await forwarding.post(b"x", Origin=origin)).status_code == status
    assert len(forwarding.pipeline.payloads) == (status == 200)


async def test_nothing_is_not_forwarded(forwarding: Forwarding) -> None:
    assert (await forwarding.post(b"")).status_code == 200
    assert forwarding.pipeline.payloads == []


@pytest.mark.parametrize(
    ("status", "retry_after", "answered"),
    [(503, "7", 429), (429, "3", 429), (503, None, 429)],
)
async def test_a_full_buffer_is_told(
    forwarding: Forwarding, status: int, retry_after: str | None, answered: int
) -> None:
    forwarding.pipeline.status = status
    forwarding.pipeline.headers = {"Retry-After": retry_after} if retry_after else {}
    answer = await forwarding.post(b"x")
    assert answer.status_code == answered
    assert answer.headers["retry-after"] == (retry_after or "1")


async def test_a_collector_that_is_away_is_told(forwarding: Forwarding) -> None:
    forwarding.pipeline.error = httpx.ConnectError("refused")
    answer = await forwarding.post(b"x")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert "TAILRACE_INTAKE_HTTP" in answer.text


@pytest.mark.parametrize(
    ("content", "said"),
    [(b'{"detail":"cannot read the body: x"}', "cannot read the body: x"), (b"no JSON", "no JSON")],
)
@pytest.mark.parametrize("status", [400, 413])
async def test_what_the_pipeline_refuses_is_refused(
    forwarding: Forwarding, status: int, content: bytes, said: str
) -> None:
    forwarding.pipeline.status = status
    forwarding.pipeline.content = content
    answer = await forwarding.post(b"x")
    assert (answer.status_code, answer.json()["detail"]) == (status, said)


async def test_an_address_of_something_else_is_told(forwarding: Forwarding) -> None:
    forwarding.pipeline.status = 404
    answer = await forwarding.post(b"x")
    assert answer.status_code == 502
    assert "answers 404" in answer.text


async def test_bodies_that_cannot_be_read_are_not_forwarded(forwarding: Forwarding) -> None:
    assert (await forwarding.post(b"bad")).status_code == 400
    assert (await forwarding.post(b"large")).status_code == 413
    assert (await forwarding.post(b"no gzip", "gzip")).status_code == 400
    assert (await forwarding.post(b"x", "br")).status_code == 400
    assert forwarding.pipeline.payloads == []


async def test_large_bodies_are_refused(
    forwarding: Forwarding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "MAX_BODY_BYTES", 1000)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 100

    assert (await forwarding.post(b"x" * 1000)).status_code == 200
    for body, encoding in (
        (b"x" * 1001, ""),
        (chunks(), ""),
        (gzip.compress(b"x" * 1001, mtime=0), "gzip"),
    ):
        answer = await forwarding.post(body, encoding)
        assert answer.status_code == 413
        assert "1000 bytes" in answer.text
    assert forwarding.pipeline.payloads == [b"x" * 1000]


async def test_too_many_bodies_at_once_are_told_to_come_again(
    forwarding: Forwarding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "MOST_BODIES_BYTES", 250)
    came, go = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 100
        came.set()
        await go.wait()

    first = asyncio.create_task(forwarding.post(slow()))
    # httpx hands a body over part by part only when it is asked for the next one.
    await came.wait()
    answer = await forwarding.post(b"x" * 100)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    go.set()
    assert (await first).status_code == 200


async def test_what_belongs_to_every_event_is_not_repeated_past_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "MAX_EVENTS_BYTES", 100)
    assert lines.join([b"x" * 50] * 2) == b"x" * 100
    with pytest.raises(TooLargeError, match="100 bytes"):
        lines.join([b"x" * 50] * 3)


async def test_what_is_answered_counts_as_memory(forwarding: Forwarding) -> None:
    answer = await forwarding.post(b"talkative")
    assert answer.status_code == 429
    assert forwarding.pipeline.payloads == []


async def test_a_client_that_goes_away_is_no_error_of_ours(forwarding: Forwarding) -> None:
    messages: list[dict[str, object]] = [
        {"type": "http.request", "body": b'{"a":', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    request = Request({"type": "http", "headers": []}, receive)
    with pytest.raises(HTTPException) as raised:
        await forwarding.forwarder.take(request, forwarding.translate)
    assert raised.value.status_code == 400
    assert forwarding.pipeline.payloads == []


@pytest.mark.parametrize("every_secs", [BODY_SECS - 1, 10 * BODY_SECS])
def test_a_sender_that_says_little_or_nothing_is_given_up(every_secs: float) -> None:
    """Eight that had sent most of their bodies kept everybody else out for as long as they liked."""

    async def receive() -> dict[str, object]:
        await asyncio.sleep(every_secs)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def work() -> None:
        forwarding = Forwarding()
        request = Request({"type": "http", "headers": []}, receive)
        with pytest.raises(HTTPException) as raised:
            await forwarding.forwarder.take(request, forwarding.translate)
        await forwarding.forwarder.close()
        assert now_secs() == BODY_SECS
        assert raised.value.status_code == 408
        assert raised.value.headers == {"Connection": "close"}
        assert forwarding.pipeline.payloads == []
        assert forwarding.forwarder._bodies_bytes == 0

    run_leaping(work())
