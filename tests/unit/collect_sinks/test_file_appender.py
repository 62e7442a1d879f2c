"""A batch is in its files once, whichever of the appender's steps is the last before a crash."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tailrace.collect.sinks.file import appender as module
from tailrace.collect.sinks.file.appender import Appender


class CrashError(BaseException):
    """The process is gone."""


class Steps:
    """Lets so many calls of the file system's functions happen and then crashes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
        self.left = left
        for name in ("fsync", "truncate", "open"):
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))
        monkeypatch.setattr(module, "_write_all", self._torn(module._write_all))

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise CrashError

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self._step()
            return function(*arguments, **options)

        return counted

    def _torn(self, function: Callable[[int, bytes], None]) -> Callable[[int, bytes], None]:
        def torn(descriptor: int, data: bytes) -> None:
            if self.left == 0:
                function(descriptor, data[: len(data) // 2])
            self._step()
            function(descriptor, data)

        return torn


def appended(folder: Path, batches: list[str], steps: Steps | None = None) -> Appender:
    """A new process: recover, then append each batch that is not there."""
    appender = Appender(folder / "state" / "out.json", "none", 30)
    appender.recover()
    for batch in batches:
        if appender.has("in", batch) is None:
            payloads = {
                str(folder / name): [f"{batch} in {name}\n".encode()] for name in ("a.log", "b.log")
            }
            appender.append("in", batch, payloads, 0)
    return appender


@pytest.mark.parametrize("steps", range(40))
def test_a_crash_at_any_step_leaves_each_batch_once(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    appended(tmp_path, ["first"]).close()
    with monkeypatch.context() as patched:
        counter = Steps(patched, steps)
        with contextlib.suppress(CrashError):
            appended(tmp_path, ["first", "second"]).close()
        counter.left = 1000
    appended(tmp_path, ["second", "third"]).close()
    for name in ("a.log", "b.log"):
        found = (tmp_path / name).read_text()
        assert found == f"first in {name}\nsecond in {name}\nthird in {name}\n"


def test_after_a_failed_write_nothing_of_the_batch_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    appender = appended(tmp_path, ["first"])
    real = module._write_all

    def fails(descriptor: int, data: bytes) -> None:
        if b"b.log" in data and b"pending" not in data:
            real(descriptor, data[:4])
            raise OSError(28, "No space left on device")
        real(descriptor, data)

    with monkeypatch.context() as patched:
        patched.setattr(module, "_write_all", fails)
        payloads = {str(tmp_path / name): [f"x {name}\n".encode()] for name in ("a.log", "b.log")}
        with pytest.raises(OSError, match="No space"):
            appender.append("in", "second", payloads, 0)
    assert (tmp_path / "a.log").read_text() == "first in a.log\n"
    assert (tmp_path / "b.log").read_text() == "first in b.log\n"
    assert appender.has("in", "second") is None
    appender.append("in", "second", payloads, 0)
    assert (tmp_path / "b.log").read_text() == "first in b.log\nx b.log\n"
    appender.close()


def test_a_rotated_file_is_left_alone_and_a_new_one_is_begun(tmp_path: Path) -> None:
    appender = appended(tmp_path, ["first"])
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    appender.append("in", "second", {str(tmp_path / "a.log"): [b"second\n"]}, 0)
    appender.close()
    assert (tmp_path / "a.log.1").read_text() == "first in a.log\n"
    assert (tmp_path / "a.log").read_text() == "second\n"


def test_idle_files_are_closed(tmp_path: Path) -> None:
    appender = appended(tmp_path, ["first"])
    appender.append("in", "second", {str(tmp_path / "c.log"): [b"c\n"]}, now=31)
    assert list(appender._open) == [str(tmp_path / "c.log")]
    appender.close()
