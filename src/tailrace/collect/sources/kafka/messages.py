"""Turns messages into frames.

With the codec `json` and no field to add, messages become lines as they are, byte for byte, and
only whether all of them are objects is looked at, many at once. Otherwise messages of the codecs `json`
and `bytes` become events with their fields, and what is anything else goes into envelopes. A message
without a value is no event. One that cannot be an event is a record of its own, or in an envelope, whose
peer says where it stands: `topic/partition@offset`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import orjson

from tailrace.collect.codec import DecodeError
from tailrace.collect.envelope import pack
from tailrace.collect.json_text import is_read_otherwise
from tailrace.collect.source import Frames, Origin
from tailrace.collect.sources.kafka.config import KafkaConfig
from tailrace.collect.transform import Event, as_timestamp

NO_TIMESTAMP = 0
EVENT_CODECS = frozenset({"bytes", "json"})
EVENTS_AT_ONCE = 32
"""Messages whose events and lines are in memory at once. With thousands of them most of the time goes
into getting memory from the system and giving it back: three times as much with lines of 400 bytes."""
_OPENS, _CLOSES = b"{}"


class Message(Protocol):
    """What we use of a message of confluent-kafka."""

    def topic(self) -> str | None:
        """Its topic."""

    def partition(self) -> int | None:
        """Its partition."""

    def offset(self) -> int | None:
        """Its place in the partition."""

    def key(self) -> bytes | None:
        """Its key."""

    def value(self) -> bytes | None:
        """What it says; None for a tombstone."""

    def headers(self) -> Any:
        """Names and values."""

    def timestamp(self) -> tuple[int, int]:
        """Kind, and milliseconds since 1970."""


Render = Callable[[Sequence[Message]], list[Frames]]
"""What becomes of messages of one partition."""

Decode = Callable[[bytes], list[Event]]
"""A codec; raises DecodeError."""


def place_of(message: Message) -> str:
    """Where a message stands, as the peer of a rejected row."""
    return f"{message.topic()}/{message.partition()}@{message.offset()}"


class LineRenderer:
    """Messages as lines."""

    def __init__(self, decode: Decode) -> None:
        self._decode = decode

    def __call__(self, messages: Sequence[Message]) -> list[Frames]:
        """Frames in the order of the messages."""
        values = [value for message in messages if (value := message.value())]
        if not values:
            return []
        if _are_all_objects(values):
            return [Frames(b"\n".join(values) + b"\n", len(values), _origin(messages[0]))]
        return self._one_by_one(messages)

    def _one_by_one(self, messages: Sequence[Message]) -> list[Frames]:
        frames: list[Frames] = []
        good: list[bytes] = []
        origin = _origin(messages[0])

        def end_of_good() -> None:
            if good:
                frames.append(Frames(b"\n".join(good) + b"\n", len(good), origin))
                good.clear()

        for message in messages:
            value = message.value()
            if not value:
                continue
            try:
                if self._decode(value):
                    # A newline in JSON is between tokens, where a blank does as well.
                    good.append(value.replace(b"\n", b" "))
            except DecodeError:
                end_of_good()
                line = value.replace(b"\n", b" ") + b"\n"
                frames.append(Frames(line, 1, Origin(place_of(message))))
        end_of_good()
        return frames


class EnvelopeRenderer:
    """Messages in envelopes, with the fields that the options name."""

    def __init__(self, config: KafkaConfig) -> None:
        self._fields = _Fields(config)
        self._by_lines = config.framing.method == "newline_delimited"
        self._most_bytes = config.framing.newline_delimited.max_length

    def __call__(self, messages: Sequence[Message]) -> list[Frames]:
        """Frames in the order of the messages."""
        packed: list[bytes] = []
        too_long: list[Frames] = []
        origin, fields = _origin(messages[0]), self._fields.common(messages[0])
        for message in messages:
            good, long = self._frames_of(message)
            if good:
                peer = f"{origin.peer}@{message.offset()}"
                self._fields.put_own(fields, message)
                timestamp_ms = _timestamp_ms(message)
                packed += [pack(each, peer, timestamp_ms, fields) for each in good]
            if long:
                too_long += [_too_long(each, message) for each in long]
        if not packed:
            return too_long
        return [Frames(b"".join(packed), len(packed), origin, enveloped=True), *too_long]

    def _frames_of(self, message: Message) -> tuple[Sequence[bytes], Sequence[bytes]]:
        """The frames of a message, and those of its lines that are too long."""
        value = message.value()
        if not value:
            return (), ()
        if not self._by_lines:
            return (value,), ()
        lines = [line for each in value.split(b"\n") if (line := each.removesuffix(b"\r"))]
        most = self._most_bytes
        if most is None:
            return lines, ()
        return [one for one in lines if len(one) <= most], [x for x in lines if len(x) > most]


class EventRenderer:
    """Messages as events, where each of some neighbours is one and has a time; else in envelopes.

    The lines are, byte for byte, what `tailrace.collect.pipeline` makes of the envelopes.
    """

    def __init__(self, config: KafkaConfig, decode: Decode) -> None:
        self._in_envelopes = EnvelopeRenderer(config)
        self._fields = _Fields(config)
        self._source_type = config.type
        self._is_json = config.codec == "json"
        self._decode = decode
        self._timestamp = lru_cache(4096)(_timestamp)

    def __call__(self, messages: Sequence[Message]) -> list[Frames]:
        """Frames in the order of the messages."""
        frames: list[Frames] = []
        for first in range(0, len(messages), EVENTS_AT_ONCE):
            some = messages[first : first + EVENTS_AT_ONCE]
            lines = self._lines(some)
            if lines is None:
                frames += self._in_envelopes(some)
            elif lines:
                frames.append(Frames(b"".join(lines), len(lines), _origin(some[0]), ready=True))
        return frames

    def _lines(self, messages: Sequence[Message]) -> list[bytes] | None:
        """An event of each message; None where that cannot be."""
        fields = self._fields.common(messages[0])
        values = [value for message in messages if (value := message.value())]
        if len(values) < len(messages):
            messages = [message for message in messages if message.value()]
        try:
            timestamps = [self._timestamp(*message.timestamp()) for message in messages]
            events = self._events(values)
        except (DecodeError, _NotOneEventError):
            return None
        lines: list[bytes] = []
        for message, event, timestamp in zip(messages, events, timestamps, strict=True):
            self._fields.put_own(fields, message)
            event.update(fields)
            event["timestamp"] = timestamp
            event.setdefault("source_type", self._source_type)
            lines.append(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))
        return lines

    def _events(self, values: Sequence[bytes]) -> list[Event]:
        if self._is_json and (events := _plain_objects(values)):
            return events
        decoded = [self._decode(value) for value in values]
        if any(len(events) != 1 for events in decoded):
            raise _NotOneEventError
        return [events[0] for events in decoded]


class _NotOneEventError(Exception):
    """A message is not one event, or has no time."""


class _Fields:
    """What the options add to each event."""

    def __init__(self, config: KafkaConfig) -> None:
        self._key, self._offset = config.key_field, config.offset_key
        self._headers = config.headers_key
        self._topic, self._partition = config.topic_key, config.partition_key

    def common(self, message: Message) -> dict[str, Any]:
        """What all messages of a partition have."""
        fields: dict[str, Any] = {}
        if self._topic:
            fields[self._topic] = message.topic()
        if self._partition:
            fields[self._partition] = message.partition()
        return fields

    def put_own(self, fields: dict[str, Any], message: Message) -> None:
        """What each message has of its own."""
        if self._key:
            fields[self._key] = _text(message.key())
        if self._offset:
            fields[self._offset] = message.offset()
        if self._headers:
            headers = message.headers()
            fields[self._headers] = _texts(headers) if headers else {}


def renderer(config: KafkaConfig, decode: Decode) -> Render:
    """What turns messages into frames, as the options say."""
    if not config.enveloped:
        return LineRenderer(decode)
    if config.codec in EVENT_CODECS and config.framing.method == "bytes":
        return EventRenderer(config, decode)
    return EnvelopeRenderer(config)


def _plain_objects(values: Sequence[bytes]) -> list[Event]:
    """What the codec `json` makes of objects in which is nothing that it treats specially; else none."""
    try:
        events = [orjson.loads(value) for value in values]
    except orjson.JSONDecodeError:
        return []
    are_objects = set(map(type, events)) <= {dict}
    return [] if not are_objects or is_read_otherwise(b"\n".join(values), values) else events


def _are_all_objects(values: Sequence[bytes]) -> bool:
    """Whether each value is a JSON object in one line: a fast way to say yes.

    All are parsed at once, as one array. What could deceive that (an object in two messages, beside a
    message that holds two) is found by whoever takes the lines, who only does not know the offset.
    """
    if not all(value[0] == _OPENS and value[-1] == _CLOSES for value in values):
        return False
    text = b",".join(values)
    if b"\n" in text:
        return False
    try:
        found = orjson.loads(b"[%b]" % text)
    except orjson.JSONDecodeError:
        return False
    return len(found) == len(values)


def _origin(message: Message) -> Origin:
    return Origin(f"{message.topic()}/{message.partition()}")


def _too_long(line: bytes, message: Message) -> Frames:
    origin = Origin(place_of(message))
    return Frames(line, 1, origin, one_frame=True, reject_reason="line too long")


def _timestamp_ms(message: Message) -> int | None:
    kind, milliseconds = message.timestamp()
    return None if kind == NO_TIMESTAMP else milliseconds


def _timestamp(kind: int, milliseconds: int) -> str:
    if kind == NO_TIMESTAMP:
        raise _NotOneEventError
    try:
        return as_timestamp(milliseconds)
    except (ValueError, OverflowError, OSError):  # beyond the years that there are
        raise _NotOneEventError from None


def _texts(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    return {name: value.decode("utf-8", "replace") for name, value in headers if value is not None}


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "replace")
