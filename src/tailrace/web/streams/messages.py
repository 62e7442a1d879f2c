"""Reads messages of a topic from a place on, or looks for a text in the last of them.

Partitions are assigned, not subscribed to, so no group is joined; and nothing is committed. A read ends
with what was asked for, at the offset that was the end when it began, or when its time is over.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

MOST_LOOKED_AT: Final = 10_000
MOST_GIVEN: Final = 500
LONGEST_TEXT: Final = 20_000
POLL_SECS: Final = 0.2
AT_ONCE: Final = 500


@dataclass(frozen=True)
class Wanted:
    """What somebody wants to see. Without an offset or a time it is the newest."""

    topic: str
    partition: int | None = None
    offset: int | None = None
    since: datetime | None = None
    text: str = ""
    last: int = 1000
    """Where a text is looked for: in so many messages, of all partitions together."""
    limit: int = 50


@dataclass(frozen=True)
class Message:
    """One message; bytes that are no UTF-8 are replaced by signs."""

    partition: int
    offset: int
    time: datetime | None
    key: str | None
    value: str | None
    size_bytes: int
    headers: tuple[tuple[str, str], ...]
    is_cut: bool


@dataclass(frozen=True)
class Found:
    """Messages in the order of time: the newest first, or from the place on that was asked for."""

    messages: tuple[Message, ...]
    looked_at: int
    is_whole: bool
    """Whether all was read that was to be."""


class NoSuchTopicError(Exception):
    """There is no such topic, or it has no such partition."""


def read_messages(options: dict[str, Any], wanted: Wanted, timeout_secs: float) -> Found:
    """Ask the brokers; KafkaException when they do not answer."""
    consumer = Consumer(
        {
            **options,
            "group.id": "tailrace-looks-only",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "queued.max.messages.kbytes": 16 * 1024,
        }
    )
    try:
        return _read(consumer, wanted, timeout_secs)
    finally:
        consumer.close()


def _read(consumer: Consumer, wanted: Wanted, timeout_secs: float) -> Found:
    deadline = time.monotonic() + timeout_secs
    places = _places(consumer, wanted, timeout_secs)
    left = {place.partition: end for place, end in places if place.offset < end}
    consumer.assign([place for place, end in places if place.offset < end])
    is_forward = wanted.offset is not None or wanted.since is not None
    found: list[Message] = []
    looked_at = 0
    counts = dict.fromkeys(left, 0)
    while left and time.monotonic() < deadline:
        for message in consumer.consume(AT_ONCE, POLL_SECS):
            error = message.error()
            number, offset = message.partition() or 0, message.offset() or 0
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                left.pop(number, None)  # its last offsets were no messages
                continue
            end = left.get(number)
            if end is None or offset >= end:
                left.pop(number, None)
                continue
            looked_at += 1
            if _has(message, wanted.text):
                found.append(_taken(message))
                counts[number] += 1
            if offset + 1 >= end or (is_forward and counts[number] >= wanted.limit):
                left.pop(number)
        if is_forward and looked_at >= MOST_LOOKED_AT:
            break
    found.sort(key=_order, reverse=not is_forward)
    return Found(tuple(found[: wanted.limit]), looked_at, not left)


def _places(
    consumer: Consumer, wanted: Wanted, timeout_secs: float
) -> list[tuple[TopicPartition, int]]:
    """Where to begin in each partition, and its end."""
    topic = consumer.list_topics(wanted.topic, timeout=timeout_secs).topics[wanted.topic]
    if topic.error is not None or not topic.partitions:
        raise NoSuchTopicError(f"cannot find the topic {wanted.topic!r}")
    numbers = sorted(topic.partitions)
    if wanted.partition is not None:
        if wanted.partition not in topic.partitions:
            raise NoSuchTopicError(
                f"cannot find partition {wanted.partition} of {wanted.topic!r}: there are "
                f"{len(numbers)}"
            )
        numbers = [wanted.partition]
    of_each = -(-min(wanted.last, MOST_LOOKED_AT) // len(numbers)) if wanted.text else wanted.limit
    since = _since(consumer, wanted, numbers, timeout_secs)
    places = []
    for number in numbers:
        place = TopicPartition(wanted.topic, number)
        low, high = consumer.get_watermark_offsets(place, timeout=timeout_secs)
        start = since.get(number, wanted.offset)
        if start is None:
            start = high - of_each
        elif start < 0:
            start = high
        place.offset = max(start, low)
        places.append((place, high))
    return places


def _since(
    consumer: Consumer, wanted: Wanted, numbers: Iterable[int], timeout_secs: float
) -> dict[int, int]:
    """The first offset from a time on; negative where there is none."""
    if wanted.since is None:
        return {}
    ms = int(wanted.since.timestamp() * 1000)
    asked = [TopicPartition(wanted.topic, number, ms) for number in numbers]
    return {
        place.partition: place.offset
        for place in consumer.offsets_for_times(asked, timeout=timeout_secs)
    }


def _has(message: Any, text: str) -> bool:
    if not text:
        return True
    wanted = text.lower().encode()
    return any(wanted in (part or b"").lower() for part in (message.value(), message.key()))


def _taken(message: Any) -> Message:
    value, key = message.value(), message.key()
    kind, ms = message.timestamp()
    return Message(
        message.partition(),
        message.offset(),
        datetime.fromtimestamp(ms / 1000, UTC) if kind else None,
        _text(key),
        _text(value),
        len(value or b"") + len(key or b""),
        tuple((name, _text(each) or "") for name, each in message.headers() or ()),
        len(value or b"") > LONGEST_TEXT,
    )


def _text(data: bytes | None) -> str | None:
    return None if data is None else data[:LONGEST_TEXT].decode("utf-8", "replace")


def _order(message: Message) -> tuple[float, int, int]:
    when = message.time.timestamp() if message.time else 0.0
    return when, message.offset, message.partition
