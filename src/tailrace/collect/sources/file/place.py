"""Where reading stands in a file, and how the file is known again.

A file is known by its device and inode and by what was read of it: its first bytes and those just
before the place. An inode that another file got, a file that was emptied and filled again (even
beyond the place), and one that was replaced by another that begins alike are told apart by that.
"""

import os
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson

from tailrace.collect.sources.file.content import is_gzip

HEAD_BYTES = 1024
TAIL_BYTES = 256


def key_of(status: os.stat_result) -> str:
    """What a file has in common with no other that exists at the same time."""
    return f"{status.st_dev}:{status.st_ino}"


@dataclass
class Place:
    """The beginning of the first event that was not taken yet."""

    device: int
    inode: int
    path: str
    offset: int = 0
    head: bytes = b""
    """The first bytes, as far as they were read."""
    tail: bytes = field(default=b"", repr=False)
    """The last bytes before `offset`."""
    skipping: bool = False
    """Whether `offset` is inside a line that is given up."""
    compressed: bool = False
    """Whether `offset` counts decompressed bytes; `head` is then what the file itself begins with,
    and there is no `tail`."""
    complete_size: int = 0
    """Size of a compressed file that was read to its end; 0 for all others."""

    @property
    def key(self) -> str:
        """See `key_of`."""
        return f"{self.device}:{self.inode}"

    def advance(self, data: bytes, *, skipping: bool = False) -> None:
        """Step over `data`, which stands in the file at the offset."""
        if not self.compressed:
            if len(self.head) < HEAD_BYTES and len(self.head) == self.offset:
                self.head += data[: HEAD_BYTES - len(self.head)]
            self.tail = (self.tail + data[-TAIL_BYTES:])[-TAIL_BYTES:]
        self.offset += len(data)
        self.skipping = skipping

    def begin_again(self, descriptor: int) -> None:
        """The file is another one now, or an emptied one."""
        self.offset, self.head, self.tail, self.skipping = 0, b"", b"", False
        self.compressed, self.complete_size = is_gzip(descriptor), 0
        if self.compressed:
            self.head = os.pread(descriptor, HEAD_BYTES, 0)

    def is_in(self, descriptor: int, size: int) -> bool:
        """Whether the open file of that size still begins so, and is so before the offset."""
        if is_gzip(descriptor) != self.compressed or (not self.compressed and size < self.offset):
            return False
        tail_start = max(0, self.offset - len(self.tail))
        return (
            os.pread(descriptor, len(self.head), 0) == self.head
            and os.pread(descriptor, len(self.tail), tail_start) == self.tail
        )

    def go_to(self, descriptor: int, offset: int) -> None:
        """Stand at a place that was not come to by reading."""
        self.offset = offset
        self.head = os.pread(descriptor, min(HEAD_BYTES, offset), 0)
        start = max(0, offset - TAIL_BYTES)
        self.tail = os.pread(descriptor, offset - start, start)

    def write(self) -> str:
        """The place as text, for a restart."""
        return orjson.dumps(
            {
                "path": self.path,
                "device": self.device,
                "inode": self.inode,
                "offset": self.offset,
                "head": [len(self.head), _digest(self.head)],
                "tail": [len(self.tail), _digest(self.tail)],
                "skipping": self.skipping,
                "compressed": self.compressed,
                "complete_size": self.complete_size,
            }
        ).decode()


@dataclass(frozen=True)
class KnownPlace:
    """A place that an earlier run has written."""

    path: str
    device: int
    inode: int
    offset: int
    head: tuple[int, str]
    tail: tuple[int, str]
    skipping: bool
    compressed: bool
    complete_size: int

    @classmethod
    def read(cls, text: str) -> "KnownPlace":
        """From what `Place.write` gave."""
        found: dict[str, Any] = orjson.loads(text)
        return cls(**{**found, "head": tuple(found["head"]), "tail": tuple(found["tail"])})

    def restore(self, descriptor: int, path: str) -> Place | None:
        """The place in an open file, or None where it is not the one that was read."""
        status = os.fstat(descriptor)
        if status.st_ino != self.inode or is_gzip(descriptor) != self.compressed:
            return None
        head = os.pread(descriptor, self.head[0], 0)
        tail = os.pread(descriptor, self.tail[0], max(0, self.offset - self.tail[0]))
        if _digest(head) != self.head[1] or _digest(tail) != self.tail[1]:
            return None
        return Place(
            status.st_dev,
            status.st_ino,
            path,
            self.offset,
            head,
            tail,
            self.skipping,
            self.compressed,
            self.complete_size,
        )


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()
