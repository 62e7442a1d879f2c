"""SIGHUP: another configuration in place of the one that runs, under load, without a loss."""

import json
import os
import signal
import socket
import threading
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import yaml
from typing_extensions import override

from tests.integration.collect_system import HTTP, TCP, Collector, eventually, json_lines


def file_sink(path: Path, *inputs: str) -> dict[str, Any]:
    return {
        "type": "file",
        "inputs": list(inputs),
        "path": str(path),
        "encoding": {"codec": "json", "except_fields": ["timestamp", "host"]},
    }


def configuration(folder: Path, mark: str, **sources: Any) -> dict[str, Any]:
    """Sources whose events are marked and written to one file."""
    return {
        "sources": {"http": HTTP, "tcp": TCP, **sources},
        "transforms": {
            "mark": {"type": "remap", "inputs": ["http", "tcp"], "source": f'.mark = "{mark}"'}
        },
        "sinks": {"out": file_sink(folder / "out.log", "mark")},
    }


def written(folder: Path) -> list[dict[str, Any]]:
    return json_lines(folder / "out.log")


def reload(collector: Collector, folder: Path, text: str) -> bool:
    """Whether the new configuration is in place."""
    before = collector.log.count("configuration is in place")
    refused = collector.log.count("cannot use the new configuration")
    (folder / "pipeline.yaml").write_text(text)
    os.kill(collector.pid, signal.SIGHUP)
    eventually(
        lambda: (
            collector.log.count("configuration is in place") > before
            or collector.log.count("cannot use the new configuration") > refused
        ),
        "an answer to SIGHUP",
    )
    return collector.log.count("configuration is in place") > before


class Load(threading.Thread):
    """Posts events until it is stopped; knows which were acknowledged."""

    def __init__(self, collector: Collector) -> None:
        super().__init__()
        self.collector = collector
        self.acknowledged: list[int] = []
        self.refused = 0
        self.stopping = threading.Event()

    @override
    def run(self) -> None:
        number = 0
        while not self.stopping.is_set():
            number += 1
            body = b'{"n":%d}' % number
            try:
                status, _ = self.collector.post(body)
            except (URLError, ConnectionError):
                status = 0
            if status == 200:
                self.acknowledged.append(number)
            else:
                self.refused += 1

    def wait_for_more(self) -> None:
        """Until some more are acknowledged."""
        enough = len(self.acknowledged) + 3
        eventually(lambda: len(self.acknowledged) >= enough, "more acknowledged events")

    def stop(self) -> None:
        self.stopping.set()
        self.join()


def test_reloads_under_load_lose_nothing_and_close_no_connection(tmp_path: Path) -> None:
    with Collector(configuration(tmp_path, "0"), tmp_path) as collector:
        load = Load(collector)
        load.start()
        try:
            with socket.create_connection(("127.0.0.1", collector.ports["tcp"])) as connection:
                for number in range(1, 6):
                    connection.sendall(b'{"tcp":%d}\n' % number)
                    load.wait_for_more()
                    text = yaml.safe_dump(configuration(tmp_path, str(number)))
                    assert reload(collector, tmp_path, text)
                connection.sendall(b'{"tcp":6}\n')
                eventually(lambda: any(e.get("tcp") == 6 for e in written(tmp_path)), "the last")
        finally:
            load.stop()
        assert load.refused == 0
        assert len(load.acknowledged) > 10
        assert "reloaded_total 5.0" in collector.page("/metrics")
        # What is not delivered in the time for an orderly end would wait for the next start.
        collector.wait_for(collector.is_idle, "empty buffers")
        assert collector.stop() == 0
    events = written(tmp_path)
    assert Counter(e["n"] for e in events if "n" in e) == Counter(load.acknowledged)
    assert sorted(e["tcp"] for e in events if "tcp" in e) == [1, 2, 3, 4, 5, 6]
    assert next(e["mark"] for e in events if e.get("tcp") == 6) == "5"


@pytest.mark.parametrize(
    "wrong",
    [
        "sources: [",
        "sources: {http: {type: nonsense}}",
        "taken",
    ],
)
def test_what_cannot_run_is_said_and_the_old_goes_on(wrong: str, tmp_path: Path) -> None:
    with Collector(configuration(tmp_path, "old"), tmp_path) as collector, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        if wrong == "taken":
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            changed = configuration(tmp_path, "new", third={**TCP, "address": address})
            changed["transforms"]["mark"]["inputs"].append("third")
            wrong = yaml.safe_dump(changed)
        assert not reload(collector, tmp_path, wrong)
        assert "config_reload_errors_total 1.0" in collector.page("/metrics")
        assert collector.post(b'{"n":1}')[0] == 200
        eventually(lambda: written(tmp_path), "the event")
        assert written(tmp_path)[0]["mark"] == "old"
        assert reload(collector, tmp_path, yaml.safe_dump(configuration(tmp_path, "new")))
        assert collector.post(b'{"n":2}')[0] == 200
        eventually(lambda: len(written(tmp_path)) == 2, "the second event")
        assert written(tmp_path)[1]["mark"] == "new"
        assert collector.stop() == 0


def test_sources_come_and_go(tmp_path: Path) -> None:
    first = configuration(tmp_path, "1")
    with Collector(first, tmp_path) as collector:
        # There is time for what a source leaves, but none for a worker that has to start first.
        assert collector.post(b'{"n":0}')[0] == 200
        eventually(lambda: written(tmp_path), "the first event")
        collector.send(b'{"n":1}\n')
        changed = configuration(tmp_path, "2")
        changed["sources"] = {"http": HTTP, "other": TCP}
        changed["transforms"]["mark"]["inputs"] = ["http", "other"]
        assert reload(collector, tmp_path, yaml.safe_dump(changed))
        said = [json.loads(line) for line in collector.log.splitlines() if line.startswith("{")]
        ports = {line["source"]: line["port"] for line in said if line["event"] == "listening"}
        with pytest.raises(ConnectionRefusedError):
            collector.send(b'{"n":2}\n')
        collector.ports = ports
        collector.send(b'{"n":3}\n', "other")
        eventually(lambda: len(written(tmp_path)) == 3, "all events")
        assert collector.stop() == 0
    assert [event["n"] for event in written(tmp_path)] == [0, 1, 3]


def test_what_a_transform_holds_back_is_let_go_before_it_goes(tmp_path: Path) -> None:
    first = configuration(tmp_path, "1")
    first["transforms"]["mark"] = {"type": "reduce", "inputs": ["http", "tcp"]}
    with Collector(first, tmp_path) as collector:
        assert collector.post(b'{"n":1}')[0] == 200
        assert collector.post(b'{"n":2}')[0] == 200
        state = tmp_path / "data" / "buffer" / "_state"
        eventually(lambda: list(state.glob("*.outcome")), "a state")
        eventually(collector.is_idle, "empty buffers")
        assert reload(collector, tmp_path, yaml.safe_dump(configuration(tmp_path, "2")))
        eventually(lambda: written(tmp_path), "what was held back")
        assert collector.stop() == 0
    assert sum(event["n"] for event in written(tmp_path)) == 3
