"""Where reading begins and ends in each partition, and the cursors that lead on.

A cursor is `f` (forward from) or `b` (backward before), and an offset for each partition that is read:
`b1023-1100-900-1203`. So pages that follow each other show each message once, whatever comes meanwhile.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tailrace.errors import QueryError
from tailrace.web.streams.asking import EARLIEST, LATEST, Asking, Place
from tailrace.web.streams.overview import NoSuchTopicError, find_topic

MOST_LOOKED_AT: Final = 10_000
MOST_IN_CURSOR: Final = 200
"""Partitions of a cursor, which is part of an address; topics with more are read by partition."""

LONGEST_CURSOR: Final = MOST_IN_CURSOR * 20
_CURSOR: Final = re.compile(r"[bf]\d{1,19}(-\d{1,19})*", re.ASCII)


@dataclass(frozen=True)
class Wanted:
    """What somebody wants to see. Without an offset, a time or a cursor it is the newest."""

    topic: str
    partition: int | None = None
    offset: int | None = None
    since: datetime | None = None
    text: str = ""
    last: int = 1000
    """Where a text is looked for: in so many messages, of all partitions together."""
    limit: int = 50
    cursor: str = ""

    @property
    def is_forward(self) -> bool:
        """Whether messages are wanted in the order of time, rather than the newest first."""
        if self.cursor:
            return self.cursor[0] == "f"
        return self.offset is not None or self.since is not None


@dataclass
class Part:
    """What is read of a partition: from `start` to before `end`, of `low` to before `high`."""

    number: int
    low: int
    high: int
    start: int
    end: int
    reached: int
    """The first offset that has not been looked at yet."""


def find_parts(asking: Asking, wanted: Wanted) -> list[Part]:
    """Where to read; NoSuchTopicError, QueryError for a cursor of another topic."""
    numbers = _numbers(asking, wanted)
    places = [(wanted.topic, number) for number in numbers]
    started = asking.start_offsets(places, EARLIEST), asking.start_offsets(places, LATEST)
    lows, highs = map(asking.offsets, started)
    known = [place for place in places if place in lows and place in highs]
    if not known:
        raise TimeoutError
    bounds = _bounds(wanted, len(places))
    since = _since(asking, wanted, places)
    most = min(wanted.last, MOST_LOOKED_AT) if wanted.text else MOST_LOOKED_AT
    of_each = max(most // len(places), 1)
    if not wanted.text:
        of_each = min(of_each, wanted.limit)
    parts = []
    for place in known:
        low, high = lows[place], highs[place]
        bound = bounds[places.index(place)] if bounds else None
        if wanted.is_forward:
            start = next(
                at for at in (bound, since.get(place), wanted.offset, low) if at is not None
            )
            start = min(max(high if start < 0 else start, low), high)
            parts.append(Part(place[1], low, high, start, high, start))
        else:
            end = high if bound is None else min(max(bound, low), high)
            start = max(end - of_each, low)
            parts.append(Part(place[1], low, high, start, end, start))
    return parts


def cursor_of(bounds: Iterable[int], parts: Sequence[Part], *, is_forward: bool) -> str | None:
    """The cursor for offsets of these partitions; None where nothing is beyond them."""
    offsets = list(bounds)
    both = zip(offsets, parts, strict=True)
    is_more = any(at < part.high if is_forward else at > part.low for at, part in both)
    if not is_more or len(parts) > MOST_IN_CURSOR:
        return None
    return ("f" if is_forward else "b") + "-".join(map(str, offsets))


def _numbers(asking: Asking, wanted: Wanted) -> list[int]:
    numbers = sorted(find_topic(asking, wanted.topic).partitions)
    if wanted.partition is None:
        return numbers
    if wanted.partition not in numbers:
        raise NoSuchTopicError(
            f"cannot find partition {wanted.partition} of {wanted.topic!r}: there are {len(numbers)}"
        )
    return [wanted.partition]


def _bounds(wanted: Wanted, count: int) -> list[int]:
    """The offsets of the cursor; none without one."""
    if not wanted.cursor:
        return []
    offsets = wanted.cursor[1:].split("-") if _CURSOR.fullmatch(wanted.cursor) else []
    if len(offsets) != count:
        raise QueryError(
            f"cannot read the cursor {wanted.cursor[:100]!r}: give `next` of an answer for the same "
            "topic and partition"
        )
    return [int(offset) for offset in offsets]


def _since(asking: Asking, wanted: Wanted, places: Sequence[Place]) -> dict[Place, int]:
    """The first offset from a time on; negative where there is none."""
    if wanted.since is None or wanted.cursor:
        return {}
    ms = max(int(wanted.since.timestamp() * 1000), 0)
    return asking.offsets(asking.start_offsets_at(places, ms))
