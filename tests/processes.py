"""Starts the real commands for tests and stops them by their own process ids."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

START_SECS = 60.0


class Process:
    """A `tailrace` command that runs; everything that it says is in `log`."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str] | None = None) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("TAILRACE_")}
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tailrace", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**inherited, **(environment or {})},
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = ""
        self.port = 0
        self.data_dir = Path()

    def _read(self) -> None:
        assert self._popen.stderr is not None
        with self._popen.stderr as lines:
            for line in lines:
                self._lines.append(line.decode("utf-8", "replace"))

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    @property
    def log(self) -> str:
        """What the process wrote to standard error so far."""
        return "".join(self._lines)

    @property
    def exit_code(self) -> int | None:
        """The exit code, None while it runs."""
        return self._popen.poll()

    def wait_for(self, what: Callable[[], object], described: str) -> None:
        """Wait until `what()` is true; fail with the log when the process ends before."""
        deadline = time.monotonic() + START_SECS
        while not what():
            if self.exit_code is not None:
                self._reader.join(5)
                raise AssertionError(
                    f"ended ({self.exit_code}) before {described}:\n{self.log[-4000:]}"
                )
            if time.monotonic() > deadline:
                raise AssertionError(f"no {described} in {START_SECS} s:\n{self.log[-4000:]}")
            time.sleep(0.02)

    def wait(self, timeout_secs: float = 30.0) -> int:
        """The exit code, once the process has ended by itself."""
        code = self._popen.wait(timeout_secs)
        self._reader.join(5)
        return code

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout_secs: float = 30.0) -> int:
        """Send a signal, by default SIGTERM, and wait for the end; the exit code."""
        if self.exit_code is None:
            self._popen.send_signal(how)
        try:
            return self.wait(timeout_secs)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self.wait()
            raise

    def kill(self) -> None:
        """kill -9."""
        self.stop(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def answers(url: str) -> bool:
    """Whether a GET of `url` is answered with 200."""
    try:
        with urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def start_engine(
    data_dir: Path, environment: Mapping[str, str] | None = None, *arguments: str
) -> Process:
    """`tailrace engine` on a free port of loopback, once it answers `/ping`."""
    process = Process(
        ["engine", "--data-dir", str(data_dir), "--engine-port", "0", *arguments], environment
    )
    try:
        process.wait_for(lambda: _address(process), "address in the log")
        process.data_dir = data_dir
        process.url = _address(process)
        process.port = int(process.url.rsplit(":", 1)[1])
        process.wait_for(lambda: answers(f"{process.url}/ping"), "answer to /ping")
    except BaseException:
        process.kill()
        raise
    return process


def _address(process: Process) -> str:
    found = re.search(
        r"engine is ready.*?(http://[\d.:\[\]]+\d)|(http://[\d.:\[\]]+\d).*engine is ready",
        process.log,
    )
    return (found.group(1) or found.group(2)) if found else ""
