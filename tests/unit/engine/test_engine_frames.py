"""Compressed files that were cut are told from whole ones."""

from pathlib import Path

import lz4.frame
import pytest
import zstandard

from tailrace.engine.exceptions import ClickHouseError
from tailrace.engine.frames import check_complete

TEXT = b"".join(b"row %d\n" % number for number in range(20_000))
SKIPPABLE = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"


def zstd_stream(*, write_checksum: bool = False) -> bytes:
    compressor = zstandard.ZstdCompressor(write_checksum=write_checksum).compressobj()
    return b"".join(
        [
            compressor.compress(TEXT[:50_000]),
            compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK),
            compressor.compress(TEXT[50_000:]),
            compressor.flush(),
        ]
    )


WHOLE = {
    "lz4": lz4.frame.compress(TEXT),
    "lz4 with checksums": lz4.frame.compress(TEXT, content_checksum=True, block_checksum=True),
    "lz4 without size": lz4.frame.compress(TEXT, store_size=False),
    "lz4 not compressible": lz4.frame.compress(bytes(range(256))),
    "lz4 empty": lz4.frame.compress(b""),
    "lz4 of frames": lz4.frame.compress(TEXT) + SKIPPABLE + lz4.frame.compress(b"x"),
    "zstd": zstandard.compress(TEXT),
    "zstd empty": zstandard.compress(b""),
    "zstd of equal bytes": zstandard.compress(bytes(1_000_000)),
    "zstd stream": zstd_stream(),
    "zstd stream with checksum": zstd_stream(write_checksum=True),
    "zstd of frames": zstandard.compress(TEXT) + SKIPPABLE + zstandard.compress(b"x"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_whole_passes(name: str, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(WHOLE[name])
    check_complete(file, name.split()[0])


@pytest.mark.parametrize("name", WHOLE)
def test_what_was_cut_anywhere_is_refused(name: str, tmp_path: Path) -> None:
    whole = WHOLE[name]
    seams = {0, len(WHOLE[name.split()[0]]), len(WHOLE[name.split()[0]]) + len(SKIPPABLE)}
    file = tmp_path / "body"
    step = max(1, len(whole) // 200)
    for size in {*range(1, len(whole), step), *range(len(whole) - 20, len(whole))} - seams:
        if size > 0:
            file.write_bytes(whole[:size])
            with pytest.raises(ClickHouseError, match="ends too early"):
                check_complete(file, name.split()[0])


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_what_is_of_another_format_is_refused(compression: str, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(WHOLE[compression] + b"garbage")
    with pytest.raises(ClickHouseError, match="not a frame"):
        check_complete(file, compression)
    check_complete(file, "gzip")
