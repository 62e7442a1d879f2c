"""Starts the parts of Tailrace as child processes, keeps them alive and ends them in order.

Guarantees:
- A child that dies is started again with a growing delay, and that is said. A child that ends with
  a wrong command line or configuration (exit 2 or 78) is not: trying again cannot help, so
  everything ends with that code.
- Children end in the reverse order of the data's flow: who sends first, ClickHouse last, so that
  what was accepted can still be delivered. Children of one team end side by side: how long the end
  takes does not depend on how many there are. Who does not end in time is killed; what was
  acknowledged is on disk by then and is delivered at the next start.
- Children do not outlive a supervisor that is killed (`die_with_supervisor`).
- A data folder has one supervisor (`own_folder`): a second one would write over its pipelines.
"""

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import os
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from itertools import groupby
from pathlib import Path
from urllib.error import URLError

from tailrace.errors import ConfigurationError, PortTakenError, TailraceError, UsageError

HOPELESS_EXIT_CODES = (UsageError.exit_code, ConfigurationError.exit_code)
FIRST_DELAY_SECS = 0.5
LONGEST_DELAY_SECS = 30.0
STEADY_AFTER_SECS = 60.0
READY_POLL_SECS = 0.05
ORPHANS_END_SECS = 10.0
"""Children of a supervisor that was killed have ended by then, and let go of their ports."""
SUPERVISOR_PID_VARIABLE = "TAILRACE_SUPERVISOR_PID"
_PR_SET_PDEATHSIG = 1

Say = Callable[[str, str], None]
"""Takes a child's name and a line of text."""


@dataclass(frozen=True)
class Child:
    """One process to keep alive.

    `ready_url` answers 200 once the child can work. `after` names the children that must be ready
    before this one is started. A child that runs `once` counts as ready when it has ended well.
    """

    name: str
    command: Sequence[str]
    ready_url: str | None = None
    after: tuple[str, ...] = ()
    once: bool = False
    stop_within_secs: float = 1.0
    stops_at_once: bool = False
    """No other child needs it: it is told to end together with the first, whatever its turn."""
    team: str = ""
    """Children in a row that have the same one end together."""


@dataclass(frozen=True)
class Listener:
    """An address that a child will listen on, and the setting that moves it."""

    host: str
    port: int
    setting: str
    moved: str = ""
    """The setting's value that would move it, for the message."""


def check_ports(listeners: Sequence[Listener]) -> None:
    """Raise PortTakenError for the first address that somebody else listens on.

    UsageError where two of ours would be the same.
    """
    ours: dict[tuple[str, int], str] = {}
    for listener in listeners:
        address = (listener.host, listener.port)
        if listener.port and address in ours:
            raise UsageError(
                f"cannot listen on {listener.host}:{listener.port} twice: {ours[address]} and "
                f"{listener.setting} both lead there. Change one of them"
            )
        ours[address] = listener.setting
        family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((listener.host, listener.port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise UsageError(
                        f"cannot listen on {listener.host}:{listener.port}: {error.strerror}. "
                        f"{listener.setting} sets the address"
                    ) from error
                raise PortTakenError(
                    listener.host, listener.port, listener.setting, listener.moved
                ) from error


def await_ports(listeners: Sequence[Listener], patience_secs: float) -> None:
    """Return once all addresses are free; after `patience_secs`, as `check_ports`."""
    deadline = time.monotonic() + patience_secs
    while True:
        try:
            return check_ports(listeners)
        except PortTakenError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(READY_POLL_SECS)


@contextlib.contextmanager
def own_folder(data_dir: Path) -> Iterator[bool]:
    """Hold `data_dir` for one supervisor, however it ends; yields whether the last was killed."""
    path = data_dir / "supervisor.lock"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = path.open("a+", encoding="ascii")
    except OSError as error:
        raise UsageError(
            f"cannot write into {data_dir}: {error.strerror}. TAILRACE_DATA_DIR sets another folder"
        ) from error
    with lock:
        lock.seek(0)
        owner = lock.read().strip()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TailraceError(
                f"cannot use {data_dir}: the Tailrace of process {owner or 'unknown'} runs on it. "
                "Stop that one, or name another folder with TAILRACE_DATA_DIR"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield bool(owner)
        finally:
            lock.truncate(0)


def die_with_supervisor() -> None:
    """In a child: ask the kernel for a SIGTERM when the supervisor is gone (Linux only)."""
    supervisor_pid = os.environ.get(SUPERVISOR_PID_VARIABLE)
    if supervisor_pid is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(supervisor_pid):
        raise UsageError(
            f"cannot run under the supervisor {supervisor_pid}: it is gone. "
            f"Unset {SUPERVISOR_PID_VARIABLE} to start this command by hand"
        )


@dataclass
class Supervisor:
    """Runs `children` until it is told to stop.

    `environment` is what the children get. `say` is called with each line that a child prints and
    with what the supervisor itself has to tell. Call `run` once.
    """

    children: Sequence[Child]
    environment: Mapping[str, str]
    say: Say
    first_delay_secs: float = FIRST_DELAY_SECS
    exit_code: int = 0
    _running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _ready: dict[str, asyncio.Event] = field(default_factory=dict)

    async def run(self) -> int:
        """Start everything, wait for `stop`, end everything; the exit code to end with."""
        self._ready = {child.name: asyncio.Event() for child in self.children}
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(self._keep(child)) for child in self.children]
            await self._stopping.wait()
            await self._end_all()
            for keeper in keepers:
                keeper.cancel()
        return self.exit_code

    def stop(self, exit_code: int = 0) -> None:
        """Ask `run` to end everything and return; the first exit code that is not 0 counts."""
        self.exit_code = self.exit_code or exit_code
        self._stopping.set()

    async def wait_ready(self, name: str) -> None:
        """Return once the child can work."""
        await self._ready[name].wait()

    def pid(self, name: str) -> int | None:
        """The child's process id while it runs."""
        process = self._running.get(name)
        return process.pid if process else None

    async def _keep(self, child: Child) -> None:
        for name in child.after:
            await self.wait_ready(name)
        delay_secs = self.first_delay_secs
        while not self._stopping.is_set():
            loop = asyncio.get_running_loop()
            started = loop.time()
            code = await self._run_once(child)
            if self._stopping.is_set():
                return
            if child.once and code == 0:
                self._ready[child.name].set()
                return
            if code in HOPELESS_EXIT_CODES:
                self.say("tailrace", f"{child.name} cannot run (exit {code}), so everything ends")
                self.stop(code)
                return
            if loop.time() - started > STEADY_AFTER_SECS:
                delay_secs = self.first_delay_secs
            self._ready[child.name].clear()
            self.say(
                "tailrace",
                f"{child.name} {_describe_end(code)}; it starts again in {delay_secs:g} s",
            )
            await asyncio.sleep(delay_secs)
            delay_secs = min(delay_secs * 2, LONGEST_DELAY_SECS)

    async def _run_once(self, child: Child) -> int:
        process = await asyncio.create_subprocess_exec(
            *child.command,
            env={**self.environment, SUPERVISOR_PID_VARIABLE: str(os.getpid())},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C on a terminal reaches the whole process group, and the order of the end is ours
            start_new_session=True,
        )
        self._running[child.name] = process
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forward(child.name, process))
            watcher = group.create_task(self._watch_ready(child))
            code = await process.wait()
            watcher.cancel()
        del self._running[child.name]
        return code

    async def _forward(self, name: str, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            raise RuntimeError(f"BUG: {name} was started without a pipe")
        while chunk := await _read_line(process.stdout):
            self.say(name, chunk.decode(errors="replace").rstrip("\n"))

    async def _watch_ready(self, child: Child) -> None:
        if child.ready_url is None:
            if not child.once:
                self._ready[child.name].set()
            return
        while not await asyncio.to_thread(_answers, child.ready_url):  # noqa: ASYNC110 (HTTP poll)
            await asyncio.sleep(READY_POLL_SECS)
        self._ready[child.name].set()

    async def _end_all(self) -> None:
        for child in self.children:
            if child.stops_at_once:
                self._tell_to_end(child)
        teams = [list(team) for _, team in groupby(self.children, lambda one: one.team or one.name)]
        for team in reversed(teams):
            async with asyncio.TaskGroup() as group:
                for child in team:
                    group.create_task(self._end(child))

    async def _end(self, child: Child) -> None:
        process = self._running.get(child.name)
        if process is None or process.returncode is not None:
            return
        if not child.stops_at_once:
            self._tell_to_end(child)
        try:
            async with asyncio.timeout(child.stop_within_secs):
                await process.wait()
        except TimeoutError:
            self.say("tailrace", f"{child.name} took over {child.stop_within_secs:g} s, killing it")
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _tell_to_end(self, child: Child) -> None:
        process = self._running.get(child.name)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()


async def _read_line(stream: asyncio.StreamReader) -> bytes:
    """A line, or as much of it as the stream holds at once; empty at the end."""
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.read(max(error.consumed, 1))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310 (our own address)
            return bool(response.status == 200)
    except (URLError, OSError, HTTPException):
        return False


def _describe_end(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}"
