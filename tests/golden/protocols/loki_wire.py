"""Writes push requests as Promtail does: protobuf by hand, so that what reads it is not asked itself."""

from collections.abc import Iterable, Mapping

Entry = tuple[int, int, bytes, Mapping[str, str]]
"""Seconds, nanoseconds, line, structured metadata."""


def push_request(streams: Mapping[str, Iterable[Entry]]) -> bytes:
    """A `logproto.PushRequest`."""
    return b"".join(
        _field(1, _field(1, labels.encode()) + b"".join(map(_entry, entries)))
        for labels, entries in streams.items()
    )


def _entry(entry: Entry) -> bytes:
    seconds, nanos, line, metadata = entry
    time = (b"\x08" + _varint(seconds) if seconds else b"") + (
        b"\x10" + _varint(nanos) if nanos else b""
    )
    pairs = (
        _field(3, _field(1, name.encode()) + _field(2, value.encode()))
        for name, value in metadata.items()
    )
    return _field(2, _field(1, time) + _field(2, line) + b"".join(pairs))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def snap(content: bytes) -> bytes:
    """A Snappy block of literals."""
    parts = [_varint(len(content))]
    for start in range(0, len(content), 65536):
        piece = content[start : start + 65536]
        parts += (b"\xf4", (len(piece) - 1).to_bytes(2, "little"), piece)
    return b"".join(parts)
