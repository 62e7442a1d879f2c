"""Sends to a source what a case's `send` says, by the protocol that it names.

`tcp`, `unix`: texts (or bytes), each over a connection of its own; `tcp_together`: over connections
that are all open at once, `tcp_held`: that are left open. `udp`, `unix_datagram`: datagrams.
`stdin`: a text. `http`: requests. `forward`: messages of Fluentd's protocol. `lumberjack`: windows of
events. `files`: what is in files at the start, and `then` what is done to them. What the peer is
answered is returned.
"""

import asyncio
import gzip
import os
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgpack
import orjson
import zstandard
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tailrace.collect.source import Frames, Position, RejectedLine, Source

Answers = list[Any]
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@dataclass
class KeptPositions:
    """A source's memory; the next source may get it."""

    found: Mapping[str, Position] = field(default_factory=dict)

    async def put(self, positions: Sequence[Position]) -> None:
        self.found = {**self.found, **{position.key: position for position in positions}}

    async def forget(self, keys: Sequence[str]) -> None:
        self.found = {key: one for key, one in self.found.items() if key not in keys}


@dataclass
class RecordingIntake:
    """A buffer that has room for everything and keeps it as it comes."""

    frames: list[Frames] = field(default_factory=list)
    rejected: list[RejectedLine] = field(default_factory=list)
    positions: KeptPositions = field(default_factory=KeptPositions)

    async def append(self, frames: Sequence[Frames]) -> None:
        self.frames += frames
        await self.positions.put([part.position for part in frames if part.position])

    async def reject(self, lines: Sequence[RejectedLine]) -> None:
        self.rejected += lines

    def is_full(self) -> bool:
        return False

    @property
    def taken(self) -> int:
        """How many frames have come, sound or not."""
        return sum(part.count for part in self.frames) + len(self.rejected)


def as_bytes(text: str | bytes) -> bytes:
    """What YAML has as text, or with `!!binary` as bytes."""
    return text if isinstance(text, bytes) else text.encode()


async def send_streams(
    connect: Connect,
    streams: Sequence[str | bytes],
) -> Answers:
    """One connection after the other; what each is answered until it is closed."""
    answers = []
    for data in streams:
        reader, writer = await connect()
        answer = b""
        # A source that turns a connection away does so before everything was read.
        with suppress(OSError):
            writer.write(as_bytes(data))
            writer.write_eof()
            async with asyncio.timeout(20):
                answer = await reader.read()
        answers.append(answer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return answers


async def send_together(connect: Connect, streams: Sequence[str | bytes]) -> None:
    """All connections are open before anything is sent on the first."""
    open_ones = [await connect() for _ in streams]
    # The last one is turned away, which tells that all have been looked at.
    async with asyncio.timeout(20):
        with suppress(OSError):
            await open_ones[-1][0].read()
    for (_, writer), data in zip(open_ones, streams, strict=True):
        with suppress(OSError):
            writer.write(as_bytes(data))
            await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def send_held(connect: Connect, streams: Sequence[str | bytes]) -> None:
    """Each connection stays open until the source closes it."""
    for data in streams:
        reader, writer = await connect()
        writer.write(as_bytes(data))
        async with asyncio.timeout(20):
            await reader.read()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def send_datagrams(kind: socket.AddressFamily, address: Any, datagrams: Sequence[str]) -> None:
    """Each text is a datagram."""
    with socket.socket(kind, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(as_bytes(datagram), address)


async def send_requests(port: int, requests: Sequence[dict[str, Any]]) -> Answers:
    """Each as the case describes it: `method`, `path`, `headers`, `body`, `encoding`, `login`."""
    answers = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        client.headers.clear()
        for request in requests:
            headers = dict(request.get("headers", {}))
            body = _body(request, headers)
            login = request.get("login")
            answer = await client.request(
                request.get("method", "POST"),
                request.get("path", "/"),
                content=body,
                headers=headers,
                auth=tuple(login) if login else None,
            )
            answers.append(_answer(answer))
    return answers


def _body(request: dict[str, Any], headers: dict[str, str]) -> bytes:
    if "protobuf" in request:
        message = ParseDict(request["protobuf"], ExportLogsServiceRequest())
        body: bytes = message.SerializeToString()
    elif "json" in request:
        body = orjson.dumps(request["json"])
    else:
        body = as_bytes(request.get("body", ""))
    encoding = request.get("encoding")
    if encoding:
        headers["Content-Encoding"] = encoding
        body = _ENCODERS[encoding](body)
    return body


def _answer(answer: httpx.Response) -> dict[str, Any]:
    is_json = bool(answer.content) and "json" in answer.headers.get("content-type", "")
    return {"status": answer.status_code, "body": answer.json() if is_json else answer.text}


_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": lambda body: zstandard.ZstdCompressor().compress(body),
    # Snappy's format with one literal, which needs no library.
    "snappy": lambda body: bytes([len(body), (len(body) - 1) << 2]) + body,
}


def packed_forward(message: Any) -> bytes:
    """A message of Fluentd's protocol; see `_unfolded`."""
    data: bytes = msgpack.packb(_unfolded(message))
    return data


def _unfolded(value: Any) -> Any:
    """`{event_time: [s, ns]}` becomes MessagePack's extension, `{packed: […]}` and `{gzipped: […]}`
    become entries in bytes."""
    if isinstance(value, list):
        return [_unfolded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "event_time" in value:
        return msgpack.ExtType(0, struct.pack(">II", *value["event_time"]))
    for name, pack in (("packed", bytes), ("gzipped", gzip.compress)):
        if name in value:
            entries = value[name]
            return pack(b"".join(msgpack.packb(_unfolded(entry)) for entry in entries))
    return {key: _unfolded(item) for key, item in value.items()}


def lumberjack(window: dict[str, Any]) -> bytes:
    """A window of events in JSON frames, compressed where it says so."""
    events = window["events"]
    frames = b"".join(
        b"2J" + struct.pack(">II", number, len(line)) + line
        for number, line in enumerate(map(orjson.dumps, events), 1)
    )
    if window.get("compressed"):
        packed = zlib.compress(frames)
        frames = b"2C" + struct.pack(">I", len(packed)) + packed
    return b"2W" + struct.pack(">I", len(events)) + frames


def read_lumberjack(answer: bytes) -> list[int]:
    """The numbers that were acknowledged."""
    return [struct.unpack(">I", answer[at + 2 : at + 6])[0] for at in range(0, len(answer), 6)]


def change_file(folder: Path, change: dict[str, Any]) -> None:
    """One step of `then`: `append`, `rename`, `remove`, `truncate`."""
    for name, text in change.get("append", {}).items():
        with (folder / name).open("ab") as file:
            file.write(as_bytes(text))
    for old, new in change.get("rename", {}).items():
        (folder / old).rename(folder / new)
    for name in change.get("remove", []):
        (folder / name).unlink()
    for name in change.get("truncate", []):
        os.truncate(folder / name, 0)


async def send(send: dict[str, Any], source: Source, config: Any, folder: Path) -> Answers:
    """Everything but standard input and files, which are there before the source."""
    port: int = getattr(source, "port", 0)
    tcp = lambda: asyncio.open_connection("127.0.0.1", port)  # noqa: E731  # as its neighbour
    unix = lambda: asyncio.open_unix_connection(str(config.path))  # noqa: E731
    if "tcp" in send:
        return await send_streams(tcp, send["tcp"])
    if "tcp_together" in send:
        await send_together(tcp, send["tcp_together"])
    if "tcp_held" in send:
        await send_held(tcp, send["tcp_held"])
    if "unix" in send:
        return await send_streams(unix, send["unix"])
    if "forward" in send:
        streams = [b"".join(map(packed_forward, messages)) for messages in send["forward"]]
        return [msgpack.unpackb(one) for one in await send_streams(tcp, streams) if one]
    if "lumberjack" in send:
        windows = await send_streams(tcp, [*map(lumberjack, send["lumberjack"])])
        return [read_lumberjack(answer) for answer in windows]
    if "http" in send:
        return await send_requests(port, send["http"])
    if "udp" in send:
        send_datagrams(socket.AF_INET, ("127.0.0.1", port), send["udp"])
    if "unix_datagram" in send:
        send_datagrams(socket.AF_UNIX, str(config.path), send["unix_datagram"])
    return []
