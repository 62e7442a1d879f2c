"""The application before a pipeline that notes what it is handed and answers as it is told."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from fastapi import FastAPI

from tailrace.settings import Settings
from tailrace.testing import FakeStore, ManualClock
from tailrace.web.app import create_app
from tailrace.web.intake.forward import Forwarder


@dataclass
class Pipeline:
    """The intake that bodies are forwarded to."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b'{"accepted":1,"rejected":0}'
    error: httpx.TransportError | None = None
    payloads: list[bytes] = field(default_factory=list)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Take a body; as httpx.MockTransport wants it."""
        assert (request.method, request.url.path) == ("POST", "/")
        self.payloads.append(await request.aread())
        if self.error:
            raise self.error
        return httpx.Response(self.status, headers=self.headers, content=self.content)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Everything that was taken."""
        lines = b"".join(self.payloads).splitlines(keepends=True)
        assert all(line.endswith(b"\n") for line in lines)
        return [json.loads(line) for line in lines]


@dataclass
class Doors:
    """An application with its pipeline, and a client."""

    app: FastAPI
    pipeline: Pipeline
    client: httpx.AsyncClient


@asynccontextmanager
async def running() -> AsyncIterator[Doors]:
    """The application, whose events go to a pipeline of the test's own."""
    pipeline = Pipeline()
    app = create_app(Settings.read(collector_port=1), FakeStore(), ManualClock())
    context = app.state.context
    await context.forwarder.close()
    client = httpx.AsyncClient(transport=httpx.MockTransport(pipeline.answer))
    app.state.context = replace(context, forwarder=Forwarder("pipeline.test:9001", client))
    transport = httpx.ASGITransport(app)
    async with client, httpx.AsyncClient(transport=transport, base_url="http://test") as outer:
        yield Doors(app, pipeline, outer)
