"""One open file: what is new in it, and when it is done with."""

import os
from dataclasses import dataclass

from tailrace.collect.sources.file.config import FileConfig
from tailrace.collect.sources.file.content import Content, GzipContent, PlainContent
from tailrace.collect.sources.file.lines import Cutter, Taken
from tailrace.collect.sources.file.place import Place

BLOCK_BYTES = 1024**2
"""Read at once where `max_read_bytes` says nothing."""

MOST_GROUP_BYTES = 1024**2
"""A group of lines (`multiline`) that is longer is parted."""

ROTATE_WAIT_SECS = 30
"""Quiet time after which a file that is not found any more is closed."""

LAST_LINE_SECS = 60
"""Quiet time after which a last line is taken though it has no delimiter."""

RACY_SECS = 1.0
"""A file may be changed twice within one tick of its clock, so that size and time stay the same:
until the change is so long ago, its bytes are looked at, not its time."""


@dataclass(frozen=True)
class Moment:
    """What time it is."""

    monotonic_secs: float
    epoch_secs: float


class TrackedFile:
    """A file that is read; its methods block. The descriptor belongs to it."""

    def __init__(
        self,
        config: FileConfig,
        cutter: Cutter,
        place: Place,
        descriptor: int,
        now: Moment,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self._block_bytes = block_bytes
        self.place = place
        self.is_found = True
        """Whether `include` still finds it."""
        self.is_deleted = False
        """Once it is closed: whether it had no name any more."""
        self._config = config
        self._cutter = cutter
        self._descriptor = descriptor
        self._content = self._open_content()
        status = os.fstat(descriptor)
        self._mark = (status.st_size, status.st_mtime_ns)
        self._is_drained = False
        self._quiet_since = now.monotonic_secs - max(0.0, now.epoch_secs - status.st_mtime)
        self._lost_at = 0.0
        self.modified_at = status.st_mtime

    @property
    def path(self) -> str:
        """Where it is, or was before it was moved away."""
        return self.place.path

    def close(self) -> None:
        """Give the descriptor back."""
        self.is_deleted = os.fstat(self._descriptor).st_nlink == 0
        os.close(self._descriptor)

    def set_found(self, path: str | None, now: Moment) -> None:
        """Where `include` finds it, if it does."""
        if path is not None:
            self.place.path = path
        elif self.is_found:
            self._lost_at = now.monotonic_secs
        self.is_found = path is not None

    def take(self, now: Moment) -> Taken | None:
        """What comes next in it, stepped over already; None where nothing is complete yet."""
        status = os.fstat(self._descriptor)
        mark = (status.st_size, status.st_mtime_ns)
        is_racy = now.epoch_secs - status.st_mtime < RACY_SECS
        if mark != self._mark:
            self._mark = mark
            self._quiet_since = now.monotonic_secs
        elif self._is_drained and not is_racy and not self._has_rest_due(now, status.st_size):
            return None
        self._recognise(status.st_size)
        taken = self._take_something(now)
        self._is_drained = taken is None
        return taken

    def is_done(self, now: Moment) -> bool:
        """Whether nothing more is to be expected of a file that is not found any more."""
        return (
            not self.is_found
            and self._is_drained
            and self._has_no_rest()
            and self._quiet_secs(now) >= self._rotate_wait_secs
        )

    def is_to_be_removed(self, now: Moment) -> bool:
        """Whether it was read to its end, long enough ago that it is to be removed."""
        wait_secs = self._config.remove_after_secs
        return (
            wait_secs is not None
            and self.is_found
            and self._is_drained
            and self._has_no_rest()
            and now.monotonic_secs - self._quiet_since >= wait_secs
        )

    def _has_no_rest(self) -> bool:
        if self.place.compressed:
            return self._content.is_complete or not self.is_found
        return os.fstat(self._descriptor).st_size <= self.place.offset

    @property
    def _rotate_wait_secs(self) -> int:
        given = self._config.rotate_wait_secs
        return ROTATE_WAIT_SECS if given is None else given

    def _quiet_secs(self, now: Moment) -> float:
        return now.monotonic_secs - max(self._quiet_since, self._lost_at)

    def _is_last_line_due(self, now: Moment) -> bool:
        if self._content.is_complete:
            return True
        if not self.is_found:
            return self._quiet_secs(now) >= self._rotate_wait_secs
        wait_secs = self._config.remove_after_secs
        due_secs = LAST_LINE_SECS if wait_secs is None else min(wait_secs, LAST_LINE_SECS)
        return now.monotonic_secs - self._quiet_since >= due_secs

    def _is_group_due(self, now: Moment) -> bool:
        multiline = self._config.multiline
        quiet_ms = (now.monotonic_secs - self._quiet_since) * 1000
        return multiline is not None and quiet_ms >= multiline.timeout_ms

    def _has_rest_due(self, now: Moment, size: int) -> bool:
        has_rest = self.place.compressed or size > self.place.offset
        return has_rest and (self._is_last_line_due(now) or self._is_group_due(now))

    def _recognise(self, size: int) -> None:
        """Begin again where this is not what was read any more."""
        if not self.place.is_in(self._descriptor, size):
            self.place.begin_again(self._descriptor)
            self._content = self._open_content()

    def _open_content(self) -> Content:
        opened = GzipContent if self.place.compressed else PlainContent
        return opened(self._descriptor)

    def _take_something(self, now: Moment) -> Taken | None:
        """Step over what holds no event until there is one or nothing more."""
        while True:
            block, taken = self._take_block(now)
            if taken is None:
                return None
            self.place.advance(block[: taken.size], skipping=taken.skipping)
            if self._content.is_complete and taken.size == len(block):
                self.place.complete_size = self._mark[0]
            if taken.count:
                return taken

    def _take_block(self, now: Moment) -> tuple[bytes, Taken | None]:
        config = self._config
        group_bytes = MOST_GROUP_BYTES if config.multiline else 0
        most_bytes = max(config.max_line_bytes + len(config.line_delimiter.encode()), group_bytes)
        size = self._block_bytes
        while True:
            block = self._content.read(self.place.offset, size)
            is_rest = len(block) < size
            taken = self._cut(
                block,
                whole=is_rest and self._is_last_line_due(now),
                flush=is_rest and self._is_group_due(now),
            )
            if taken or is_rest:
                return block, taken
            if size > most_bytes:
                return block, self._cut(block, whole=False, flush=True)
            size = most_bytes + 1

    def _cut(self, block: bytes, *, whole: bool, flush: bool) -> Taken | None:
        place = self.place
        return self._cutter.take(
            block, place.offset, skipping=place.skipping, whole=whole, flush=flush
        )
