"""Options of the source `file`."""

import codecs
import re
import warnings
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field
from typing_extensions import override

from tailrace.collect.component import Options, SourceConfig
from tailrace.collect.options import Acknowledgements


def _check_pattern(pattern: str) -> str:
    compile_pattern(pattern)
    return pattern


def compile_pattern(pattern: str) -> re.Pattern[bytes]:
    """The pattern, for bytes; raises ValueError where Python's engine reads it differently."""
    with warnings.catch_warnings():
        # `[[:alpha:]]` would otherwise quietly be something else than in Vector.
        warnings.simplefilter("error", FutureWarning)
        try:
            return re.compile(pattern.encode())
        except (re.error, FutureWarning) as error:
            raise ValueError(f"cannot compile the pattern {pattern!r}: {error}") from error


Pattern = Annotated[str, AfterValidator(_check_pattern)]


class Multiline(Options):
    """Which lines make one event together; a line outside of any group is an event itself."""

    start_pattern: Pattern
    """A line in which this is found begins a group."""

    condition_pattern: Pattern
    """What `mode` looks for in the lines after it."""

    mode: Literal["continue_through", "continue_past", "halt_before", "halt_with"]
    """Which lines belong to the group: all that match (`continue_through`), those and one more
    (`continue_past`), all before one that matches (`halt_before`), or that one, too
    (`halt_with`)."""

    timeout_ms: int = Field(ge=1)
    """Milliseconds without news of the file after which a group is complete as it is."""


class Fingerprint(Options):
    """How a file is known again after a restart."""

    not_taken: ClassVar[Mapping[str, str]] = {
        "bytes": "a file is known by its inode and its bytes together",
        "ignored_header_bytes": "a file is known by its inode and its bytes together, so that alike headers do no harm",
        "lines": "a file is known by its inode and its bytes together, however few lines it has",
    }

    strategy: Literal["checksum", "device_and_inode"] = "checksum"
    """With either, a file is known by its inode and by bytes at its beginning and before the place
    that was read last, so that neither an inode that is used again nor two files that begin alike
    skip anything. `device_and_inode` asks for the same device as well; with `checksum` it may have
    another number after a mount."""


class FileEncoding(Options):
    """How the bytes of a file are text."""

    charset: str = "utf-8"
    """Name of the character set."""


def _check_charset(encoding: FileEncoding) -> FileEncoding:
    """Refuse character sets whose lines cannot be found by their bytes."""
    try:
        keeps_ascii = "\r\n{".encode(encoding.charset) == b"\r\n{"
    except LookupError as error:
        raise ValueError(f"cannot find the charset {encoding.charset!r}") from error
    if not keeps_ascii:
        raise ValueError(
            f"cannot read the charset {encoding.charset!r}: only those that contain ASCII as it is"
        )
    return encoding


class FileConfig(SourceConfig):
    """Takes the lines of files, and goes on with those that come later."""

    not_taken: ClassVar[Mapping[str, str]] = {
        **SourceConfig.not_taken,
        "data_dir": "places in files are kept with the buffer, in the data folder of the whole",
        "file_discovery_mode": "files are looked for every `glob_minimum_cooldown_ms`",
        "idle_timeout_secs": "a file is kept open until it was read to its end and is gone",
        "ignore_not_found": "a link to nothing is passed over, and said once",
        "internal_metrics": "no metric has the file as a label",
        "message_start_indicator": "Vector has given it up: give `multiline`",
        "multi_line_timeout": "Vector has given it up: give `multiline.timeout_ms`",
        "reconcile_interval_secs": "it belongs to `file_discovery_mode`",
        "start_at_beginning": "Vector has given it up: give `read_from`",
    }

    type: Literal["file"] = "file"

    include: tuple[str, ...] = Field(min_length=1)
    """Paths of files; `*` stands for any text in a name, `**` for any folders."""

    exclude: tuple[str, ...] = ()
    """Paths that are not read although `include` names them; `*` also stands for `/`."""

    read_from: Literal["beginning", "end"] = "beginning"
    """Where a file is begun that is there at the start and was never seen; later ones are read
    whole, and so are those that took the place of one that was read."""

    ignore_checkpoints: bool = False
    """Whether every start begins as if it was the first."""

    ignore_older_secs: int | None = Field(default=None, ge=0)
    """Of new files that nobody has changed for so many seconds, only later lines are read. Unset: they
    are read whole."""

    glob_minimum_cooldown_ms: int = Field(default=1000, ge=1)
    """Milliseconds between two looks for new files."""

    max_line_bytes: int = Field(default=102_400, ge=1)
    """Longest line in bytes; longer ones are rejected."""

    max_read_bytes: int | None = Field(default=None, ge=1)
    """Bytes to read of a file before it is the next one's turn; unset: 1 MiB."""

    line_delimiter: str = Field(default="\n", min_length=1)
    """What ends a line."""

    oldest_first: bool = False
    """Whether a file is read to its end before one that was changed later is begun."""

    remove_after_secs: int | None = Field(default=None, ge=0)
    """Seconds after which a file that is read to its end is removed; unset: never."""

    rotate_wait_secs: int | None = Field(default=None, ge=0)
    """Seconds without news after which a file that `include` does not find any more is closed, its
    last line taken even without a delimiter; unset: 30."""

    fingerprint: Fingerprint = Fingerprint()
    """How a file is known again after a restart."""

    multiline: Multiline | None = None
    """Which lines make one event together. Unset: each line is an event."""

    file_key: str = "file"
    """Field that gets the path; empty for none."""

    host_key: str = "host"
    """Field that gets this machine's name; empty for none."""

    offset_key: str | None = None
    """Field that gets the place in the file where the event begins, in bytes. Unset: none."""

    encoding: Annotated[FileEncoding, AfterValidator(_check_charset)] | None = None
    """How the bytes are text. Unset: UTF-8."""

    acknowledgements: Acknowledgements = Acknowledgements()
    """Either is kept: a place in a file is remembered once all before it is durable."""

    @override
    def added_fields(self) -> frozenset[str]:
        return frozenset({self.file_key, self.host_key}) - {""}

    @property
    def makes_events(self) -> bool:
        """Whether lines have to be looked at one by one before they are stored."""
        return bool(
            self.multiline
            or self.offset_key
            or self.line_delimiter != "\n"
            or (self.encoding and codecs.lookup(self.encoding.charset).name != "utf-8")
        )

    @property
    @override
    def codec(self) -> str:
        return "events" if self.makes_events else "bytes"
