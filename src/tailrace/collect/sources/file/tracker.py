"""All files of a source: which there are, whose turn it is, and which are done with.

Blocks; used by one thread at a time. Files that are gone are read to their end before they are
closed: their descriptors stay open for it.
"""

import os
import socket
import stat
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tailrace.collect.source import Frames, Origin, Position
from tailrace.collect.sources.file.config import FileConfig
from tailrace.collect.sources.file.content import ContentError
from tailrace.collect.sources.file.discovery import find, open_file, paths_by_inode
from tailrace.collect.sources.file.lines import Cutter, Taken
from tailrace.collect.sources.file.place import KnownPlace, Place, key_of
from tailrace.collect.sources.file.tracked import BLOCK_BYTES, Moment, TrackedFile

MOST_APPEND_BYTES = 8 * 1024**2
"""Read before it is appended; this much is in memory, twice while it is written."""


@dataclass
class Changes:
    """What is to be remembered besides what was read."""

    put: list[Position] = field(default_factory=list)
    forget: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    """Paths and what is wrong with them; each is told once."""


class Tracker:
    """See the module."""

    def __init__(
        self,
        config: FileConfig,
        found: Mapping[str, Position],
        most_events: int | None = None,
        most_bytes: int | None = None,
    ) -> None:
        self._config = config
        self._cutter = Cutter(config, most_events)
        self._block_bytes = min(config.max_read_bytes or BLOCK_BYTES, most_bytes or BLOCK_BYTES)
        self._sequence = max((position.sequence for position in found.values()), default=0)
        self._known: dict[str, KnownPlace] = {}
        if not config.ignore_checkpoints:
            self._known = {key: KnownPlace.read(place.value) for key, place in found.items()}
        self._known_paths = {known.path for known in self._known.values()}
        self._files: dict[str, TrackedFile] = {}
        self._ring: deque[TrackedFile] = deque()
        self._left_out: set[str] = set()
        self._complained: set[str] = set()
        self._changes = Changes()
        self._host = socket.gethostname()

    def begin(self, now: Moment) -> Changes:
        """The files that are there at start, and those that were moved away while nobody looked."""
        self._look(now, is_start=True)
        folders = {os.path.dirname(known.path) for known in self._known.values()}
        entries = {folder: paths_by_inode(folder) for folder in folders}
        for key, known in list(self._known.items()):
            there = entries[os.path.dirname(known.path)]
            if there is None or key in self._files or key in self._left_out:
                continue
            self._look_for_moved(key, known, there.get(known.inode), now)
        return self._take_changes()

    def discover(self, now: Moment) -> Changes:
        """Look for new files, and for those that are gone."""
        self._look(now, is_start=False)
        return self._take_changes()

    def read(self, now: Moment) -> list[Frames]:
        """What comes next, of one file after the other."""
        frames: list[Frames] = []
        size = idle = 0
        ring = self._ring
        while idle < len(ring) and size < MOST_APPEND_BYTES:
            file = ring[0]
            taken = self._take(file, now)
            if taken:
                frames.append(self._as_frames(file, taken))
                size += len(taken.payload)
                idle = 0
                if self._config.oldest_first:
                    continue
            else:
                idle += 1
            ring.rotate(-1)
        return frames

    def tidy(self, now: Moment) -> Changes:
        """Close what is done with and remove what is to be removed.

        Only called when everything that was read is durable.
        """
        for key, file in list(self._files.items()):
            if file.is_to_be_removed(now):
                self._remove(file)
                self._let_go(key, file)
            elif file.is_done(now):
                self._let_go(key, file)
        return self._take_changes()

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._ring.clear()

    def _look(self, now: Moment, *, is_start: bool) -> None:
        found = find(self._config)
        for key, file in self._files.items():
            paths = found.get(key, [])
            file.set_found(file.path if file.path in paths else next(iter(paths), None), now)
        for key, paths in found.items():
            if key not in self._files and key not in self._left_out:
                self._open(paths[0], now, is_start=is_start)
        self._left_out &= found.keys()
        if self._config.oldest_first:
            self._ring = deque(sorted(self._ring, key=lambda file: file.modified_at))

    def _open(self, path: str, now: Moment, *, is_start: bool) -> None:
        try:
            descriptor = open_file(path)
        except OSError as error:
            self._complain(path, f"cannot open it: {error.strerror}")
            return
        status = os.fstat(descriptor)
        place = self._recall(descriptor, path)
        is_new = place is None
        if place is None:
            place = Place(status.st_dev, status.st_ino, path)
            place.begin_again(descriptor)
        from_end = is_new and self._begins_at_end(path, status, now, is_start=is_start)
        if place.compressed and (from_end or self._is_finished(place, status)):
            os.close(descriptor)
            self._left_out.add(key_of(status))
            return
        if from_end:
            place.go_to(descriptor, status.st_size)
        if is_new:
            # From now on it is found again although it may be moved away before it is read.
            self._changes.put.append(self._position(place))
        self._add(self._track(place, descriptor, now))

    def _begins_at_end(
        self, path: str, status: os.stat_result, now: Moment, *, is_start: bool
    ) -> bool:
        """Whether of a new file only later lines are wanted.

        What took the place of a file that was read before came while nobody looked: all of it is
        wanted.
        """
        old_secs = self._config.ignore_older_secs
        if old_secs is not None and now.epoch_secs - status.st_mtime > old_secs:
            return True
        is_first = is_start and path not in self._known_paths
        return is_first and self._config.read_from == "end"

    def _is_finished(self, place: Place, status: os.stat_result) -> bool:
        """Whether nothing is left to do with a compressed file."""
        is_kept = self._config.remove_after_secs is None
        return is_kept and place.complete_size == status.st_size > 0

    def _recall(self, descriptor: int, path: str) -> Place | None:
        """The place in an open file that an earlier run has left."""
        status = os.fstat(descriptor)
        known = self._known.pop(key_of(status), None)
        if known:
            return known.restore(descriptor, path)
        if self._config.fingerprint.strategy == "device_and_inode":
            return None
        for key, known in self._known.items():
            place = known.restore(descriptor, path) if known.inode == status.st_ino else None
            if place:
                del self._known[key]
                self._changes.put.append(self._position(place))
                self._changes.forget.append(key)
                return place
        return None

    def _look_for_moved(self, key: str, known: KnownPlace, path: str | None, now: Moment) -> None:
        """Read a file to its end that was renamed to what `include` does not mean."""
        if path is None:
            del self._known[key]
            self._changes.forget.append(key)
            return
        try:
            descriptor = open_file(path)
        except OSError:
            return
        status = os.fstat(descriptor)
        is_file = stat.S_ISREG(status.st_mode)
        place = known.restore(descriptor, known.path) if is_file else None
        if place is None or place.compressed or status.st_size <= place.offset:
            os.close(descriptor)
            return
        del self._known[key]
        file = self._track(place, descriptor, now)
        file.set_found(None, now)
        self._add(file)

    def _track(self, place: Place, descriptor: int, now: Moment) -> TrackedFile:
        return TrackedFile(self._config, self._cutter, place, descriptor, now, self._block_bytes)

    def _add(self, file: TrackedFile) -> None:
        self._files[file.place.key] = file
        self._ring.append(file)

    def _take(self, file: TrackedFile, now: Moment) -> Taken | None:
        try:
            return file.take(now)
        except (OSError, ContentError) as error:
            self._complain(file.path, f"cannot read it: {error}")
            return None

    def _as_frames(self, file: TrackedFile, taken: Taken) -> Frames:
        return Frames(
            taken.payload,
            taken.count,
            Origin(self._host, tuple(self._fields(file.path))),
            one_frame=bool(taken.reject_reason),
            position=self._position(file.place),
            reject_reason=taken.reject_reason,
        )

    def _fields(self, path: str) -> Iterator[tuple[str, str]]:
        if self._config.file_key:
            yield self._config.file_key, path
        if self._config.host_key:
            yield self._config.host_key, self._host

    def _position(self, place: Place) -> Position:
        self._sequence += 1
        return Position(place.key, self._sequence, place.write())

    def _remove(self, file: TrackedFile) -> None:
        try:
            if key_of(os.stat(file.path)) == file.place.key:
                os.unlink(file.path)
        except OSError as error:
            self._complain(file.path, f"cannot remove it: {error.strerror}")

    def _let_go(self, key: str, file: TrackedFile) -> None:
        file.close()
        del self._files[key]
        self._ring.remove(file)
        if file.is_deleted:
            self._changes.forget.append(key)

    def _complain(self, path: str, problem: str) -> None:
        if path not in self._complained:
            self._complained.add(path)
            self._changes.problems.append((path, problem))

    def _take_changes(self) -> Changes:
        changes, self._changes = self._changes, Changes()
        return changes
