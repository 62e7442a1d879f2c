"""What a start finds in the buffer's folder: any bytes in the place of a segment."""

import shutil
import tempfile
from pathlib import Path

from tailrace.collect.buffer.disk import Disk
from tailrace.collect.buffer.format import (
    SEGMENT_HEADER_BYTES,
    Damage,
    Record,
    SegmentHeader,
    TornTail,
    pack_record,
    scan,
)
from tailrace.collect.buffer.recovery import recover

HEADER = SegmentHeader(b"0123456789abcdef", 1, 1_700_000_000_000)


def record(payload: bytes) -> bytes:
    """A sound one."""
    return b"".join(pack_record([payload], b"{}", 1, 1_700_000_000_000, HEADER.checksum_start))


GOOD = record(b"good\n")
SEEDS = (
    HEADER.pack() + record(b"a\n") + record(b"b\n" * 20) + record(b"c\n"),
    HEADER.pack() + record(b"a\n") + b"\0" * 50,
    HEADER.pack() + record(GOOD),
    record(b"x\n"),
    # Damage, a sound record, and damage that is shorter than a record's header before a torn one.
    HEADER.pack()
    + record(b"a\n")[:-1]
    + b"?"
    + record(b"b\n")
    + b"?" * 20
    + record(b"c\n" * 20)[:-5],
)


def fuzz(data: bytes) -> None:
    """Every byte is of a record, damaged or cut; sound records around it come out."""
    payloads = _scanned(HEADER.pack() + GOOD + data)
    assert payloads[0] == b"good\n"
    assert _scanned(HEADER.pack() + GOOD + data + GOOD).count(b"good\n") >= 1
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").exists() else None))  # noqa: S108
    try:
        (folder / "0000000000000001.segment").write_bytes(data)
        found = recover(folder, Disk())
        aside = [path.read_bytes() for path in found.damaged_files]
        again = recover(folder, Disk())
        assert [s.events for s in again.segments] == [s.events for s in found.segments]
        assert not again.damaged_files, "damage is told once"
        assert [path.read_bytes() for path in found.damaged_files] == aside
    finally:
        shutil.rmtree(folder)


def _scanned(segment: bytes) -> list[bytes]:
    payloads: list[bytes] = []
    at = SEGMENT_HEADER_BYTES
    for found in scan(memoryview(segment), HEADER.checksum_start):
        match found:
            case Record():
                payloads.append(bytes(found.payload))
            case Damage():
                assert at <= found.start < found.end <= len(segment)
                at = found.end
            case TornTail():
                assert at <= found.start
    return payloads
