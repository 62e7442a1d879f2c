"""Reads messages of a topic from a place on, or the newest, or those with a text.

Partitions are assigned, not subscribed to, so no group is joined; and nothing is committed. A read ends
with what was asked for, at the offset that was the end when it began, or when its time is over. What
it keeps meanwhile is bounded: so many messages, so many bytes.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import Any, Final

from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from tailrace.web.streams.asking import Asking
from tailrace.web.streams.places import MOST_LOOKED_AT, Part, Wanted, cursor_of, find_parts

LONGEST_TEXT: Final = 20_000
MOST_HEADERS: Final = 100
LONGEST_HEADER: Final = 1000
MOST_KEPT_BYTES: Final = 32 * 1024 * 1024
POLL_SECS: Final = 0.2
AT_ONCE: Final = 500

READING: Final[dict[str, Any]] = {
    "group.id": "tailrace-looks-only",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "earliest",
    "allow.auto.create.topics": False,
    "queued.max.messages.kbytes": 16 * 1024,
    "fetch.max.bytes": 16 * 1024 * 1024,
}
TIMES: Final = {TIMESTAMP_CREATE_TIME: "created", TIMESTAMP_LOG_APPEND_TIME: "appended"}
NO_MATTER: Final = frozenset({KafkaError.GROUP_AUTHORIZATION_FAILED})
"""Brokers that let us read the topic may not let us into the group, where we do not want to be."""


@dataclass(frozen=True)
class Message:
    """One message; bytes that are no UTF-8 are replaced by signs."""

    partition: int
    offset: int
    time: datetime | None
    time_is: str
    """`created`, as the producer says, or `appended`, as the broker does; empty without a time."""
    key: str | None
    value: str | None
    size_bytes: int
    """Of key and value."""
    headers: tuple[tuple[str, str], ...]
    more_headers: int
    is_cut: bool

    @property
    def kept_bytes(self) -> int:
        """About what it takes in memory."""
        texts = [self.key or "", self.value or "", *(value for _, value in self.headers)]
        return 500 + sum(map(len, texts))


@dataclass(frozen=True)
class Found:
    """Messages, the newest first or, from a place on, in the order of time."""

    messages: tuple[Message, ...]
    looked_at: int
    is_whole: bool
    """Whether all was read that was to be."""
    is_forward: bool
    next: str | None
    """A cursor: where reading goes on in this direction."""
    earlier: str | None
    """A cursor: what is before these, where they were read from a place on."""


@dataclass
class _Kept:
    """What was found in a partition."""

    part: Part
    messages: deque[Message]
    let_go: int | None = None
    """Offset of the last of its messages that are not kept any more."""


def read_messages(asking: Asking, options: dict[str, Any], wanted: Wanted) -> Found:
    """Ask the brokers; KafkaException when they do not answer, NoSuchTopicError, QueryError."""
    parts = find_parts(asking, wanted)
    consumer = Consumer({**options, **READING})
    try:
        reading = _Reading(asking, wanted, parts)
        reading.read(consumer)
        return reading.found()
    finally:
        consumer.close()


class _Reading:
    def __init__(self, asking: Asking, wanted: Wanted, parts: list[Part]) -> None:
        self._asking = asking
        self._wanted = wanted
        self._is_forward = wanted.is_forward
        self._most_of_each = min(wanted.limit, max(MOST_LOOKED_AT // len(parts), 1))
        self._kept = {part.number: _Kept(part, deque()) for part in parts}
        self._open = {part.number for part in parts if part.reached < part.end}
        self._kept_bytes = 0
        self._looked_at = 0
        self._is_full = False

    def read(self, consumer: Consumer) -> None:
        """Until there is enough, or no more, or the time is over."""
        consumer.assign(
            [
                TopicPartition(self._wanted.topic, number, self._kept[number].part.start)
                for number in self._open
            ]
        )
        while self._open and not self._asking.is_over and not self._is_full:
            for message in consumer.consume(AT_ONCE, min(POLL_SECS, self._asking.left_secs)):
                self._take(message)

    def _take(self, message: Any) -> None:
        number, error = message.partition(), message.error()
        if error is not None:
            if error.code() in NO_MATTER:
                return
            if error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            self._close(number)  # its last offsets were no messages
            return
        if number not in self._open or self._is_full:
            return
        kept = self._kept[number]
        if message.offset() >= kept.part.end:
            self._close(number)
            return
        self._looked_at += 1
        kept.part.reached = message.offset() + 1
        if _has(message, self._wanted.text):
            self._keep(kept, _taken(message))
        if kept.part.reached >= kept.part.end:
            self._close(number)
        elif self._is_forward:
            if len(kept.messages) >= self._most_of_each:
                self._open.discard(number)
            self._is_full |= self._looked_at >= MOST_LOOKED_AT

    def _close(self, number: int) -> None:
        if number in self._open:
            self._open.discard(number)
            self._kept[number].part.reached = self._kept[number].part.end

    def _keep(self, kept: _Kept, message: Message) -> None:
        kept.messages.append(message)
        self._kept_bytes += message.kept_bytes
        is_too_much = self._kept_bytes > MOST_KEPT_BYTES
        if self._is_forward:
            self._is_full |= is_too_much
        elif is_too_much or len(kept.messages) > self._wanted.limit:
            oldest = kept.messages.popleft()
            kept.let_go = oldest.offset
            self._kept_bytes -= oldest.kept_bytes

    def found(self) -> Found:
        """The first of what was kept in the order that was asked for, and where it goes on."""
        is_whole = not self._open
        shown = self._first(is_strict=is_whole and not self._wanted.text)
        shown = shown or self._first(is_strict=False)
        counts = Counter(message.partition for message in shown)
        parts = [kept.part for kept in self._kept.values()]
        rest = [self._rest(kept, counts[kept.part.number]) for kept in self._kept.values()]
        starts = [part.start for part in parts]
        return Found(
            tuple(shown),
            self._looked_at,
            is_whole,
            self._is_forward,
            cursor_of(rest, parts, is_forward=self._is_forward),
            cursor_of(starts, parts, is_forward=False) if self._is_forward else None,
        )

    def _first(self, *, is_strict: bool) -> list[Message]:
        """Strictly, no message is given before one that comes earlier and was not read."""
        first: list[Message] = []
        for message in self._in_order():
            if message is not None:
                first.append(message)
            elif is_strict:
                break
            if len(first) == self._wanted.limit:
                break
        return first

    def _in_order(self) -> Iterator[Message | None]:
        """What was kept, in the order of time; within a partition always in that of offsets. None is
        where a partition has more than was kept of it."""
        heads = {
            number: iter(kept.messages if self._is_forward else reversed(kept.messages))
            for number, kept in self._kept.items()
        }
        waiting: list[tuple[tuple[float, int, int], Message]] = []
        following = [*heads]
        while following or waiting:
            for number in following:
                message = next(heads[number], None)
                if message is not None:
                    heappush(waiting, (self._order(message), message))
                elif self._goes_on(self._kept[number]):
                    yield None
            following = []
            if waiting:
                _, message = heappop(waiting)
                yield message
                following = [message.partition]

    def _order(self, message: Message) -> tuple[float, int, int]:
        when = message.time.timestamp() if message.time else 0.0
        sign = 1 if self._is_forward else -1
        return sign * when, sign * message.offset, sign * message.partition

    def _goes_on(self, kept: _Kept) -> bool:
        """Whether a partition has more in this direction than was kept of it."""
        if self._is_forward:
            return kept.part.reached < kept.part.end
        return kept.let_go is not None or kept.part.start > kept.part.low

    def _rest(self, kept: _Kept, shown: int) -> int:
        """Where a partition goes on in this direction, when so many of its messages are shown."""
        left = len(kept.messages) - shown
        if self._is_forward:
            return kept.messages[shown].offset if left else kept.part.reached
        if left:
            return kept.messages[left - 1].offset + 1
        return kept.part.start if kept.let_go is None else kept.let_go + 1


def _has(message: Any, text: str) -> bool:
    if not text:
        return True
    wanted = text.lower().encode()
    return any(wanted in (part or b"").lower() for part in (message.value(), message.key()))


def _taken(message: Any) -> Message:
    value, key = message.value(), message.key()
    headers = message.headers() or []
    kind, ms = message.timestamp()
    return Message(
        message.partition(),
        message.offset(),
        datetime.fromtimestamp(ms / 1000, UTC) if kind else None,
        TIMES.get(kind, ""),
        _text(key),
        _text(value),
        len(value or b"") + len(key or b""),
        tuple(
            (name[:LONGEST_HEADER], _text(each, LONGEST_HEADER) or "")
            for name, each in headers[:MOST_HEADERS]
        ),
        max(len(headers) - MOST_HEADERS, 0),
        len(value or b"") > LONGEST_TEXT or len(key or b"") > LONGEST_TEXT,
    )


def _text(data: bytes | None, longest: int = LONGEST_TEXT) -> str | None:
    return None if data is None else data[:longest].decode("utf-8", "replace")
