"""The supervisor: restarts, the order of the end, hopeless children, taken ports."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tailrace.errors import PortTakenError, TailraceError, UsageError
from tailrace.supervisor import (
    Child,
    Listener,
    Supervisor,
    await_ports,
    check_ports,
    own_folder,
)
from tests.web_system import free_port


def python(code: str) -> Sequence[str]:
    return (sys.executable, "-c", code)


WAITS = "import signal, sys; signal.signal(15, lambda *_: sys.exit(print('bye'))); print('up', flush=True); signal.pause()"


class Said:
    """Collects what a supervisor says and lets a test wait for a line."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.more = asyncio.Event()

    def __call__(self, name: str, text: str) -> None:
        self.lines.append((name, text))
        self.more.set()

    async def wait_for(self, name: str, part: str, times: int = 1) -> None:
        while sum(who == name and part in text for who, text in self.lines) < times:
            self.more.clear()
            await self.more.wait()


def supervise(*children: Child) -> tuple[Supervisor, Said]:
    said = Said()
    supervisor = Supervisor(children, dict(os.environ), said, first_delay_secs=0.01)
    return supervisor, said


async def test_children_end_in_reverse_order() -> None:
    supervisor, said = supervise(
        Child("engine", python(WAITS), stop_within_secs=20),
        Child("collector", python(WAITS), stop_within_secs=20),
    )
    async with asyncio.TaskGroup() as group:
        run = group.create_task(supervisor.run())
        await said.wait_for("engine", "up")
        await said.wait_for("collector", "up")
        supervisor.stop()
    assert run.result() == 0
    assert [who for who, text in said.lines if text == "bye"] == ["collector", "engine"]


async def test_a_team_is_told_to_end_together_when_its_turn_comes(tmp_path: Path) -> None:
    """Each member ends only when the other has been told to, too; the engine after both."""

    def member(name: str, other: str, then: str) -> Sequence[str]:
        lines = (
            "import pathlib, signal, time",
            f"folder = pathlib.Path({str(tmp_path)!r})",
            f"own, other = folder / {name!r}, folder / {other!r}",
            "signal.signal(15, lambda *_: own.touch())",
            "print('up', flush=True)",
            "while not (own.exists() and other.exists()): time.sleep(0.01)",
            f"(folder / {then!r}).touch()",
        )
        return python("\n".join(lines))

    ends = "; ".join(
        (
            "import pathlib, signal, sys",
            f"folder = pathlib.Path({str(tmp_path)!r})",
            "signal.signal(15, lambda *_: sys.exit(print(sorted(p.name for p in folder.iterdir()))))",
            "print('up', flush=True)",
            "signal.pause()",
        )
    )
    supervisor, said = supervise(
        Child("engine", python(ends), stop_within_secs=20),
        Child("one", member("a", "b", "a ended"), stop_within_secs=20, team="t"),
        Child("two", member("b", "a", "b ended"), stop_within_secs=20, team="t"),
    )
    async with asyncio.TaskGroup() as group:
        run = group.create_task(supervisor.run())
        for name in ("engine", "one", "two"):
            await said.wait_for(name, "up")
        supervisor.stop()
    assert run.result() == 0
    assert ("engine", "['a', 'a ended', 'b', 'b ended']") in said.lines


async def test_a_dead_child_starts_again_and_that_is_said() -> None:
    supervisor, said = supervise(Child("web", python("print('hello'); raise SystemExit(1)")))
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run())
        await said.wait_for("web", "hello", times=3)
        supervisor.stop()
    told = [text for who, text in said.lines if who == "tailrace"]
    assert told[0] == "web ended with exit code 1; it starts again in 0.01 s"
    assert told[1] == "web ended with exit code 1; it starts again in 0.02 s"


async def test_a_killed_child_is_named_with_its_signal() -> None:
    supervisor, said = supervise(Child("web", python("import os; os.kill(os.getpid(), 9)")))
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run())
        await said.wait_for("tailrace", "was killed by SIGKILL")
        supervisor.stop()


@pytest.mark.parametrize("code", [2, 78])
async def test_a_wrong_configuration_ends_everything(code: int) -> None:
    supervisor, said = supervise(
        Child("engine", python(WAITS)), Child("collector", python(f"raise SystemExit({code})"))
    )
    assert await supervisor.run() == code
    assert ("tailrace", f"collector cannot run (exit {code}), so everything ends") in said.lines


async def test_a_child_waits_for_those_it_needs(tmp_path: Path) -> None:
    marker = tmp_path / "made"
    supervisor, said = supervise(
        Child("setup", python(f"open({str(marker)!r}, 'w').close()"), once=True),
        Child(
            "generator",
            python(f"import os; print(os.path.exists({str(marker)!r}), flush=True); input()"),
            after=("setup",),
        ),
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run())
        await said.wait_for("generator", "")
        supervisor.stop()
    assert ("generator", "True") in said.lines


async def test_a_child_that_does_not_end_is_killed() -> None:
    stubborn = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
    supervisor, said = supervise(Child("web", python(stubborn), stop_within_secs=0.05))
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run())
        await said.wait_for("web", "up")
        supervisor.stop()
    assert ("tailrace", "web took over 0.05 s, killing it") in said.lines


async def test_a_line_longer_than_the_pipe_is_forwarded() -> None:
    supervisor, said = supervise(
        Child("web", python("print('x' * 300_000); print('end'); input()"))
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run())
        await said.wait_for("web", "end")
        supervisor.stop()
    assert sum(text.count("x") for who, text in said.lines if who == "web") == 300_000


def test_a_taken_port_names_the_port_the_setting_and_the_way_to_find_its_holder() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(PortTakenError) as caught:
            check_ports([Listener("127.0.0.1", port, "TAILRACE_WEB_PORT")])
    message = str(caught.value)
    assert f"127.0.0.1:{port}" in message
    assert "TAILRACE_WEB_PORT=" in message
    assert f"ss -ltnp 'sport = :{port}'" in message


def test_an_address_that_two_of_ours_want_is_refused_with_both_settings() -> None:
    wanted = [
        Listener("127.0.0.1", 9012, "TAILRACE_WEB_PORT"),
        Listener("127.0.0.1", 9012, "TAILRACE_COLLECTOR_PORT"),
    ]
    with pytest.raises(UsageError, match="twice: TAILRACE_WEB_PORT and TAILRACE_COLLECTOR_PORT"):
        check_ports(wanted)
    check_ports([Listener("127.0.0.1", 0, "A"), Listener("127.0.0.1", 0, "B")])


def test_a_port_that_orphans_let_go_of_is_waited_for() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", free_port()))
        holder.listen()
        listener = Listener("127.0.0.1", holder.getsockname()[1], "TAILRACE_WEB_PORT")
        with pytest.raises(PortTakenError):
            await_ports([listener], patience_secs=0)
        threading.Timer(0.2, holder.close).start()
        await_ports([listener], patience_secs=60)
    check_ports([listener])


def test_a_folder_has_one_supervisor_and_remembers_whether_it_was_killed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with own_folder(folder) as was_killed:
        assert not was_killed
        with (
            pytest.raises(TailraceError, match=f"process {os.getpid()} runs on it"),
            own_folder(folder),
        ):
            pass
    with own_folder(folder) as was_killed:
        assert not was_killed
    holds = f"import os; from pathlib import Path; from tailrace.supervisor import own_folder\nwith own_folder(Path({str(folder)!r})): os.kill(os.getpid(), 9)"
    subprocess.run(python(holds), check=False)
    with own_folder(folder) as was_killed:
        assert was_killed


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "data"
    with pytest.raises(UsageError, match="TAILRACE_DATA_DIR"), own_folder(folder):
        pass


async def test_a_child_that_nobody_needs_ends_while_others_end(tmp_path: Path) -> None:
    told = tmp_path / "told"
    web = f"import pathlib, signal, sys; signal.signal(15, lambda *_: sys.exit(pathlib.Path({str(told)!r}).touch())); print('up', flush=True); signal.pause()"
    waits = f"import os, signal, sys, time\ndef end(*_):\n while not os.path.exists({str(told)!r}): time.sleep(0.01)\n sys.exit(print('bye'))\nsignal.signal(15, end); print('up', flush=True); signal.pause()"
    supervisor, said = supervise(
        Child("web", python(web), stops_at_once=True),
        Child("collector", python(waits), stop_within_secs=20),
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run())
        await said.wait_for("web", "up")
        await said.wait_for("collector", "up")
        supervisor.stop()
    assert ("collector", "bye") in said.lines
