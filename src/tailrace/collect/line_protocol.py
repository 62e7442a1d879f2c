"""InfluxDB's line protocol, as its sinks write it. Runs in worker processes.

    measurement,tag=value,… field=value,… time

Tags are text; fields are text in quotes, whole numbers with an `i` or a `u`, other numbers and
booleans; times are nanoseconds since 1970.
https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/ is the source.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b

_TIME = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_SERIES = re.compile(rb"(?:[^ \\]|\\.)*", re.DOTALL)
_COARSE = (1_000_000_000, 1_000_000)
"""Nanoseconds in a second and in a millisecond."""


def series(measurement: str, tags: Mapping[str, str]) -> str:
    """The measurement with its tags, sorted, as InfluxDB advises."""
    # An empty tag is the same as none, and is refused.
    parts = [f"{key(name)}={key(tags[name])}" for name in sorted(tags) if name and tags[name]]
    return ",".join([_escape(measurement.replace("\n", "\\n"), ", "), *parts])


@lru_cache(10_000)
def key(text: str) -> str:
    """A tag's name or value, or a field's name; a line cannot hold a newline there."""
    return _escape(text.replace("\n", "\\n"), ", =")


def quoted(text: str) -> str:
    """A field's value that is text."""
    return '"' + _escape(text, '"') + '"'


def nanoseconds(text: str) -> int | None:
    """Nanoseconds since 1970; None where the text is no time of RFC 3339."""
    found = _TIME.fullmatch(text)
    seconds = _seconds(f"{found[1]}{found[3]}") if found else None
    if found is None or seconds is None:
        return None
    return seconds * 1_000_000_000 + int((found[2] or "0").ljust(9, "0"))


def apart(points: Sequence[bytes], token: str = "") -> list[bytes]:
    """Points of which no two agree in measurement, tags and time: InfluxDB would keep the last.

    Those that do get times a nanosecond apart, in their order. With a `token`, what a coarse time
    (one of whole seconds or milliseconds) leaves open comes from that, too, so that points of two
    batches do not agree either, but by a chance of one in a million. The same points with the same token are the same.
    """
    place = int.from_bytes(blake2b(token.encode(), digest_size=8).digest()) if token else 0
    following: dict[tuple[bytes, int], int] = {}
    made = []
    for point in points:
        rest, _, last = point.rpartition(b" ")
        found = _SERIES.match(point)
        # The end of a field is no number alone: text has its quotes.
        if found is None or not last.removeprefix(b"-").isdigit():
            made.append(point)
            continue
        wanted = int(last)
        wanted += place % next((unit for unit in _COARSE if wanted % unit == 0), 1)
        time = wanted
        while (found[0], time) in following:
            time = following[found[0], time]
        following[found[0], wanted] = following[found[0], time] = time + 1
        made.append(b"%s %d" % (rest, time))
    return made


def _escape(text: str, characters: str) -> str:
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    for character in characters:
        if character in text:
            text = text.replace(character, "\\" + character)
    return text


@lru_cache(1_000)
def _seconds(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return None
