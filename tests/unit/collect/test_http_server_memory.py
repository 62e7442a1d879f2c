"""Bodies that are on their way take memory: all of them together have a limit, announced or not."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tailrace.collect import http, requests
from tailrace.collect.sources.http_server import HttpServerConfig, HttpServerSource


def request(**headers: str) -> dict[str, Any]:
    return {
        "method": "POST",
        "path": "/",
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ],
        "query_string": b"",
    }


@pytest.mark.parametrize("headers", [{"content_length": "100"}, {"transfer_encoding": "chunked"}])
async def test_bodies_together_have_a_limit(
    headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MOST_BODIES_BYTES", 150)
    never_full = SimpleNamespace(intake=SimpleNamespace(is_full=lambda: False))
    source = HttpServerSource(HttpServerConfig(address="127.0.0.1:0"), cast(Any, never_full))
    answers: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    async def second() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    async def first() -> dict[str, Any]:
        if not answers:
            # It has sent a hundred bytes and not its last: another request begins.
            await source.answer(request(**headers), second, send)
            return {"type": "http.request", "body": b"x" * 100, "more_body": True}
        return {"type": "http.disconnect"}

    await source.answer(request(**headers), first, send)
    status = [message["status"] for message in answers if "status" in message]
    assert 503 in status
    assert source.bodies_bytes == 0


async def test_a_peer_that_announces_a_body_and_sends_none_gives_its_room_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three that announced a hundred megabytes each kept everybody else out, for as long as they liked."""
    monkeypatch.setattr(http, "SILENCE_SECS", 0.05)
    never_full = SimpleNamespace(intake=SimpleNamespace(is_full=lambda: False))
    source = HttpServerSource(HttpServerConfig(address="127.0.0.1:0"), cast(Any, never_full))
    answers: list[dict[str, Any]] = []
    never = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    async def silent() -> dict[str, Any]:
        await never.wait()
        return {}

    await source.answer(request(content_length="100"), silent, send)
    assert answers[0]["status"] == 408
    assert (b"connection", b"close") in answers[0]["headers"]
    assert source.bodies_bytes == 0
