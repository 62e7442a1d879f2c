"""Every source that takes connections: what `tailrace.collect.tls` promises of it."""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import pytest

from tailrace.collect.sources import SOURCES
from tailrace.errors import TailraceError
from tests.certificates import Certificates, make_certificates
from tests.unit.collect.kept import Kept, make_source, post
from tests.unit.collect.support import until

ADDRESS = "127.0.0.1:0"
WITHOUT = {"demo_logs", "file", "kafka", "stdin"}
"""Sources that nobody connects to."""


@dataclass(frozen=True)
class Case:
    """Options, what a peer sends for one event, and how the answer begins."""

    options: dict[str, Any]
    event: bytes
    answer: bytes = b""

    def with_tls(self, tls: dict[str, Any]) -> dict[str, Any]:
        if "http" in self.options:
            return {"http": {**self.options["http"], "tls": tls}}
        return {**self.options, "tls": tls}


LOGS = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"m"}}]}]}]}'
CASES = {
    "fluent": Case({"address": ADDRESS}, msgpack.packb(["t", 1, {"message": "m"}])),
    "http_server": Case({"address": ADDRESS}, post("/", b"m\n"), b"HTTP/1.1 200"),
    "logstash": Case(
        {"address": ADDRESS},
        b'2W\x00\x00\x00\x012J\x00\x00\x00\x01\x00\x00\x00\x0f{"message":"m"}',
        b"2A\x00\x00\x00\x01",
    ),
    "opentelemetry": Case({"http": {"address": ADDRESS}}, post("/v1/logs", LOGS), b"HTTP/1.1 200"),
    "socket": Case({"mode": "tcp", "address": ADDRESS}, b"m\n"),
    "splunk_hec": Case(
        {"address": ADDRESS}, post("/services/collector/raw", b"m"), b"HTTP/1.1 200"
    ),
    "syslog": Case({"mode": "tcp", "address": ADDRESS}, b"<13>1 - h a - - - m\n"),
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def tls_of(path: Path, **more: Any) -> dict[str, Any]:
    key = str(path.with_suffix(".key"))
    return {"enabled": True, "crt_file": str(path), "key_file": key, **more}


async def say(port: int, case: Case, tls: ssl.SSLContext | None) -> bytes:
    """What comes back, as far as the beginning of the answer that is expected."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        writer.write(case.event)
        if not case.answer:
            writer.close()
            return b""
        return await reader.readexactly(len(case.answer))
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def test_every_source_that_listens_has_tls() -> None:
    assert SOURCES.keys() <= CASES.keys() | WITHOUT


@pytest.mark.parametrize("name", CASES)
async def test_with_tls_peers_are_heard_by_it_and_not_without(
    name: str, certificates: Certificates
) -> None:
    case, kept = CASES[name], Kept()
    source = make_source(name, case.with_tls(tls_of(certificates.server)), kept)
    await source.start()
    port = source.port  # type: ignore[attr-defined]
    assert await say(port, case, certificates.context()) == case.answer
    await until(lambda: len(kept.frames) == 1)
    with suppress(OSError, asyncio.IncompleteReadError):
        await say(port, case, None)
    await source.stop(1)
    assert (len(kept.frames), kept.rejected) == (1, [])


@pytest.mark.parametrize("name", CASES)
async def test_peers_must_have_a_certificate_where_that_is_asked(
    name: str, certificates: Certificates
) -> None:
    case, kept = CASES[name], Kept()
    authority = str(certificates.authority)
    tls = tls_of(certificates.server, verify_certificate=True, ca_file=authority)
    source = make_source(name, case.with_tls(tls), kept)
    await source.start()
    port = source.port  # type: ignore[attr-defined]
    with suppress(OSError, asyncio.IncompleteReadError):
        await say(port, case, certificates.context())
    assert await say(port, case, certificates.context(known=True)) == case.answer
    await until(lambda: kept.frames)
    await source.stop(1)
    assert (len(kept.frames), kept.rejected) == (1, [])


@pytest.mark.parametrize("name", CASES)
async def test_files_that_cannot_be_used_end_the_start(
    name: str, certificates: Certificates
) -> None:
    case = CASES[name]
    wrong = tls_of(certificates.server, key_file="/nowhere.key")
    prefix = "http.tls" if "http" in case.options else "tls"
    with pytest.raises(TailraceError, match=rf"/nowhere\.key \(sources\.in\.{prefix}\.crt_file"):
        await make_source(name, case.with_tls(wrong), Kept()).start()


async def test_a_key_may_be_locked(certificates: Certificates) -> None:
    case, kept = CASES["socket"], Kept()
    for password in ("wrong", None):
        tls = tls_of(certificates.locked, key_pass=password)
        with pytest.raises(TailraceError, match="key_pass"):
            await make_source("socket", case.with_tls(tls), kept).start()
    tls = tls_of(certificates.locked, key_pass="sesame")
    source = make_source("socket", case.with_tls(tls), kept)
    await source.start()
    await say(source.port, case, certificates.context())  # type: ignore[attr-defined]
    await until(lambda: kept.frames)
    await source.stop(1)


async def test_the_first_protocol_that_both_speak_is_chosen(certificates: Certificates) -> None:
    offered = tls_of(certificates.server, alpn_protocols=["b", "a"])
    source = make_source("socket", CASES["socket"].with_tls(offered), Kept())
    await source.start()
    context = certificates.context()
    context.set_alpn_protocols(["a", "b"])
    port = source.port  # type: ignore[attr-defined]
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "b"
    writer.close()
    await writer.wait_closed()
    await source.stop(1)


async def test_authorities_that_cannot_be_read_end_the_start(certificates: Certificates) -> None:
    tls = tls_of(certificates.server, verify_certificate=True, ca_file="/nowhere.pem")
    with pytest.raises(TailraceError, match=r"/nowhere\.pem \(sources\.in\.tls\.ca_file"):
        await make_source("socket", CASES["socket"].with_tls(tls), Kept()).start()


async def test_much_at_once_comes_whole_and_in_order(certificates: Certificates) -> None:
    """More than fits into the buffer that all connections read into, on two of them in turn."""
    kept = Kept()
    source = make_source("socket", CASES["socket"].with_tls(tls_of(certificates.server)), kept)
    await source.start()
    port, context = source.port, certificates.context()  # type: ignore[attr-defined]

    async def send(name: bytes) -> bytes:
        sent = b"".join(b"%s %d %s\n" % (name, n, b"x" * (n % 5000)) for n in range(2000))
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(sent)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        return sent

    sent = await asyncio.gather(send(b"a"), send(b"b"))
    await until(lambda: sum(part.count for part in kept.frames) == 4000)
    await source.stop(1)
    lines = b"".join(part.payload for part in kept.frames).splitlines(keepends=True)
    for name, expected in zip((b"a ", b"b "), sent, strict=True):
        assert b"".join(line for line in lines if line.startswith(name)) == expected
