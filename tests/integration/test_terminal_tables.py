"""`tailrace search` and `tail` on tables of packs, and what they say of wrong names."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terminals import on_a_terminal, tailrace
from tests.web_system import StoreSystem, storing

REQUEST = {
    "timestamp": "2026-11-22 10:00:00",
    "customer_id": "cust_1",
    "path": "/api/v1/resource1",
    "status": 500,
    "seconds": 0.532,
    "file": "x.log",
}
STEP = {"number": 27, "step": 3, "value": 2**90 + 1, "timestamp": "2026-11-22 10:00:00.125"}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreSystem]:
    packs = ["logs", "requests", "collatz"]
    with storing(tmp_path_factory.mktemp("terminal"), packs) as started:
        for table, row in (("logs.api_requests", REQUEST), ("rikstv.data_series", STEP)):
            started.store.insert(table, json.dumps(row).encode(), "JSONEachRow")
        yield started


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--table", "logs.api_requests"], {"customer_id": "cust_1", "seconds": 0.532}),
        (["--table", "api_requests", "status:>=500 seconds:<1"], {"status": 500}),
        (["--table", "api_requests", "--since", "2026-11-22", "--limit", "1"], {"status": 500}),
        (["--table", "data_series", "step:3"], {"value": str(2**90 + 1)}),
        (["--table", "data_series", f"value:{2**90 + 1}"], {"number": 27}),
        (["--table", "data_series", f"value:>{2**90 + 1}"], None),
        (["--table", "data_series", "--until", "2026-11-22T10:00:00.125Z"], None),
        (["--table", "data_series", "--until", "2026-11-22T10:00:00.126Z"], {"step": 3}),
    ],
)
def test_a_table_is_searched(
    system: StoreSystem, arguments: list[str], found: dict[str, object] | None
) -> None:
    done = tailrace(system, "search", *arguments)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if found is None:
        assert rows == []
        assert done.stderr == "no rows match\n"
    else:
        [row] = rows
        assert found.items() <= row.items()


@pytest.mark.parametrize("command", ["search", "tail"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--table", "api_request"], "did you mean logs.api_requests? There are logs.application"),
        (["--table", "'; DROP TABLE x"], 'cannot search the table "\'; DROP TABLE x": there are'),
        (["--table", "data_series", "steep:27"], "has none of that name, but step"),
        (["--table", "data_series", "27"], "write a field before it"),
        (["--table", "data_series", "--level", "error"], "by 'level': it has no filters"),
        (["--table", "api_requests", "--source", "x"], "it has status, path, customer"),
        (["--source", os.fsdecode(b"\xff")], "is not valid UTF-8"),
        (["--table", os.fsdecode(b"\xff")], "cannot search the table '\\udcff'"),
    ],
)
def test_what_is_wrong_is_said(
    system: StoreSystem, command: str, arguments: list[str], said: str
) -> None:
    done = tailrace(system, command, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_that_is_not_made_yet_is_no_wrong_name(system: StoreSystem) -> None:
    system.store.command("RENAME TABLE rikstv.data_series TO rikstv.elsewhere")
    try:
        done = tailrace(system, "search", "--table", "data_series")
    finally:
        system.store.command("RENAME TABLE rikstv.elsewhere TO rikstv.data_series")
    assert done.returncode == 1
    assert "`tailrace setup collatz` makes it" in done.stderr


def test_columns_are_aligned_on_a_terminal_and_numbers_whole(system: StoreSystem) -> None:
    step = {"number": 27, "step": 4, "value": 2, "timestamp": "2026-11-22 10:00:01"}
    system.store.insert("rikstv.data_series", json.dumps(step).encode(), "JSONEachRow")
    shown = on_a_terminal(system, "search", "--table", "data_series")
    great = str(2**90 + 1)
    assert re.sub(r"\x1b\[\d*m", "", shown).splitlines() == [
        f"2026-11-22 10:00:00.125        27         3  {great}",
        f"2026-11-22 10:00:01.000        27         4  {'2':>{len(great)}}",
    ]


def test_tail_follows_rows_that_are_alike(system: StoreSystem, tmp_path: Path) -> None:
    out = tmp_path / "out"
    alike = {"number": 41, "step": 1, "value": 2**80, "timestamp": "2026-11-22 11:00:00"}
    with out.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "tailrace", "tail", "--table", "data_series", "number:41"],
            stdout=sink,
            stderr=subprocess.PIPE,
            env={**os.environ, **system.environment},
        )
        deadline = time.monotonic() + 60
        while out.read_bytes().count(b"\n") < 3:
            assert process.poll() is None
            assert time.monotonic() < deadline
            system.store.insert("rikstv.data_series", json.dumps(alike).encode(), "JSONEachRow")
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"Traceback" not in said
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert {row["value"] for row in rows} == {str(2**80)}
    assert len({row.get("copy", 1) for row in rows}) == len(rows)
