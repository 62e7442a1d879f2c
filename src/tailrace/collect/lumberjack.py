"""Cuts streams of the Lumberjack protocol, which Beats and Logstash speak, into events.

frame     version `1` or `2` · kind · content; numbers are big-endian u32
W         window: number of events until the sender waits for an acknowledgement
J         sequence · length · JSON
D         sequence · number of pairs · (length · key · length · value) each
C         length · frames, compressed by zlib
A         sequence: the answer, of everything up to it
"""

import struct
from dataclasses import dataclass, field

import orjson

from tailrace.content import decode_content

MAX_FRAME_BYTES = 32 * 1024**2
"""Longest frame, and the most that a compressed one may become."""

_NUMBER = struct.Struct(">I")
_TWO_NUMBERS = struct.Struct(">II")


class LumberjackError(ValueError):
    """Bytes that are none of the protocol's."""


class _UnfinishedError(Exception):
    """The rest of a frame has not come yet."""


@dataclass
class Heard:
    """What complete frames hold."""

    documents: list[bytes] = field(default_factory=list)
    """Events, which should be JSON."""
    acknowledgement: bytes = b""
    """What the sender is told when they are safe."""
    problem: str = ""
    """Why reading cannot go on behind them."""

    def add(self, version: bytes, sequence: int, document: bytes) -> None:
        """Take an event."""
        self.documents.append(document)
        self.acknowledgement = version + b"A" + _NUMBER.pack(sequence)


class LumberjackReader:
    """The state of one stream."""

    def __init__(self) -> None:
        self._unfinished = b""

    def feed(self, data: bytes) -> Heard:
        """The frames that are complete now."""
        data = self._unfinished + data if self._unfinished else data
        heard = Heard()
        try:
            end = _read(data, heard, may_be_compressed=True)
        except ValueError as error:
            heard.problem = str(error)
            return heard
        self._unfinished = data[end:]
        return heard


def _read(data: bytes, heard: Heard, *, may_be_compressed: bool) -> int:
    """Read complete frames; returns where the first one begins that is not."""
    start = 0
    while start < len(data):
        try:
            start = _read_frame(data, start, heard, may_be_compressed=may_be_compressed)
        except _UnfinishedError:
            break
    return start


def _read_frame(data: bytes, start: int, heard: Heard, *, may_be_compressed: bool) -> int:
    version, kind, at = data[start : start + 1], data[start + 1 : start + 2], start + 2
    if version not in (b"1", b"2") or kind not in (b"", b"W", b"J", b"D", b"C"):
        raise LumberjackError(f"not Lumberjack: a frame begins with {data[start : start + 2]!r}")
    if kind == b"J":
        sequence, size = _two_numbers(data, at)
        document, at = _bytes(data, at + 8, size)
        heard.add(version, sequence, document)
    elif kind == b"D":
        sequence, pairs = _two_numbers(data, at)
        document, at = _pairs(data, at + 8, pairs)
        heard.add(version, sequence, document)
    elif kind == b"C":
        compressed, at = _bytes(data, at + 4, _number(data, at))
        if not may_be_compressed:
            raise LumberjackError("not Lumberjack: a compressed frame in a compressed frame")
        frames = decode_content(compressed, "deflate", MAX_FRAME_BYTES)
        if _read(frames, heard, may_be_compressed=False) != len(frames):
            raise LumberjackError("not Lumberjack: a compressed frame ends too early")
    else:
        _number(data, at)
        at += 4
    return at


def _pairs(data: bytes, at: int, pairs: int) -> tuple[bytes, int]:
    found: dict[str, str] = {}
    begin = at
    for _ in range(pairs):
        key, at = _bytes(data, at + 4, _number(data, at))
        value, at = _bytes(data, at + 4, _number(data, at))
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        if at - begin > MAX_FRAME_BYTES:
            raise LumberjackError(f"cannot take a frame of more than {MAX_FRAME_BYTES} bytes")
    return orjson.dumps(found), at


def _bytes(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if size > MAX_FRAME_BYTES:
        raise LumberjackError(f"cannot take a frame of more than {MAX_FRAME_BYTES} bytes")
    if at + size > len(data):
        raise _UnfinishedError
    return data[at : at + size], at + size


def _number(data: bytes, at: int) -> int:
    if at + 4 > len(data):
        raise _UnfinishedError
    number: int = _NUMBER.unpack_from(data, at)[0]
    return number


def _two_numbers(data: bytes, at: int) -> tuple[int, int]:
    if at + 8 > len(data):
        raise _UnfinishedError
    first, second = _TWO_NUMBERS.unpack_from(data, at)
    return first, second
