"""A folder that cannot be written into is named before anything starts."""

import errno
from pathlib import Path

import pytest

from tailrace.collect import run
from tailrace.collect.run import check_folder
from tailrace.errors import UsageError


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "buffer"
    with pytest.raises(UsageError, match="TAILRACE_DATA_DIR"):
        check_folder(folder)


def test_a_folder_that_takes_no_files_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(dir: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(run, "TemporaryFile", read_only)
    with pytest.raises(UsageError, match="Read-only file system"):
        check_folder(tmp_path)
