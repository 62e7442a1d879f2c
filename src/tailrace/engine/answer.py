"""Sends a query's answer: headers, pieces, compression, and what went wrong on the way.

Until the first byte of the body is sent an error has its own status. After it, ClickHouse's way
is to write the exception into the body and to cut the answer off, so that a client that knows the
mark reads the exception and any other sees that the answer is incomplete:

    \\r\\n__exception__\\r\\nTAG\\r\\nMESSAGE\\nLENGTH TAG\\r\\n__exception__\\r\\n

with the TAG of the header X-ClickHouse-Exception-Tag.
"""

import secrets
import string
import time
from typing import Any

from tailrace.engine.compression import BlockEncoder, Encoder, Plain, encoder
from tailrace.engine.connection import Exchange, Headers
from tailrace.engine.exceptions import ClickHouseError
from tailrace.engine.formats import content_type
from tailrace.engine.request import Request
from tailrace.engine.summary import Summary

_TAG_LETTERS = 16
_EXPOSED = (
    "X-ClickHouse-Query-Id,X-ClickHouse-Summary,X-ClickHouse-Server-Display-Name,"
    "X-ClickHouse-Format,X-ClickHouse-Timezone,X-ClickHouse-Exception-Code,"
    "X-ClickHouse-Exception-Tag"
)


class Answer:
    """The answer of one query."""

    def __init__(
        self, exchange: Exchange, request: Request, query_id: str, *, version: str, timezone: str
    ) -> None:
        self._exchange = exchange
        self._request = request
        self._version = version
        self._tag = "".join(secrets.choice(string.ascii_lowercase) for _ in range(_TAG_LETTERS))
        self._encoder = _choose_encoder(request)
        self._common: Headers = [
            ("Date", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())),
            ("Access-Control-Expose-Headers", _EXPOSED),
            ("X-ClickHouse-Server-Display-Name", "tailrace"),
            ("X-ClickHouse-Query-Id", query_id.replace("\r", "").replace("\n", "")),
            ("X-ClickHouse-Timezone", timezone),
        ]
        self._headers_open = False
        self._body_begun = False

    def progress(self, summary: Summary) -> None:
        """Send a progress header, as long as headers may be sent."""
        if self._body_begun:
            return
        if not self._headers_open:
            self._headers_open = True
            self._exchange.open_headers(200, self._common)
        self._exchange.add_header("X-ClickHouse-Progress", summary.as_json())

    async def begin(self, output_format: str, summary: Summary, length: int | None) -> None:
        """Send the headers; `length` is that of the plain body, None when it is not known."""
        own: Headers = [
            ("Content-Type", content_type(output_format)),
            ("X-ClickHouse-Format", output_format),
            ("X-ClickHouse-Exception-Tag", self._tag),
            ("X-ClickHouse-Summary", summary.as_json()),
        ]
        if self._encoder.encoding and length != 0:
            own.append(("Content-Encoding", self._encoder.encoding))
        if length and not isinstance(self._encoder, Plain):
            length = None
        self._body_begun = True
        if not self._headers_open:
            self._exchange.open_headers(200, self._common)
        self._exchange.close_headers(own, length)

    async def write(self, data: bytes) -> None:
        """Send a piece that `encode` made."""
        await self._exchange.write(data)

    def encode(self, data: bytes) -> bytes:
        """Compress a piece as the client asked; for a worker thread."""
        return self._encoder.encode(data)

    async def end(self, *, empty: bool) -> None:
        """The body is complete."""
        if not empty:
            await self._exchange.write(self._encoder.finish())
        self._exchange.end()

    async def fail(self, error: ClickHouseError) -> None:
        """Tell the client of an error, however far the answer is."""
        text = error.as_text(self._version)
        if self._body_begun:
            await self._fail_in_body(text.rstrip("\n"))
            return
        body = text.encode("utf-8", "replace")
        own: Headers = [
            ("Content-Type", "text/plain; charset=UTF-8"),
            ("X-ClickHouse-Exception-Code", str(error.code)),
        ]
        self._body_begun = True
        if not self._headers_open:
            self._exchange.open_headers(error.http_status, self._common)
        self._exchange.close_headers(own, len(body))
        await self._exchange.write(body)
        self._exchange.end()

    async def _fail_in_body(self, text: str) -> None:
        message = text.encode("utf-8", "replace") + b"\n"
        tag = self._tag.encode()
        mark = b"__exception__"
        framed = b"\r\n%s\r\n%s\r\n%s%d %s\r\n%s\r\n" % (
            mark,
            tag,
            message,
            len(message),
            tag,
            mark,
        )
        await self._exchange.write(self._encoder.encode(framed) + self._encoder.finish())
        self._exchange.cut_off()


def _choose_encoder(request: Request) -> Encoder:
    if request.flag("compress"):
        return BlockEncoder()
    if request.flag("enable_http_compression"):
        return encoder(request.headers.get("accept-encoding", ""))
    return Plain()


def progress_interval_secs(request: Request) -> float | None:
    """How often the client wants a progress header; None for never."""
    if not request.flag("send_progress_in_http_headers"):
        return None
    value: Any = request.options.get("http_headers_progress_interval_ms", "100")
    return int(value) / 1000 if value.isdecimal() and len(value) < 10 else 0.1
