"""Files against a model: whatever happens to them and to us, every line comes out exactly once."""

import gzip
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.collect.source import Frames, Position
from tailrace.collect.sources.file.config import FileConfig
from tailrace.collect.sources.file.tracked import LAST_LINE_SECS, ROTATE_WAIT_SECS, Moment
from tailrace.collect.sources.file.tracker import Tracker


@dataclass
class Reader:
    """A collector's part that reads files: a buffer, a ledger, a clock and a way to die."""

    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    most_events: int | None = None
    most_bytes: int | None = None
    elapsed_secs: float = 0.0
    buffer: list[Frames] = field(default_factory=list)
    ledger: dict[str, Position] = field(default_factory=dict)
    delivered: list[Frames] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start()

    @property
    def log(self) -> Path:
        return self.folder / "app.log"

    @property
    def now(self) -> Moment:
        newest = max((path.stat().st_mtime for path in self.folder.iterdir()), default=0.0)
        return Moment(self.elapsed_secs, newest + self.elapsed_secs)

    def start(self) -> None:
        config = FileConfig.model_validate({"include": [str(self.log)], **self.options})
        positions = dict(self.ledger)
        for frames in self.buffer:
            self.keep(positions, frames.position)
        self.tracker = Tracker(config, positions, self.most_events, self.most_bytes)
        self.remember(self.tracker.begin(self.now))

    def keep(self, positions: dict[str, Position], position: Position | None) -> None:
        assert position
        known = positions.get(position.key)
        if known is None or known.sequence < position.sequence:
            positions[position.key] = position

    def remember(self, changes: Any) -> None:
        self.problems += changes.problems
        for position in changes.put:
            self.keep(self.ledger, position)
        for key in changes.forget:
            self.ledger.pop(key, None)

    def look(self) -> None:
        self.remember(self.tracker.discover(self.now))
        self.remember(self.tracker.tidy(self.now))

    def read(self) -> None:
        while frames := self.tracker.read(self.now):
            self.buffer += frames

    def crash(self) -> None:
        self.tracker.close()
        self.start()

    def crash_before_the_append(self) -> None:
        self.tracker.read(self.now)
        self.crash()

    def crash_in_the_append(self) -> None:
        """What was read is several records, and only the first of them is on disk."""
        self.buffer += self.tracker.read(self.now)[:1]
        self.crash()

    def deliver(self, count: int) -> None:
        for frames in self.buffer[:count]:
            self.delivered.append(frames)
            self.keep(self.ledger, frames.position)
        del self.buffer[:count]

    def wait(self, secs: float) -> None:
        self.elapsed_secs += secs
        self.look()
        self.read()

    def lines(self) -> list[bytes]:
        self.read()
        return [
            line
            for frames in [*self.delivered, *self.buffer]
            if not frames.reject_reason
            for line in frames.payload.splitlines()
        ]

    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.lines()]

    def rejected(self) -> list[Frames]:
        return [frames for frames in [*self.delivered, *self.buffer] if frames.reject_reason]


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def write(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def test_lines_come_with_where_they_are_from(reader: Reader) -> None:
    write(reader.log, b"one\ntwo\n")
    reader.look()
    reader.read()
    (frames,) = reader.buffer
    assert (frames.payload, frames.count) == (b"one\ntwo\n", 2)
    assert dict(frames.origin.fields)["file"] == str(reader.log)
    assert dict(frames.origin.fields)["host"] == os.uname().nodename


def test_a_line_waits_for_its_end(reader: Reader) -> None:
    write(reader.log, b"one\ntw")
    reader.look()
    assert reader.lines() == [b"one"]
    write(reader.log, b"o\n")
    assert reader.lines() == [b"one", b"two"]


def test_a_last_line_without_end_is_taken_when_nobody_goes_on(reader: Reader) -> None:
    write(reader.log, b"one\ntwo")
    reader.look()
    assert reader.lines() == [b"one"]
    reader.wait(LAST_LINE_SECS)
    assert reader.lines() == [b"one", b"two"]
    write(reader.log, b"\nthree\n")
    assert reader.lines() == [b"one", b"two", b"three"]


def test_a_last_line_is_taken_when_its_file_is_gone(reader: Reader) -> None:
    write(reader.log, b"one\ntwo")
    reader.look()
    reader.read()
    reader.log.unlink()
    reader.look()
    reader.wait(ROTATE_WAIT_SECS)
    assert reader.lines() == [b"one", b"two"]
    reader.look()
    assert not reader.tracker._files, "it is closed"
    assert not reader.ledger, "and forgotten"


def test_a_renamed_file_is_read_on(reader: Reader) -> None:
    write(reader.log, b"one\n")
    reader.look()
    assert reader.lines() == [b"one"]
    moved = reader.folder / "app.log.1"
    reader.log.rename(moved)
    write(moved, b"two\n")
    write(reader.log, b"three\n")
    reader.look()
    assert sorted(reader.lines()) == [b"one", b"three", b"two"]
    write(moved, b"late\n")
    assert sorted(reader.lines()) == [b"late", b"one", b"three", b"two"]


def test_a_file_that_was_renamed_while_nobody_looked_is_read_to_its_end(reader: Reader) -> None:
    write(reader.log, b"one\n")
    reader.look()
    reader.read()
    reader.tracker.close()
    write(reader.log, b"two\n")
    reader.log.rename(reader.folder / "app.log.1")
    write(reader.log, b"three\n")
    reader.start()
    assert sorted(reader.lines()) == [b"one", b"three", b"two"]


def test_an_emptied_file_begins_again(reader: Reader) -> None:
    write(reader.log, b"one\ntwo\n")
    reader.look()
    reader.read()
    os.truncate(reader.log, 0)
    write(reader.log, b"new\n")
    assert reader.lines() == [b"one", b"two", b"new"]


def test_an_emptied_file_that_is_already_longer_is_noticed(reader: Reader) -> None:
    write(reader.log, b"one\n")
    reader.look()
    reader.read()
    os.truncate(reader.log, 0)
    write(reader.log, b"a much longer line\nand another\n")
    assert reader.lines() == [b"one", b"a much longer line", b"and another"]


def test_a_hole_at_the_beginning_is_no_line(reader: Reader) -> None:
    """copytruncate under a writer that does not append, but writes on at its own place."""
    with reader.log.open("wb") as file:
        file.write(b"one\ntwo\n")
        file.flush()
        reader.look()
        reader.read()
        os.truncate(reader.log, 0)
        file.write(b"three\n")
    assert reader.lines() == [b"one", b"two", b"three"]


def test_a_recreated_file_is_another_one(reader: Reader) -> None:
    """Also when it gets the same inode, which cannot happen while the old one is open."""
    for number in range(3):
        write(reader.log, b"same beginning\n%d\n" % number)
        reader.look()
        reader.read()
        reader.crash()
        reader.log.unlink()
    assert reader.lines().count(b"same beginning") == 3


def test_links_to_one_file_are_one_file(tmp_path: Path) -> None:
    write(tmp_path / "app.log", b"one\n")
    (tmp_path / "b.log").symlink_to("app.log")
    (tmp_path / "c.log").hardlink_to(tmp_path / "app.log")
    reader = Reader(tmp_path, {"include": [str(tmp_path / "*.log")]})
    assert reader.lines() == [b"one"]


def test_a_link_that_is_turned_reads_both_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, name.encode() + b"\n")
    (tmp_path / "app.log").symlink_to("a")
    reader = Reader(tmp_path)
    assert reader.lines() == [b"a"]
    (tmp_path / "app.log").unlink()
    (tmp_path / "app.log").symlink_to("b")
    reader.look()
    assert reader.lines() == [b"a", b"b"]


def test_patterns_and_exceptions(tmp_path: Path) -> None:
    for name in ("a.log", "deep/er/b.log", ".hidden.log", "deep/no.log", "c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, name.encode() + b"\n")
    options = {"include": [str(tmp_path / "**/*.log")], "exclude": ["*/no.*"]}
    assert sorted(Reader(tmp_path, options).lines()) == [b".hidden.log", b"a.log", b"deep/er/b.log"]


def test_gzip_is_read_once_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\nthree"))
    reader = Reader(tmp_path)
    assert reader.lines() == [b"one", b"two", b"three"]
    reader.crash()
    assert not reader.tracker._files, "not even opened again"
    assert reader.lines() == [b"one", b"two", b"three"]


def test_gzip_goes_on_after_a_crash_in_its_middle(tmp_path: Path) -> None:
    expected = [b"%d" % number for number in range(3000)]
    (tmp_path / "app.log").write_bytes(gzip.compress(b"\n".join(expected)))
    reader = Reader(tmp_path, {"max_read_bytes": 1000})
    reader.crash_in_the_append()
    assert reader.lines() == expected


def test_broken_gzip_is_told_once_and_what_is_sound_is_kept(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(
        gzip.compress(b"one\n") + gzip.compress(b"two\n")[:9] + b"?" * 50
    )
    reader = Reader(tmp_path, {"include": [str(tmp_path / "*.log")]})
    reader.read()
    reader.look()
    reader.look()
    assert [path for path, _ in reader.problems] == [str(tmp_path / "app.log")]
    assert reader.lines() == [b"one"]


def test_lines_that_are_too_long_are_rejected_in_their_place(tmp_path: Path) -> None:
    long, longer = b"x" * 11, b"y" * 50
    write(tmp_path / "app.log", b"one\n" + long + b"\ntwo\n" + longer)
    reader = Reader(tmp_path, {"max_line_bytes": 10, "max_read_bytes": 3})
    assert reader.lines() == [b"one", b"two"]
    write(reader.log, b"y" * 50 + b"\nthree\n")
    reader.read()
    reader.crash()
    assert reader.lines() == [b"one", b"two", b"three"]
    assert [frames.payload[:3] for frames in reader.rejected()] == [b"xxx", b"yyy"]
    assert "max_line_bytes" in reader.rejected()[0].reject_reason


def test_reading_from_the_end_takes_what_comes_later_also_after_a_restart(tmp_path: Path) -> None:
    write(tmp_path / "app.log", b"old\n")
    reader = Reader(tmp_path, {"read_from": "end"})
    assert reader.lines() == []
    reader.tracker.close()
    write(reader.log, b"new\n")
    reader.start()
    assert reader.lines() == [b"new"]


def test_a_folder_that_got_the_inode_of_a_file_is_no_file(tmp_path: Path) -> None:
    write(tmp_path / "app.log", b"one\n")
    reader = Reader(tmp_path)
    assert reader.lines() == [b"one"]
    reader.tracker.close()
    reader.log.unlink()
    (tmp_path / "folder").mkdir()
    (frames,) = reader.buffer
    assert frames.position
    inode = (tmp_path / "folder").stat().st_ino
    place = orjson.loads(frames.position.value) | {"inode": inode}
    key = f"{place['device']}:{inode}"
    reader.buffer.clear()
    reader.ledger = {key: Position(key, 9, orjson.dumps(place).decode())}
    reader.start()
    assert reader.lines() == []


def test_what_took_a_files_place_while_nobody_looked_is_read_whole(tmp_path: Path) -> None:
    write(tmp_path / "app.log", b"old\n")
    reader = Reader(tmp_path, {"read_from": "end"})
    reader.tracker.close()
    reader.log.rename(tmp_path / "app.log.1")
    write(reader.log, b"new\n")
    reader.start()
    assert reader.lines() == [b"new"]


def test_a_compressed_file_is_removed_when_asked_for_also_after_a_restart(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(gzip.compress(b"one\n"))
    reader = Reader(tmp_path, {"remove_after_secs": 0})
    assert reader.lines() == [b"one"]
    reader.crash()
    assert reader.lines() == [b"one"]
    reader.look()
    assert not reader.log.exists()


def test_a_file_that_appears_later_is_read_whole(tmp_path: Path) -> None:
    reader = Reader(tmp_path, {"read_from": "end"})
    write(reader.log, b"one\n")
    reader.look()
    assert reader.lines() == [b"one"]


def test_ignored_checkpoints(tmp_path: Path) -> None:
    write(tmp_path / "app.log", b"one\n")
    reader = Reader(tmp_path, {"ignore_checkpoints": True})
    reader.read()
    reader.crash()
    assert reader.lines() == [b"one", b"one"]


def test_old_files_are_ignored_until_something_is_new_in_them(tmp_path: Path) -> None:
    write(tmp_path / "app.log", b"old\n")
    write(tmp_path / "b.log", b"young\n")
    young = (tmp_path / "b.log").stat().st_mtime
    os.utime(tmp_path / "app.log", (young - 100, young - 100))
    options = {"include": [str(tmp_path / "*.log")], "ignore_older_secs": 50}
    reader = Reader(tmp_path, options)
    assert reader.lines() == [b"young"]
    write(reader.log, b"new\n")
    assert reader.lines() == [b"young", b"new"]


def test_oldest_first(tmp_path: Path) -> None:
    for number, name in enumerate(["c.log", "a.log", "b.log"]):
        write(tmp_path / name, name.encode() + b"\n" + b"second\n")
        os.utime(tmp_path / name, (1000 + number, 1000 + number))
    options = {"include": [str(tmp_path / "*.log")], "oldest_first": True, "max_read_bytes": 6}
    lines = Reader(tmp_path, options).lines()
    assert lines[::2] == [b"c.log", b"a.log", b"b.log"]


def test_files_take_turns(tmp_path: Path) -> None:
    for name in ("a.log", "b.log"):
        write(tmp_path / name, name[:1].encode() + b"1\n" + name[:1].encode() + b"2\n")
    options = {"include": [str(tmp_path / "*.log")], "max_read_bytes": 3}
    assert Reader(tmp_path, options).lines() == [b"a1", b"b1", b"a2", b"b2"]


def test_a_file_that_was_read_is_removed_when_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "app.log", b"one\nlast")
    reader = Reader(tmp_path, {"remove_after_secs": 5})
    assert reader.lines() == [b"one"]
    reader.look()
    assert reader.log.exists()
    reader.wait(5)
    reader.look()
    assert not reader.log.exists()
    assert reader.lines() == [b"one", b"last"]


def test_no_more_than_a_batch_is_taken_at_once(tmp_path: Path) -> None:
    write(tmp_path / "app.log", b"a\nb\nc\nd\ne\n")
    reader = Reader(tmp_path, most_events=2)
    assert reader.lines() == [b"a", b"b", b"c", b"d", b"e"]
    assert [frames.count for frames in reader.buffer] == [2, 2, 1]
    reader = Reader(tmp_path, most_bytes=4)
    reader.read()
    assert [frames.payload for frames in reader.buffer] == [b"a\nb\n", b"c\nd\n", b"e\n"]


def test_another_delimiter_and_offsets(tmp_path: Path) -> None:
    write(tmp_path / "app.log", b"one\ntwo;;three;;")
    reader = Reader(tmp_path, {"line_delimiter": ";;", "offset_key": "at"})
    assert reader.events() == [{"message": "one\ntwo", "at": 0}, {"message": "three", "at": 9}]


def test_charset(tmp_path: Path) -> None:
    write(tmp_path / "app.log", "grün\n".encode("latin-1"))
    reader = Reader(tmp_path, {"encoding": {"charset": "iso-8859-1"}})
    assert reader.events() == [{"message": "grün"}]


MULTILINE = {
    "continue_through": (
        r"^[^\s]", r"^\s", b"a\n b\n c\nd\n e\n", ["a\n b\n c", "d\n e"],
    ),
    "continue_past": (r"\\$", r"\\$", b"a\\\nb\\\nc\nd\ne\\\nf\n", ["a\\\nb\\\nc", "d", "e\\\nf"]),
    "halt_before": (r"^START", r"^START", b"no\nSTART 1\na\nSTART 2\nb\n", ["no", "START 1\na", "START 2\nb"]),
    "halt_with": (r"^[^;]*$", r";$", b"a\nb;\nc\nd\ne;\n", ["a\nb;", "c\nd\ne;"]),
}  # fmt: skip


@pytest.mark.parametrize("mode", MULTILINE)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lines_that_belong_together(tmp_path: Path, mode: str, size: int) -> None:
    start, condition, text, expected = MULTILINE[mode]
    options = {
        "multiline": {
            "start_pattern": start,
            "condition_pattern": condition,
            "mode": mode,
            "timeout_ms": 1000,
        },
        "max_read_bytes": size,
    }
    reader = Reader(tmp_path, options)
    for first in range(0, len(text), 5):
        write(reader.log, text[first : first + 5])
        reader.look()
        reader.read()
        reader.crash()
    reader.wait(1)
    assert [event["message"] for event in reader.events()] == expected


operation = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 40)),
    st.tuples(st.just("deliver"), st.integers(0, 5)),
    st.sampled_from(
        [
            "look", "read", "crash", "crash before the append", "crash in the append", "rename",
            "rename while down", "empty", "empty while down", "recreate", "recreate while down",
            "half a line",
        ]
    ).map(lambda name: (name, 0)),
)  # fmt: skip


@dataclass
class Model:
    """Lines that were written and must come out."""

    reader: Reader
    written: list[bytes] = field(default_factory=list)
    rotated: int = 0
    half: bytes = b""
    is_emptied: bool = False

    def write(self, count: int) -> None:
        lines = [b"%d %s" % (len(self.written) + n, b"x" * (n % 30)) for n in range(count)]
        write(self.reader.log, b"".join(line + b"\n" for line in lines))
        if self.half:
            self.written.append(self.half + lines.pop(0))
            self.half = b""
        self.written += lines

    def write_half(self) -> None:
        if not self.half:
            self.half = b"half of "
            write(self.reader.log, self.half)

    def read_all(self) -> None:
        """Before a file is emptied or removed: what was not read then is nobody's any more."""
        self.reader.look()
        self.reader.read()

    def rename(self) -> None:
        if self.reader.log.exists():
            self.rotated += 1
            self.reader.log.rename(self.reader.folder / f"app.log.{self.rotated}")

    def empty(self) -> None:
        if self.reader.log.exists():
            shutil.copy(self.reader.log, self.reader.folder / "copy")
            os.truncate(self.reader.log, 0)

    def down(self, happens: Any) -> None:
        self.reader.tracker.close()
        happens()
        self.reader.start()

    def run(self, name: str, count: int) -> None:
        reader = self.reader
        if "empty" in name or "rename" in name or "recreate" in name:
            if self.half:
                self.write(1)
            # Emptied, filled and moved away between two looks: that is another file to anybody.
            if "rename" not in name or self.is_emptied:
                self.read_all()
            self.is_emptied = "empty" in name
        if "rename" in name:
            reader.look()
        steps: dict[str, Callable[[], object]] = {
            "write": lambda: self.write(count),
            "half a line": self.write_half,
            "deliver": lambda: reader.deliver(count),
            "rename": self.rename,
            "rename while down": lambda: self.down(self.rename),
            "empty": self.empty,
            "empty while down": lambda: self.down(self.empty),
            "recreate": lambda: reader.log.unlink(missing_ok=True),
            "recreate while down": lambda: self.down(lambda: reader.log.unlink(missing_ok=True)),
        }
        step = steps.get(name) or getattr(reader, name.replace(" ", "_"))
        step()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(operation, max_size=25),
    st.sampled_from([20, 100, None]),
    st.sampled_from([3, None]),
)
def test_every_line_comes_out_exactly_once(
    operations: list[tuple[str, int]], max_read_bytes: int | None, most_events: int | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = Model(Reader(Path(folder), {"max_read_bytes": max_read_bytes}, most_events))
        for name, count in operations:
            model.run(name, count)
        if model.half:
            model.write(1)
        model.reader.look()
        model.reader.crash()
        out = model.reader.lines()
        model.reader.tracker.close()
        assert sorted(out) == sorted(model.written)
