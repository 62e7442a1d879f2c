"""A disk that is full, for real: said, waited for, and gone on with when there is room again."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tailrace.collect.buffer.disk import KEPT_FREE_BYTES
from tests.chaos.load import HttpSender
from tests.integration.collect_system import (
    HTTP,
    Collector,
    Engine,
    eventually,
    pipeline,
)
from tests.needs import need
from tests.web_system import free_port

pytestmark = pytest.mark.usefixtures("empty_tables")

DEAD_ENGINE = "http://127.0.0.1:9"
DISK_BYTES = 40 * 1024**2
LEFT_BYTES = 2 * 1024**2
"""So much may be used when the collector starts."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    need(done.returncode == 0, f"cannot mount a small file system: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


class Ballast:
    """A file that takes the disk's room."""

    def __init__(self, disk: Path) -> None:
        self._path = disk / "ballast"

    def fill(self, left_bytes: int) -> None:
        """Leave so much room, or less than a page."""
        free = subprocess.run(
            ["stat", "-f", "-c", "%a %S", str(self._path.parent)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        size = int(free[0]) * int(free[1]) - left_bytes
        with self._path.open("ab") as file:
            file.write(b"\0" * size)

    def drop(self) -> None:
        """Make room."""
        self._path.unlink()


@dataclass
class Filled:
    """A collector whose disk is full."""

    disk: Path
    ballast: Ballast
    collector: Collector
    sender: HttpSender
    acknowledged: int = 0

    def start_again(self, engine: Engine) -> None:
        """kill -9, and the next one reaches ClickHouse."""
        self.collector.kill()
        configuration = pipeline(engine.url, http=http_at(self.sender.port))
        # Not into the full disk: the configuration is what a person has written before.
        path = self.disk.parent / "pipeline.yaml"
        self.collector = Collector(configuration, self.disk, path=path)


def http_at(port: int) -> dict[str, Any]:
    return {**HTTP, "address": f"127.0.0.1:{port}"}


def padded(name: str, number: int) -> dict[str, object]:
    return {"message": f"{name}-{number}", "padding": "." * 1000}


def said(collector: Collector, words: str) -> bool:
    return any(words in line for line in collector.log.splitlines())


def check(engine: Engine, sender: HttpSender) -> None:
    """Every acknowledged event once, nothing that was not sent."""

    def found() -> list[int]:
        rows = engine.query("SELECT message FROM logs.application_logs")
        return [int(row["message"].rpartition("-")[2]) for row in rows]

    eventually(lambda: sender.acknowledged <= set(found()), "every acknowledged event")
    stored = found()
    assert len(stored) == len(set(stored)), "something is there twice"
    assert set(stored) <= sender.sent, "something was invented"


def fill_up(collector: Collector, sender: HttpSender) -> int:
    """Until the disk is full; how many events were acknowledged before."""
    sender.start()
    eventually(lambda: said(collector, "the disk is full"), "a word about the full disk")
    status, _ = collector.post(json.dumps(padded("s", 999_999)).encode())
    assert status == 503
    assert sender.acknowledged, "nothing was acknowledged: this proves nothing"
    return len(sender.acknowledged)


def more(sender: HttpSender, than: int) -> None:
    eventually(lambda: len(sender.acknowledged) > than, "more acknowledged events")
    sender.finish()


@pytest.fixture
def filled(disk: Path) -> Iterator[Filled]:
    """A collector that has filled its disk, with nobody to deliver to."""
    ballast = Ballast(disk)
    ballast.fill(KEPT_FREE_BYTES + LEFT_BYTES)
    collector = Collector(pipeline(DEAD_ENGINE, http=http_at(free_port())), disk)
    sender = HttpSender("s", collector.ports["http"], padded)
    filled = Filled(disk, ballast, collector, sender)
    try:
        filled.acknowledged = fill_up(collector, sender)
        yield filled
    finally:
        sender.finish()
        filled.collector.stop()


def test_it_goes_on_when_somebody_makes_room(filled: Filled, engine: Engine) -> None:
    filled.ballast.drop()
    eventually(lambda: said(filled.collector, "there is room"), "a word about the room")
    more(filled.sender, filled.acknowledged)
    filled.start_again(engine)
    check(engine, filled.sender)


def test_what_is_delivered_makes_room_by_itself(filled: Filled, engine: Engine) -> None:
    """The collector is killed, and finds ClickHouse well; the disk stays as full as it was."""
    filled.start_again(engine)
    more(filled.sender, filled.acknowledged)
    check(engine, filled.sender)


def test_a_disk_without_a_single_byte_is_waited_for(filled: Filled, engine: Engine) -> None:
    filled.collector.kill()
    filled.ballast.fill(0)
    filled.start_again(engine)
    eventually(lambda: said(filled.collector, "the disk is full"), "a word about the full disk")
    filled.ballast.drop()
    more(filled.sender, filled.acknowledged)
    check(engine, filled.sender)
