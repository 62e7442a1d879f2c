"""Undoes HTTP's Content-Encoding, within a limit that a small body cannot blow up past."""

import zlib
from collections.abc import Callable

import cramjam
import zstandard

ZSTD_SLICE_BYTES = 1024
"""What is decoded at once: four bytes may become 128 KiB, so at most 32 MiB come of it."""

FIRST_SLICE_BYTES = 512
LARGEST_SLICE_BYTES = 1024**2
"""gzip copies what of a slice is behind the end of a member: of one slice of the whole body, whose
members have twenty bytes each, it would copy terabytes."""

MOST_ENCODINGS = 3
"""There are bytes that are their own decompression."""


class ContentError(ValueError):
    """A body that is not what its Content-Encoding says."""


class ContentTooLargeError(ContentError):
    """A body that becomes larger than is allowed."""


def decode_content(body: bytes, encodings: str, max_bytes: int) -> bytes:
    """`body` without the encodings that the header `Content-Encoding` lists."""
    names = [part.strip().lower() for part in encodings.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > MOST_ENCODINGS:
        raise ContentError(
            f"cannot undo {len(names)} encodings (Content-Encoding): at most {MOST_ENCODINGS}"
        )
    for name in reversed(names):
        decoder = _DECODERS.get(name)
        if decoder is None:
            raise ContentError(
                f"cannot read Content-Encoding {name!r}: give one of {', '.join(_DECODERS)}"
            )
        body = decoder(body, max_bytes)
    return body


def _inflate(body: bytes, max_bytes: int) -> bytes:
    """gzip or zlib, found out by its header, all members of it; deflate without header as well."""
    parts: list[bytes] = []
    room = max_bytes
    rest = memoryview(body)
    while rest:
        decoder = zlib.decompressobj(_window_bits(bytes(rest[:2])))
        slice_bytes = FIRST_SLICE_BYTES
        while not decoder.eof:
            if not rest:
                raise ContentError("cannot decompress the body: it ends too early")
            piece, rest = rest[:slice_bytes], rest[slice_bytes:]
            try:
                parts.append(decoder.decompress(piece, room + 1))
            except zlib.error as error:
                raise ContentError(f"cannot decompress the body: {error}") from error
            room -= len(parts[-1])
            if room < 0:
                raise ContentTooLargeError(f"cannot take more than {max_bytes} bytes")
            slice_bytes = min(2 * slice_bytes, LARGEST_SLICE_BYTES)
        rest = memoryview(body)[len(body) - len(rest) - len(decoder.unused_data) :]
    return b"".join(parts)


def _window_bits(body: bytes) -> int:
    has_header = body[:2] == b"\x1f\x8b" or (
        body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    )
    return zlib.MAX_WBITS | 32 if has_header else -zlib.MAX_WBITS


def _unzstd(body: bytes, max_bytes: int) -> bytes:
    """All frames of zstd, a slice at a time: the decoder itself sets no limit to what it makes."""
    parts: list[bytes] = []
    room = max_bytes
    rest = memoryview(body)
    decompressor = zstandard.ZstdDecompressor()
    decoder = decompressor.decompressobj()
    while rest:
        if decoder.eof:
            decoder = decompressor.decompressobj()
        slice_bytes = min(len(rest), ZSTD_SLICE_BYTES)
        try:
            parts.append(decoder.decompress(rest[:slice_bytes]))
        except zstandard.ZstdError as error:
            raise ContentError(f"cannot decompress the body: {error}") from error
        room -= len(parts[-1])
        if room < 0:
            raise ContentTooLargeError(f"cannot take more than {max_bytes} bytes")
        rest = rest[slice_bytes - len(decoder.unused_data) :]
    if not decoder.eof:
        raise ContentError("cannot decompress the body: it ends too early")
    return b"".join(parts)


def unsnap(body: bytes, max_bytes: int) -> bytes:
    """A block of Snappy, which begins with the size of what it stands for: nothing larger is made."""
    try:
        if cramjam.snappy.decompress_raw_len(body) > max_bytes:
            raise ContentTooLargeError(f"cannot take more than {max_bytes} bytes")
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise ContentError(f"cannot decompress the body: {error}") from error


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _inflate,
    "deflate": _inflate,
    "zstd": _unzstd,
    "snappy": unsnap,
}
