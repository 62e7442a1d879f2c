"""Which names of ours a request may call."""

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from tailrace.web.own_names import OwnNames


async def served(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("a log")(scope, receive, send)


async def ask(host: str) -> httpx.Response:
    transport = httpx.ASGITransport(OwnNames(served, ["Logs.example.org"]))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.get("/", headers={"Host": host})


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "127.8.9.1", "a.localhost"]
    + ["logs.example.org", "LOGS.example.org:443"],
)
async def test_names_of_ours_are_answered(host: str) -> None:
    assert (await ask(host)).text == "a log"


@pytest.mark.parametrize(
    "host",
    ["evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.0.4", ""]
    + ["[::1", "evil-localhost", "127.0.0.1@evil.example", "<b>", "logs.example.org.evil.example"],
)
async def test_other_names_are_not(host: str) -> None:
    answer = await ask(host)
    assert answer.status_code == 403
    assert "TAILRACE_WEB_NAMES" in answer.json()["detail"]
    assert "a log" not in answer.text
