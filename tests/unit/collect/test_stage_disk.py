"""A disk that is full when a state is written: waited for, and nobody's fault."""

import errno
from pathlib import Path

import pytest

from tailrace.collect import outcome as outcomes
from tailrace.collect.outcome import Outcome
from tailrace.collect.pipeline import Processed
from tailrace.collect.stage_worker import _is_written

OUTCOME = Outcome("token", "segment", Processed(), {}, {}, {})


def test_a_full_disk_may_pass_and_anything_else_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "broken")]
    write = outcomes.write

    def fail_first(folder: Path, version: int, outcome: Outcome) -> None:
        if errors:
            raise errors.pop(0)
        write(folder, version, outcome)

    monkeypatch.setattr(outcomes, "write", fail_first)
    assert not _is_written(tmp_path, 1, OUTCOME)
    with pytest.raises(OSError, match="broken"):
        _is_written(tmp_path, 1, OUTCOME)
    assert _is_written(tmp_path, 1, OUTCOME)
    assert outcomes.read(outcomes.path_of(tmp_path, 1)).token == "token"
