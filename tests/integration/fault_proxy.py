"""Stands between a collector and its ClickHouse, and does to inserts what networks do."""

import threading
from collections import Counter
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

from typing_extensions import override

Fault = Literal["lose the answer", "answer late", "refuse", "cut the request", "crawl"]

LATE_SECS = 4.0
"""Longer than the time-out of the sinks in the tests."""
CRAWL_PIECE_BYTES = 4096
CRAWL_PAUSE_SECS = 0.01


class FaultProxy:
    """An HTTP server on a free port; `faults` happen to one insert each, in their order."""

    def __init__(self, target: str, faults: list[Fault]) -> None:
        self.faults = faults
        self.happened: Counter[Fault] = Counter()
        self.applied = 0
        """Inserts that ClickHouse has said yes to."""
        self.answered = 0
        """Those of which the collector has heard."""
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self.host, self.port = urlsplit(target).hostname or "", urlsplit(target).port or 0
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def next_fault(self) -> Fault | None:
        """What happens to the insert that has come now."""
        with self.lock:
            fault = self.faults.pop(0) if self.faults else None
            if fault:
                self.happened[fault] += 1
            return fault

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Handler)

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """A peer that is gone is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""

    def do_POST(self) -> None:
        proxy = self.server.proxy
        size = int(self.headers.get("Content-Length") or 0)
        fault = proxy.next_fault() if "INSERT" in self.path else None
        if fault == "cut the request":
            self.rfile.read(size // 2)
            self.close_connection = True
            return
        body = self._read_slowly(size) if fault == "crawl" else self.rfile.read(size)
        if fault == "refuse":
            self._answer(403, b"a firewall says no")
            return
        status, answer, headers = self._ask(body)
        is_insert = "INSERT" in self.path and status == 200
        proxy.applied += is_insert
        if fault == "lose the answer":
            self.close_connection = True
            return
        if fault == "answer late":
            proxy.closing.wait(LATE_SECS)
        self._answer(status, answer, headers)
        proxy.answered += is_insert and fault != "answer late"

    def _ask(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        connection = HTTPConnection(self.server.proxy.host, self.server.proxy.port)
        try:
            connection.request("POST", self.path, body)
            response: HTTPResponse = connection.getresponse()
            code = response.getheader("X-ClickHouse-Exception-Code")
            headers = {"X-ClickHouse-Exception-Code": code} if code else {}
            return response.status, response.read(), headers
        finally:
            connection.close()

    def _read_slowly(self, size: int) -> bytes:
        pieces = []
        while size:
            piece = self.rfile.read(min(size, CRAWL_PIECE_BYTES))
            size -= len(piece)
            pieces.append(piece)
            self.server.proxy.closing.wait(CRAWL_PAUSE_SECS)
        return b"".join(pieces)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
