"""Cuts a stream of syslog messages: by their lengths (RFC 6587's octet counting) or by newlines.

Which of the two a peer uses shows in the first byte: a length begins with a digit, a message with
`<`. A stream whose lengths are wrong is cut by newlines from there on. What comes out are lines;
messages that contain newlines themselves come out apart.
"""

from tailrace.collect.framing import KEPT_OF_LONG_LINE_BYTES, LineFramer, Lines

_LONGEST_COUNT = 10
_ENDS = b"\r\n\0"


class SyslogFramer:
    """The state of one stream."""

    def __init__(self, max_length: int) -> None:
        self._max_length = max_length
        self._lines = LineFramer(max_length)
        self._counts: bool | None = None
        self._pending = b""
        self._to_skip = 0

    @property
    def unfinished(self) -> bytes:
        """What has come of the message that is not complete."""
        return self._pending or self._lines.unfinished

    def feed(self, buffer: bytearray, size: int) -> Lines:
        """The messages that are complete now that the first `size` bytes of `buffer` have come."""
        if self._counts is None:
            self._counts = buffer[:1].isdigit()
        if not self._counts:
            return self._lines.feed(buffer, size)
        with memoryview(buffer) as view:
            return self._cut(self._pending + bytes(view[:size]))

    def finish(self) -> Lines:
        """The last message, where the stream ended in its middle."""
        if not self._counts:
            return self._lines.finish()
        _, _, message = self._pending.partition(b" ")
        self._pending = b""
        return _as_lines([message], [])

    def _cut(self, data: bytes) -> Lines:
        messages: list[bytes] = []
        too_long: list[bytes] = []
        start = min(self._to_skip, len(data))
        self._to_skip -= start
        size = len(data)
        while start < size:
            space = data.find(b" ", start, start + _LONGEST_COUNT + 1)
            count = data[start:space] if space > 0 else data[start : start + _LONGEST_COUNT + 1]
            if not count.isdigit():
                if count[:1] in (b"\n", b"\r", b"\0"):
                    start += 1
                    continue
                return self._go_on_by_lines(data[start:], messages, too_long)
            if space < 0:
                if len(count) > _LONGEST_COUNT:
                    return self._go_on_by_lines(data[start:], messages, too_long)
                break
            end = space + 1 + int(count)
            if int(count) > self._max_length:
                kept = min(self._max_length, KEPT_OF_LONG_LINE_BYTES)
                if size <= space + kept:
                    break
                too_long.append(data[space + 1 : space + 1 + kept])
                self._to_skip = max(0, end - size)
            elif end > size:
                break
            else:
                messages.append(data[space + 1 : end])
            start = end
        self._pending = data[start:]
        return _as_lines(messages, too_long)

    def _go_on_by_lines(self, rest: bytes, messages: list[bytes], too_long: list[bytes]) -> Lines:
        self._counts = False
        self._pending = b""
        counted = _as_lines(messages, too_long)
        lines = self._lines.feed(bytearray(rest), len(rest))
        return Lines(
            counted.payload + lines.payload,
            counted.count + lines.count,
            counted.too_long + lines.too_long,
            counted.apart,
        )


def _as_lines(messages: list[bytes], too_long: list[bytes]) -> Lines:
    if any(message.endswith((b"\n", b"\r", b"\0")) for message in messages):
        messages = [message.rstrip(_ENDS) for message in messages]
    messages = [message for message in messages if message]
    payload = b"\n".join([*messages, b""]) if messages else b""
    count = len(messages)
    apart: list[bytes] = []
    if payload.count(b"\n") != count:
        apart = [message for message in messages if b"\n" in message]
        messages = [message for message in messages if b"\n" not in message]
        payload = b"\n".join([*messages, b""]) if messages else b""
        count = len(messages)
    return Lines(payload, count, tuple(too_long), tuple(apart))
