"""Which messages a page has and where the next one goes on, over a consumer that is made up."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from tailrace.testing import ManualClock
from tailrace.web.streams import messages as reading
from tailrace.web.streams.asking import Asking, GroupsAsker
from tailrace.web.streams.messages import Found, _Reading
from tailrace.web.streams.places import Part, Wanted, cursor_of

NO_GROUPS = cast(GroupsAsker, None)
Log = Mapping[int, list[tuple[int, int, bytes]]]
"""By partition: offset, time in ms and value of each message."""


class FakeMessage:
    """As librdkafka gives it."""

    def __init__(self, partition: int, offset: int, ms: int, value: bytes, error: Any) -> None:
        self._all = (partition, offset, ms, value, error)

    def partition(self) -> int:
        return self._all[0]

    def offset(self) -> int:
        return self._all[1]

    def timestamp(self) -> tuple[int, int]:
        return 1, self._all[2]

    def value(self) -> bytes:
        return self._all[3]

    def key(self) -> None:
        return None

    def headers(self) -> list[tuple[str, bytes]]:
        return [("h", b"x")] * 3

    def error(self) -> Any:
        return self._all[4]


class FakeConsumer:
    """Gives what it is assigned, a few messages of one partition after the other, then the ends."""

    def __init__(self, log: Log, at_once: int = 3) -> None:
        self._log, self._at_once = log, at_once
        self._coming: Iterator[list[FakeMessage]] = iter(())

    def assign(self, places: list[TopicPartition]) -> None:
        queues = {
            place.partition: [
                FakeMessage(place.partition, offset, ms, value, None)
                for offset, ms, value in self._log[place.partition]
                if offset >= place.offset
            ]
            for place in places
        }
        self._coming = self._share(queues)

    def consume(self, _count: int, _timeout: float) -> list[FakeMessage]:
        return next(self._coming, [])

    def _share(self, queues: dict[int, list[FakeMessage]]) -> Iterator[list[FakeMessage]]:
        while any(queues.values()):
            for queue in queues.values():
                yield [queue.pop(0) for _ in range(min(self._at_once, len(queue)))]
        end = KafkaError(KafkaError._PARTITION_EOF)
        yield [FakeMessage(number, 0, 0, b"", end) for number in queues]


def read(log: Log, wanted: Wanted, ends: Mapping[int, int]) -> Found:
    """A page of a log; a cursor says where it begins."""
    bounds = [int(one) for one in wanted.cursor[1:].split("-")] if wanted.cursor else []
    parts = []
    for at, number in enumerate(log):
        end = ends[number]
        if wanted.is_forward:
            start = bounds[at] if bounds else wanted.offset or 0
        else:
            end = bounds[at] if bounds else end
            start = max(end - (wanted.last if wanted.text else wanted.limit), 0)
        parts.append(Part(number, 0, ends[number], start, end, start))
    clock = ManualClock()
    asking = Asking(cast(AdminClient, None), clock, clock.monotonic() + 5, NO_GROUPS)
    found = _Reading(asking, wanted, parts)
    found.read(cast(Any, FakeConsumer(log)))
    return found.found()


logs = st.lists(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 50)), max_size=12), min_size=1, max_size=4
)
"""Partitions of messages: how much further the offset is (compaction leaves gaps), and the time."""


def log_of(drawn: list[list[tuple[int, int]]]) -> tuple[Log, dict[int, int]]:
    log: dict[int, list[tuple[int, int, bytes]]] = {}
    ends = {}
    for number, steps in enumerate(drawn):
        offset, log[number] = -1, []
        for step, ms in steps:
            offset += step
            log[number].append((offset, ms, b"x" if offset % 2 else b"y"))
        ends[number] = offset + 1 + number  # the last offsets are no messages
    return log, ends


@given(logs, st.integers(1, 5), st.booleans(), st.sampled_from(["", "x"]))
def test_pages_show_each_message_once(
    drawn: list[list[tuple[int, int]]], limit: int, is_forward: bool, text: str
) -> None:
    log, ends = log_of(drawn)
    wanted = Wanted("t", offset=0 if is_forward else None, text=text, last=4, limit=limit)
    shown: list[tuple[int, int]] = []
    for _ in range(200):
        found = read(log, wanted, ends)
        assert len(found.messages) <= limit
        shown += [(one.partition, one.offset) for one in found.messages]
        if found.next is None:
            break
        wanted = Wanted("t", text=text, last=4, limit=limit, cursor=found.next)
    else:
        pytest.fail("the pages have no end")
    expected = [
        (number, offset)
        for number, messages in log.items()
        for offset, _, value in messages
        if text.encode() in value
    ]
    assert sorted(shown) == sorted(expected)
    for number in log:
        offsets = [offset for partition, offset in shown if partition == number]
        assert offsets == sorted(offsets, reverse=not is_forward)


def test_the_newest_come_first_whatever_their_partition() -> None:
    log = {0: [(0, 10, b"a"), (1, 40, b"d")], 1: [(0, 20, b"b"), (1, 30, b"c")]}
    found = read(log, Wanted("t", limit=3), {0: 2, 1: 2})
    assert [one.value for one in found.messages] == ["d", "c", "b"]
    assert found.next == "b1-0"
    rest = read(log, Wanted("t", limit=3, cursor=found.next), {0: 2, 1: 2})
    assert [one.value for one in rest.messages] == ["a"]
    assert rest.next is None


def test_no_older_message_is_shown_before_one_that_was_not_read() -> None:
    """The page ends where a partition that was read in part has nothing more to give."""
    busy = [(number, 1000 + number, b"busy") for number in range(100)]
    quiet = [(number, number, b"quiet") for number in range(100)]
    found = read({0: busy, 1: quiet}, Wanted("t", limit=10), {0: 100, 1: 100})
    assert {one.value for one in found.messages} == {"busy"}
    assert found.next == "b90-100"


def test_from_a_place_on_there_is_a_way_back() -> None:
    log = {0: [(number, number, b"x") for number in range(10)]}
    found = read(log, Wanted("t", offset=4, limit=3), {0: 10})
    assert [one.offset for one in found.messages] == [4, 5, 6]
    assert (found.next, found.earlier) == ("f7", "b4")
    back = read(log, Wanted("t", limit=3, cursor="b4"), {0: 10})
    assert [one.offset for one in back.messages] == [3, 2, 1]


def test_large_messages_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_KEPT_BYTES", 100_000)
    log = {0: [(number, number, b"x" * 30_000) for number in range(20)]}
    for wanted in (Wanted("t", limit=15), Wanted("t", offset=0, limit=15)):
        found = read(log, wanted, {0: 20})
        assert 1 <= len(found.messages) <= 6
        assert all(one.is_cut and len(one.value or "") == 20_000 for one in found.messages)
        assert found.next is not None


def test_a_read_ends_with_its_time() -> None:
    clock = ManualClock()

    class Slow(FakeConsumer):
        @override
        def consume(self, count: int, timeout: float) -> list[FakeMessage]:
            clock.advance(3)
            return super().consume(count, timeout)

    parts = [Part(0, 0, 20, 10, 20, 10)]
    asking = Asking(cast(AdminClient, None), clock, clock.monotonic() + 5, NO_GROUPS)
    slow = _Reading(asking, Wanted("t"), parts)
    slow.read(cast(Any, Slow({0: [(number, 0, b"x") for number in range(20)]})))
    found = slow.found()
    assert not found.is_whole
    assert [one.offset for one in found.messages] == [15, 14, 13, 12, 11, 10]


def test_cursors_end_where_nothing_is_beyond() -> None:
    parts = [Part(0, 2, 9, 2, 9, 2), Part(1, 0, 5, 0, 5, 0)]
    assert cursor_of([2, 0], parts, is_forward=False) is None
    assert cursor_of([3, 0], parts, is_forward=False) == "b3-0"
    assert cursor_of([9, 5], parts, is_forward=True) is None
    assert cursor_of([9, 4], parts, is_forward=True) == "f9-4"
    assert cursor_of([1] * 201, parts[:1] * 201, is_forward=True) is None
