"""Runs one statement on a handle: everything here blocks and belongs to a worker thread.

An answer comes as pieces of bytes. Where a format allows it the pieces come as the engine makes
them; else the engine writes the whole answer into a temporary file first, so that memory stays
bounded in either case.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson

from tailrace.engine.body import QueryBody, SpoolFile
from tailrace.engine.database import OWN_SETTINGS, Database, Handle
from tailrace.engine.exceptions import ClickHouseError
from tailrace.engine.formats import SENT_BLOCK_BY_BLOCK
from tailrace.engine.frames import check_complete
from tailrace.engine.native import NativeFraming, block_rows
from tailrace.engine.request import Request
from tailrace.engine.sessions import Session
from tailrace.engine.sql import (
    QUERY_ID_SETTING,
    Statement,
    first_word,
    into_file,
    quote,
    quote_name,
    read_statement,
    split_list,
    with_client_ids,
    without_format,
)
from tailrace.engine.summary import Summary

_PIECE_BYTES = 1024 * 1024
_SELECTS = {"SELECT", "WITH", "FROM"}
_CONVERSATION = {"SET", "USE"}
_CANNOT_STREAM = "Streaming query is not supported"
_BIG_BODY_BYTES = 64 * 1024 * 1024
_COMPRESSION = 8  # a guess at how much longer a compressed body is inside
_BIG_BODY_SETTINGS = {  # with ClickHouse's own an insert takes 700 MB of memory, with these 370
    "min_insert_block_size_rows": "262144",
    "min_insert_block_size_bytes": "33554432",
    "min_chunk_bytes_for_parallel_parsing": "2097152",
    "input_format_max_block_size_bytes": "8388608",
}


def _nothing() -> None:
    pass


@dataclass
class Execution:
    """One request's statement on its way through the engine."""

    database: Database
    request: Request
    query_id: str
    session: Session | None
    tables: dict[str, SpoolFile] = field(default_factory=dict)
    summary: Summary = field(default_factory=Summary)
    output_format: str = "TabSeparated"
    on_progress: Callable[[], None] = _nothing
    _handle: Handle | None = None
    _undo: list[bytes] = field(default_factory=list)

    def run(self, body: QueryBody) -> Iterator[bytes]:
        """Run the statement; what is yielded is the answer's body."""
        try:
            self._handle = handle = self._take_handle()
            if body.insert is not None and body.data is not None:
                check_complete(body.data.path, body.compression)
                size = body.data.size * (1 if body.compression == "none" else _COMPRESSION)
                self._prepare(handle, body.text, big=size > _BIG_BODY_BYTES)
                self.summary.see_result(
                    handle.query(_insert_from_file(body), "Null", self.request.params)
                )
                return
            text = body.text
            statement = read_statement(text)
            self._prepare(handle, text, statement=statement)
            yield from self._answer(handle, with_client_ids(text, self.query_id))
        finally:
            self._close()

    # Before and after the statement.

    def _take_handle(self) -> Handle:
        """The session's handle, unless the request may not write.

        A handle that is `readonly = 1` stays so for ever, so such a request of a session runs on a
        handle of its own: it sees none of the session's temporary tables.
        """
        if self.session is not None and self.request.settings.get("readonly", "0") == "0":
            return self.session.handle
        return self.database.open_handle()

    @property
    def _keeps_handle(self) -> bool:
        return self.session is not None and self._handle is self.session.handle

    def _prepare(
        self, handle: Handle, text: bytes, *, statement: Statement | None = None, big: bool = False
    ) -> None:
        if statement is not None and statement.touches_files:
            raise ClickHouseError(
                358, "INTO_OUTFILE_NOT_ALLOWED", "INTO OUTFILE and FROM INFILE are not allowed"
            )
        self._check(handle, text, statement)
        if self.session is not None and handle is self.session.handle:
            self._remember(handle, self.session)
        if database := self.request.options.get("database"):
            handle.query(b"USE " + quote_name(database), "Null")
        for name, file in self.tables.items():
            self._load_table(handle, name, file)
        settings = dict(self.request.settings)
        if big:
            settings = _BIG_BODY_SETTINGS | settings
        if self.request.method in ("GET", "HEAD") and not self._keeps_handle:
            settings.setdefault("readonly", "2")
        handle.set({**OWN_SETTINGS, **settings, QUERY_ID_SETTING: self.query_id})
        handle.on_progress(self._see_progress)

    def _check(self, handle: Handle, text: bytes, statement: Statement | None) -> None:
        kind, count = ("MUTATING", 1) if statement is None else handle.classify(text)
        if count > 1:
            raise ClickHouseError(
                62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)"
            )
        harmless = kind in ("READ_ONLY", "UNKNOWN") or first_word(text) in _CONVERSATION
        if self.request.method in ("GET", "HEAD") and not (harmless and statement):
            raise ClickHouseError(
                164,
                "READONLY",
                "default: Cannot execute query in readonly mode. For queries over HTTP, method GET "
                "implies readonly. You should use method POST for modifying queries.",
            )

    def _remember(self, handle: Handle, session: Session) -> None:
        """Note what the session had, so that the request's own settings end with it."""
        if "database" in self.request.options:
            self._undo.append(b"USE " + quote_name(session.database))
        names = [name for name in self.request.settings if name.isidentifier()]
        if not names:
            return
        asked = b", ".join(b"toString(getSetting(" + quote(name) + b"))" for name in names)
        old = orjson.loads(handle.query(b"SELECT " + asked, "JSONCompactEachRow").bytes())
        for name, value in zip(names, old, strict=True):
            self._undo.append(b"SET " + name.encode() + b" = " + quote(value))

    def _load_table(self, handle: Handle, name: str, file: SpoolFile) -> None:
        described = self.request.tables.get(name, {})
        structure = described.get("structure")
        if structure is None and (types := described.get("types")):
            parts = split_list(types.encode())
            structure = ", ".join(f"_{n} {part.decode()}" for n, part in enumerate(parts, 1))
        if structure is None:
            raise ClickHouseError(
                36, "BAD_ARGUMENTS", f"Neither structure nor types for external table {name}"
            )
        source = b", ".join(
            quote(item)
            for item in (str(file.path), described.get("format", "TabSeparated"), structure)
        )
        table = quote_name(name)
        handle.query(
            b"CREATE TEMPORARY TABLE " + table + b" AS SELECT * FROM file(" + source + b")", "Null"
        )
        self._undo.append(b"DROP TEMPORARY TABLE " + table)

    def _close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is None:
            return
        handle.on_progress(None)
        if self.session is None or handle is not self.session.handle:
            handle.close()
            return
        for statement in reversed(self._undo):
            handle.query(statement, "Null")

    def _see_progress(self, progress: dict[str, Any]) -> None:
        self.summary.see_progress(progress)
        self.on_progress()

    # The statement itself.

    def _answer(self, handle: Handle, text: bytes) -> Iterator[bytes]:
        statement = read_statement(text)
        wanted = self.request.requested_format
        if wanted:
            text = without_format(text, statement)
            statement = Statement(statement.verb)
        self.output_format = wanted or statement.output_format or self.request.default_format
        if not self.output_format.isidentifier():
            raise ClickHouseError(73, "UNKNOWN_FORMAT", f"Unknown format {self.output_format}.")
        if statement.verb not in _SELECTS:
            yield from self._whole(handle, text)
        elif self.output_format in SENT_BLOCK_BY_BLOCK:
            yield from self._blocks(handle, text, statement)
        else:
            yield from self._by_file(handle, text, statement)

    def _whole(self, handle: Handle, text: bytes) -> Iterator[bytes]:
        result = handle.query(text, self.output_format, self.request.params)
        self.summary.see_result(result)
        if self.session is not None and first_word(text) == "USE" and self._keeps_handle:
            current = handle.query(b"SELECT currentDatabase()", "TSVRaw")
            self.session.database = current.bytes().rstrip(b"\n").decode()
        if not result.size():
            return
        data: bytes = result.bytes()
        if self.output_format == "Native" and block_rows(data) == result.rows_read():
            data = NativeFraming(self.request.protocol_version, list).frame(data)
        yield data

    def _blocks(self, handle: Handle, text: bytes, statement: Statement) -> Iterator[bytes]:
        framing = NativeFraming(
            self.request.protocol_version, lambda: self._column_types(text, statement)
        )
        native = self.output_format == "Native"
        try:
            for block in handle.stream(text, self.output_format, self.request.params):
                self.summary.see_block(block.rows_read(), block.size())
                if block.size():
                    data: bytes = block.bytes()
                    yield framing.frame(data) if native else data
        except ClickHouseError as error:
            if error.code != 36 or _CANNOT_STREAM not in str(error):
                raise
            yield from self._whole(handle, text)

    def _column_types(self, text: bytes, statement: Statement) -> list[tuple[str, str]]:
        """The answer's columns, asked on another handle: this one is busy answering."""
        with self.database.handle() as handle:
            if database := self.request.options.get("database"):
                handle.query(b"USE " + quote_name(database), "Null")
            query = b"DESCRIBE (" + without_format(text, statement) + b"\n)"
            try:
                answer = handle.query(query, "TSVRaw", self.request.params)
            except ClickHouseError:
                return []  # a temporary table of the session: its columns stay without zones
        rows = (line.split("\t") for line in answer.bytes().decode().splitlines())
        return [(row[0], row[1]) for row in rows]

    def _by_file(self, handle: Handle, text: bytes, statement: Statement) -> Iterator[bytes]:
        path = self.database.spool_folder / uuid4().hex
        try:
            sql = into_file(text, statement, str(path), self.output_format)
            result = handle.query(sql, self.output_format, self.request.params)
            self.summary.see_result(result)
            with path.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    yield piece
        finally:
            path.unlink(missing_ok=True)


def _insert_from_file(body: QueryBody) -> bytes:
    insert, data = body.insert, body.data
    assert insert is not None and data is not None  # noqa: S101, PT018 - the caller has looked
    arguments = [quote(str(data.path)), quote(insert.data_format)]
    if insert.input_call:
        arguments.append(insert.structure)
    elif body.compression != "none":
        arguments.append(quote("auto"))
    if body.compression != "none":
        arguments.append(quote(body.compression))
    call = b"file(" + b", ".join(arguments) + b")"
    tail = b" SETTINGS " + insert.settings if insert.settings else b""
    if insert.input_call:
        start, end = insert.input_call
        return insert.head[:start] + call + insert.head[end:] + tail
    return insert.head + b" SELECT * FROM " + call + tail
