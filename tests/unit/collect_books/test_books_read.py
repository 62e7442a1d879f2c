"""The books, read while the collector works or after its files were damaged."""

from pathlib import Path
from typing import Any

import pytest

from tailrace.clock import SystemClock
from tailrace.collect import books, outcome
from tailrace.collect.ledger import FILE, Ledger
from tailrace.collect.outcome import Outcome, path_of, write
from tailrace.collect.pipeline import Processed
from tailrace.collect.stage import FOLDER
from tailrace.errors import TailraceError


async def _prepare(buffer: Path) -> Path:
    """A ledger and two outcomes; the folder of those."""
    ledger = await Ledger.open(buffer / FILE, SystemClock())
    await ledger.close()
    folder = buffer / FOLDER
    folder.mkdir()
    for version, held in ((1, 5), (2, 7)):
        write(folder, version, Outcome("t", "/x", Processed(), {"r": held}, {"r": "reduce"}, {}))
    return folder


async def test_a_damaged_outcome_is_passed_over(tmp_path: Path) -> None:
    folder = await _prepare(tmp_path)
    assert books.read_books(tmp_path).held == 7
    path_of(folder, 2).write_bytes(b"TROUTC01 and no more than noise")
    assert books.read_books(tmp_path).held == 5


async def test_an_outcome_that_a_newer_one_replaces_meanwhile_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = await _prepare(tmp_path)
    read = outcome.read

    def read_late(path: Path) -> Any:
        newer = path_of(folder, 3)
        if not newer.exists():
            path.replace(newer)
        return read(path)

    monkeypatch.setattr(books, "read_outcome", read_late)
    assert books.read_books(tmp_path).held == 7


@pytest.mark.parametrize("content", [b"", b"no database at all " * 100])
def test_a_ledger_that_cannot_be_read_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(TailraceError, match="the collector sets it aside"):
        books.read_books(tmp_path)
