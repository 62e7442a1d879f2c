"""Appends batches to files so that each batch is in them once, whatever crashes when.

Every append is three steps, each on the disk before the next begins:

1. `<state>` names the batch and, for each file that it goes to, the size from which on it writes;
2. the bytes are written to the files, which are fsynced, and so are the folders of new ones;
3. `<state>` says that the batch is done.

An append that was cut short between 1 and 3 is undone at the next start: its files are cut back to
their sizes. So a batch that comes again is either done, and not written a second time, or nothing
of it is there. The one exception: a file that was renamed or changed by somebody else between the
crash and the next start is left alone, so a part of the batch may stand in it, too.

All methods block; one thread at a time uses them.
"""

import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import zstandard

from tailrace.collect.sink import Bytes

GZIP_LEVEL = 6
NEW_FILE_MODE = 0o644


@dataclass
class _Open:
    descriptor: int
    device: int
    inode: int
    used_at: float


class Appender:
    """See the module."""

    def __init__(self, state: Path, compression: str, idle_timeout_secs: float) -> None:
        self._state_path = state
        self._compress = COMPRESSORS[compression]
        self._idle_timeout_secs = idle_timeout_secs
        self._open: dict[str, _Open] = {}
        self._done: dict[str, list[Any]] = {}
        self._is_ready = False

    def recover(self) -> list[str]:
        """Undo what a crash cut short; files that could not be put right. Needed once."""
        self._state_path.parent.mkdir(parents=True, exist_ok=True)
        trouble: list[str] = []
        if self._state_path.exists():
            state = orjson.loads(self._state_path.read_bytes())
            self._done = state["done"]
            for path, size, device, inode in state["pending"]:
                if not _cut_back(path, size, device, inode):
                    trouble.append(path)
            self._write_state([])
        self._is_ready = True
        return trouble

    def has(self, source_id: str, token: str) -> int | None:
        """Bytes that the batch was written as, where it is done; else None."""
        done = self._done.get(source_id)
        return int(done[1]) if done and done[0] == token else None

    def append(
        self, source_id: str, token: str, payloads: Mapping[str, Sequence[Bytes]], now: float
    ) -> int:
        """Write a batch's payloads by path; the bytes written. After an OSError nothing is."""
        if not self._is_ready:
            raise RuntimeError("BUG: append before recover")
        self._close_idle(now)
        pending: list[list[Any]] = []
        written = 0
        try:
            files = [(path, self._file(path, now)) for path in payloads]
            for path, file in files:
                size = os.fstat(file.descriptor).st_size
                pending.append([path, size, file.device, file.inode])
            self._write_state(pending)
            for path, file in files:
                data = self._compress(b"".join(payloads[path]))
                _write_all(file.descriptor, data)
                written += len(data)
            for _, file in files:
                os.fsync(file.descriptor)
            done = self._done.get(source_id)
            self._done[source_id] = [token, written]
            try:
                self._write_state([])
            except OSError:
                self._restore(source_id, done)
                raise
        except OSError:
            for path, size, device, inode in pending:
                _cut_back(path, size, device, inode)
            self.close()
            raise
        return written

    def close(self) -> None:
        """Close all files."""
        for file in self._open.values():
            os.close(file.descriptor)
        self._open.clear()

    def _restore(self, source_id: str, done: list[Any] | None) -> None:
        if done is None:
            del self._done[source_id]
        else:
            self._done[source_id] = done

    def _file(self, path: str, now: float) -> _Open:
        """The open file of a path; one that was renamed or removed meanwhile is opened anew."""
        file = self._open.get(path)
        if file:
            if _identity(path) == (file.device, file.inode):
                file.used_at = now
                return file
            os.close(self._open.pop(path).descriptor)
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            os.makedirs(folder, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, NEW_FILE_MODE)
        _sync_folder(folder)
        found = os.fstat(descriptor)
        self._open[path] = _Open(descriptor, found.st_dev, found.st_ino, now)
        return self._open[path]

    def _close_idle(self, now: float) -> None:
        for path, file in list(self._open.items()):
            if now - file.used_at > self._idle_timeout_secs:
                os.close(self._open.pop(path).descriptor)

    def _write_state(self, pending: list[list[Any]]) -> None:
        temporary = self._state_path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o640)
        try:
            _write_all(descriptor, orjson.dumps({"pending": pending, "done": self._done}))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(self._state_path)
        _sync_folder(str(self._state_path.parent))


def _cut_back(path: str, size: int, device: int, inode: int) -> bool:
    """Make a file end at `size` again, if it is still the same one."""
    identity = _identity(path)
    if identity != (device, inode) or os.stat(path).st_size < size:
        return False
    os.truncate(path, size)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _gzip(data: bytes) -> bytes:
    return zlib.compress(data, GZIP_LEVEL, zlib.MAX_WBITS | 16)


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda data: data,
    "gzip": _gzip,
    "zstd": _zstd,
}
