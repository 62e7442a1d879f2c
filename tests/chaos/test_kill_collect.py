"""kill -9 of the collector, and of the engine, under load.

The oracle: every event that was answered with 200 is in the table exactly once, and so is every
event sent over TCP that was in the fsynced buffer; nothing is there that was not sent, nothing
twice.
"""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest
from typing_extensions import override

from tests.integration.collect_system import (
    HTTP,
    TCP,
    Collector,
    Engine,
    engine_with_tables,
    eventually,
    pipeline,
)
from tests.processes import start_engine

KILLS = 4
KILLS_OF_THE_ENGINE = 2
EVENTS_A_POST = 50


class Sender(threading.Thread):
    """Posts numbered events and notes which were acknowledged."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(name=name, daemon=True)
        self._port = port
        self._stopping = threading.Event()
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()

    @override
    def run(self) -> None:
        number = 0
        while not self._stopping.is_set():
            events = [f"{self.name}-{number + n}" for n in range(EVENTS_A_POST)]
            number += EVENTS_A_POST
            # What gets no answer is not sent again: it may be there or not, but not twice.
            self.sent |= set(events)
            with suppress(OSError, HTTPException):
                if self._post(events) == 200:
                    self.acknowledged |= set(events)

    def finish(self) -> None:
        self._stopping.set()
        self.join()

    def _post(self, events: list[str]) -> int:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            body = "".join(f"{json.dumps({'message': event})}\n" for event in events)
            connection.request("POST", "/", body)
            return connection.getresponse().status
        finally:
            connection.close()


def check(engine: Engine, senders: list[Sender]) -> None:
    sent = set().union(*(sender.sent for sender in senders))
    acknowledged = set().union(*(sender.acknowledged for sender in senders))
    assert acknowledged, "nothing was acknowledged: this proves nothing"

    def stored() -> list[str]:
        rows = engine.query("SELECT message FROM logs.application_logs")
        return [row["message"] for row in rows]

    eventually(lambda: acknowledged <= set(stored()), "every acknowledged event")
    found = stored()
    assert len(found) == len(set(found)), "something is there twice"
    assert set(found) <= sent, "something was invented"
    assert engine.value("SELECT toUInt32(count()) FROM logs.rejected") == 0


def acknowledge_more(senders: list[Sender]) -> None:
    """Wait until some hundred more events are acknowledged."""

    def acknowledged() -> int:
        return sum(len(sender.acknowledged) for sender in senders)

    before = acknowledged()
    eventually(lambda: acknowledged() > before + 500, "acknowledged events")


def store_more(engine: Engine) -> None:
    """Wait until some hundred more rows are in the table."""
    before = rows_in(engine)
    eventually(lambda: rows_in(engine) > before + 500, "rows")


def rows_in(engine: Engine) -> int:
    return int(engine.value("SELECT toUInt32(count()) FROM logs.application_logs"))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = engine_with_tables(tmp_path / "engine")
    yield engine
    engine.process.stop()


def test_killing_the_collector_loses_and_doubles_nothing(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "collector"
    configuration = pipeline(engine.url, http=HTTP, tcp=TCP)
    collector = Collector(configuration, folder)
    # The port that it got the first time is what clients know from now on.
    configuration["sources"]["http"] = {
        **HTTP,
        "address": f"127.0.0.1:{collector.ports['http']}",
    }
    senders = [Sender(f"s{n}", collector.ports["http"]) for n in range(4)]
    chance = random.Random(1)
    try:
        for sender in senders:
            sender.start()
        for _ in range(KILLS):
            acknowledge_more(senders)
            # Not a wait for anything: where in its work the kill meets the collector is chance.
            time.sleep(chance.random() * 0.2)
            collector.kill()
            collector = Collector(configuration, folder)
        for sender in senders:
            sender.finish()
        check(engine, senders)
    finally:
        collector.stop()


def test_killing_the_engine_loses_and_doubles_nothing(tmp_path: Path) -> None:
    engine = engine_with_tables(tmp_path / "engine")
    port = engine.process.port
    chance = random.Random(2)
    with Collector(pipeline(engine.url, http=HTTP), tmp_path / "collector") as collector:
        senders = [Sender(f"s{n}", collector.ports["http"]) for n in range(4)]
        for sender in senders:
            sender.start()
        try:
            for _ in range(KILLS_OF_THE_ENGINE):
                store_more(engine)
                time.sleep(chance.random() * 0.2)
                engine.process.kill()
                engine.process = start_engine(engine.data_dir, None, "--engine-port", str(port))
            for sender in senders:
                sender.finish()
            check(engine, senders)
        finally:
            for sender in senders:
                sender.finish()
            engine.process.stop()


def test_what_tcp_brought_into_the_buffer_survives_a_kill(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "collector"
    # Nobody listens there: nothing can be delivered before the kill.
    with Collector(pipeline("http://127.0.0.1:9", tcp=TCP), folder) as collector:
        sent = [f"event {number}" for number in range(20_000)]
        collector.send("".join(f'{{"message":"{event}"}}\n' for event in sent).encode())

        def buffered() -> int:
            page = collector.page("/metrics")
            line = next(row for row in page.splitlines() if row.startswith("buffer_events{"))
            return int(float(line.rsplit(" ", 1)[1]))

        eventually(lambda: buffered() == len(sent), "all events in the buffer")
        collector.kill()
    with Collector(pipeline(engine.url, tcp=TCP), folder):
        eventually(lambda: rows_in(engine) >= len(sent), "every buffered event")
    rows = engine.query("SELECT message FROM logs.application_logs")
    assert sorted(row["message"] for row in rows) == sorted(sent)
