"""Sees to it that one collector at a time works with a folder of the buffer."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tailrace.errors import TailraceError


@contextmanager
def lock_folder(folder: Path, source_id: str) -> Iterator[None]:
    """Hold the folder; the system lets go of it however this process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise TailraceError(
            f"cannot use the buffer of source {source_id!r} in {folder}: another collector has "
            "it. Give the source another name, or TAILRACE_DATA_DIR another folder"
        ) from error
    finally:
        os.close(descriptor)
