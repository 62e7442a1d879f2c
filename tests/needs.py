"""What a test needs from the machine: without it the test is skipped, in CI it fails."""

import os
import shutil

import pytest


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
