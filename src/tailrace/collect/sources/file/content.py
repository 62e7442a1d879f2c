"""The bytes of a file by their places, plain or decompressed.

A file that begins as gzip does is decompressed; places in it count decompressed bytes. It is read
in order and once: only what was not taken yet is kept, and after a restart what comes before the
place is decompressed again and dropped.
"""

import os
import zlib
from typing import Protocol

GZIP_MAGIC = b"\x1f\x8b"
_READ_BYTES = 32 * 1024
"""Compressed bytes at once; what they become is at most a thousand times as much."""


class ContentError(Exception):
    """A file that is not what its beginning says."""


class Content(Protocol):
    """What reading needs of a file."""

    is_complete: bool
    """Whether it has an end that is known to be one, and all before it was read."""

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset` on; fewer only where there are no more yet."""


class PlainContent:
    """The bytes as they are."""

    is_complete = False

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, offset: int, size: int) -> bytes:
        """See `Content`."""
        return os.pread(self._descriptor, size, offset)


class GzipContent:
    """The bytes that are compressed in it, of all its members."""

    def __init__(self, descriptor: int) -> None:
        self.is_complete = False
        self._descriptor = descriptor
        self._raw_offset = 0
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._window = bytearray()
        self._window_start = 0

    def read(self, offset: int, size: int) -> bytes:
        """See `Content`; `offset` never goes back."""
        self._drop_before(offset)
        while self._window_start + len(self._window) < offset + size and self._more():
            self._drop_before(offset)
        return bytes(self._window[:size]) if self._window_start == offset else b""

    def _drop_before(self, offset: int) -> None:
        dropped = min(len(self._window), offset - self._window_start)
        del self._window[:dropped]
        self._window_start += dropped

    def _more(self) -> bool:
        raw = os.pread(self._descriptor, _READ_BYTES, self._raw_offset)
        self._raw_offset += len(raw)
        if not raw:
            self.is_complete = self._decoder.eof
            return False
        while raw:
            if self._decoder.eof:
                if not raw.strip(b"\0"):
                    break
                self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                self._window += self._decoder.decompress(raw)
            except zlib.error as error:
                raise ContentError(f"cannot decompress it: {error}") from error
            raw = self._decoder.unused_data
        return True


def is_gzip(descriptor: int) -> bool:
    """Whether an open file begins as gzip does."""
    return os.pread(descriptor, len(GZIP_MAGIC), 0) == GZIP_MAGIC
