"""Routes requests and writes answers: the ASGI face of the engine."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from tempfile import NamedTemporaryFile
from typing import Any

from tailrace.engine.compression import decode
from tailrace.engine.database import Database
from tailrace.engine.exceptions import ClickHouseError
from tailrace.engine.request import Request
from tailrace.engine.sql import Insert, quote, read_insert, read_statement

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class EngineApp:
    """Answers as a ClickHouse server's HTTP interface does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._threads = ThreadPoolExecutor(64, thread_name_prefix="query")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        request = Request.parse(scope["method"], scope["path"], scope["query_string"], headers)
        if request.path in ("/ping", "/replicas_status"):
            await _answer(send, 200, {"Content-Type": "text/html; charset=UTF-8"}, b"Ok.\n")
            return
        query_id = request.options.get("query_id") or str(uuid.uuid4())
        try:
            await self._query(request, query_id, receive, send)
        except ClickHouseError as error:
            text = error.as_text(self._database.version).encode()
            fields = {
                "X-ClickHouse-Exception-Code": str(error.code),
                "X-ClickHouse-Query-Id": query_id,
                "Content-Type": "text/plain; charset=UTF-8",
            }
            await _answer(send, error.http_status, fields, text)

    async def _query(self, request: Request, query_id: str, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        body = decode(body, request.headers.get("content-encoding", ""))
        query = request.options.get("query", "").encode("utf-8", "surrogateescape")
        if query and body:
            query += b"\n"
        text = query + body
        loop = asyncio.get_running_loop()
        insert = read_insert(text, complete=True) if _inserts(text) else None
        if insert is not None:
            summary = await loop.run_in_executor(
                self._threads, self._insert, request, insert, text[insert.data_start :]
            )
            fields = self._fields(query_id, "", summary)
            await _answer(send, 200, fields, b"")
            return
        wanted = read_statement(text).output_format
        output_format = wanted or request.options.get("default_format", "TabSeparated")
        data, summary = await loop.run_in_executor(
            self._threads, self._select, request, text, output_format
        )
        await _answer(send, 200, self._fields(query_id, output_format, summary), data)

    def _fields(self, query_id: str, output_format: str, summary: str) -> dict[str, str]:
        return {
            "Content-Type": "text/plain; charset=UTF-8",
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Format": output_format,
            "X-ClickHouse-Timezone": self._database.timezone,
            "X-ClickHouse-Server-Display-Name": "tailrace",
            "X-ClickHouse-Summary": summary,
        }

    def _select(self, request: Request, text: bytes, output_format: str) -> tuple[bytes, str]:
        with self._database.handle() as handle:
            handle.prepare(request.options.get("database"), request.settings)
            result = handle.query(text, output_format, request.params)
            return result.bytes(), _summary(result)

    def _insert(self, request: Request, insert: Insert, data: bytes) -> str:
        with NamedTemporaryFile(dir=self._database.spool_folder) as file:
            file.write(data)
            file.flush()
            with self._database.handle() as handle:
                handle.prepare(request.options.get("database"), request.settings)
                arguments = quote(file.name) + b", " + quote(insert.data_format)
                if insert.input_call:
                    start, end = insert.input_call
                    call = b"file(" + arguments + b", " + insert.structure + b")"
                    sql = insert.head[:start] + call + insert.head[end:]
                else:
                    sql = insert.head + b" SELECT * FROM file(" + arguments + b")"
                return _summary(handle.query(sql, "Null", request.params))


def _inserts(text: bytes) -> bool:
    return read_statement(text[:64]).verb == "INSERT"


def _summary(result: Any) -> str:
    return json.dumps(
        {
            "read_rows": str(result.storage_rows_read()),
            "read_bytes": str(result.storage_bytes_read()),
            "written_rows": str(result.rows_written()),
            "written_bytes": str(result.bytes_written()),
            "total_rows_to_read": "0",
            "result_rows": str(result.rows_read()),
            "result_bytes": str(result.size()),
            "elapsed_ns": str(int(result.elapsed() * 1e9)),
        }
    )


async def _answer(send: Send, status: int, fields: dict[str, str], body: bytes) -> None:
    headers = [(k.encode(), v.encode("latin-1", "replace")) for k, v in fields.items() if v]
    headers.append((b"Content-Length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
