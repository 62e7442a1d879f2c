"""Transforms that remember, in real collectors that are killed: nothing is lost, nothing twice."""

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.error import URLError

import psutil
import pytest

from tests.integration.collect_system import HTTP, Collector, json_lines

GROUPS = 20


def configuration(folder: Path, transform: dict[str, Any]) -> dict[str, Any]:
    return {
        "sources": {"one": dict(HTTP), "two": dict(HTTP)},
        "transforms": {"memory": {"inputs": ["one", "two"], **transform}},
        "sinks": {
            "out": {
                "type": "file",
                "inputs": ["memory"],
                "path": str(folder / "out.log"),
                "encoding": {"codec": "json"},
            }
        },
    }


REDUCE = {
    "type": "reduce",
    "group_by": ["group"],
    "merge_strategies": {"n": "array", "group": "discard"},
    "expire_after_ms": 300,
    "flush_period_ms": 50,
}


def written(folder: Path) -> list[dict[str, Any]]:
    return json_lines(folder / "out.log")


def numbers(folder: Path) -> Counter[int]:
    return Counter(number for event in written(folder) for number in event["n"])


def send(collector: Collector, first: int, count: int = 50) -> list[int]:
    """Events that the collector has acknowledged."""
    chosen = range(first, first + count)
    events = [{"n": n, "group": f"g{n % GROUPS}"} for n in chosen]
    body = "\n".join(map(json.dumps, events)).encode()
    try:
        status, _ = collector.post(body, "one" if first % 100 else "two")
    except (URLError, ConnectionError):
        return []
    return list(chosen) if status == 200 else []


def worker_of(collector: Collector) -> psutil.Process | None:
    """The process that has the transforms, once it is there."""
    for child in psutil.Process(collector.pid).children():
        if "spawn_main" in " ".join(child.cmdline()):
            return child
    return None


def stop_when_idle(collector: Collector) -> int:
    """The exit code of an orderly end; a worker that is only starting may take longer than that."""

    collector.wait_for(collector.is_idle, "empty buffers")
    return collector.stop()


def test_what_is_held_back_is_let_go_in_time_without_anything_coming(tmp_path: Path) -> None:
    with Collector(configuration(tmp_path, REDUCE), tmp_path) as collector:
        sent = send(collector, 0) + send(collector, 50)
        collector.wait_for(lambda: numbers(tmp_path).total() == 100, "all groups in the file")
        assert numbers(tmp_path) == Counter(sent)


def test_an_orderly_end_lets_everything_go(tmp_path: Path) -> None:
    slow = {**REDUCE, "expire_after_ms": 3_600_000}
    with Collector(configuration(tmp_path, slow), tmp_path) as collector:
        sent = send(collector, 0)
        assert stop_when_idle(collector) == 0
    assert numbers(tmp_path) == Counter(sent)
    assert len(written(tmp_path)) == GROUPS


def test_killed_collectors_and_workers_lose_and_repeat_nothing(tmp_path: Path) -> None:
    sent: list[int] = []
    held_long = {**REDUCE, "expire_after_ms": 3_600_000, "max_events": 7}
    for round_number in range(6):
        collector = Collector(configuration(tmp_path, held_long), tmp_path)
        for step in range(4):
            sent += send(collector, round_number * 1000 + step * 50)
        if round_number % 2:
            collector.wait_for(lambda c=collector: worker_of(c), "a worker")  # type: ignore[misc]
            worker = worker_of(collector)
            assert worker is not None
            worker.kill()
            sent += send(collector, round_number * 1000 + 200)
        collector.kill()
    with Collector(configuration(tmp_path, held_long), tmp_path) as collector:
        sent += send(collector, 9000)
        assert stop_when_idle(collector) == 0
    assert len(sent) >= 6 * 200
    assert numbers(tmp_path) == Counter(sent)


def test_dedupe_remembers_over_kills(tmp_path: Path) -> None:
    dedupe = {"type": "dedupe", "fields": {"match": ["n"]}}
    for _ in range(3):
        collector = Collector(configuration(tmp_path, dedupe), tmp_path)
        assert len(send(collector, 0)) == 50
        collector.wait_for(lambda: len(written(tmp_path)) >= 50, "the events in the file")
        collector.stop(signal.SIGKILL)
    with Collector(configuration(tmp_path, dedupe), tmp_path) as collector:
        send(collector, 0)
        send(collector, 50)
        assert stop_when_idle(collector) == 0
    assert [event["n"] for event in written(tmp_path)] == list(range(100))


@pytest.mark.parametrize("gone", ["transform", "sink"])
def test_a_killed_collector_with_another_configuration_keeps_what_was_held(
    gone: str, tmp_path: Path
) -> None:
    slow = {**REDUCE, "expire_after_ms": 3_600_000}
    collector = Collector(configuration(tmp_path, slow), tmp_path)
    assert send(collector, 0)
    state = tmp_path / "data" / "buffer" / "_state"
    collector.wait_for(lambda: list(state.glob("*.outcome")), "a state")
    collector.kill()
    changed = configuration(tmp_path, slow)
    if gone == "transform":
        changed["transforms"]["memory"] = {"type": "dedupe", "inputs": ["one", "two"]}
    else:
        changed["sinks"] = {"other": changed["sinks"]["out"]}
    with Collector(changed, tmp_path) as collector:
        assert len(send(collector, 50)) == 50
        assert stop_when_idle(collector) == 0
    if gone == "transform":
        assert list(state.glob("*.orphaned"))
        assert "held back by a transform that is gone" in collector.log
    else:
        assert numbers(tmp_path) == Counter(range(100))
