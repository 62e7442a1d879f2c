"""What the translators have in common: lines of JSON out, and one way to say what is wrong."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

MAX_EVENTS_BYTES = 64 * 1024**2
"""Most that a body may become: labels and the like are written once but belong to every event."""

MAX_EVENTS: Final = 1_000_000
"""Most events of a body. A few bytes compressed may be millions, each of which takes memory."""

_NUMBERS_START: Final = 10**17
"""The table takes a smaller number for microseconds; it is written as a date."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class BadBodyError(ValueError):
    """A body that cannot be read; nothing of it is taken."""


class TooLargeError(BadBodyError):
    """A body that is, or becomes, larger than is allowed."""


def check_count(events: int) -> None:
    """Raise TooLargeError for more events than a body may have."""
    if events > MAX_EVENTS:
        raise TooLargeError(
            f"cannot take more than {MAX_EVENTS} events at once: send smaller batches"
        )


def join(parts: Sequence[bytes]) -> bytes:
    """The parts in one piece. Measured first: they may be few bytes in memory, repeated often."""
    if sum(map(len, parts)) > MAX_EVENTS_BYTES:
        raise TooLargeError(
            f"cannot take events of more than {MAX_EVENTS_BYTES} bytes at once, with their index or "
            "labels: send smaller batches"
        )
    return b"".join(parts)


def timestamp_text(nanos: int) -> str:
    """A time in nanoseconds since 1970, of 64 bits, as the table reads it to the nanosecond."""
    if nanos >= _NUMBERS_START:
        return str(nanos)
    seconds, fraction = divmod(nanos, 1_000_000_000)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"
