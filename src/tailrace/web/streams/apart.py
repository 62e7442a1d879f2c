"""The process that asks brokers about groups, and may end by it (see `tailrace.web.kafka_groups`)."""

import json
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tailrace.clock import Clock
from tailrace.web.streams.asking import Place

STEP_SECS: Final = 1.5
"""What one of the questions about a group may take in there; there are two, one after the other."""
ATTEMPTS: Final = 2
CHUNK_BYTES: Final = 65_536
COMMAND: Final = (sys.executable, "-m", "tailrace.web.kafka_groups")


class Apart:
    """Keeps one process, and starts another when it has ended. For one thread at a time."""

    def __init__(
        self, options: Mapping[str, Any], clock: Clock, command: Sequence[str] = COMMAND
    ) -> None:
        self._options = json.dumps(dict(options)).encode() + b"\n"
        self._clock = clock
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def ask(
        self, names: Sequence[str], only: Sequence[Place] | None, until: float
    ) -> Mapping[str, Any]:
        """See `asking.GroupsAsker`."""
        question = json.dumps({"names": names, "only": only, "secs": STEP_SECS}).encode() + b"\n"
        for _ in range(ATTEMPTS):
            line = self._ask_once(question, until)
            if line is not None:
                told: dict[str, Any] = json.loads(line)
                return {name: group for name, group in told.items() if group is not None}
            self.close()
            if self._clock.monotonic() >= until:
                break
        return {}

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _ask_once(self, question: bytes, until: float) -> bytes | None:
        """A line of the process; None where it ended instead, or took too long."""
        process = self._running()
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("BUG: the process was started without pipes")
        try:
            process.stdin.write(question)
            process.stdin.flush()
        except BrokenPipeError:
            return None
        line = b""
        while not line.endswith(b"\n"):
            left_secs = max(until - self._clock.monotonic(), 0)
            if not select.select([process.stdout], [], [], left_secs)[0]:
                return None
            chunk = process.stdout.read1(CHUNK_BYTES)  # type: ignore[attr-defined]
            if not chunk:
                return None
            line += chunk
        return line

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._process = subprocess.Popen(  # noqa: S603 (our own module)
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if self._process.stdin is None:
            raise RuntimeError("BUG: the process was started without pipes")
        self._process.stdin.write(self._options)
        return self._process
