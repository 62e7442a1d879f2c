"""Cuts a stream at a byte of the peer's choice, such as the NUL that ends GELF's messages."""

from tailrace.collect.framing import KEPT_OF_LONG_LINE_BYTES, Lines


class DelimitedFramer:
    """The state of one stream. Frames may contain newlines, and come out apart then.

    Where newlines mean nothing, as in JSON, `newlines_are_spaces` lets all frames be lines.
    """

    def __init__(
        self, delimiter: bytes, max_length: int, *, newlines_are_spaces: bool = False
    ) -> None:
        self._delimiter = delimiter
        self._max_length = max_length
        self._newlines_are_spaces = newlines_are_spaces
        self._pending = bytearray()
        self._is_skipping = False

    @property
    def unfinished(self) -> bytes:
        """What has come of the frame that is not complete."""
        return bytes(self._pending)

    def feed(self, buffer: bytearray, size: int) -> Lines:
        """The frames that are complete now that the first `size` bytes of `buffer` have come."""
        *frames, rest = bytes(buffer[:size]).split(self._delimiter)
        if not frames:
            return self._wait_for_more(rest)
        if self._is_skipping:
            self._is_skipping = False
            frames = frames[1:]
        else:
            frames[0] = bytes(self._pending) + frames[0]
        self._pending.clear()
        complete, more = self._as_lines(frames), self._wait_for_more(rest)
        return Lines(
            complete.payload, complete.count, complete.too_long + more.too_long, complete.apart
        )

    def finish(self) -> Lines:
        """The last frame, where the stream ended without a delimiter."""
        last = bytes(self._pending)
        self._pending.clear()
        return self._as_lines([last])

    def _wait_for_more(self, rest: bytes) -> Lines:
        if self._is_skipping:
            return Lines()
        self._pending += rest
        if len(self._pending) <= self._max_length:
            return Lines()
        beginning = bytes(self._pending[:KEPT_OF_LONG_LINE_BYTES])
        self._pending.clear()
        self._is_skipping = True
        return Lines(too_long=(beginning,))

    def _as_lines(self, frames: list[bytes]) -> Lines:
        if self._newlines_are_spaces:
            frames = [frame.replace(b"\n", b" ") for frame in frames]
        most = self._max_length
        long = tuple(frame[:KEPT_OF_LONG_LINE_BYTES] for frame in frames if len(frame) > most)
        frames = [frame for frame in frames if 0 < len(frame) <= most]
        apart = tuple(frame for frame in frames if b"\n" in frame)
        lines = [frame for frame in frames if b"\n" not in frame] if apart else frames
        return Lines(b"\n".join([*lines, b""]) if lines else b"", len(lines), long, apart)
