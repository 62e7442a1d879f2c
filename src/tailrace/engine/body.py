"""Takes a request's body in: the query's text to memory, everything else to a temporary file.

A body may be gigabytes, so only a query (at most MAX_QUERY_BYTES) and form fields are kept in
memory. The files lie in the data folder and are gone when the request ends.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from tailrace.engine.compression import ENGINE_READS, BlockDecoder, Decoder, decoder
from tailrace.engine.connection import Exchange, Sink
from tailrace.engine.exceptions import ClickHouseError
from tailrace.engine.request import Request
from tailrace.engine.sql import Insert, Unfinished, is_insert, read_insert

MAX_QUERY_BYTES = 64 * 1024 * 1024
_MAX_FIELD_BYTES = 64 * 1024 * 1024
_FILE_BUFFER_BYTES = 64 * 1024


class SpoolFile:
    """A temporary file that is written once and then read by the engine."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / uuid4().hex
        descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=_FILE_BUFFER_BYTES)
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append `data`."""
        self.size += len(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise self._full(error) from error

    def seal(self) -> None:
        """All is written: let others read it."""
        try:
            self._file.flush()
        except OSError as error:
            raise self._full(error) from error

    def _full(self, error: OSError) -> ClickHouseError:
        message = f"cannot keep the body in {self.path.parent}: {error.strerror}"
        return ClickHouseError(243, "NOT_ENOUGH_SPACE", message)

    def remove(self) -> None:
        """Delete the file."""
        with suppress(OSError):  # a full disk fails the flush once more
            self._file.close()
        self.path.unlink(missing_ok=True)


class QueryBody:
    """The text of the query and, when it is an INSERT with rows, the rows.

    `text` is the whole statement, but for the rows of an `insert`, which are in `data`.
    `compression` is what `data` is still compressed with, in the words of `file()`.
    """

    def __init__(self, query_in_url: bytes, folder: Path) -> None:
        self.text = b""
        self.insert: Insert | None = None
        self.data: SpoolFile | None = None
        self.compression = "none"
        self._folder = folder
        self._head = bytearray()
        self._next_look = 0
        self._undecided = True
        self._separator = b"\n" if query_in_url else b""
        self._head += query_in_url
        if query_in_url and is_insert(query_in_url):
            insert = read_insert(query_in_url, complete=True)
            if insert is not None:
                self._split(insert, last=b"\n")

    @property
    def is_all_data(self) -> bool:
        """Whether the URL has the whole query, so that the body is data from its first byte."""
        return self.data is not None and self.data.size == 0

    def write(self, data: bytes) -> None:
        """Take the next piece of the plain body."""
        if self.data is not None:
            self.data.write(data)
            return
        self._head += self._separator + data
        self._separator = b""
        if len(self._head) > MAX_QUERY_BYTES:
            raise ClickHouseError(
                62, "SYNTAX_ERROR", f"Max query size exceeded ({MAX_QUERY_BYTES} bytes)"
            )
        if self._undecided and len(self._head) >= self._next_look:
            self._look()

    def _look(self) -> None:
        head = bytes(self._head)
        if not is_insert(head):
            self._undecided = len(head) < 64 and not head.strip()
            return
        try:
            insert = read_insert(head, complete=False)
        except Unfinished:
            self._next_look = 2 * len(head)
            return
        if insert is not None:
            self._split(insert)

    def _split(self, insert: Insert, last: bytes = b"") -> None:
        self.insert = insert
        self.data = SpoolFile(self._folder)
        rest = bytes(self._head[insert.data_start :])
        if rest.strip():
            self.data.write(rest + last)
        self.text = insert.head
        self._head.clear()

    def finish(self) -> None:
        """The body is complete."""
        if self.data is None and self._head:
            self.text = bytes(self._head)
            insert = read_insert(self.text, complete=True) if is_insert(self.text) else None
            if insert is not None:
                self._split(insert)
        if self.data is not None:
            self.data.seal()

    def remove(self) -> None:
        """Delete what lies on disk."""
        if self.data is not None:
            self.data.remove()


class FormBody:
    """A form: fields, and files that are tables for the query."""

    def __init__(self, request: Request, folder: Path) -> None:
        _, options = parse_options_header(request.headers["content-type"])
        boundary = options.get(b"boundary")
        if not boundary:
            raise ClickHouseError(36, "BAD_ARGUMENTS", "cannot read the form: it has no boundary")
        self.files: dict[str, SpoolFile] = {}
        self._fields: list[tuple[str, str]] = []
        self._field_bytes = 0
        self._folder = folder
        self._request = request
        self._name = ""
        self._value = bytearray()
        self._file: SpoolFile | None = None
        self._header = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        callbacks: Any = {
            "on_part_begin": self._part_begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
        }
        self._parser = MultipartParser(boundary, callbacks)

    def write(self, data: bytes) -> None:
        """Take the next piece of the body."""
        try:
            self._parser.write(data)
        except MultipartParseError as error:
            raise ClickHouseError(36, "BAD_ARGUMENTS", f"cannot read the form: {error}") from error

    def _part_begin(self) -> None:
        self._headers = {}
        self._value = bytearray()
        self._file = None

    def _header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options:
            self._file = SpoolFile(self._folder)
            self.files[self._name] = self._file

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > _MAX_FIELD_BYTES:
            raise ClickHouseError(
                36, "BAD_ARGUMENTS", f"cannot take more than {_MAX_FIELD_BYTES} bytes of fields"
            )
        self._value += data[start:end]

    def _part_end(self) -> None:
        if self._file is None:
            self._fields.append((self._name, self._value.decode("utf-8", "surrogateescape")))

    def finish(self) -> None:
        """The body is complete: the fields join those of the URL."""
        self._request.add(self._fields, external=True)
        for file in self.files.values():
            file.seal()

    def remove(self) -> None:
        """Delete what lies on disk."""
        for file in self.files.values():
            file.remove()


class _Chain:
    """Decoders in a row before the sink that takes the plain body."""

    def __init__(self, request: Request, out: Sink, *, keep_encoded: bool) -> None:
        self._decoders: list[Decoder] = []
        self.sink = out
        if request.flag("decompress"):
            self._add(BlockDecoder(self.sink))
        encoding = request.headers.get("content-encoding", "").lower()
        if encoding not in ("", "identity") and not keep_encoded:
            self._add(decoder(encoding, self.sink))

    def _add(self, stage: Decoder) -> None:
        self._decoders.insert(0, stage)
        self.sink = stage

    async def receive(self, exchange: Exchange) -> None:
        """Take the whole body through it."""
        try:
            await exchange.receive(self.sink)
        except TimeoutError as error:
            raise ClickHouseError(159, "TIMEOUT_EXCEEDED", str(error)) from error
        for stage in self._decoders:
            stage.finish()


async def receive_query(exchange: Exchange, request: Request, body: QueryBody) -> None:
    """Take the whole body of a request that is not a form."""
    encoding = request.headers.get("content-encoding", "").lower()
    engine_reads = body.is_all_data and encoding in ENGINE_READS and not request.flag("decompress")
    if engine_reads:
        body.compression = ENGINE_READS[encoding]
    chain = _Chain(request, body, keep_encoded=engine_reads)
    await chain.receive(exchange)
    body.finish()


async def receive_form(exchange: Exchange, request: Request, form: FormBody) -> None:
    """Take the whole body of a form."""
    chain = _Chain(request, form, keep_encoded=False)
    await chain.receive(exchange)
    form.finish()
