"""How events leave in batches: a clock that is moved by hand, a generator that numbers its lines."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from typing_extensions import override

from tailrace.cli._job import Batches, Job
from tailrace.cli.generate import _pace
from tailrace.errors import UsageError
from tailrace.packs.sender import Tally
from tailrace.testing import ManualClock


@dataclass
class NumberedChunk:
    first: int
    offsets: Sequence[float] = (0.0, 0.2, 0.4, 0.6, 0.8)
    secs: float = 1.0

    def render(self, start_ns: int, secs: float) -> list[str]:
        return [
            f"{self.first + place} {(start_ns + offset * secs * 1e9) / 1e9:.3f}\n"
            for place, offset in enumerate(self.offsets)
        ]


class Numbers:
    def chunks(self) -> Iterator[NumberedChunk]:
        first = 0
        while True:
            yield NumberedChunk(first)
            first += 5


@dataclass
class Kept:
    clock: ManualClock
    tally: Tally = field(default_factory=Tally)
    batches: list[tuple[float, list[str]]] = field(default_factory=list)

    def send(self, lines: Sequence[str]) -> None:
        self.batches.append((self.clock.monotonic(), list(lines)))

    def close(self) -> None:
        """Nothing is held."""


class MovesTheClock(threading.Event):
    """Waiting takes no time but the clock's; each send takes `late_secs` of it besides."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock

    @override
    def wait(self, timeout: float | None = None) -> bool:
        self.clock.advance(timeout or 0)
        return self.is_set()


def run(batches: Batches, count: int | None, start_ns: int | None = None) -> Kept:
    clock = ManualClock()
    kept = Kept(clock)
    job = Job(Numbers(), kept, clock, MovesTheClock(clock), 1.0, count, start_ns, batches=batches)
    for _ in job.run():
        pass
    return kept


@pytest.mark.parametrize(("events", "count"), [(1, 3), (3, 11), (5, 10), (12, 30), (100, 7)])
def test_so_many_leave_at_once_every_so_many_seconds(events: int, count: int) -> None:
    kept = run(Batches(events, 2.5), count)
    lines = [line for _, batch in kept.batches for line in batch]
    assert [int(line.split()[0]) for line in lines] == list(range(count))
    sizes = [len(batch) for _, batch in kept.batches]
    assert sizes[:-1] == [events] * (len(sizes) - 1)
    assert [when for when, _ in kept.batches] == [2.5 * number for number in range(len(sizes))]


def test_a_batch_has_the_events_of_the_time_since_the_last_one() -> None:
    kept = run(Batches(5, 10.0), 15)
    now = ManualClock().epoch_ms / 1000
    for when, batch in kept.batches:
        times = [float(line.split()[1]) for line in batch]
        assert times == sorted(times)
        assert now + when - 10 <= times[0] <= times[-1] < now + when


def test_times_begin_at_the_start_that_was_asked_for() -> None:
    [(_, batch)] = run(Batches(5, 5.0), 5, start_ns=int(100e9)).batches
    assert [line.split()[1] for line in batch] == [f"{100 + place}.000" for place in range(5)]


def test_none_are_none() -> None:
    assert [batch for _, batch in run(Batches(5, 1.0), 0).batches if batch] == []


def test_options_beat_what_the_environment_says_by_a_packs_own_names() -> None:
    own = {"batch_size": 10, "interval": 2.0}
    assert _pace(None, None, None, {}) == (None, None)
    assert _pace(None, None, None, own) == (5.0, Batches(10, 2.0))
    assert _pace(None, 4, None, own) == (2.0, Batches(4, 2.0))
    assert _pace(None, 4, None, {}) == (4.0, Batches(4, 1.0))
    assert _pace(25.0, None, None, own) == (25.0, None)
    assert _pace(None, None, None, {"rate": 7}) == (7.0, None)
    with pytest.raises(UsageError, match="--rate"):
        _pace(25.0, 4, None, {})
    with pytest.raises(UsageError, match="every 0 s"):
        _pace(None, None, None, {"batch_size": 1, "interval": 0.0})


@pytest.mark.parametrize("rate", [1e-300, 1e-9, 1e300, float("inf"), float("nan")])
def test_a_rate_that_no_clock_has_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="cannot send .* events a second: give a number from"):
        _pace(rate, None, None, {})
    with pytest.raises(UsageError, match="cannot send"):
        _pace(None, None, None, {"rate": rate})


@pytest.mark.parametrize(("events", "secs"), [(10**23, 1.0), (1, 1e300), (0, 1.0)])
def test_batches_that_neither_memory_nor_a_clock_holds_are_refused(
    events: int, secs: float
) -> None:
    with pytest.raises(UsageError, match="1 to 1000000 events, and at most 1000000 s"):
        _pace(None, events, secs, {})
