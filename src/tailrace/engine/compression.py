"""Undoes the compression of request bodies."""

import gzip
import zlib

import brotli
import lz4.frame
import zstandard

from tailrace.engine.exceptions import ClickHouseError

_DECODERS = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "lz4": lz4.frame.decompress,
}


def decode(data: bytes, encoding: str) -> bytes:
    """`data` without its Content-Encoding."""
    if encoding in ("", "identity"):
        return data
    if encoding not in _DECODERS:
        raise ClickHouseError(
            48, "NOT_IMPLEMENTED", f"Unknown HTTP content encoding method: {encoding}"
        )
    return bytes(_DECODERS[encoding](data))
