"""The few things that the buffer asks of a file system; tests put failures in here."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

KEPT_FREE_BYTES = 16 * 1024**2
"""Sources leave so much of the disk free. Delivery needs room before it gives some back, for the
ledger and for what is rejected: on a disk that is full to the last byte it could not begin."""

_WRITEV_MOST_BUFFERS = 1000
_FULL = {errno.ENOSPC, errno.EDQUOT}


def is_disk_full(error: OSError) -> bool:
    """Whether `error` says that there is no room, which may pass."""
    return error.errno in _FULL


class Disk:
    """The real one. Every method blocks."""

    kept_free_bytes = 0
    """With less than this free it says that it is full."""

    def __init__(self, kept_free_bytes: int = 0) -> None:
        self.kept_free_bytes = kept_free_bytes

    def create(self, path: Path) -> int:
        """A new file's descriptor, for writing at its end; its name is durable."""
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o640)
        try:
            self.sync_folder(path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def write(self, descriptor: int, buffers: Sequence[bytes]) -> None:
        """Write all of it."""
        if self.kept_free_bytes:
            self._check_room(descriptor, sum(map(len, buffers)))
        for first in range(0, len(buffers), _WRITEV_MOST_BUFFERS):
            part = buffers[first : first + _WRITEV_MOST_BUFFERS]
            written = os.writev(descriptor, part)
            for buffer in part:
                if written >= len(buffer):
                    written -= len(buffer)
                    continue
                rest = memoryview(buffer)[written:]
                written = 0
                while rest:
                    rest = rest[os.write(descriptor, rest) :]

    def _check_room(self, descriptor: int, size_bytes: int) -> None:
        found = os.fstatvfs(descriptor)
        if found.f_bavail * found.f_frsize < size_bytes + self.kept_free_bytes:
            raise OSError(
                errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} but for {self.kept_free_bytes} bytes"
            )

    def sync(self, descriptor: int) -> None:
        """Return once everything written is on the disk."""
        os.fdatasync(descriptor)

    def cut(self, path: Path, size: int) -> None:
        """Make a file end after `size` bytes, durably."""
        with path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())

    def remove(self, path: Path) -> None:
        """Remove a file; after a crash it may be there again."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Return once the folder's names are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
