"""What sinks make of events: `components/sinks/*.yaml`.

Besides what `golden_cases` says: `events` come as one batch, or `batches` as several. `files`,
`stdout`, `stderr` and `requests` are what must be at the destination afterwards (of a request, what
the case names; its body uncompressed); `answers` what a server answers, in turn, before it says yes;
`waits` the seconds between attempts; `rejected` pairs of an event and the reason; `columns` those of
ClickHouse's table; `has` attributes of the sink, of options that act before it; `said` what it logs.
Times in events without quotes are timestamps.
"""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import zstandard

from tailrace.collect.metrics import Metrics
from tailrace.collect.sink import Delivery, Piece, Sink, SinkBatch, SinkContext
from tailrace.collect.sinks import SINKS
from tailrace.settings import Settings
from tailrace.telemetry import new_registry
from tailrace.testing import ManualClock
from tests.golden.vector.golden_cases import (
    ARRIVAL_MS,
    Case,
    as_parameters,
    assert_like,
    assert_refused,
    cases_of,
    filled,
    load_component,
)

REAL_SLEEP = asyncio.sleep


@dataclass
class Server:
    """Answers what the case says, then yes, and notes what it was asked."""

    answers: list[dict[str, Any]]
    columns: dict[str, str]
    requests: list[dict[str, Any]] = field(default_factory=list)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        body = _unpacked(await request.aread(), request.headers.get("content-encoding"))
        query = request.url.params.get("query", "")
        if query.startswith("DESCRIBE"):
            return httpx.Response(200, content=self._description())
        if "system.tables" in query:
            return httpx.Response(200, content=b"0\n")
        self.requests.append(
            {
                "method": request.method,
                "url": str(request.url.copy_with(query=None)),
                "query": dict(request.url.params),
                "headers": dict(request.headers),
                "body": body.decode(),
            }
        )
        return await self._answer()

    async def _answer(self) -> httpx.Response:
        answer: dict[str, Any] = self.answers.pop(0) if self.answers else {"status": 200}
        if answer.get("hangs"):
            await asyncio.Event().wait()
        if answer.get("lost"):
            raise httpx.ReadError("connection lost")
        return httpx.Response(
            answer["status"], headers=answer.get("headers"), text=answer.get("body", "")
        )

    def _description(self) -> bytes:
        return b"".join(
            orjson.dumps({"name": name, "type": kind, "default_type": ""}) + b"\n"
            for name, kind in self.columns.items()
        )


@dataclass
class Waits:
    """Sleeps that pass at once; the clock of the sink moves instead."""

    clock: ManualClock
    secs: list[float] = field(default_factory=list)

    async def sleep(self, secs: float, result: object = None) -> object:
        if secs > 0:
            self.secs.append(round(secs, 3))
            self.clock.advance(secs)
        await REAL_SLEEP(0)
        return result


@dataclass
class Said:
    """A logger that keeps the messages."""

    lines: list[str] = field(default_factory=list)

    def _say(self, message: str, **fields: object) -> None:
        self.lines.append(message)

    info = warning = error = _say


def _unpacked(body: bytes, encoding: str | None) -> bytes:
    unpack: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.decompress,
        "deflate": zlib.decompress,
        "zstd": lambda packed: zstandard.ZstdDecompressor().decompressobj().decompress(packed),
    }
    return unpack[encoding](body) if encoding else body


@pytest.mark.parametrize("case", as_parameters(cases_of("sinks")))
async def test_sink_case(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if case.is_refused:
        assert_refused(case, tmp_path)
        return
    clock = ManualClock()
    waits = Waits(clock)
    monkeypatch.setattr(asyncio, "sleep", waits.sleep)
    monkeypatch.chdir(tmp_path)
    expected = filled(case.data, tmp_path)
    server = Server(expected.get("answers", []), expected.get("columns", {"message": "String"}))
    said = Said()
    sink = _build(case, tmp_path, clock, server, said)
    assert_like(
        expected.get("has", {}), {name: getattr(sink, name) for name in case.data.get("has", {})}
    )
    deliveries = [
        await _deliver(sink, number, events)
        for number, events in enumerate(expected.get("batches", [expected.get("events", [])]))
        if events
    ]
    for _ in range(expected.get("at", 0)):
        clock.advance(1)
    await sink.close()
    rejected = [
        [row.raw.decode(), row.reason] for delivery in deliveries for row in delivery.rejected
    ]
    assert_like(expected.get("rejected", []), rejected)
    assert_like(expected.get("waits", []), waits.secs)
    assert_like(expected.get("said", []), said.lines if "said" in expected else [])
    assert_like(expected.get("files", {}), _files(tmp_path))
    assert_like(expected.get("requests", server.requests), _requests(expected, server))
    written = capfd.readouterr()
    assert_like(expected.get("stdout", ""), written.out)
    assert_like(expected.get("stderr", ""), written.err)


def _build(case: Case, folder: Path, clock: ManualClock, server: Server, said: Said) -> Sink:
    config = load_component(case, folder).sinks["it"]
    (folder / "vector.yaml").unlink()
    context = SinkContext(
        "it",
        Metrics(new_registry()).component("it", "sink", case.kind),
        said,  # type: ignore[arg-type]
        clock,
        Settings.read(data_dir=folder / "own"),
        own_folder=folder / "own",
    )
    component = SINKS[case.kind]
    if case.kind in ("http", "clickhouse", "influxdb_logs", "influxdb_metrics"):
        return component.build(config, context, httpx.MockTransport(server.handle))
    return component.build(config, context)


async def _deliver(sink: Sink, number: int, events: list[dict[str, Any]]) -> Delivery:
    payload = (await sink.encoder()).encode(events)
    return await sink.deliver(
        SinkBatch(f"token-{number}", "in", [Piece(payload, len(events), ARRIVAL_MS)])
    )


def _files(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "own" not in path.relative_to(folder).parts:
            data = path.read_bytes()
            if path.suffix == ".gz":
                data = gzip.decompress(data)
            if path.suffix == ".zst":
                with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as r:
                    data = r.read()
            found[str(path.relative_to(folder))] = data.decode()
    return found


def _requests(expected: dict[str, Any], server: Server) -> list[Any]:
    """What was asked, of each request only what the case names."""
    wanted = expected.get("requests")
    if wanted is None:
        return server.requests
    return [
        _named(wanted[index], made) if index < len(wanted) else made
        for index, made in enumerate(server.requests)
    ]


def _named(wanted: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {one: made[name].get(one) for one in wanted[name]}
        if isinstance(wanted[name], dict)
        else made[name]
        for name in wanted
    }


def test_a_case_that_is_wrong_fails(tmp_path: Path) -> None:
    """A golden case that could not fail would be worth nothing."""
    case = Case("sinks", "console", 0, {"case": "x", "options": {}, "refused": ["something else"]})
    with pytest.raises(pytest.fail.Exception):
        assert_refused(case, tmp_path)
