"""A ClickHouse that is hard to reach: whatever happens to inserts, each event is stored once."""

from pathlib import Path
from typing import Any, get_args

import pytest

from tests.integration.collect_system import (
    HTTP,
    Collector,
    Engine,
    eventually,
    pipeline,
)
from tests.integration.fault_proxy import Fault, FaultProxy

REQUEST = {"timeout_secs": 2, "retry_max_duration_secs": 1}
"""Soon tired of waiting, soon there again."""
EVENTS_A_BATCH = 500
BATCHES = 3
FAULTS = 2

pytestmark = pytest.mark.usefixtures("empty_tables")


def impatient(endpoint: str, **sink: Any) -> dict[str, Any]:
    """A pipeline that gives up on an answer soon."""
    configuration = pipeline(endpoint, http=HTTP)
    configuration["sinks"]["out"] |= {"request": REQUEST, **sink}
    return configuration


def batch(number: int, *, bad_rows: tuple[int, ...] = ()) -> bytes:
    first = number * EVENTS_A_BATCH
    return b"".join(
        b'{"message":"%d","received_at":"never"}\n' % n
        if n in bad_rows
        else b'{"message":"%d","note":"%s"}\n' % (n, b"." * 100)
        for n in range(first, first + EVENTS_A_BATCH)
    )


def stored(engine: Engine) -> list[int]:
    rows = engine.query("SELECT toUInt32(message) AS number FROM logs.application_logs")
    return sorted(row["number"] for row in rows)


@pytest.mark.parametrize("fault", get_args(Fault))
def test_no_fault_loses_or_doubles_anything(engine: Engine, fault: Fault, tmp_path: Path) -> None:
    faults: list[Fault] = [fault] * FAULTS
    with FaultProxy(engine.url, faults) as proxy:
        with Collector(impatient(proxy.url), tmp_path) as collector:
            for number in range(BATCHES):
                assert collector.post(batch(number))[0] == 200
            everything = list(range(BATCHES * EVENTS_A_BATCH))
            eventually(lambda: stored(engine) == everything, "every event, once")
            eventually(lambda: not list(tmp_path.glob("**/*.segment")), "an empty buffer")
    assert stored(engine) == everything
    assert proxy.happened[fault], "nothing has happened: this proves nothing"
    if fault in ("lose the answer", "answer late"):
        assert proxy.applied > proxy.answered, "nothing was inserted twice: this proves nothing"


def test_bad_rows_are_found_out_although_answers_are_lost(engine: Engine, tmp_path: Path) -> None:
    """Each half of a batch is inserted twice, the second time without effect."""
    faults: list[Fault] = ["lose the answer", "answer late", "lose the answer"]
    columns = {
        "table": "application_logs",
        "format": "json_each_row",
        "batch": {"timeout_secs": 0.05},
    }
    bad_rows = (7, EVENTS_A_BATCH - 1)
    with FaultProxy(engine.url, faults) as proxy:
        with Collector(impatient(proxy.url, **columns), tmp_path) as collector:
            assert collector.post(batch(0, bad_rows=bad_rows))[0] == 200
            eventually(lambda: not list(tmp_path.glob("**/*.segment")), "an empty buffer")
    assert not faults
    good = [number for number in range(EVENTS_A_BATCH) if number not in bad_rows]
    assert stored(engine) == good
    rejected = engine.query("SELECT raw FROM logs.rejected")
    assert len(rejected) == len(bad_rows)


def test_what_a_killed_collector_had_sent_is_not_stored_again(
    engine: Engine, tmp_path: Path
) -> None:
    """The first collector never hears that ClickHouse has it; the second one sends it again."""
    faults: list[Fault] = ["lose the answer"] * 1000
    with FaultProxy(engine.url, faults) as proxy:
        with Collector(impatient(proxy.url), tmp_path) as collector:
            assert collector.post(batch(0))[0] == 200
            eventually(lambda: proxy.applied, "an insert whose answer is lost")
            collector.kill()
        assert stored(engine) == list(range(EVENTS_A_BATCH))
        with Collector(impatient(proxy.url), tmp_path) as collector:
            before = proxy.applied
            eventually(lambda: proxy.applied > before, "the same insert once more")
            faults.clear()
            eventually(lambda: not list(tmp_path.glob("**/*.segment")), "an empty buffer")
    assert stored(engine) == list(range(EVENTS_A_BATCH))
