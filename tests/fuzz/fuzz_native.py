"""What clients of the engine send packed: ClickHouse's own blocks, and HTTP's encodings."""

import gzip
import struct
import tempfile
from pathlib import Path

import lz4.block
import lz4.frame
import zstandard
from clickhouse_cityhash.cityhash import CityHash128

from tailrace.engine.compression import BlockDecoder, BlockEncoder, decoder
from tailrace.engine.exceptions import ClickHouseError
from tailrace.engine.frames import check_complete
from tailrace.engine.native import NativeFraming, block_rows


def block(method: int, data: bytes, raw_size: int) -> bytes:
    """A block with the right checksum, whatever is in it."""
    rest = struct.pack("<BII", method, len(data) + 9, raw_size) + data
    value = CityHash128(rest)
    return struct.pack("<QQ", value >> 64, value & (2**64 - 1)) + rest


NATIVE = b"\x01\x02\x01x\x08DateTime\x01\x02\x03\x04\x05\x06\x07\x08"
SEEDS = (
    BlockEncoder().encode(b"hello" * 10),
    block(0x82, lz4.block.compress(b"hello" * 10, store_size=False), 50),
    block(0x90, zstandard.compress(b"hello" * 10), 50),
    block(0x02, b"plain", 5),
    lz4.frame.compress(b"hello" * 10),
    zstandard.compress(b"hello" * 10),
    gzip.compress(b"hello", mtime=0),
    NATIVE,
    # A frame of zstd that says it becomes larger than any memory.
    b"(\xb5/\xfd\xf592????????\xd7\xffZ",
)
MOST_BYTES = 1_000_000


class _Out:
    """Counts what comes out."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)


def fuzz(data: bytes) -> None:
    """Unpacked, or refused as ClickHouse refuses it."""
    _read_blocks(data)
    for method in (0x82, 0x90, 0x02):
        _read_blocks(block(method, data, 100))
    for encoding in ("gzip", "deflate", "br", "zstd", "lz4"):
        try:
            undone = decoder(encoding, _Out())
            undone.write(data)
            undone.finish()
        except ClickHouseError:
            continue
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        for compression in ("lz4", "zstd"):
            try:
                check_complete(Path(file.name), compression)
            except ClickHouseError:
                continue
    NativeFraming(54_400, lambda: [("x", "DateTime('UTC')")]).frame(data)
    try:
        block_rows(data)
    except IndexError:
        return  # it is only given what the engine itself has written


def _read_blocks(data: bytes) -> None:
    out = _Out()
    try:
        blocks = BlockDecoder(out)
        for start in range(0, len(data), 20):
            blocks.write(data[start : start + 20])
        blocks.finish()
    except ClickHouseError:
        return
