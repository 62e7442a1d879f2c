"""uvicorn's HTTP protocol, with an end to what stands around a body: address, headers, trailers.

httptools puts the pieces of one header together by copying what it has. Two hundred megabytes of one
take it minutes, in which the process serves nobody else. Such a request is answered with 431, and one
whose head takes too long (`http_pace`) with 408.
"""

import asyncio
from typing import Final

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tailrace.http_pace import HEAD_SECS

MOST_HEAD_BYTES: Final = 512 * 1024
"""What may come without a piece of a body; a little more where a body ends in the same read."""

LINGER_SECS: Final = 1.0
"""How long what still comes is thrown away, so that the answer is not lost to a connection that is reset."""

_REFUSAL: Final = b"HTTP/1.1 %b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_TOO_LARGE: Final = _REFUSAL % b"431 Request Header Fields Too Large"
_TOO_SLOW: Final = _REFUSAL % b"408 Request Timeout"


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0
    _is_in_head = False
    _is_refused = False
    _head_deadline: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._limit_head()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._unlimit_head()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif self._head_deadline is None and self.cycle.response_complete:
            # Of the next head, or what is left of a request that is answered: uvicorn's own limit to
            # silence ends with whatever comes.
            self._limit_head()

    def _limit_head(self) -> None:
        self._head_deadline = self.loop.call_later(HEAD_SECS, self._give_up)

    def _unlimit_head(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _give_up(self) -> None:
        if self.transport.is_closing():
            return
        if self._is_in_head:
            self._refuse(_TOO_SLOW)
        else:
            # Browsers open connections that they may need: an answer would be for their next request.
            self.transport.close()

    def _refuse(self, answer: bytes) -> None:
        self._is_refused = True
        self._unlimit_head()
        self.transport.write(answer)
        self.loop.call_later(LINGER_SECS, self.transport.close)

    @override
    def on_message_begin(self) -> None:
        self._is_in_head = True
        super().on_message_begin()

    @override
    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        self._is_in_head = False
        self._unlimit_head()
        super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        self._head_bytes = 0
        super().on_message_complete()

    @override
    def _unsupported_upgrade_warning(self) -> None:
        """Whoever asks for WebSockets is answered in HTTP, which nobody has to be told."""
