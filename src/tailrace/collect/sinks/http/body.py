"""Bodies of requests, made of events that a worker has encoded."""

import zlib
from collections.abc import Callable, Sequence

import zstandard

from tailrace.collect.encoding import frame
from tailrace.collect.sinks.http.config import HttpConfig


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
