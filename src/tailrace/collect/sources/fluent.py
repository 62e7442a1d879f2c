"""Source `fluent`: Fluentd's forward protocol over TCP, as Fluentd, Fluent Bit and loggers speak it.

All modes: a message, a list of entries (forward), the same packed into bytes (packed forward), and
those compressed by gzip. Where a chunk asks for it, it is acknowledged, after its events are on disk.
A bad entry is rejected alone; where the stream is no MessagePack, the connection is closed. There is
no handshake: a shared key cannot be given, and a client that waits for one gets no answer.

Entries are stored as lines of JSON, `[time, tag, record]`; the codec `fluent` makes events of them.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar, Literal

import msgpack
import orjson
from typing_extensions import override

from tailrace.collect.component import Component
from tailrace.collect.conversations import Conversation, ConversationConfig, ConversationSource
from tailrace.collect.json_text import show
from tailrace.collect.source import Frames, Origin, RejectedLine, Source
from tailrace.content import ContentError, decode_content

MAX_MESSAGE_BYTES = 32 * 1024**2
"""Longest message, and the most that a compressed one may become."""

MAX_ENTRIES = 1_000_000
"""Longest list: a few bytes may announce any length."""

LARGE_BYTES = 64 * 1024
"""What is larger is read in a thread."""

EVENT_TIME = 0
"""The type of MessagePack's extension that holds seconds and nanoseconds."""

Lines = tuple[list[bytes], list[tuple[bytes, str]]]
"""Sound entries, and what is none with the reason."""


class FluentConfig(ConversationConfig):
    """Takes events by Fluentd's forward protocol; an acknowledged chunk is durable."""

    not_taken: ClassVar[Mapping[str, str]] = {
        **ConversationConfig.not_taken,
        "path": "of the mode `unix`, which Tailrace does not have",
        "socket_file_mode": "of the mode `unix`, which Tailrace does not have",
    }

    type: Literal["fluent"] = "fluent"

    mode: Literal["tcp"] = "tcp"
    """Kind of socket."""

    @property
    @override
    def codec(self) -> str:
        return "fluent"


class FluentSource(ConversationSource):
    """Serves one address; see the module."""

    @override
    def converse(self, host: str) -> Conversation:
        return FluentConversation(self, host)


class FluentConversation(Conversation):
    """One connection."""

    def __init__(self, source: FluentSource, host: str) -> None:
        self._source = source
        self._host = host
        self._unpacker = new_unpacker()

    @override
    async def hear(self, data: bytes) -> bytes:
        messages, problem, _ = await _work(len(data), lambda: values_of(self._unpacker, data))
        origin = Origin(self._host, (("host", self._host),))
        frames: list[Frames] = []
        rejected: list[RejectedLine] = []
        answers: list[bytes] = []
        for message in messages:
            if message is None:
                continue
            lines, bad = await _work(_size(message), lambda one=message: read_message(one))
            if lines:
                payload = b"".join([line + b"\n" for line in lines])
                frames.append(Frames(payload, len(lines), origin))
            rejected += [RejectedLine(raw, reason, self._host) for raw, reason in bad]
            answers += _acknowledgement(message)
        await self._source.keep(frames, rejected)
        if problem:
            raise ValueError(f"not the forward protocol: {problem}")
        return b"".join(answers)


async def _work(size_bytes: int, function: Any) -> Any:
    return await asyncio.to_thread(function) if size_bytes > LARGE_BYTES else function()


def new_unpacker() -> msgpack.Unpacker:
    """One stream's, or one message's entries'."""
    return msgpack.Unpacker(
        raw=False,
        unicode_errors="replace",
        strict_map_key=False,
        ext_hook=_extension,
        max_buffer_size=MAX_MESSAGE_BYTES,
        max_array_len=MAX_ENTRIES,
    )


def values_of(unpacker: msgpack.Unpacker, data: bytes) -> tuple[list[Any], str, int]:
    """What is complete now, what is wrong with what comes after it, and where that begins."""
    values: list[Any] = []
    end = unpacker.tell()
    try:
        unpacker.feed(data)
        # Not extend: an error would take with it what was sound before.
        for value in unpacker:
            values.append(value)
            end = unpacker.tell()
    # TypeError: a map that has a map as a key.
    except (msgpack.UnpackException, ValueError, OverflowError, TypeError) as error:
        return values, str(error) or type(error).__name__, end
    return values, "", end


def _extension(code: int, data: bytes) -> object:
    if code == EVENT_TIME and len(data) == 8:
        seconds, nanos = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:], "big")
        return _EventTime(_time(seconds, nanos))
    return data.hex()


class _EventTime(str):
    """A time as RFC 3339."""

    __slots__ = ()


@lru_cache(4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _time(seconds: int, nanos: int = 0) -> str:
    return f"{_second(seconds)}.{nanos % 10**9:09d}Z"


def _size(message: Any) -> int:
    """About how much work a message is, in bytes."""
    entries = message[1] if isinstance(message, list) and len(message) > 1 else b""
    if isinstance(entries, list):
        return len(entries) * 100
    return len(entries) * 10 if isinstance(entries, bytes | str) else 0


def _acknowledgement(message: Any) -> list[bytes]:
    options = message[-1] if isinstance(message, list) and len(message) in (3, 4) else None
    # In a message of one entry the third part is the record, not options.
    is_record = isinstance(message, list) and len(message) == 3 and _is_time(message[1])
    if is_record or not isinstance(options, dict) or "chunk" not in options:
        return []
    return [msgpack.packb({"ack": options["chunk"]})]


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float | _EventTime)


def read_message(message: Any) -> Lines:
    """The entries of a message, whatever its mode."""
    if not isinstance(message, list) or len(message) < 2 or not isinstance(message[0], str):
        return [], [(_raw(message), "not the forward protocol: no tag and entries")]
    tag, content = message[0], message[1]
    if _is_time(content):
        return _read_entries(tag, [message[1:3]])
    if isinstance(content, list):
        return _read_entries(tag, content)
    if isinstance(content, bytes | str):
        options = message[2] if len(message) > 2 else None
        try:
            entries, problem = _unpack(content, options)
        except ContentError as error:
            entries, problem = [], str(error)
        lines, rejected = _read_entries(tag, entries)
        if problem:
            rejected.append((_raw(content), f"cannot unpack the entries: {problem}"))
        return lines, rejected
    return [], [(_raw(message), "not the forward protocol: no entries")]


def _unpack(content: bytes | str, options: Any) -> tuple[list[Any], str]:
    if isinstance(content, str):
        # Old clients send text. What of it was no UTF-8 is lost, and so are entries behind it.
        content = content.encode()
    compressed = options.get("compressed", "text") if isinstance(options, dict) else "text"
    if compressed not in ("text", None):
        content = decode_content(content, str(compressed), MAX_MESSAGE_BYTES)
    entries, problem, end = values_of(new_unpacker(), content)
    if not problem and end != len(content):
        problem = "they end too early"
    return entries, problem


def _read_entries(tag: str, entries: list[Any]) -> Lines:
    lines: list[bytes] = []
    rejected: list[tuple[bytes, str]] = []
    for entry in entries:
        try:
            time, record = entry
            if not isinstance(record, dict) or not _is_time(time):
                raise ValueError("an entry is a time and a map")
            text = time if isinstance(time, str) else _time(*_seconds(time))
            lines.append(_as_json([text, tag, record]))
        except (ValueError, TypeError, OverflowError, OSError) as error:
            rejected.append((_raw(entry), f"not the forward protocol: {error}"))
    return lines, rejected


def _seconds(time: float) -> tuple[int, int]:
    seconds = int(time)
    return seconds, int((time - seconds) * 1e9)


def _as_json(value: Any) -> bytes:
    try:
        return orjson.dumps(value, _default, orjson.OPT_PASSTHROUGH_SUBCLASS)
    except TypeError:
        return orjson.dumps(_plain(value), _default, orjson.OPT_PASSTHROUGH_SUBCLASS)


def _default(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _plain(value: Any, depth: int = 0) -> Any:
    """With keys that JSON can have."""
    if depth > 100:
        raise ValueError("nested deeper than 100 levels")
    if isinstance(value, dict):
        return {
            key if type(key) is str else _default(key): _plain(item, depth + 1)
            for key, item in value.items()
        }
    return [_plain(item, depth + 1) for item in value] if isinstance(value, list) else value


def _raw(value: Any) -> bytes:
    try:
        return _as_json(value)
    except (TypeError, ValueError):
        return show(value)


FLUENT: Component[Source] = Component(FluentConfig, FluentSource)
