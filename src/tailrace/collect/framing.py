"""Cuts a stream of bytes into lines, whatever the chunks it arrives in.

All work on bytes is done by C functions over whole chunks. What comes out is always complete lines,
each with its newline; the unfinished one waits here, up to `max_line_bytes`. A longer line is given
up as a whole: its beginning is reported once, the rest of it is skipped up to its newline, and the
stream goes on with the line after it.
"""

from dataclasses import dataclass

MAX_LINE_BYTES = 64 * 1024**2
"""Longest line that a connection may send where no option says otherwise."""

KEPT_OF_LONG_LINE_BYTES = 64 * 1024
"""How much of a line that is too long is kept in the rejected table."""


@dataclass(frozen=True)
class Lines:
    """Complete lines and their number."""

    payload: bytes = b""
    count: int = 0
    too_long: tuple[bytes, ...] = ()
    """The beginnings of lines that were given up."""
    apart: tuple[bytes, ...] = ()
    """Frames that contain newlines themselves."""


class LineFramer:
    """The state of one stream."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        self._unfinished = bytearray()
        self._skipping = False

    def feed(self, buffer: bytearray, size: int) -> Lines:
        """The lines that are complete now that the first `size` bytes of `buffer` have come."""
        start = 0
        if self._skipping:
            start = buffer.find(b"\n", 0, size) + 1
            if start == 0:
                return Lines()
            self._skipping = False
        end = buffer.rfind(b"\n", start, size) + 1
        with memoryview(buffer) as view:
            if end == 0:
                self._unfinished += view[start:size]
                return Lines(too_long=self._give_up_long_line())
            payload = b"".join((self._unfinished, view[start:end]))
            self._unfinished = bytearray(view[end:size])
        if len(payload) > self._max_line_bytes:
            return self._without_long_lines(payload)
        return Lines(payload, buffer.count(b"\n", start, end))

    def finish(self) -> Lines:
        """The last line, where the stream ended without a newline."""
        last, self._unfinished = bytes(self._unfinished), bytearray()
        return self._without_long_lines(last + b"\n") if last else Lines()

    @property
    def unfinished(self) -> bytes:
        """What has come of the line that is not complete."""
        return bytes(self._unfinished)

    def _give_up_long_line(self) -> tuple[bytes, ...]:
        if len(self._unfinished) <= self._max_line_bytes:
            return ()
        beginning = bytes(self._unfinished[:KEPT_OF_LONG_LINE_BYTES])
        self._unfinished = bytearray()
        self._skipping = True
        return (beginning,)

    def _without_long_lines(self, payload: bytes) -> Lines:
        lines = payload.split(b"\n")[:-1]
        if max(map(len, lines)) <= self._max_line_bytes:
            return Lines(payload, len(lines))
        good = [line for line in lines if len(line) <= self._max_line_bytes]
        long = [line for line in lines if len(line) > self._max_line_bytes]
        beginnings = tuple(line[:KEPT_OF_LONG_LINE_BYTES] for line in long)
        return Lines(b"".join(line + b"\n" for line in good), len(good), beginnings)
