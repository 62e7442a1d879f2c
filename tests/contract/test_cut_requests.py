"""Sources that take requests: one that is cut off leaves nothing, and is never acknowledged."""

import asyncio
import gzip
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

import pytest
from typing_extensions import override

from tailrace.collect.http import RefusedError, Request
from tailrace.collect.requests import RequestSource
from tailrace.collect.source import Frames
from tailrace.collect.sources import SOURCES
from tests.unit.collect.kept import Kept, make_source, post
from tests.unit.collect.support import until

ADDRESS = "127.0.0.1:0"
LOGS = (
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"one"}},'
    b'{"body":{"stringValue":"two"}}]}]}]}'
)
JSON_LINES: dict[str, Any] = {"address": ADDRESS, "decoding": {"codec": "json"}}
CASES: dict[str, tuple[str, dict[str, Any], str, bytes]] = {
    "http_server, json": ("http_server", JSON_LINES, "/", b'{"n":1}\n{"n":2}\n'),
    "http_server, array": ("http_server", JSON_LINES, "/", b'[{"n":1},{"n":2}]'),
    "http_server, text": ("http_server", {"address": ADDRESS}, "/", b"one\ntwo\n"),
    "opentelemetry": ("opentelemetry", {"http": {"address": ADDRESS}}, "/v1/logs", LOGS),
    "splunk_hec": (
        "splunk_hec",
        {"address": ADDRESS},
        "/services/collector/event",
        b'{"event":"one"}{"event":"two"}',
    ),
    "splunk_hec, raw": (
        "splunk_hec",
        {"address": ADDRESS},
        "/services/collector/raw",
        b"one\ntwo\n",
    ),
}


def test_every_source_of_requests_is_held_to_this() -> None:
    # Its configuration says where it listens by HTTP; a new one has to be added here.
    kinds = {name for name, one in SOURCES.items() if isinstance(one.build, type)}
    of_requests = {
        name for name in kinds if issubclass(cast(type, SOURCES[name].build), RequestSource)
    }
    assert of_requests == {kind for kind, *_ in CASES.values()}


async def send(port: int, data: bytes) -> bytes:
    """Send `data`, close our side, and read until the other side is closed as well."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.write_eof()
    answer = b""
    with suppress(ConnectionError):
        answer = await reader.read()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return answer


@pytest.mark.parametrize("chunk_bytes", [0, 5], ids=["announced", "chunked"])
@pytest.mark.parametrize("name", CASES)
async def test_a_request_that_ends_too_early_anywhere_leaves_nothing(
    name: str, chunk_bytes: int
) -> None:
    kind, options, path, body = CASES[name]
    kept = Kept()
    source = cast(RequestSource, make_source(kind, options, kept))
    await source.start()
    whole = post(path, body, chunk_bytes=chunk_bytes)
    head = whole.index(b"\r\n\r\n")
    for end in range(head, len(whole)):
        answer = await send(source.port, whole[:end])
        assert not answer.startswith(b"HTTP/1.1 2"), whole[:end]
    await until(lambda: source.bodies_bytes == 0)
    assert (kept.frames, kept.rejected) == ([], [])
    await source.stop(1)


@pytest.mark.parametrize("name", CASES)
async def test_a_compressed_body_that_was_cut_before_it_was_sent_is_refused_whole(
    name: str,
) -> None:
    kind, options, path, body = CASES[name]
    kept = Kept()
    source = cast(RequestSource, make_source(kind, options, kept))
    await source.start()
    half = gzip.compress(body)[:-9]
    request = post(path, half).replace(b"Host: x", b"Host: x\r\nContent-Encoding: gzip")
    request = request.replace(b"Host: x", b"Connection: close\r\nHost: x")
    answer = await send(source.port, request)
    assert not answer.startswith(b"HTTP/1.1 2")
    assert (kept.frames, kept.rejected) == ([], [])
    await source.stop(1)


class Failing(Kept):
    """A buffer whose disk fails for good."""

    @override
    async def append(self, frames: Sequence[Frames]) -> None:
        raise OSError("no more")


@pytest.mark.parametrize("name", CASES)
async def test_what_could_not_be_kept_is_not_acknowledged(name: str) -> None:
    kind, options, path, body = CASES[name]
    source = cast(RequestSource, make_source(kind, options, Failing()))
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def note(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
    }
    with pytest.raises(OSError, match="no more"):
        await source.answer(scope, receive, note)
    assert sent == []


async def test_a_reader_that_is_cut_off_says_so() -> None:
    source = cast(RequestSource, make_source("http_server", JSON_LINES, Kept()))
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"n":', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    request = Request({"method": "POST", "path": "/", "query_string": b"", "headers": []})
    with pytest.raises(RefusedError, match="the connection was closed"):
        await source.take(request, receive)
    assert source.bodies_bytes == 0
