"""Batches of a partition: each message in one, whatever dies between their making and the commit."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.collect.sources.kafka.intents import MOST_INTENTS, OLDEST_MS, Intent, read, write
from tailrace.collect.sources.kafka.partition import Batch, Limits, Partition
from tailrace.collect.sources.kafka.reader import apart
from tailrace.testing import ManualClock
from tests.unit.collect_kafka.kafka_support import FakeMessage, offsets_as_lines

AT_ONCE = 0.0
NOW_MS = 1_700_000_000_000


def partition(*left: Intent, max_events: int = 100, topic: str = "t") -> Partition:
    return Partition(topic, 0, offsets_as_lines, Limits(10_000, max_events), left)


def messages(*offsets: int) -> list[FakeMessage]:
    return [FakeMessage(offset) for offset in offsets]


def lines(batch: Batch) -> list[int]:
    return [int(line) for part in batch.frames for line in part.payload.split()]


def test_batches_that_are_made_at_once_have_moments_of_their_own() -> None:
    clock = ManualClock(NOW_MS)
    moments = apart(clock)
    assert list(itertools.islice(moments, 3)) == [NOW_MS, NOW_MS + 1, NOW_MS + 2]
    clock.advance(10)
    assert next(moments) == NOW_MS + 10_000


def test_intents_are_written_and_read() -> None:
    intents = [Intent(5, 9, "a1"), Intent.new(9, 11, NOW_MS)]
    assert write(intents).startswith("tailrace1 5-9:a1 9-11:")
    assert read(write(intents), 5) == intents
    assert write([]) == ""
    assert Intent.new(1, 2, NOW_MS) != Intent.new(1, 2, NOW_MS)


def test_a_mark_tells_when_the_batch_was_made_first() -> None:
    intent = Intent.new(1, 2, NOW_MS)
    assert intent.arrival_ms(NOW_MS + 60_000) == NOW_MS
    # Rows that arrived before their retention would be dropped as soon as they are stored.
    assert intent.arrival_ms(NOW_MS + OLDEST_MS) == NOW_MS + OLDEST_MS
    assert Intent(1, 2, "3f2a9c01be77").arrival_ms(NOW_MS + 1) == NOW_MS + 1


def test_what_others_write_beside_an_offset_is_no_intent() -> None:
    for text in (None, "", "x", "tailrace1", "tailrace1 ", "tailrace1 a-b:c", "tailrace2 1-2:c"):
        assert read(text, 1) == []
    for text in ("1-1:c", "1-9:c 8-12:d", "1-9:../c", "1-9:c x", "+1-9:c", "1_0-20:c"):
        assert read(f"tailrace1 {text}", 1) == []


def test_a_text_that_was_copied_to_another_offset_is_no_intent() -> None:
    text = write([Intent(100, 250, "aa")])
    assert [read(text, offset) for offset in (-1001, 0, 99, 120, 250)] == [[]] * 5
    assert read(text, 100) == [Intent(100, 250, "aa")]


def test_a_full_file_of_intents_fits_beside_an_offset() -> None:
    far = 2**62
    assert len(write([Intent.new(far, far + 1, NOW_MS)] * MOST_INTENTS)) < 4096


def test_a_batch_is_cut_when_it_is_full_or_old() -> None:
    one = partition(max_events=2)
    one.take(messages(0, 1, 2), 10.0)
    (full,) = one.cut(10.0, 1.0, itertools.count(NOW_MS))
    assert lines(full) == [0, 1]
    assert not one.is_due(11.0, 1.0), "the full one is on its way"
    one.delivered(full.intent, 10.5)
    assert not one.is_due(10.9, 1.0)
    assert one.cut(10.9, 1.0, itertools.count(NOW_MS)) == []
    assert one.is_due(11.0, 1.0)
    (old,) = one.cut(11.0, 1.0, itertools.count(NOW_MS))
    assert lines(old) == [2]
    assert (full.intent.first, full.intent.end, old.intent.end) == (0, 2, 3)


def test_the_offset_moves_over_what_is_delivered_in_order() -> None:
    one = partition(max_events=1)
    assert one.state is None
    one.take(messages(7, 8, 9), 0)
    first, second, third = one.cut(0, AT_ONCE, itertools.count(NOW_MS))
    assert one.state == (7, write([first.intent, second.intent, third.intent]))
    one.delivered(second.intent, 5.0)
    assert one.changed_at is None
    assert one.state is not None
    assert one.state[0] == 7
    one.delivered(first.intent, 6.0)
    assert one.changed_at == 6.0
    assert one.state == (9, write([third.intent]))
    one.delivered(third.intent, 7.0)
    assert one.state == (10, "")
    assert one.under_way == set()


def test_no_more_intents_than_fit() -> None:
    one = partition(max_events=1)
    one.take(messages(*range(20)), 0)
    batches = one.cut(0, AT_ONCE, itertools.count(NOW_MS))
    assert len(batches) == MOST_INTENTS
    one.delivered(batches[0].intent, 0)
    assert len(one.cut(0, AT_ONCE, itertools.count(NOW_MS))) == 1
    assert one.waiting_bytes > 0


def test_what_was_left_is_made_again_under_its_name_before_anything_new() -> None:
    left = [Intent(5, 8, "aa"), Intent(8, 9, "bb")]
    one = partition(*left)
    assert one.state == (5, write(left))
    assert one.left_names == {"t@0@5-8@aa", "t@0@8-9@bb"}
    one.take(messages(5, 6), 0)
    assert one.cut(99.0, AT_ONCE, itertools.count(NOW_MS)) == []
    one.take(messages(7, 8, 9, 10), 0)
    again, and_again, new = one.cut(0, AT_ONCE, itertools.count(NOW_MS))
    assert [lines(batch) for batch in (again, and_again, new)] == [[5, 6, 7], [8], [9, 10]]
    assert [batch.name for batch in (again, and_again)] == ["t@0@5-8@aa", "t@0@8-9@bb"]
    assert [batch.is_new for batch in (again, and_again, new)] == [False, False, True]


def test_messages_that_are_gone_by_then_are_missed_by_nobody() -> None:
    one = partition(Intent(5, 8, "aa"), Intent(8, 12, "bb"), Intent(12, 13, "cc"))
    one.take(messages(6), 0)
    one.take(messages(9), 0)
    one.reached_end(13, 0)
    again, and_again = one.cut(0, AT_ONCE, itertools.count(NOW_MS))
    assert (lines(again), lines(and_again)) == ([6], [9])
    one.delivered(again.intent, 0)
    one.delivered(and_again.intent, 0)
    assert one.state == (13, "")


def test_a_topic_that_is_made_anew_meanwhile_has_batches_of_its_own() -> None:
    one = partition()
    one.take(messages(500, 501), 0)
    one.take(messages(0, 1), 0)
    old, new = one.cut(0, AT_ONCE, itertools.count(NOW_MS))
    assert (old.intent.first, old.intent.end, lines(old)) == (500, 502, [500, 501])
    assert (new.intent.first, new.intent.end, lines(new)) == (0, 2, [0, 1])


def test_intents_of_a_topic_that_was_made_anew_mean_nothing() -> None:
    one = partition(Intent(500, 800, "aa"))
    one.take(messages(0, 1), 0)
    (new,) = one.cut(0, AT_ONCE, itertools.count(NOW_MS))
    assert new.is_new
    assert lines(new) == [0, 1]
    assert one.state == (0, write([new.intent]))


def test_tombstones_move_the_offset_without_a_batch() -> None:
    one = partition()
    one.take([FakeMessage(3, None), FakeMessage(4, None)], 0)
    assert one.cut(1.0, AT_ONCE, itertools.count(NOW_MS)) == []
    assert one.state == (5, "")
    assert one.changed_at == 1.0


def test_a_message_that_is_too_large_alone_is_a_batch_alone() -> None:
    one = Partition("t", 0, offsets_as_lines, Limits(1, None))
    one.take(messages(100, 200), 0)
    assert [lines(batch) for batch in one.cut(0, AT_ONCE, itertools.count(NOW_MS))] == [
        [100],
        [200],
    ]


def test_a_name_fits_a_file() -> None:
    names = []
    for last in "ab":
        one = partition(topic="x" * 248 + last)
        one.take(messages(2**62), 0)
        (batch,) = one.cut(0, AT_ONCE, itertools.count(NOW_MS))
        names.append(batch.name.partition("@")[0])
        assert len(f"{batch.name}.batch") <= 255
    assert names[0] != names[1]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_message_is_there_once_however_often_its_readers_die(data: st.DataObject) -> None:
    """The oracle: a table that drops a batch whose name it has seen, and nothing else."""
    gaps = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=40))
    log = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    table: dict[str, list[int]] = {}
    committed: tuple[int, str] = (log[0], "")

    for is_last in [False] * data.draw(st.integers(0, 6)) + [True]:
        max_events = data.draw(st.integers(1, 9))
        one = partition(*read(committed[1], committed[0]), max_events=max_events)
        rest = [offset for offset in log if offset >= committed[0]]
        under_way: list[Batch] = []
        for _ in range(1000 if is_last else data.draw(st.integers(0, 12))):
            count = data.draw(st.integers(0, 12)) if rest and not is_last else len(rest)
            if count:
                one.take(messages(*rest[:count]), 0)
                rest = rest[count:]
            if not rest:
                one.reached_end(log[-1] + 1, 0)
            timeout = AT_ONCE if is_last or data.draw(st.booleans()) else 1.0
            batches = one.cut(0, timeout, itertools.count(NOW_MS))
            if any(batch.is_new for batch in batches):
                assert one.state is not None
                if not is_last and data.draw(st.integers(0, 4)) == 0:
                    break  # dies before its intents are written
                committed = one.state
            under_way += batches
            while under_way and (is_last or data.draw(st.booleans())):
                index = 0 if is_last else data.draw(st.integers(0, len(under_way) - 1))
                batch = under_way.pop(index)
                table.setdefault(batch.name, lines(batch))
                if is_last or data.draw(st.booleans()):
                    one.delivered(batch.intent, 0)
            if one.state and (is_last or data.draw(st.booleans())):
                committed = one.state
            if is_last and not rest and not under_way and committed == (log[-1] + 1, ""):
                break
    assert sorted(offset for batch in table.values() for offset in batch) == log
    assert committed == (log[-1] + 1, "")
