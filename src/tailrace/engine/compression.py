"""Compression, in both directions and in both of ClickHouse's ways.

HTTP's way is `Content-Encoding` over the whole body. ClickHouse's own way (`compress=1`,
`decompress=1`) is a sequence of blocks:

    checksum  16 bytes  CityHash128 of the rest of the block, its upper half first
    method     1 byte   0x82 LZ4, 0x90 ZSTD, 0x02 none
    size       4 bytes  of the compressed data plus these 9 bytes of header, little endian
    raw size   4 bytes  of the data once decompressed, little endian
    data

Every decoder and encoder works on a stream and keeps no more than one block.
"""

import struct
import zlib
from collections.abc import Callable
from typing import Any, Protocol

import brotli
import lz4.block
import lz4.frame
import zstandard
from clickhouse_cityhash.cityhash import CityHash128

from tailrace.engine.connection import Sink
from tailrace.engine.exceptions import ClickHouseError

ENGINE_READS = {
    "gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate", "br": "br", "zstd": "zstd",
    "lz4": "lz4", "xz": "xz", "bz2": "bz2", "snappy": "snappy",
}  # fmt: skip
"""Content-Encoding → the name by which `file()` decompresses it itself."""

_LZ4, _ZSTD, _NONE = 0x82, 0x90, 0x02
_HEADER = struct.Struct("<BII")
_CHECKSUM_BYTES = 16
_MAX_BLOCK_BYTES = 1 << 30
_BLOCK_BYTES = 1 << 20
_BOMB_STEP_BYTES = 1 << 20


def cannot_decompress(message: str) -> ClickHouseError:
    """The error for a body that is not what its header says."""
    return ClickHouseError(271, "CANNOT_DECOMPRESS", f"Cannot decompress the body: {message}")


class Decoder(Protocol):
    """Undoes a compression, piece by piece."""

    def write(self, data: bytes) -> object:
        """Take a piece."""

    def finish(self) -> None:
        """All is there; raises when the stream is cut short."""


class _FrameDecoder:
    """gzip, deflate, zstd and lz4: formats whose frames may follow one another."""

    def __init__(self, make: Callable[[], Any], out: Sink) -> None:
        self._make = make
        self._out = out
        self._current = make()
        self._fed = False

    def write(self, data: bytes) -> None:
        """Take a piece."""
        while data:
            if self._current.eof:
                self._current = self._make()
            self._fed = True
            try:
                plain = self._current.decompress(data)
            except (zlib.error, RuntimeError, zstandard.ZstdError) as error:
                raise cannot_decompress(str(error)) from error
            if plain:
                self._out.write(plain)
            data = self._current.unused_data or b""

    def finish(self) -> None:
        """All is there."""
        if self._fed and not self._current.eof:
            raise cannot_decompress("it ends too early")


class _BrotliDecoder:
    def __init__(self, out: Sink) -> None:
        self._out = out
        self._current = brotli.Decompressor()

    def write(self, data: bytes) -> None:
        """Take a piece."""
        try:
            plain = self._current.process(data)
        except brotli.error as error:
            raise cannot_decompress(str(error)) from error
        if plain:
            self._out.write(plain)

    def finish(self) -> None:
        """All is there."""
        if not self._current.is_finished():
            raise cannot_decompress("it ends too early")


_DECODERS: dict[str, Callable[[Sink], Decoder]] = {
    "gzip": lambda out: _FrameDecoder(lambda: zlib.decompressobj(31), out),
    "x-gzip": lambda out: _FrameDecoder(lambda: zlib.decompressobj(31), out),
    "deflate": lambda out: _FrameDecoder(zlib.decompressobj, out),
    "br": _BrotliDecoder,
    "zstd": lambda out: _FrameDecoder(
        lambda: zstandard.ZstdDecompressor().decompressobj(write_size=_BOMB_STEP_BYTES), out
    ),
    "lz4": lambda out: _FrameDecoder(lz4.frame.LZ4FrameDecompressor, out),
}


def decoder(encoding: str, out: Sink) -> Decoder:
    """What undoes a Content-Encoding and passes the result to `out`."""
    if encoding not in _DECODERS:
        raise ClickHouseError(
            89, "UNKNOWN_COMPRESSION_METHOD", f"Unknown HTTP content encoding method: {encoding}"
        )
    return _DECODERS[encoding](out)


class BlockDecoder:
    """Undoes ClickHouse's own blocks."""

    def __init__(self, out: Sink) -> None:
        self._out = out
        self._waiting = bytearray()

    def write(self, data: bytes) -> None:
        """Take a piece."""
        self._waiting += data
        start = _CHECKSUM_BYTES + _HEADER.size
        while len(self._waiting) >= start:
            method, size, raw_size = _HEADER.unpack_from(self._waiting, _CHECKSUM_BYTES)
            if not _HEADER.size <= size <= _MAX_BLOCK_BYTES or raw_size > _MAX_BLOCK_BYTES:
                raise ClickHouseError(
                    40, "CHECKSUM_DOESNT_MATCH", f"Too large size_compressed: {size}"
                )
            end = _CHECKSUM_BYTES + size
            if len(self._waiting) < end:
                return
            block = bytes(self._waiting[:end])
            del self._waiting[:end]
            self._out.write(_decode_block(block, method, raw_size))

    def finish(self) -> None:
        """All is there."""
        if self._waiting:
            raise ClickHouseError(
                33, "CANNOT_READ_ALL_DATA", "Cannot read all data: a block is cut"
            )


def _checksum(block: bytes) -> bytes:
    value = CityHash128(block)
    return struct.pack("<QQ", value >> 64, value & 0xFFFFFFFFFFFFFFFF)


def _decode_block(block: bytes, method: int, raw_size: int) -> bytes:
    if _checksum(block[_CHECKSUM_BYTES:]) != block[:_CHECKSUM_BYTES]:
        raise ClickHouseError(
            40, "CHECKSUM_DOESNT_MATCH", "Checksum doesn't match: corrupted data."
        )
    data = block[_CHECKSUM_BYTES + _HEADER.size :]
    try:
        if method == _LZ4:
            return bytes(lz4.block.decompress(data, uncompressed_size=raw_size))
        if method == _ZSTD:
            # The decompressor believes a frame that says how large it becomes, beyond any limit.
            if zstandard.frame_content_size(data) > raw_size:
                raise cannot_decompress("it is larger than its header says")
            return zstandard.ZstdDecompressor().decompress(data, max_output_size=raw_size)
    except (lz4.block.LZ4BlockError, zstandard.ZstdError) as error:
        raise cannot_decompress(str(error)) from error
    if method == _NONE:
        return data
    raise ClickHouseError(89, "UNKNOWN_COMPRESSION_METHOD", f"Unknown compression method: {method}")


class Encoder(Protocol):
    """Compresses an answer piece by piece."""

    encoding: str
    """What the Content-Encoding header says; empty for ClickHouse's own blocks."""

    def encode(self, data: bytes) -> bytes:
        """The compressed form of a piece; a reader can read all of it at once."""

    def finish(self) -> bytes:
        """The end of the stream."""


class _ZlibEncoder:
    def __init__(self, encoding: str, window_bits: int) -> None:
        self.encoding = encoding
        self._current = zlib.compressobj(3, zlib.DEFLATED, window_bits)

    def encode(self, data: bytes) -> bytes:
        """Compress a piece."""
        return self._current.compress(data) + self._current.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        """End the stream."""
        return self._current.flush()


class _Lz4Encoder:
    encoding = "lz4"

    def __init__(self) -> None:
        self._current = lz4.frame.LZ4FrameCompressor(auto_flush=True)
        self._begun = False

    def encode(self, data: bytes) -> bytes:
        """Compress a piece."""
        head = b"" if self._begun else self._current.begin()
        self._begun = True
        return bytes(head + self._current.compress(data))

    def finish(self) -> bytes:
        """End the stream."""
        head = b"" if self._begun else self._current.begin()
        return bytes(head + self._current.flush())


class _ZstdEncoder:
    encoding = "zstd"

    def __init__(self) -> None:
        self._current = zstandard.ZstdCompressor(level=1).compressobj()

    def encode(self, data: bytes) -> bytes:
        """Compress a piece."""
        return self._current.compress(data) + self._current.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        """End the stream."""
        return self._current.flush()


class _BrotliEncoder:
    encoding = "br"

    def __init__(self) -> None:
        self._current = brotli.Compressor(quality=1)

    def encode(self, data: bytes) -> bytes:
        """Compress a piece."""
        return bytes(self._current.process(data) + self._current.flush())

    def finish(self) -> bytes:
        """End the stream."""
        return bytes(self._current.finish())


class BlockEncoder:
    """ClickHouse's own blocks, with LZ4."""

    encoding = ""

    def encode(self, data: bytes) -> bytes:
        """Compress a piece."""
        view = memoryview(data)
        return b"".join(
            _encode_block(view[at : at + _BLOCK_BYTES]) for at in range(0, len(data), _BLOCK_BYTES)
        )

    def finish(self) -> bytes:
        """Blocks have no end mark."""
        return b""


def _encode_block(data: memoryview) -> bytes:
    packed: bytes = lz4.block.compress(data, store_size=False)
    block = _HEADER.pack(_LZ4, len(packed) + _HEADER.size, len(data)) + packed
    return _checksum(block) + block


class Plain:
    """No compression."""

    encoding = ""

    def encode(self, data: bytes) -> bytes:
        """The piece itself."""
        return data

    def finish(self) -> bytes:
        """Nothing."""
        return b""


_ENCODERS: dict[str, Callable[[], Encoder]] = {
    "lz4": _Lz4Encoder,
    "zstd": _ZstdEncoder,
    "br": _BrotliEncoder,
    "gzip": lambda: _ZlibEncoder("gzip", 31),
    "deflate": lambda: _ZlibEncoder("deflate", 15),
}
"""In the order of our preference: the cheapest first."""


def encoder(accepted: str) -> Encoder:
    """The best of the encodings that an Accept-Encoding header names."""
    wanted = {
        name.strip().lower()
        for name, _, weight in (item.partition(";") for item in accepted.split(","))
        if weight.replace(" ", "") not in ("q=0", "q=0.0")
    }
    for name, make in _ENCODERS.items():
        if name in wanted:
            return make()
    return Plain()
