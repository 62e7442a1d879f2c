"""What a test needs from the machine: without it the test is skipped, in CI it fails."""

import os
import shutil
from pathlib import Path

import pytest

SHIPPERS = Path("/opt/tailrace-shippers")
"""Where `scripts/system-packages` unpacks log shippers, and a server that they send to."""


def need(present: bool, reason: str) -> None:
    """Skip the calling test with `reason` unless `present`; where CI is set, fail instead."""
    if present:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI must provide what this test needs: {reason}")
    pytest.skip(reason)


def need_program(name: str, package: str) -> str:
    """The program's path; see `need` for what happens where it is missing."""
    path = shutil.which(name)
    need(path is not None, f"{name} is not installed; apt-get install {package}")
    return path or ""


def need_shipper(name: str, folder: str = "sbin") -> Path:
    """The program's path among the unpacked shippers."""
    path = SHIPPERS / "usr" / folder / name
    need(path.exists(), f"{name} is not in {SHIPPERS}; run scripts/system-packages as root")
    return path
