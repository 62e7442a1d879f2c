"""Moments and ranges as people type them.

`parse_moment` reads "now", "15m" or "1 hour ago", "yesterday", ISO 8601 and epoch seconds or
milliseconds; what has no time zone is UTC. All results are aware and in UTC.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from tailrace.errors import QueryError

_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_AGO = re.compile(
    r"-?\s*(\d{1,9})\s*"
    r"(s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?)(?:\s+ago)?",
    re.IGNORECASE | re.ASCII,
)
_EPOCH = re.compile(r"\d{9,13}(?:\.\d{1,6})?", re.ASCII)
_LATEST_EPOCH_SECONDS: Final = 99_999_999_999
"""Above this a number of the epoch is milliseconds: 11 digits of seconds reach the year 5138."""

PRESETS: Final = {
    "5m": "Last 5 minutes",
    "15m": "Last 15 minutes",
    "1h": "Last hour",
    "6h": "Last 6 hours",
    "24h": "Last 24 hours",
    "7d": "Last 7 days",
}
"""What a page offers, as `from`, with its label."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `start` (included) to `end` (excluded); None is open."""

    start: datetime | None = None
    end: datetime | None = None


def parse_moment(text: str, now: datetime) -> datetime:
    """The moment that `text` means, seen from `now`; QueryError if it means none."""
    stripped = text.strip()
    try:
        moment = _parse(stripped, now)
    except (ValueError, OverflowError) as error:
        raise _not_a_moment(text) from error
    if not datetime(1900, 1, 1, tzinfo=UTC) <= moment < datetime(2200, 1, 1, tzinfo=UTC):
        raise QueryError(f"cannot use the time {text!r}: it must lie between 1900 and 2200")
    return moment


def _parse(text: str, now: datetime) -> datetime:
    lowered = text.lower()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": now, "today": today, "yesterday": today - timedelta(days=1)}
    if lowered in named:
        return named[lowered]
    ago = _AGO.fullmatch(text)
    if ago:
        return now - int(ago.group(1)) * _UNITS[ago.group(2)[0].lower()]
    if _EPOCH.fullmatch(text):
        number = float(text)
        return datetime.fromtimestamp(
            number if number <= _LATEST_EPOCH_SECONDS else number / 1000, UTC
        )
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def parse_range(start: str, end: str, now: datetime) -> TimeRange:
    """The range between two typed moments; an empty text leaves that end open."""
    parsed = TimeRange(
        parse_moment(start, now) if start.strip() else None,
        parse_moment(end, now) if end.strip() else None,
    )
    if parsed.start and parsed.end and parsed.start >= parsed.end:
        raise QueryError(
            f"cannot search from {start!r} to {end!r}: the range ends before it begins"
        )
    return parsed


def _not_a_moment(text: str) -> QueryError:
    return QueryError(
        f"cannot read {text!r} as a time: write 15m, 1 hour ago, yesterday, "
        "2026-11-22T10:42:00Z or seconds since 1970"
    )
