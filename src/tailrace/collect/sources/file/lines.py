"""Finds the lines in what was read of a file, and makes them what the buffer is given.

Pure functions of bytes. Nothing is carried from one block to the next: what is not taken yet (an
unfinished line, a group of lines that may go on) is read again together with what follows it. So a
place in a file is always the beginning of an event, and all that a restart has to know.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from tailrace.collect.framing import KEPT_OF_LONG_LINE_BYTES
from tailrace.collect.sources.file.config import FileConfig, compile_pattern

_EMPTY = (b"", b"\r")


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the first `size` bytes of a block."""

    size: int
    payload: bytes = b""
    count: int = 0
    reject_reason: str = ""
    skipping: bool = False
    """Whether the block ends inside a line that is given up."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line and where it begins in its file."""

    data: bytes
    offset: int
    end: int


class Cutter:
    """Cuts blocks as the options say."""

    def __init__(self, config: FileConfig, most_lines: int | None = None) -> None:
        self._most_lines = most_lines
        """Taken at once, but that a group of lines may be longer."""
        self._delimiter = config.line_delimiter.encode()
        self._max_line_bytes = config.max_line_bytes
        self._makes_events = config.makes_events
        self._charset = config.encoding.charset if config.encoding else "utf-8"
        self._offset_key = config.offset_key
        self._groups = Grouper(config) if config.multiline else None

    def take(
        self,
        block: bytes,
        offset: int,
        *,
        skipping: bool = False,
        whole: bool = False,
        flush: bool = False,
    ) -> Taken | None:
        """The events at the beginning of a block, or None where more has to come first.

        `skipping`: the block begins inside a line that is given up. `whole`: the rest is a line
        though it has no delimiter. `flush`: a group of lines is complete though it may go on.
        """
        if skipping:
            found = block.find(self._delimiter)
            if found < 0:
                return Taken(len(block), skipping=not whole) if block else None
            return Taken(found + len(self._delimiter))
        if block.startswith(b"\0"):
            # A file that was cut while its writer goes on at its own place begins with a hole.
            return Taken(len(block) - len(block.lstrip(b"\0")))
        end = block.rfind(self._delimiter)
        if end < 0 and not (whole and block):
            return self._give_up(block, len(block), True) if self._is_long(block) else None
        size = len(block) if whole else end + len(self._delimiter)
        body = block[: size - len(self._delimiter)] if block.endswith(self._delimiter) else block
        lines = (body if whole else block[:end]).split(self._delimiter)
        return self._take_lines(lines, offset, size, flush=flush or whole)

    def _take_lines(
        self, lines: list[bytes], offset: int, size: int, *, flush: bool
    ) -> Taken | None:
        if self._is_long(max(lines, key=len)):
            first = next(place for place, line in enumerate(lines) if self._is_long(line))
            if first == 0:
                return self._give_up(
                    lines[0], min(size, len(lines[0]) + len(self._delimiter)), False
                )
            lines = lines[:first]
            size = sum(map(len, lines)) + len(self._delimiter) * len(lines)
            flush = True
        if self._most_lines and len(lines) > self._most_lines and not self._groups:
            lines = lines[: self._most_lines]
            size = sum(map(len, lines)) + len(self._delimiter) * len(lines)
        if self._makes_events:
            return self._take_events(lines, offset, size, flush=flush)
        if b"" in lines or b"\r" in lines:
            lines = [line for line in lines if line not in _EMPTY]
        payload = b"\n".join([*lines, b""]) if lines else b""
        return Taken(size, payload, len(lines))

    def _take_events(
        self, parts: list[bytes], offset: int, size: int, *, flush: bool
    ) -> Taken | None:
        lines = list(self._place(parts, offset))
        if self._groups:
            groups = list(self._groups.group(lines, flush=flush))[: self._most_lines]
            size = min(size, groups[-1].end - offset) if groups else 0
            lines = groups
        if size == 0:
            return None
        events = [self._event(line) for line in lines if line.data not in _EMPTY]
        return Taken(size, b"".join(events), len(events))

    def _place(self, parts: list[bytes], offset: int) -> Iterator[Line]:
        for part in parts:
            end = offset + len(part) + len(self._delimiter)
            data = part.removesuffix(b"\r") if self._delimiter == b"\n" else part
            yield Line(data, offset, end)
            offset = end

    def _event(self, line: Line) -> bytes:
        event: dict[str, object] = {"message": line.data.decode(self._charset, "replace")}
        if self._offset_key:
            event[self._offset_key] = line.offset
        return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)

    def _is_long(self, line: bytes) -> bool:
        return len(line) > self._max_line_bytes

    def _give_up(self, line: bytes, size: int, skipping: bool) -> Taken:
        return Taken(
            size,
            line[:KEPT_OF_LONG_LINE_BYTES],
            1,
            f"cannot take a line of more than {self._max_line_bytes} bytes (max_line_bytes)",
            skipping,
        )


class Grouper:
    """Puts lines together as `multiline` says."""

    def __init__(self, config: FileConfig) -> None:
        options = config.multiline
        if options is None:
            raise RuntimeError("BUG: no multiline options to group by")
        self._starts = compile_pattern(options.start_pattern).search
        self._matches = compile_pattern(options.condition_pattern).search
        self._goes_on_with_a_match = options.mode in ("continue_through", "continue_past")
        self._takes_the_last = options.mode in ("continue_past", "halt_with")

    def group(self, lines: list[Line], *, flush: bool) -> Iterator[Line]:
        """Complete groups and lines between them; with `flush` also the last, unfinished one."""
        pending: list[Line] = []
        for line in lines:
            if pending:
                goes_on = bool(self._matches(line.data)) == self._goes_on_with_a_match
                if goes_on or self._takes_the_last:
                    pending.append(line)
                if goes_on:
                    continue
                yield _joined(pending)
                pending = []
                if self._takes_the_last:
                    continue
            if self._starts(line.data):
                pending = [line]
            else:
                yield line
        if pending and flush:
            yield _joined(pending)


def _joined(lines: list[Line]) -> Line:
    return Line(b"\n".join([line.data for line in lines]), lines[0].offset, lines[-1].end)
