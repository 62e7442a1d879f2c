"""One segment of the buffer: written by one process, then read as often as delivery needs.

A segment is the unit of delivery: its bytes are one batch, and its identity makes the batch's
deduplication token. So whoever delivers it, before or after a crash, sends the same bytes under the
same token. (Format and invariants: `tailrace.collect.buffer.format`.) A named segment has its name
for its token.
"""

import mmap
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
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
    unpack_segment_header,
)

SUFFIX = ".segment"
NAMED_SUFFIX = ".batch"
"""Of segments whose source has given them a name."""


@dataclass(frozen=True)
class Segment:
    """A finished segment."""

    path: Path
    identity: str
    """32 hexadecimal digits, random."""
    sequence: int
    size_bytes: int
    events: int
    first_received_at_ms: int
    verify: bool = True
    """Whether its checksums have to be looked at when it is read."""
    name: str = ""
    """What its source calls it; the same again where the source reads the same again."""
    again: bool = False
    """Whether somebody else may have delivered it already, under its name."""

    @property
    def token(self) -> str:
        """What everything that is made of this segment is known by."""
        return self.name or f"{self.identity}-{self.sequence}"

    def records(self) -> Iterator[Record]:
        """Its sound records, in order, as views of the file's pages."""
        for found in scan_file(self.path, verify=self.verify):
            if isinstance(found, Record):
                yield found


def scan_file(path: Path, *, verify: bool = True) -> Iterator[Record | Damage | TornTail]:
    """Everything that a segment's file holds; a file without a sound header is all damage."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    header = unpack_segment_header(data)
    if header is None:
        yield TornTail(0) if size < SEGMENT_HEADER_BYTES else Damage(0, size)
        return
    yield from scan(data, header.checksum_start, verify=verify)


@dataclass
class Entry:
    """What one append asks to have written."""

    payloads: list[bytes]
    metadata: bytes
    events: int
    received_at_ms: int


@dataclass
class SegmentWriter:
    """The open segment. Its methods block; one thread at a time uses them."""

    disk: Disk
    path: Path
    header: SegmentHeader
    descriptor: int
    synced_bytes: int = 0
    """Everything before this is on the disk."""
    events: int = 0
    first_received_at_ms: int = 0
    name: str = ""
    _unsynced: list[bytes] = field(default_factory=list)

    @classmethod
    def create(
        cls, disk: Disk, folder: Path, sequence: int, now_ms: int, name: str = ""
    ) -> "SegmentWriter":
        """A new segment; it is on the disk with its first `commit`."""
        header = SegmentHeader(uuid.uuid4().bytes, sequence, now_ms)
        path = folder / (f"{name}{NAMED_SUFFIX}" if name else f"{sequence:016d}{SUFFIX}")
        writer = cls(disk, path, header, disk.create(path), name=name)
        writer._unsynced.append(header.pack())
        return writer

    def commit(self, entries: list[Entry]) -> None:
        """Append records and return once they are on the disk.

        After an OSError nothing of `entries` counts; `finish` cuts what may have been written.
        """
        buffers = list(self._unsynced)
        for entry in entries:
            buffers += pack_record(
                entry.payloads,
                entry.metadata,
                entry.events,
                entry.received_at_ms,
                self.header.checksum_start,
            )
        self.disk.write(self.descriptor, buffers)
        self.disk.sync(self.descriptor)
        self._unsynced.clear()
        self.synced_bytes += sum(map(len, buffers))
        if not self.events and entries:
            self.first_received_at_ms = entries[0].received_at_ms
        self.events += sum(entry.events for entry in entries)

    def finish(self, *, failed: bool = False) -> Segment | None:
        """Close the file; None where nothing was committed, and then there is no file either.

        `failed`: a commit did not succeed, so the file is cut back to what is sure. (A second
        fsync would not do: after a failed one the kernel forgets which pages were not written.)
        """
        os.close(self.descriptor)
        if self.synced_bytes == 0:
            self.disk.remove(self.path)
            return None
        if failed:
            self.disk.cut(self.path, self.synced_bytes)
        return Segment(
            self.path,
            self.header.identity.hex(),
            self.header.sequence,
            self.synced_bytes,
            self.events,
            self.first_received_at_ms,
            verify=False,
            name=self.name,
        )
