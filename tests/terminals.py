"""Runs commands over a system as scripts do, in a pipe, and as people do, on a terminal."""

import os
import pty
import subprocess
import sys

from tests.web_system import StoreSystem


def tailrace(system: StoreSystem, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with a pipe for its output."""
    return subprocess.run(
        [sys.executable, "-m", "tailrace", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **system.environment, **more},
    )


def on_a_terminal(system: StoreSystem, *arguments: str, **more: str) -> str:
    """What the command shows on a terminal."""
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tailrace", *arguments],
        stdout=inner,
        stderr=inner,
        env={**os.environ, **system.environment, "TERM": "xterm", "COLUMNS": "120", **more},
    )
    os.close(inner)
    shown = b""
    try:
        while chunk := os.read(outer, 4096):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(outer)
    assert process.wait(60) == 0
    return shown.decode()
