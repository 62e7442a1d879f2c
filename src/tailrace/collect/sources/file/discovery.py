"""Finds the files that `include` and `exclude` mean."""

import glob
import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase

from tailrace.collect.sources.file.config import FileConfig
from tailrace.collect.sources.file.place import key_of


def find(config: FileConfig) -> dict[str, list[str]]:
    """Paths by file, sorted; a file may have several: links."""
    found: dict[str, list[str]] = {}
    for path in sorted(set(_paths(config))):
        try:
            status = os.stat(path)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            found.setdefault(key_of(status), []).append(path)
    return found


def paths_by_inode(folder: str) -> dict[int, str] | None:
    """Everything in a folder; None where it cannot be read."""
    try:
        with os.scandir(folder or ".") as entries:
            return {entry.inode(): entry.path for entry in entries}
    except OSError:
        return None


def open_file(path: str) -> int:
    """Open for reading, and never wait for somebody to write."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def _paths(config: FileConfig) -> Iterator[str]:
    for pattern in config.include:
        for path in glob.iglob(pattern, recursive=True, include_hidden=True):
            if not any(fnmatchcase(path, excluded) for excluded in config.exclude):
                yield path
