import json
from collections import Counter, defaultdict
from datetime import datetime
from itertools import islice
from typing import Any

import pytest

from tailrace.packs.logs.generate import LogGenerator

START_NS = 1_790_000_000_000_000_000


def lines(seed: int | None, rate: float, chunks: int) -> list[str]:
    made = []
    start_ns = START_NS
    for chunk in islice(LogGenerator(seed, rate).chunks(), chunks):
        made += chunk.render(start_ns, chunk.secs)
        start_ns += int(chunk.secs * 1e9)
    return made


def events(seed: int, rate: float, chunks: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(seed, rate, chunks)]


@pytest.mark.parametrize("rate", [0.5, 25, 1000, 100_000])
def test_the_same_seed_makes_the_same_bytes(rate: float) -> None:
    first = lines(7, rate, 3)
    assert first == lines(7, rate, 3)
    assert first != lines(8, rate, 3)


def test_without_a_seed_every_run_is_another() -> None:
    assert lines(None, 25, 1) != lines(None, 25, 1)


@pytest.mark.parametrize("rate", [0.5, 25, 100_000])
def test_times_ascend_within_the_chunk(rate: float) -> None:
    chunk = next(iter(LogGenerator(1, rate).chunks()))
    made = [
        datetime.fromisoformat(json.loads(line)["timestamp"])
        for line in chunk.render(START_NS, chunk.secs)
    ]
    assert made == sorted(made)
    assert made[0].timestamp() >= START_NS / 1e9
    assert made[-1].timestamp() < START_NS / 1e9 + chunk.secs
    assert len(made) / chunk.secs == pytest.approx(rate, rel=0.5)


@pytest.mark.parametrize("rate", [25, 2000])
def test_in_the_long_run_the_rate_is_kept(rate: float) -> None:
    told = list(islice(LogGenerator(1, rate).chunks(), 3000))
    events, secs = sum(len(chunk.offsets) for chunk in told), sum(chunk.secs for chunk in told)
    assert events / secs == pytest.approx(rate, rel=0.05)
    assert len({round(chunk.secs, 6) for chunk in told}) > 100  # and it is not a metronome's


def test_every_line_is_one_flat_object_with_the_four_fields_first() -> None:
    for line in lines(3, 1000, 60):
        assert line.endswith("}\n")
        assert line.count("\n") == 1
        event = json.loads(line)
        assert list(event)[:4] == ["timestamp", "log_level", "message", "source"]
        assert event["source"] in {"auth", "payment", "search", "profile"}
        assert all(isinstance(value, str | int | float) for value in event.values())
        assert "{" not in event["message"]
        assert "%" not in event["message"]


def test_shares_of_levels_are_those_of_a_service_that_works() -> None:
    shares = Counter(event["log_level"] for event in events(1, 1000, 40))
    total = shares.total()
    assert 0.5 < shares["INFO"] / total < 0.75
    assert 0.1 < shares["DEBUG"] / total < 0.35
    assert 0.03 < shares["WARNING"] / total < 0.2
    assert 0.003 < shares["ERROR"] / total < 0.08
    assert shares["CRITICAL"] < shares["ERROR"]


def test_an_incident_comes_and_goes() -> None:
    """In the first minutes there is a time in which payments fail, and it ends."""
    failures = []
    for chunk in islice(LogGenerator(1, 25).chunks(), 400):
        made = [json.loads(line) for line in chunk.render(START_NS, chunk.secs)]
        failures.append(
            sum(event.get("error") in {"GatewayTimeout", "CircuitOpen"} for event in made)
        )
    bad = [number for number, found in enumerate(failures) if found]
    assert 15 <= len(bad) <= 240
    assert bad[0] >= 40
    assert not all(failures[bad[0] :])


def test_the_events_of_a_trace_share_their_person_across_sources() -> None:
    traces = defaultdict(list)
    for event in events(1, 1000, 5):
        if "trace_id" in event:
            traces[event["trace_id"]].append(event)
    several = [trace for trace in traces.values() if len(trace) > 1]
    assert any(len({event["source"] for event in trace}) >= 3 for trace in several)
    for trace in several:
        assert len({event["user_id"] for event in trace if "user_id" in event}) <= 1
        assert len({event["span_id"] for event in trace}) == len(trace)
