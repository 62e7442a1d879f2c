"""docs/packs.md, followed to the letter: the pack that it builds works."""

import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.system import System, running_system
from tailrace.packs.registry import Pack

PAGE = (Path(__file__).parents[2] / "docs" / "packs.md").read_text("utf-8")
FILE = re.compile(r"^`(nginx/[\w./]+)`:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
WITHIN_SECS = 90.0


def write_files(folder: Path) -> list[str]:
    """The files of the page, below `folder`."""
    names = []
    for name, text in FILE.findall(PAGE):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        names.append(name)
    return names


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_SECS
    while not condition():
        assert time.monotonic() < deadline, f"waited {WITHIN_SECS:g} s for {what}"
        time.sleep(0.05)


def counted(system: System) -> bool:
    """Whether the pack's route tells of every path of the page's generator."""
    try:
        rows = system.get_json("/nginx/paths")
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 503:
                return False
        raise
    assert isinstance(rows, list)
    return {row["path"] for row in rows} >= {"/", "/missing"} and any(row["errors"] for row in rows)


def test_the_pack_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packs = tmp_path / "my-packs"
    assert len(write_files(packs)) == 6
    commands = "\n".join(COMMANDS.findall(PAGE)).splitlines()
    assert commands[0] == "export TAILRACE_PACKS_DIR=my-packs"
    assert commands[-1] == "tailrace demo nginx"
    monkeypatch.setenv("TAILRACE_PACKS_DIR", str(packs))
    for command in commands[1:-1]:
        program, *arguments = shlex.split(command)
        assert program == "tailrace"
        done = subprocess.run(
            [sys.executable, "-m", "tailrace", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.setenv("TAILRACE_PACKS", "nginx")
    with running_system(tmp_path / "data", command="demo") as system:
        wait_until(lambda: counted(system), "rows of nginx")
        assert system.sql("SELECT count() FROM logs.rejected") == "0\n"
        newest = system.sql("SELECT max(timestamp) > now() - 600 FROM nginx.requests")
        assert newest == "1\n"
        url = f"http://127.0.0.1:{system.web_port}/dashboards/nginx"
        with urllib.request.urlopen(url, timeout=60) as response:
            assert "Bytes by path" in response.read().decode()
        found = system.get_json("/api/v1/logs?table=nginx.requests&q=missing+status:404&limit=3")
        assert isinstance(found["rows"], list)
        assert {row["path"] for row in found["rows"]} == {"/missing"}
        assert "/nginx/paths" in str(system.get_json("/openapi.json")["paths"])
    assert f"nginx in:  file {tmp_path}/data/access.log" in (tmp_path / "data.log").read_text()


def test_the_page_names_every_key_of_a_description_and_no_other() -> None:
    table = PAGE[PAGE.index("## Everything that") :]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(Pack.model_fields) - {
        "folder"
    }
