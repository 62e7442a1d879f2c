"""Tells whether a compressed file goes on to its end, without decompressing it.

ClickHouse's `file()` takes an lz4 or zstd file that was cut for one that ends there, so a client
whose body was cut would be told that all of it is stored. Both formats are frames of blocks that
begin with their size: only these sizes are read here.

    lz4   magic, flags, sizes; blocks of (size, data, checksum?); size 0 ends; checksum?
          github.com/lz4/lz4, doc/lz4_Frame_format.md
    zstd  magic, flags, sizes; blocks of (last?, type, size, data); checksum?
          RFC 8878, section 3.1
"""

import io
from pathlib import Path
from typing import BinaryIO

from tailrace.engine.compression import cannot_decompress

_LZ4_MAGIC = 0x184D2204
_ZSTD_MAGIC = 0xFD2FB528
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_RLE_BLOCK = 1
_ZSTD_DICTIONARY_BYTES = (0, 1, 2, 4)
_ZSTD_SIZE_BYTES = (0, 2, 4, 8)


def check_complete(path: Path, compression: str) -> None:
    """Raise CANNOT_DECOMPRESS when the lz4 or zstd file ends within a frame; others pass."""
    walk = {"lz4": _walk_lz4, "zstd": _walk_zstd}.get(compression)
    if walk is None:
        return
    with path.open("rb") as file:
        length = file.seek(0, io.SEEK_END)
        file.seek(0)
        while file.tell() < length:
            walk(file)
        if file.tell() > length:
            raise cannot_decompress("it ends too early")


def _walk_lz4(file: BinaryIO) -> None:
    if _is_past_skippable(file, _LZ4_MAGIC):
        return
    flags = _read(file, 1)
    has_block_checksum, has_size, has_checksum, has_dictionary = (
        flags >> bit & 1 for bit in (4, 3, 2, 0)
    )
    file.seek(2 + 8 * has_size + 4 * has_dictionary, io.SEEK_CUR)
    while size := _read(file, 4) & 0x7FFFFFFF:
        file.seek(size + 4 * has_block_checksum, io.SEEK_CUR)
    file.seek(4 * has_checksum, io.SEEK_CUR)


def _walk_zstd(file: BinaryIO) -> None:
    if _is_past_skippable(file, _ZSTD_MAGIC):
        return
    flags = _read(file, 1)
    is_single_segment, has_checksum = flags >> 5 & 1, flags >> 2 & 1
    size_bytes = _ZSTD_SIZE_BYTES[flags >> 6] or is_single_segment
    window_bytes = 1 - is_single_segment
    file.seek(window_bytes + _ZSTD_DICTIONARY_BYTES[flags & 3] + size_bytes, io.SEEK_CUR)
    is_last = 0
    while not is_last:
        header = _read(file, 3)
        is_last, kind, size = header & 1, header >> 1 & 3, header >> 3
        file.seek(1 if kind == _RLE_BLOCK else size, io.SEEK_CUR)
    file.seek(4 * has_checksum, io.SEEK_CUR)


def _is_past_skippable(file: BinaryIO, magic: int) -> bool:
    """Read a frame's magic number; a frame of other things is skipped whole."""
    found = _read(file, 4)
    if found in _SKIPPABLE:
        file.seek(_read(file, 4), io.SEEK_CUR)
        return True
    if found != magic:
        raise cannot_decompress("what follows is not a frame of its format")
    return False


def _read(file: BinaryIO, size: int) -> int:
    data = file.read(size)
    if len(data) < size:
        raise cannot_decompress("it ends too early")
    return int.from_bytes(data, "little")
