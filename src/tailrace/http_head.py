"""uvicorn's HTTP protocol, with an end to what stands around a body: address, headers, trailers.

httptools puts the pieces of one header together by copying what it has. Two hundred megabytes of one
take it minutes, in which the process serves nobody else. Such a request is answered with 431.
"""

from typing import Final

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES: Final = 512 * 1024
"""What may come without a piece of a body; a little more where a body ends in the same read."""

LINGER_SECS: Final = 1.0
"""How long what still comes is thrown away, so that the answer is not lost to a connection that is reset."""

_REFUSAL: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0
    _is_refused = False

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self._is_refused = True
            self.transport.write(_REFUSAL)
            self.loop.call_later(LINGER_SECS, self.transport.close)

    @override
    def on_headers_complete(self) -> None:
        self._head_bytes = 0
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
