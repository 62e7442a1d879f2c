"""Owns the one embedded ClickHouse of a folder and hands out handles to it.

A folder belongs to one process at a time: a lock file beside the database says which. A handle is
for one thread at a time; settings, temporary tables and the current database belong to it.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

from tailrace.engine.exceptions import ClickHouseError
from tailrace.engine.sql import quote
from tailrace.errors import TailraceError, UsageError

_CONFIGURATION = """\
<!-- Written by `tailrace engine` at each start. Why: docs/decisions/003-engine-durability.md -->
<clickhouse>
    <merge_tree>
        <fsync_after_insert>1</fsync_after_insert>
        <fsync_part_directory>1</fsync_part_directory>
        <min_bytes_for_wide_part>200000000</min_bytes_for_wide_part>
    </merge_tree>
    <os_threads_nice_value_merge_mutate>10</os_threads_nice_value_merge_mutate>
    <mark_cache_size>268435456</mark_cache_size>
    <primary_index_cache_size>134217728</primary_index_cache_size>
    <index_mark_cache_size>134217728</index_mark_cache_size>
    <text_index_tokens_cache_size>67108864</text_index_tokens_cache_size>
    <text_index_header_cache_size>67108864</text_index_header_cache_size>
    <text_index_postings_cache_size>134217728</text_index_postings_cache_size>
    <vector_similarity_index_cache_size>67108864</vector_similarity_index_cache_size>
    <parquet_metadata_cache_size>33554432</parquet_metadata_cache_size>
</clickhouse>
"""
"""ClickHouse's defaults let its caches grow to 5 GB each; ours shares one person's machine."""

OWN_SETTINGS = {
    "implicit_select": "0",  # chDB takes `1 + 1` for a query, a server does not
    "storage_file_read_method": "pread",  # mmap would make a body's file count as our memory
    # text indexes cost an insert three times its own work, and merges build them anyway
    "materialize_skip_indexes_on_insert": "0",
}


class Handle:
    """One conversation with the engine: its settings, its temporary tables, its database."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def query(self, sql: bytes, output_format: str, params: dict[str, str] | None = None) -> Any:
        """Run `sql` to its end; the answer has `bytes()`, `rows_read()` and so on."""
        try:
            return self._connection.query(sql, output_format, params=params or {})
        except RuntimeError as error:
            raise ClickHouseError.from_engine(str(error)) from error

    def stream(
        self, sql: bytes, output_format: str, params: dict[str, str] | None = None
    ) -> Iterator[Any]:
        """Run `sql` and yield its answer block by block."""
        try:
            stream = self._connection.send_query(sql, output_format, params=params or {})
            finished = False
            try:
                while True:
                    block = self._connection.streaming_fetch_result(stream)
                    if not block.size() and not block.rows_read():
                        finished = True
                        return
                    yield block
            finally:
                if not finished:
                    self._connection.streaming_cancel_query(stream)
        except RuntimeError as error:
            raise ClickHouseError.from_engine(str(error)) from error

    def set(self, settings: dict[str, str]) -> None:
        """Apply settings; `readonly` after all others, since it forbids them."""
        names = sorted(settings, key=lambda name: name == "readonly")
        for name in names:
            if not name.isidentifier():
                raise ClickHouseError(115, "UNKNOWN_SETTING", f"Unknown setting '{name}'")
        changes = (name.encode() + b" = " + quote(settings[name]) for name in names)
        self.query(b"SET " + b", ".join(changes), "Null")

    def classify(self, sql: bytes) -> tuple[str, int]:
        """What `sql` would do (READ_ONLY, MUTATING, CONTROL …) and how many statements it is."""
        found = self._connection.classify_query(sql)
        return found["query_class"].name, found["statement_count"]

    def on_progress(self, callback: Callable[[dict[str, Any]], None] | None) -> None:
        """Call `callback` every 100 ms of a query, from the engine's thread, and at its end."""
        self._connection.set_progress_callback(callback)

    def close(self) -> None:
        """Give the handle back; its temporary tables are gone."""
        self._connection.close()


class Database:
    """The embedded ClickHouse of `data_dir`."""

    def __init__(self, data_dir: Path) -> None:
        _check_name(data_dir.resolve())
        self.folder = data_dir / "clickhouse"
        self.spool_folder = data_dir / "clickhouse-tmp"
        self._configuration = data_dir / "clickhouse.xml"
        try:
            self._lock = _own(data_dir)
            self._prepare_folders()
        except OSError as error:
            raise UsageError(
                f"cannot write into {data_dir}: {error.strerror}. "
                "Name another folder with TAILRACE_DATA_DIR"
            ) from error
        self._module = import_module("chdb._chdb")
        try:
            self._keeper = self._connect()
        except RuntimeError as error:
            raise TailraceError(f"cannot open the database in {self.folder}: {error}") from error
        with self.handle() as handle:
            self.version = str(handle.query(b"SELECT version()", "TSVRaw").data()).strip()
            self.timezone = str(handle.query(b"SELECT timezone()", "TSVRaw").data()).strip()

    def _prepare_folders(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.spool_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in self.spool_folder.iterdir():
            leftover.unlink()
        self._configuration.write_text(_CONFIGURATION)

    def _connect(self) -> Any:
        configuration = self._configuration.resolve()
        return self._module.connect(
            f"{self.folder.resolve()}?log-level=none&config-file={configuration}"
        )

    def handle(self) -> "HandleContext":
        """A new handle, closed at the end of a `with`."""
        return HandleContext(self.open_handle())

    def open_handle(self) -> Handle:
        """A new handle that the caller closes."""
        return Handle(self._connect())

    def close(self) -> None:
        """Close the database and give the folder up."""
        self._keeper.close()
        os.close(self._lock)


class HandleContext:
    """A handle for the length of a `with`."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def __enter__(self) -> Handle:
        return self._handle

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._handle.close()


def _check_name(folder: Path) -> None:
    unusable = sorted(set(str(folder)) & set("?&%#"))
    if unusable:  # the engine takes its folder and its options in one URL-like string
        raise UsageError(
            f"cannot keep a database in {str(folder)!r}: its path holds {' '.join(unusable)}. "
            "Name another folder with TAILRACE_DATA_DIR"
        )


def _own(data_dir: Path) -> int:
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / "clickhouse.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = path.read_text().strip() or "unknown"
        os.close(descriptor)
        raise TailraceError(
            f"cannot open {data_dir}: process {owner} uses it. Stop that process or name "
            "another folder with TAILRACE_DATA_DIR"
        ) from error
    os.truncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor
