"""The reader's thread against librdkafka's mock of a cluster, and against one that refuses."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from queue import Empty, SimpleQueue
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tailrace.clock import SystemClock
from tailrace.collect.metrics import Metrics
from tailrace.collect.sources.kafka.config import KafkaConfig
from tailrace.collect.sources.kafka.intents import read
from tailrace.collect.sources.kafka.partition import Batch, Limits
from tailrace.collect.sources.kafka.reader import WHILE_SHARING, Left, Reader, Surroundings
from tailrace.errors import TailraceError
from tailrace.telemetry import new_registry
from tests.unit.collect.support import quiet_log
from tests.unit.collect_kafka.kafka_support import FakeMessage, MockCluster, offsets_as_lines

WITHIN_SECS = 40
TURN_SECS = 0.001
"""How long a fake consumer waits for messages."""
ONLY_FULL_SECS = 3600.0
"""For a test that says what is in a batch: messages may come one by one, each when the last is old."""
LABELS = {"component_id": "in", "component_kind": "source", "component_type": "kafka"}


@dataclass
class Member:
    """A running reader, and what it hands over."""

    reader: Reader
    metrics: Metrics
    handed_over: SimpleQueue[Batch | Left] = field(default_factory=SimpleQueue)

    def next_batch(self) -> Batch:
        """The next one that is handed over."""
        while True:
            item = self.handed_over.get(timeout=WITHIN_SECS)
            if isinstance(item, Batch):
                return item

    def next_left(self) -> Left:
        """What is told of the next partition that comes."""
        while True:
            item = self.handed_over.get(timeout=WITHIN_SECS)
            if isinstance(item, Left):
                return item

    def deliver(self, count: int) -> list[int]:
        """Take batches until there are so many messages, and have them delivered; their offsets."""
        offsets: list[int] = []
        while len(offsets) < count:
            batch = self.next_batch()
            offsets += lines(batch)
            self.reader.delivered(batch)
        return offsets


def lines(batch: Batch) -> list[int]:
    return [int(line) for part in batch.frames for line in part.payload.split()]


def config(servers: str, **options: Any) -> KafkaConfig:
    return KafkaConfig.model_validate(
        {
            "bootstrap_servers": servers,
            "group_id": "g",
            "topics": ["t"],
            "auto_offset_reset": "earliest",
            "commit_interval_ms": 1,
            "session_timeout_ms": 6000,
            **options,
        }
    )


def make_member(
    options: KafkaConfig,
    make: Callable[[dict[str, Any]], Consumer] = Consumer,
    timeout_secs: float = 0.02,
    **limits: int,
) -> Member:
    handed_over: SimpleQueue[Batch | Left] = SimpleQueue()
    metrics = Metrics(new_registry())
    surroundings = Surroundings(
        offsets_as_lines,
        Limits(**{"max_bytes": 10_000, **limits}),
        lambda: timeout_secs,
        handed_over.put,
        metrics.component("in", "source", "kafka"),
        SystemClock(),
        quiet_log(),
    )
    return Member(Reader(options, surroundings, make), metrics, handed_over)


@contextmanager
def running(member: Member, drain_secs: float = 5) -> Iterator[Member]:
    thread = threading.Thread(target=member.reader.run)
    thread.start()
    try:
        yield member
    finally:
        member.reader.stop(drain_secs)
        thread.join()


@pytest.fixture
def cluster() -> MockCluster:
    cluster = MockCluster()
    cluster.send("t", [b"x"] * 5)
    return cluster


def test_an_intent_is_written_before_and_the_offset_after_the_delivery(
    cluster: MockCluster,
) -> None:
    options = config(cluster.servers, topics=["^t.*"], metrics={"topic_lag_metric": True})
    member = make_member(options, timeout_secs=ONLY_FULL_SECS, max_events=5)
    waiting = threading.Event()
    with running(member, drain_secs=WITHIN_SECS):
        batch = member.next_batch()
        assert lines(batch) == [0, 1, 2, 3, 4]
        offset, text = cluster.committed("g", "t")
        assert (offset, read(text, offset)) == (0, [batch.intent])
        wait_until(lambda: lag(member) == 5, waiting)
        member.reader.delivered(batch)
        wait_until(lambda: cluster.committed("g", "t") == (5, ""), waiting)
        wait_until(lambda: lag(member) == 0, waiting)
    assert lag(member) is None


def test_what_is_not_delivered_is_made_again_by_the_next(cluster: MockCluster) -> None:
    cluster.send("t", [b"x"])
    first = make_member(config(cluster.servers), timeout_secs=ONLY_FULL_SECS, max_events=2)
    with running(first, drain_secs=0) as member:
        made = [member.next_batch() for _ in range(3)]
        member.reader.delivered(made[1])
    assert cluster.committed("g", "t")[0] == 0
    cluster.send("t", [b"x"])
    with running(make_member(config(cluster.servers)), WITHIN_SECS) as another:
        again = [another.next_batch() for _ in range(3)]
        assert [batch.name for batch in again] == [batch.name for batch in made]
        assert [lines(batch) for batch in again] == [[0, 1], [2, 3], [4, 5]]
        for batch in again:
            another.reader.delivered(batch)
        last = another.next_batch()
        assert lines(last) == [6]
        late = threading.Timer(0.3, another.reader.delivered, (last,))
        late.start()
    # The end has waited for what was on its way.
    late.join()
    assert cluster.committed("g", "t") == (7, "")


def test_members_share_the_partitions_and_tell_what_was_left(cluster: MockCluster) -> None:
    for number in range(1, 4):
        cluster.send("t", [b"x"] * 5, number)
    delivered: dict[str, list[int]] = {}
    with running(make_member(config(cluster.servers))) as one:
        wait_until(lambda: deliver_each_once([one], delivered) == 20, threading.Event())
        with running(make_member(config(cluster.servers))) as two:
            left = two.next_left()
            assert left.prefix.startswith("t@")
            for number in range(4):
                cluster.send("t", [b"x"] * 5, number)
            wait_until(lambda: deliver_each_once([one, two], delivered) == 40, threading.Event())
    for number in range(4):
        found = (delivered[name] for name in delivered if name.startswith(f"t@{number}@"))
        assert sorted(chain.from_iterable(found)) == list(range(10))


def deliver_each_once(members: Sequence[Member], delivered: dict[str, list[int]]) -> int:
    """Have what members handed over delivered, add it to `delivered`, and count its messages.

    The mock refuses commits while the group shares its partitions anew. What was delivered just
    before is made again then, and known by its name.
    """
    for member in members:
        with suppress(Empty):
            while True:
                item = member.handed_over.get_nowait()
                if isinstance(item, Batch):
                    assert delivered.setdefault(item.name, lines(item)) == lines(item)
                    member.reader.delivered(item)
    return sum(map(len, delivered.values()))


def test_only_what_comes_later_is_read_from_the_end_and_that_is_written_down(
    cluster: MockCluster,
) -> None:
    member = make_member(config(cluster.servers, auto_offset_reset="largest"))
    with running(member):
        wait_until(lambda: cluster.committed("g", "t") == (5, ""), threading.Event())
        cluster.send("t", [b"x"])
        assert member.deliver(1) == [5]


def lag(member: Member) -> float | None:
    """The metric for partition 0."""
    labels = {**LABELS, "topic_id": "t", "partition_id": "0"}
    return member.metrics.registry.get_sample_value("kafka_consumer_lag", labels)


def errors(member: Member) -> float:
    """How many are counted."""
    labels = {**LABELS, "error_type": "kafka"}
    return member.metrics.registry.get_sample_value("component_errors_total", labels) or 0


def wait_until(condition: Callable[[], bool], pause: threading.Event) -> None:
    deadline = SystemClock().monotonic() + WITHIN_SECS
    while not condition():
        assert SystemClock().monotonic() < deadline
        pause.wait(0.02)


class FakeConsumer:
    """Gives what it is told to, and notes what it is asked."""

    def __init__(self) -> None:
        self._messages: list[Any] = []
        self._taking = threading.Condition()
        self.failures: list[Exception] = []
        self.refusal: Exception | None = None
        """What becomes of commits, for as long as it is there."""
        self.committed_offsets: list[TopicPartition] = []
        self.calls: list[str] = []
        self.lost = False
        self.has_changed = False
        self.paused: set[int] = set()
        self.assigned = 1
        self.beside = ""
        self.turns = threading.Semaphore(0)

    @property
    def messages(self) -> list[Any]:
        """What waits to be consumed."""
        return self._messages

    @messages.setter
    def messages(self, messages: list[Any]) -> None:
        with self._taking:
            self._messages = messages
            self._taking.notify()

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.callbacks = callbacks
        callbacks["on_assign"](self, [TopicPartition("t", n) for n in range(self.assigned)])

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self.failures:
            raise self.failures.pop()
        return [
            TopicPartition(one.topic, one.partition, 0, metadata=self.beside) for one in partitions
        ]

    def consume(self, number: int, timeout: float) -> list[Any]:
        self.turns.release()
        if self.lost:
            self.callbacks["on_lost"](self, [TopicPartition("t", 0)])
            self.lost = False
        if self.has_changed:
            self.callbacks["on_assign"](self, [])
            self.has_changed = False
        with self._taking:
            self._taking.wait_for(lambda: self._messages, TURN_SECS)
            found = [one for one in self._messages if one.partition() not in self.paused]
            self._messages = [one for one in self._messages if one not in found]
        return found

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        self.calls.append("commit")
        if self.refusal:
            raise self.refusal
        self.committed_offsets = offsets
        return offsets

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.calls.append("pause")
        self.paused |= {one.partition for one in partitions}

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.calls.append("resume")
        self.paused -= {one.partition for one in partitions}

    def close(self) -> None:
        self.calls.append("close")

    def some_turns(self) -> None:
        """Let the reader go around a few times."""
        for _ in range(5):
            assert self.turns.acquire(timeout=WITHIN_SECS)


def faked(consumer: FakeConsumer, **limits: int) -> Member:
    return make_member(config("127.0.0.1:1"), lambda _: cast("Consumer", consumer), **limits)


def test_nothing_is_handed_over_whose_intent_cannot_be_written() -> None:
    consumer = FakeConsumer()
    with running(faked(consumer), drain_secs=0) as member:
        consumer.refusal = KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))
        assert isinstance(member.handed_over.get(timeout=WITHIN_SECS), Left)
        consumer.messages = [FakeMessage(0), FakeMessage(1)]
        wait_until(lambda: consumer.calls.count("commit") > 1, threading.Event())
        assert member.handed_over.empty()
        consumer.refusal = None
        batch = member.next_batch()
        (place,) = consumer.committed_offsets
        assert read(place.metadata, place.offset) == [batch.intent]
    assert consumer.calls[-1] == "close"
    assert errors(member) == 0, "a commit that is refused for a moment is no error"


def test_a_commit_that_is_refused_for_long_is_an_error() -> None:
    member = faked(FakeConsumer())
    for code in WHILE_SHARING:
        member.reader._take_refusal(KafkaError(code))
    assert errors(member) == 0
    assert member.reader._refused_since is not None
    member.reader._refused_since -= 6
    member.reader._take_refusal(KafkaError(KafkaError.REBALANCE_IN_PROGRESS))
    assert errors(member) == 1
    member.reader._take_refusal(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert errors(member) == 2


def test_it_asks_on_where_the_group_stands() -> None:
    consumer = FakeConsumer()
    consumer.failures = [KafkaException(KafkaError(KafkaError._TIMED_OUT))]
    with running(faked(consumer)) as member:
        assert member.next_left().names == set()


def test_partitions_are_paused_while_too_much_is_held() -> None:
    consumer = FakeConsumer()
    with running(faked(consumer, max_bytes=1), drain_secs=0) as member:
        member.reader._most_held_bytes = 4
        consumer.some_turns()
        consumer.messages = [FakeMessage(number) for number in range(4)]
        batches = [member.next_batch() for _ in range(4)]
        wait_until(lambda: consumer.paused == {0}, threading.Event())
        for batch in batches:
            member.reader.delivered(batch)
        wait_until(lambda: not consumer.paused, threading.Event())


def test_a_rebalance_that_changes_nothing_leaves_no_partition_paused() -> None:
    consumer = FakeConsumer()
    with running(faked(consumer, max_bytes=1), drain_secs=0) as member:
        member.reader._most_held_bytes = 4
        consumer.some_turns()
        consumer.messages = [FakeMessage(number) for number in range(4)]
        batches = [member.next_batch() for _ in range(4)]
        wait_until(lambda: consumer.paused == {0}, threading.Event())
        for batch in batches[:2]:
            member.reader.delivered(batch)
        # As much as may be held, which is more than what ends a pause.
        wait_until(lambda: member.reader._under_way_bytes == 4, threading.Event())
        consumer.has_changed = True
        wait_until(lambda: not consumer.has_changed, threading.Event())
        for batch in batches[2:]:
            member.reader.delivered(batch)
        wait_until(lambda: not consumer.paused, threading.Event())
        consumer.messages = [FakeMessage(4)]
        assert lines(member.next_batch()) == [4]


def test_parts_of_batches_that_are_made_again_do_not_block_each_other() -> None:
    consumer = FakeConsumer()
    consumer.assigned, consumer.beside = 3, "tailrace1 0-4:aa"
    with running(faked(consumer), drain_secs=0) as member:
        member.reader._most_held_bytes = 10
        consumer.messages = [FakeMessage(n, where=("t", m)) for n in range(3) for m in range(3)]
        wait_until(lambda: not consumer.messages, threading.Event())
        consumer.messages = [FakeMessage(3, where=("t", m)) for m in range(3)]
        assert member.deliver(12) == [0, 1, 2, 3] * 3


def test_partitions_that_are_lost_are_forgotten() -> None:
    consumer = FakeConsumer()
    with running(faked(consumer), drain_secs=0) as member:
        consumer.some_turns()
        consumer.messages = [FakeMessage(0)]
        batch = member.next_batch()
        consumer.lost = True
        wait_until(lambda: not consumer.lost, threading.Event())
        consumer.calls.clear()
        member.reader.delivered(batch)
        consumer.messages = [FakeMessage(1)]
        wait_until(lambda: not consumer.messages, threading.Event())
    assert "commit" not in consumer.calls
    assert member.handed_over.empty()


def test_a_pattern_that_is_none_ends_the_collector() -> None:
    member = make_member(config("127.0.0.1:1", topics=["^("]))
    with pytest.raises(TailraceError, match=r"cannot read the topics \['\^\('\]"):
        member.reader.run()


@pytest.mark.parametrize("is_marked", [True, False])
def test_what_does_not_pass_ends_the_collector(*, is_marked: bool) -> None:
    member = faked(FakeConsumer())
    with pytest.raises(TailraceError, match="cannot read from Kafka"):
        member.reader.complain(KafkaError(KafkaError._FATAL, "fenced", fatal=is_marked))
