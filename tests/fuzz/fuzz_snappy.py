"""Snappy's blocks, and the encodings of HTTP bodies."""

import gzip
import zlib

import zstandard

from tailrace.content import ContentError, decode_content

SEEDS = (
    b"\x05\x10hello",
    b"\x14\x10hello\x3a\x05\x00",
    b"\x0f\x10hello\x19\x05",
    gzip.compress(b"hello" * 20, mtime=0),
    zlib.compress(b"hello"),
    zstandard.compress(b"hello" * 20),
    zstandard.ZstdCompressor(write_content_size=False).compress(b"a" * 100_000),
)
MOST_BYTES = 1000


def fuzz(data: bytes) -> None:
    """It is what was asked for, no more of it, or refused."""
    for encoding in ("gzip", "deflate", "zstd", "snappy", "zstd, gzip"):
        try:
            assert len(decode_content(data, encoding, MOST_BYTES)) <= MOST_BYTES
        except ContentError:
            continue
