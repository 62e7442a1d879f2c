"""Reads from Kafka, in a thread of its own: librdkafka's calls wait.

What is guaranteed:
- A new batch is handed over only when its intent is written beside the group's offset (see
  `intents`). A member that the group has shut out meanwhile cannot write it, so it delivers nothing
  that another one may deliver under another name.
- An offset is committed only when everything before it is delivered.
- When partitions go to another member, and at the end, it is waited a while for what is on its way.
  What is not delivered by then is made again by whoever has the partition next, as the same batches.
- So much is held, read and not delivered, and no more: then partitions are paused.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from operator import methodcaller
from queue import Empty, SimpleQueue
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tailrace.clock import Clock
from tailrace.collect.metrics import ComponentMetrics
from tailrace.collect.sources.kafka.config import KafkaConfig
from tailrace.collect.sources.kafka.intents import read
from tailrace.collect.sources.kafka.messages import Message, Render
from tailrace.collect.sources.kafka.partition import Batch, Limits, Partition
from tailrace.errors import TailraceError
from tailrace.kafka import explain
from tailrace.telemetry import Logger

MESSAGES_AT_ONCE = 10_000
WAIT_SECS = 0.05
"""`consume` waits so long for as many messages; longer, and quiet topics would arrive later."""

ANSWER_SECS = 10.0
RETRY_SECS = 0.5
MOST_HELD_BYTES = 64 * 1024**2
LAG_EVERY_SECS = 1.0
SAID_AGAIN_SECS = 60.0
CANNOT_COMMIT = "cannot commit offsets now"

WHILE_SHARING = frozenset(
    {
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
    }
)
"""Why brokers refuse commits for a moment while the group shares its partitions anew, of which each
member learns a little later. That is no fault: what was to be written is so afterwards, by us or by
whoever has the partition then."""

Place = tuple[str, int]
"""Topic and number of a partition."""


@dataclass(frozen=True)
class Left:
    """A partition has come, and of its batches only these will be made again."""

    prefix: str
    names: Collection[str]


@dataclass(frozen=True)
class Surroundings:
    """What a reader is given besides its options."""

    render: Render
    limits: Limits
    timeout_secs: Callable[[], float]
    """Age at which a batch is handed over, full or not."""
    hand_over: Callable[[Batch | Left], None]
    """Called in the reader's thread."""
    metrics: ComponentMetrics
    clock: Clock
    log: Logger


class Reader:
    """See the module. `run` is for its thread; `delivered`, `complain` and `stop` are for any."""

    def __init__(
        self,
        config: KafkaConfig,
        surroundings: Surroundings,
        make_consumer: Callable[[dict[str, Any]], Consumer] = Consumer,
    ) -> None:
        """Raises KafkaException where librdkafka does not take the options."""
        self._consumer = make_consumer({**config.settings(), "error_cb": self.complain})
        self._config = config
        is_one_topic = len(config.topics) == 1 and not config.topics[0].startswith("^")
        # Half of what it costs to look at each message's topic as well.
        self._place_of = methodcaller("partition") if is_one_topic else _place
        self._around = surroundings
        self._partitions: dict[Place, Partition] = {}
        self._moments = apart(surroundings.clock)
        self._unwritten: list[Batch] = []
        """Batches that are cut, and wait for their intents to be written."""
        self._write_again_at = 0.0
        self._delivered: SimpleQueue[Batch] = SimpleQueue()
        self._under_way_bytes = 0
        self._most_held_bytes = max(MOST_HELD_BYTES, 4 * surroundings.limits.max_bytes)
        self._paused: set[Place] | None = set()
        """None after a rebalance: which partitions are paused then is to be told anew."""
        self._stopping = threading.Event()
        self._drain_secs = config.drain_secs
        self._lag_at = 0.0
        self._said: dict[str, float] = {}
        self._refused_since: float | None = None
        """Since when every commit is refused because the group shares its partitions anew."""

    def run(self) -> None:
        """Read until `stop`, and leave the group."""
        try:
            self._subscribe()
            while not self._stopping.is_set():
                self._turn()
            self._give_up(list(self._partitions))
        finally:
            self._consumer.close()

    def stop(self, drain_secs: float) -> None:
        """Read no more; wait so long for what is on its way."""
        self._drain_secs = min(self._drain_secs, drain_secs)
        self._stopping.set()

    def delivered(self, batch: Batch) -> None:
        """A batch is at its destinations."""
        self._delivered.put(batch)

    def complain(self, error: KafkaError, what: str = "cannot read from Kafka now") -> None:
        """Tell what is wrong, once a minute; raises TailraceError where it does not pass."""
        # In place of a message it comes without the mark: a member that another one with the same
        # group.instance.id has shut out would stand still for ever.
        if error.fatal() or error.code() == KafkaError._FATAL:
            raise TailraceError(f"cannot read from Kafka: {error.str()}")
        self._around.metrics.error("kafka")
        self._say(error.name(), what, problem=error.str())

    def _subscribe(self) -> None:
        topics = list(self._config.topics)
        try:
            self._consumer.subscribe(
                topics,
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )
        except KafkaException as error:
            raise TailraceError(f"cannot read the topics {topics}: {explain(error)}") from error

    def _turn(self) -> None:
        """Once around: what came is taken, what is due is handed over."""
        self._hold_back()
        messages = self._consumer.consume(MESSAGES_AT_ONCE, WAIT_SECS)
        self._note_delivered()
        now = self._around.clock.monotonic()
        ends: list[Message] = []
        for run in self._runs(messages, ends):
            partition = self._partitions.get(_place(run[0]))
            if partition:
                partition.take(run, now)
        for end in ends:
            partition = self._partitions.get(_place(end))
            if partition:
                partition.reached_end(end.offset() or 0, now)
        self._cut(now)
        self._commit_what_is_due(now)
        self._measure_lag(now)

    def _runs(self, messages: Sequence[Any], ends: list[Message]) -> Iterator[list[Message]]:
        """Neighbours of one partition together; what is no message goes into `ends`, or is told."""
        if any(message.error() is not None for message in messages):
            messages = list(self._without_errors(messages, ends))
        for _, run in groupby(messages, key=self._place_of):
            yield list(run)

    def _without_errors(self, messages: Sequence[Any], ends: list[Message]) -> Iterator[Message]:
        for message in messages:
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                ends.append(message)
            else:
                self.complain(error)

    def _hold_back(self) -> None:
        """Read nothing while too much is held, but for what lets go of some of it.

        A batch that is made again leaves when all of its messages are here. While many partitions
        wait for that, and nothing is on its way, one of them goes on.
        """
        waiting = sum(partition.waiting_bytes for partition in self._partitions.values())
        held = waiting + self._under_way_bytes
        most = self._most_held_bytes / 2 if self._paused else self._most_held_bytes
        paused = set(self._partitions) if held > most else set()
        if not self._under_way_bytes:
            again = (place for place in paused if self._partitions[place].makes_again)
            paused.discard(min(again, default=("", -1)))
        if paused == self._paused:
            return
        for place in self._partitions:
            move = self._consumer.pause if place in paused else self._consumer.resume
            move([TopicPartition(*place)])
        self._paused = paused

    def _note_delivered(self) -> None:
        with suppress(Empty):
            while True:
                self._note(self._delivered.get_nowait())

    def _note(self, batch: Batch) -> None:
        self._under_way_bytes -= batch.size_bytes
        batch.partition.delivered(batch.intent, self._around.clock.monotonic())

    def _cut(self, now: float) -> None:
        timeout_secs = self._around.timeout_secs()
        partitions = self._partitions.values()
        if any(partition.is_due(now, timeout_secs) for partition in partitions):
            # One commit does for all of them, so those go along that would be due soon.
            timeout_secs /= 2
        batches = [
            batch for each in partitions for batch in each.cut(now, timeout_secs, self._moments)
        ]
        for batch in batches:
            if batch.is_new:
                self._unwritten.append(batch)
            else:
                self._hand_over(batch)
        if self._unwritten and now >= self._write_again_at:
            written = self._commit({batch.partition for batch in self._unwritten})
            unwritten, self._unwritten = self._unwritten, []
            for batch in unwritten:
                if batch.partition in written:
                    self._hand_over(batch)
                else:
                    self._unwritten.append(batch)
            self._write_again_at = now + RETRY_SECS if self._unwritten else now

    def _hand_over(self, batch: Batch) -> None:
        self._under_way_bytes += batch.size_bytes
        self._around.hand_over(batch)

    def _commit_what_is_due(self, now: float) -> None:
        least = now - self._config.commit_interval_ms / 1000
        due = {
            partition
            for partition in self._partitions.values()
            if partition.changed_at is not None and partition.changed_at <= least
        }
        if due and now >= self._write_again_at and self._commit(due) != due:
            self._write_again_at = now + RETRY_SECS

    def _commit(self, partitions: Collection[Partition]) -> set[Partition]:
        """Write offsets and intents; the partitions for which that is done."""
        by_place = {(each.topic, each.number): each for each in partitions}
        offsets = [
            TopicPartition(*place, each.state[0], metadata=each.state[1])
            for place, each in by_place.items()
            if each.state
        ]
        if not offsets:
            return set()
        try:
            results = self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            self._take_refusal(error.args[0])
            return set()
        done: set[Partition] = set()
        for result in results:
            if result.error:
                self._take_refusal(result.error)
                continue
            self._refused_since = None
            partition = by_place[result.topic, result.partition]
            partition.changed_at = None
            done.add(partition)
        return done

    def _take_refusal(self, error: KafkaError) -> None:
        """Say that a commit was refused, unless it is only for a moment."""
        if error.code() in WHILE_SHARING:
            now = self._around.clock.monotonic()
            if self._refused_since is None:
                self._refused_since = now
            if now - self._refused_since < self._config.session_timeout_ms / 1000:
                self._around.log.debug("a commit waits until the group has shared its partitions")
                return
        self.complain(error, CANNOT_COMMIT)

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._paused = None
        known = self._committed(partitions)
        self._begin_at([one for one in known if one.offset < 0])
        for one in known:
            partition = Partition(
                one.topic,
                one.partition,
                self._around.render,
                self._around.limits,
                read(one.metadata, one.offset),
            )
            self._partitions[one.topic, one.partition] = partition
            self._around.hand_over(Left(partition.prefix, partition.left_names))
        self._tell("partitions have come", partitions)

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._give_up([(one.topic, one.partition) for one in partitions])
        self._tell("partitions are given up", partitions)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._forget([(one.topic, one.partition) for one in partitions])
        self._tell("partitions are lost: the group has shut us out", partitions)

    def _committed(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Where the group stands. Without knowing that nothing can be read, so it is asked on."""
        while not self._stopping.is_set():
            try:
                found: list[TopicPartition] = self._consumer.committed(partitions, ANSWER_SECS)
            except KafkaException as error:
                self.complain(error.args[0])
            else:
                failed = [one.error for one in found if one.error]
                if not failed:
                    return found
                self.complain(failed[0])
            self._stopping.wait(RETRY_SECS)
        return []

    def _begin_at(self, partitions: list[TopicPartition]) -> None:
        """Write down where we begin, lest another member begins elsewhere before the first batch."""
        if self._config.auto_offset_reset == "error":
            return
        is_low = self._config.auto_offset_reset in ("smallest", "earliest", "beginning")
        offsets = []
        for one in partitions:
            try:
                low, high = self._consumer.get_watermark_offsets(one, timeout=ANSWER_SECS)
            except KafkaException as error:
                self.complain(error.args[0])
                continue
            offsets.append(TopicPartition(one.topic, one.partition, low if is_low else high))
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            self._take_refusal(error.args[0])

    def _give_up(self, places: Collection[Place]) -> None:
        """Wait for what is on its way of some partitions, write down how far they are, and forget
        them."""
        partitions = {self._partitions[place] for place in places if place in self._partitions}
        unwritten = {batch.intent for batch in self._unwritten}
        clock = self._around.clock
        deadline = clock.monotonic() + self._drain_secs
        while any(partition.under_way - unwritten for partition in partitions):
            try:
                self._note(self._delivered.get(timeout=max(0.0, deadline - clock.monotonic())))
            except Empty:
                break
        self._commit({each for each in partitions if each.changed_at is not None})
        self._forget(places)

    def _forget(self, places: Collection[Place]) -> None:
        for topic, number in places:
            partition = self._partitions.pop((topic, number), None)
            self._unwritten = [one for one in self._unwritten if one.partition is not partition]
            if self._config.metrics.topic_lag_metric:
                self._around.metrics.forget_lag(topic, number)

    def _measure_lag(self, now: float) -> None:
        if not self._config.metrics.topic_lag_metric or now < self._lag_at:
            return
        self._lag_at = now + LAG_EVERY_SECS
        for (topic, number), partition in self._partitions.items():
            if partition.state is None:
                continue
            place = TopicPartition(topic, number)
            with suppress(KafkaException):  # not known yet
                _, high = self._consumer.get_watermark_offsets(place, cached=True)
                if high >= 0:
                    self._around.metrics.lag(topic, number, max(0, high - partition.state[0]))

    def _tell(self, what: str, partitions: list[TopicPartition]) -> None:
        if partitions:  # a rebalance may also change nothing here
            names = [f"{one.topic}/{one.partition}" for one in partitions]
            self._around.log.info(what, partitions=names, group=self._config.group_id)

    def _say(self, key: str, what: str, problem: str) -> None:
        now = self._around.clock.monotonic()
        if now - self._said.get(key, -SAID_AGAIN_SECS) >= SAID_AGAIN_SECS:
            self._said[key] = now
            self._around.log.warning(what, problem=problem, group=self._config.group_id)


def apart(clock: Clock) -> Iterator[int]:
    """The time in ms whenever it is asked for, but never the same twice.

    Batches of several partitions are made at once, and those that are delivered again are counted by
    their moments (see `tailrace.collect.books`): two of one moment would be taken for one.
    """
    last_ms = 0
    while True:
        last_ms = max(clock.now_ms(), last_ms + 1)
        yield last_ms


def _place(message: Message) -> Place:
    return message.topic() or "", message.partition() or 0
