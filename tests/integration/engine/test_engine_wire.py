"""HTTP/1.1 itself: what comes in odd pieces, in a row, or not as it should."""

import socket
from collections.abc import Iterator

import pytest

from tailrace.engine.connection import MAX_HEADER_BYTES
from tests.processes import Process


@pytest.fixture
def wire(engine: Process) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", engine.port), timeout=60) as connection:
        yield connection


def read_answer(wire: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of one answer that has a Content-Length or is chunked."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += wire.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    if b"chunked" in head:
        while not body.endswith(b"0\r\n\r\n"):
            body += wire.recv(65536)
        return head, body
    length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += wire.recv(65536)
    return head, body


def test_a_request_may_come_byte_by_byte(wire: socket.socket) -> None:
    for byte in b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nSELECT 1":
        wire.sendall(bytes([byte]))
    assert read_answer(wire)[1] == b"2\r\n1\n\r\n0\r\n\r\n"


def test_chunked_bodies_are_taken(wire: socket.socket) -> None:
    wire.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    wire.sendall(b"4\r\nSELE\r\n4\r\nCT 1\r\n0\r\n\r\n")
    assert read_answer(wire)[1].startswith(b"2\r\n1\n")


def test_requests_in_a_row_are_answered_in_order(wire: socket.socket) -> None:
    for n in range(3):
        wire.sendall(f"GET /?query=SELECT+{n} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    seen = b""
    while seen.count(b"0\r\n\r\n") < 3:
        seen += wire.recv(65536)
    assert [line for line in seen.split(b"\r\n") if line in (b"0\n", b"1\n", b"2\n")] == [
        b"0\n", b"1\n", b"2\n",
    ]  # fmt: skip


def test_a_request_may_follow_a_large_body(wire: socket.socket) -> None:
    text = b"SELECT length('" + b"x" * 200_000 + b"')" + b" " * 200_000
    head = (
        b"POST /?max_query_size=1000000 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    )
    ping = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
    wire.sendall(head % len(text) + text + ping)
    seen = b""
    while not seen.endswith(b"Ok.\n"):
        seen += wire.recv(65536)
    assert b"200000\n" in seen


def test_a_client_that_asks_first_is_told_to_go_on(wire: socket.socket) -> None:
    wire.sendall(
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n"
    )
    assert wire.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.sendall(b"SELECT 1")
    assert b"200 OK" in read_answer(wire)[0]


def test_http_1_0_ends_with_the_connection(wire: socket.socket) -> None:
    wire.sendall(b"GET /?query=SELECT+1 HTTP/1.0\r\n\r\n")
    seen = b""
    while piece := wire.recv(65536):
        seen += piece
    assert seen.endswith(b"\r\n\r\n1\n")
    assert b"chunked" not in seen


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ],
)
def test_nonsense_is_refused(wire: socket.socket, nonsense: bytes) -> None:
    wire.sendall(nonsense)
    seen = b""
    while piece := wire.recv(65536):
        seen += piece
    assert seen.startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_an_endless_header_is_refused(wire: socket.socket) -> None:
    # Not one byte more than it reads: a connection that is closed with some unread is reset.
    beginning = b"GET /?query="
    wire.sendall(beginning.ljust(MAX_HEADER_BYTES + 1, b"x"))
    assert wire.recv(65536).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET /?query=",
        b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
    ],
    ids=["address", "header", "trailer"],
)
def test_one_that_does_not_end_is_refused_before_it_is_there(
    wire: socket.socket, beginning: bytes
) -> None:
    """Two hundred megabytes of one header were copied again and again, for minutes."""
    wire.sendall(beginning)
    with pytest.raises(ConnectionError):
        wire.sendall(b"x" * 64 * 1024**2)
