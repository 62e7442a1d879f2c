"""Bodies of requests, made of events that a worker has encoded."""

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

import zstandard

from tailrace.collect.encoding import frame
from tailrace.collect.sink import Bytes
from tailrace.collect.sinks.http.config import HttpConfig

_LENGTH = struct.Struct(">I")


def unpack(payload: Bytes) -> Iterator[bytes]:
    """The events of a payload in the framing `length_delimited`."""
    view = memoryview(payload)
    offset = 0
    while offset < len(view):
        (length,) = _LENGTH.unpack_from(view, offset)
        offset += _LENGTH.size
        yield bytes(view[offset : offset + length])
        offset += length


def body_of(events: Sequence[bytes], config: HttpConfig) -> bytes:
    """One request's body, uncompressed, framed as Vector frames it."""
    delimiter = config.used_framing.delimiter
    if delimiter is None:
        body = frame(events, config.used_framing)
    else:
        body = delimiter.join(events)
    if config.is_array:
        body = b"[" + body + b"]"
    elif config.encoding.codec == "json" and delimiter == b"\n":
        body += b"\n"
    return config.payload_prefix.encode() + body + config.payload_suffix.encode()


def parts_of(events: Sequence[bytes], config: HttpConfig) -> Iterator[list[int]]:
    """Numbers of the events that travel together, within the limits of `batch`."""
    most_bytes, most_events = config.batch.max_bytes, config.batch.max_events or len(events)
    part: list[int] = []
    size = 0
    for number, event in enumerate(events):
        if part and (size + len(event) > most_bytes or len(part) >= most_events):
            yield part
            part, size = [], 0
        part.append(number)
        size += len(event)
    if part:
        yield part


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, 6, zlib.MAX_WBITS | 16)


def _zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(body)


COMPRESSORS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", _gzip),
    "zstd": ("zstd", _zstd),
    "zlib": ("deflate", zlib.compress),
}
"""`Content-Encoding` and what makes it, by the option's value."""
