"""What the source `splunk_hec` answers."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tailrace.collect.codecs import CODECS
from tailrace.collect.sources.splunk_hec import SplunkHecSource
from tests.unit.collect.kept import Kept, running_source

ROOT = "/services/collector"


@asynccontextmanager
async def running(kept: Kept, **options: object) -> AsyncIterator[httpx.AsyncClient]:
    options = {"address": "127.0.0.1:0", **options}
    async with (
        running_source("splunk_hec", SplunkHecSource, kept, options) as source,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{source.port}{ROOT}", timeout=60) as client,
    ):
        yield client
    assert source.bodies_bytes == 0


@pytest.mark.parametrize("path", ["", "/event", "/event/1.0", "/event/"])
async def test_events(path: str) -> None:
    kept = Kept()
    async with running(kept) as client:
        body = gzip.compress(b'{"event":"a"}{"event":"b"}')
        headers = {"Content-Encoding": "gzip", "X-Splunk-Request-Channel": "c-1"}
        answer = await client.post(path, content=body, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"text": "Success", "code": 0})
    (frames,) = kept.frames
    assert (frames.payload, frames.count) == (b'{"event":"a"}\n{"event":"b"}\n', 2)
    assert frames.origin.fields == (("host", "127.0.0.1"), ("splunk_channel", "c-1"))


async def test_raw_is_one_event() -> None:
    kept = Kept()
    async with running(kept) as client:
        answer = await client.post("/raw?sourcetype=txt&other=1", content=b"one\ntwo")
        assert answer.status_code == 200
    (event,) = CODECS["splunk_hec"](kept.frames[0].payload)
    assert event == {"message": "one\ntwo", "splunk_sourcetype": "txt"}


async def test_bad_envelopes_are_kept_apart() -> None:
    kept = Kept()
    async with running(kept) as client:
        answer = await client.post("/event", content=b'{"event":"a"}{"host":"b"}')
        assert answer.status_code == 200
        assert [line.raw for line in kept.rejected] == [b'{"host":"b"}']
        answer = await client.post("/event", content=b'{"host":"b"}')
        assert answer.status_code == 400
        assert (answer.json()["code"], answer.json()["invalid-event-number"]) == (12, 0)
        answer = await client.post("/event", content=b" ")
        assert (answer.status_code, answer.json()["code"]) == (400, 5)
    assert len(kept.frames) == 1


async def test_tokens() -> None:
    kept = Kept()
    async with running(kept, valid_tokens=["secret", "other"]) as client:
        wanted = [(None, 401, 2), ("Splunk wrong", 401, 3), ("Basic secret", 401, 3)]
        for given, status, code in wanted:
            headers = {"Authorization": given} if given else {}
            answer = await client.post("/event", content=b'{"event":"a"}', headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
        for token in ("secret", "other"):
            headers = {"Authorization": f"Splunk {token}"}
            answer = await client.post("/event", content=b'{"event":"a"}', headers=headers)
            assert answer.status_code == 200
    assert len(kept.frames) == 2


async def test_acknowledgements() -> None:
    options = {"enabled": True, "max_number_of_ack_channels": 1}
    async with running(Kept(), acknowledgements=options) as client:
        answer = await client.post("/event", content=b'{"event":"a"}')
        assert (answer.status_code, answer.json()["code"]) == (400, 10)
        for number in (0, 1):
            answer = await client.post("/event?channel=c", content=b'{"event":"a"}')
            assert answer.json()["ackId"] == number
        answer = await client.post("/ack?channel=c", json={"acks": [0, 1, 2, -1]})
        assert answer.json() == {"acks": {"0": True, "1": True, "2": False, "-1": False}}
        answer = await client.post("/event?channel=d", content=b'{"event":"a"}')
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        for body in (b"[", b"[]", b"{}", b'{"acks":["0"]}'):
            assert (await client.post("/ack?channel=c", content=body)).status_code == 400


async def test_acknowledgements_that_are_off() -> None:
    async with running(Kept()) as client:
        answer = await client.post("/ack?channel=c", json={"acks": [0]})
        assert (answer.status_code, answer.json()["code"]) == (400, 14)


async def test_health_and_a_full_buffer() -> None:
    kept = Kept()
    async with running(kept, valid_tokens=["secret"]) as client:
        assert (await client.get("/health")).json() == {"text": "HEC is healthy", "code": 17}
        kept.full = True
        assert (await client.get("/health/1.0")).status_code == 503
        headers = {"Authorization": "Splunk secret"}
        answer = await client.post("/event", content=b'{"event":"a"}', headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (503, 9)
        assert answer.headers["retry-after"] == "1"


async def test_other_places_and_methods_are_refused() -> None:
    async with running(Kept()) as client:
        assert (await client.post("/other")).status_code == 404
        assert (await client.get("/event")).status_code == 405
