"""What the translators have in common: lines of JSON out, and one way to say what is wrong."""

from collections.abc import Sequence

MAX_EVENTS_BYTES = 64 * 1024**2
"""Most that a body may become: labels and the like are written once but belong to every event."""


class BadBodyError(ValueError):
    """A body that cannot be read; nothing of it is taken."""


class TooLargeError(BadBodyError):
    """A body that is, or becomes, larger than is allowed."""


def join(parts: Sequence[bytes]) -> bytes:
    """The parts in one piece. Measured first: they may be few bytes in memory, repeated often."""
    if sum(map(len, parts)) > MAX_EVENTS_BYTES:
        raise TooLargeError(
            f"cannot take events of more than {MAX_EVENTS_BYTES} bytes at once, with their index or "
            "labels: send smaller batches"
        )
    return b"".join(parts)
