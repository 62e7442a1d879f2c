"""Reads what Splunk's HTTP event collector is sent: envelopes, one JSON object after the other.

An envelope is `{"event": …, "time": …, "host": …, "source": …, "sourcetype": …, "index": …,
"fields": {…}}`. Text in `event` becomes `message`, an object's members become fields (`line`, where
it is a plain value, the `message`), and so do those of `fields`; the others are called `host`,
`splunk_source`, `splunk_sourcetype`, `splunk_index` and `timestamp`, as in Vector. As there and in
Splunk, what an envelope does not say of itself is as in the envelope before it.

A bad envelope is rejected alone. What is no JSON is rejected from there to the end of the body: there
is no telling where the next one would begin.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from tailrace.collect.codec import DecodeError
from tailrace.collect.json_text import parse_json
from tailrace.collect.transform import Event, Timestamp

NAMES = {
    "host": "host",
    "source": "splunk_source",
    "sourcetype": "splunk_sourcetype",
    "index": "splunk_index",
    "channel": "splunk_channel",
}
"""What an event calls what its envelope says."""

STICKY = frozenset({"host", "source", "sourcetype", "index", "time"})

MOST_REJECTED = 100_000
"""Bad envelopes that a body may hold."""

SECONDS_END = 13_569_465_600
MILLISECONDS_END = 253_402_300_800_000
"""Numbers below are seconds, milliseconds; nanoseconds all others, as in Vector."""

_BLANKS = " \t\r\n"


class EnvelopeError(DecodeError):
    """An envelope that is no event; `code` is Splunk's."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass
class Envelopes:
    """What a body holds."""

    lines: list[bytes] = field(default_factory=list)
    """Sound ones, each complete by itself, in a line."""
    rejected: list[tuple[bytes, EnvelopeError]] = field(default_factory=list)
    first_bad: int = 0
    """Number of the first that was rejected."""


def read_envelopes(body: bytes) -> Envelopes:
    """The envelopes of a body."""
    found = Envelopes()
    before: Event = {}
    for number, text in enumerate(_documents(body)):
        try:
            envelope = parse_json(text)
            event_of(envelope)
        except DecodeError as error:
            if not isinstance(error, EnvelopeError):
                error = EnvelopeError(6, error.reason)
            found.first_bad = found.first_bad if found.rejected else number
            found.rejected.append((text, error))
            if len(found.rejected) > MOST_REJECTED:
                raise EnvelopeError(6, f"more than {MOST_REJECTED} envelopes are bad") from error
            continue
        found.lines.append(_complete(text, envelope, before))
    return found


def event_of(envelope: Any) -> Event:
    """The event in an envelope; raises EnvelopeError."""
    if not isinstance(envelope, dict):
        raise EnvelopeError(6, "not HEC: an envelope is a JSON object")
    content = envelope.get("event")
    if content is None:
        raise EnvelopeError(12, 'not HEC: the envelope has no "event"')
    if content in ("", {}):
        raise EnvelopeError(13, 'not HEC: "event" is empty')
    if isinstance(content, str):
        event: Event = {"message": content}
    elif isinstance(content, dict):
        event = dict(content)
        if "line" in event and not isinstance(event["line"], dict | list):
            event["message"] = event.pop("line")
    else:
        raise EnvelopeError(6, 'not HEC: "event" is neither text nor an object')
    fields = envelope.get("fields")
    if fields is not None:
        if not isinstance(fields, dict):
            raise EnvelopeError(6, 'not HEC: "fields" is not an object')
        event.update(fields)
    for name, ours in NAMES.items():
        if (value := envelope.get(name)) is not None:
            event[ours] = value
    if (time := envelope.get("time")) is not None:
        event["timestamp"] = _timestamp(time)
    return event


def _complete(text: bytes, envelope: Event, before: Event) -> bytes:
    """The envelope in a line, with what it has from those before it."""
    missing = before.keys() - envelope.keys()
    before.update((name, envelope[name]) for name in STICKY & envelope.keys())
    if not missing and b"\n" not in text:
        return text
    return orjson.dumps({**envelope, **{name: before[name] for name in missing}})


def _documents(body: bytes) -> Iterator[bytes]:
    """Each JSON value of the body by itself; what is none, in one piece, at the end."""
    lines = [line for line in map(bytes.strip, body.split(b"\n")) if line]
    if all(map(_is_json, lines)):
        yield from lines
        return
    text = body.decode("utf-8", "replace")
    decoder = json.JSONDecoder()
    start = 0
    while start < len(text):
        if text[start] in _BLANKS:
            start += 1
            continue
        try:
            _, end = decoder.raw_decode(text, start)
        # Too deep, or an integer of thousands of digits.
        except (ValueError, RecursionError):
            end = len(text)
        yield text[start:end].rstrip().encode()
        start = end


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _timestamp(time: Any) -> Timestamp:
    try:
        return _read_time(str(time)) if not isinstance(time, bool | dict | list) else _bad(time)
    except (ValueError, OverflowError, OSError) as error:
        raise EnvelopeError(6, f"not HEC: cannot read the time {str(time)[:60]!r}") from error


def _bad(time: Any) -> Timestamp:
    raise ValueError(time)


@lru_cache(4096)
def _read_time(text: str) -> Timestamp:
    if text.isdecimal():
        number = int(text)
        scale = 10**9 if number < SECONDS_END else 10**6 if number < MILLISECONDS_END else 1
        nanos = number * scale
    else:
        number_of_seconds = float(text)
        if not math.isfinite(number_of_seconds) or number_of_seconds < 0:
            raise ValueError(text)
        whole, _, fraction = text.partition(".")
        is_plain = whole.isdecimal() and fraction.isdecimal()
        nanos = (
            int(whole) * 10**9 + int(fraction[:9].ljust(9, "0"))
            if is_plain
            else round(number_of_seconds * 10**6) * 1000
        )
    seconds, rest = divmod(nanos, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return Timestamp(f"{moment}.{rest:09d}Z")
