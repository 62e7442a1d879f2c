"""Ways out for generated events: TCP, HTTP, a file, standard output.

Guarantees:
- Connections are kept. One that is lost is opened again with a growing delay, and what was not
  handed over goes again; after `give_up_secs` without success the sender gives up.
- Each event is counted once: sent, refused, or not sent. TCP does not say whether bytes that were
  written just before a cut arrived: those are counted as unconfirmed. HTTP says so; when an answer
  is lost the events go again and are counted as perhaps repeated.
"""

import contextlib
import os
import socket
import sys
from collections import deque
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, urlsplit

import httpx

from tailrace.errors import UsageError
from tailrace.packs.sender import GaveUpError, Patience, Sender, Tally

FIRST_DELAY_SECS = 0.2
LONGEST_DELAY_SECS = 5.0
CONNECT_TIMEOUT_SECS = 5.0
STOP_POLL_SECS = 0.2
STOP_GRACE_SECS = 1.0
END_TIMEOUT_SECS = 3.0
IN_FLIGHT_BYTES = 8 * 1024**2
"""What the kernels of both sides may hold of a TCP connection; more than usual limits allow."""


def split_target(target: str) -> SplitResult:
    """The parts of a target; UsageError for brackets that belong to no address."""
    try:
        return urlsplit(target)
    except ValueError as error:
        raise UsageError(
            f"cannot send to {target.rpartition('@')[2]!r}: {error}. Write [::1]:PORT"
        ) from error


def shown(target: str) -> str:
    """A target as people and logs may see it: without a password, and settings behind its `?`."""
    parts = split_target(target)
    if not parts.netloc:
        return target
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def open_sender(target: str, patience: Patience) -> Sender:
    """The sender for `tcp://HOST:PORT`, `http://…`, `https://…`, `-` or the path of a file."""
    parts = split_target(target)
    if target == "-":
        return StreamSender(sys.stdout.buffer, "standard output")
    if parts.scheme == "tcp":
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if host is None or port is None:
            raise UsageError(f"cannot send to {shown(target)!r}: give tcp://HOST:PORT")
        return TcpSender(host, port, patience)
    if parts.scheme in ("http", "https") and parts.hostname:
        return HttpSender(target, patience)
    if "://" in target:
        raise UsageError(
            f"cannot send to {shown(target)!r}: give tcp://HOST:PORT, http://…, "
            "kafka://BROKER:PORT/TOPIC, a file, or - for standard output"
        )
    path = Path(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _end_half_a_line(path)
        return StreamSender(FileIO(path, "ab"), target)
    except OSError as error:
        raise UsageError(f"cannot write to {target!r}: {error.strerror}") from error


def _end_half_a_line(path: Path) -> None:
    """A full disk may have ended an earlier run in the middle of a line."""
    if path.is_file():
        with path.open("ab+") as file:
            if file.tell() and last_byte(file.fileno()) != b"\n":
                file.write(b"\n")


class StreamSender:
    """Writes to the end of a file or to standard output."""

    def __init__(self, stream: BinaryIO | FileIO, name: str) -> None:
        self.tally = Tally()
        self._stream = stream
        self._name = name

    def send(self, lines: Sequence[str]) -> None:
        """Write the lines; where that fails, those that are not whole are not sent."""
        encoded = [line.encode() for line in lines]
        data = memoryview(b"".join(encoded))
        done = 0
        try:
            while done < len(data):
                done += self._stream.write(data[done:])
            self._stream.flush()
        except OSError as error:
            if not isinstance(self._stream, FileIO):
                done = 0  # in a buffer, which did not get rid of it
            written = _whole_lines(encoded, done)
            self._count(written, done)
            self.tally.not_sent += len(lines) - written
            raise GaveUpError(f"cannot write to {self._name}: {error.strerror}") from error
        self._count(len(lines), done)

    def _count(self, lines: int, size_bytes: int) -> None:
        self.tally.sent += lines
        self.tally.sent_bytes += size_bytes

    def close(self) -> None:
        """Close the file. Standard output is left, but what a closed pipe did not take is dropped."""
        if self._stream is not sys.stdout.buffer:
            with contextlib.suppress(OSError):
                self._stream.close()
        elif self.tally.not_sent:
            # Python would try again at its own end, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Retrying:
    """Waits between tries, says once why, and gives up in the end."""

    def __init__(self, target: str, patience: Patience, taker: str = "the collector") -> None:
        self._target = shown(target)
        self._patience = patience
        self._taker = taker
        self._delay_secs = FIRST_DELAY_SECS
        self._since: float | None = None

    def succeeded(self) -> None:
        """The target took something."""
        if self._since is not None:
            self._patience.say(f"{self._target} takes events again")
        self._since = None
        self._delay_secs = FIRST_DELAY_SECS

    def failed(self, why: str, wait_secs: float | None = None) -> None:
        """Wait before the next try. Raises GaveUpError when that is enough, or on a stop."""
        now = self._patience.clock.monotonic()
        if self._since is None:
            self._since = now
            self._patience.say(f"cannot send to {self._target}: {why}; trying again")
        if now - self._since >= self._patience.give_up_secs:
            raise GaveUpError(
                f"cannot send to {self._target}: {why}; gave up after "
                f"{self._patience.give_up_secs:g} s. Is {self._taker} running?"
            )
        if self._patience.stop.wait(self._delay_secs if wait_secs is None else wait_secs):
            raise GaveUpError(f"cannot send to {self._target}: {why}; stopped while trying")
        self._delay_secs = min(self._delay_secs * 2, LONGEST_DELAY_SECS)


class TcpSender:
    """Lines over one TCP connection."""

    def __init__(self, host: str, port: int, patience: Patience) -> None:
        self.tally = Tally()
        self._address = (host, port)
        self._patience = patience
        self._retrying = Retrying(f"tcp://{host}:{port}", patience)
        self._socket: socket.socket | None = None
        self._in_flight: deque[tuple[int, int]] = deque()
        self._in_flight_bytes = 0

    def send(self, lines: Sequence[str]) -> None:
        """Write the lines, over as many connections as it takes."""
        left = [line.encode() for line in lines]
        while left:
            try:
                self._write(left)
                left = []
            except _CutError as cut:
                left = left[cut.lines_written :]
                self._forget_connection()
                self._fail(str(cut), left)

    def close(self) -> None:
        """End the connection, and wait until the other side has read everything."""
        if self._socket is None:
            return
        try:
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(END_TIMEOUT_SECS)
            while self._socket.recv(4096):
                pass
        except TimeoutError:
            pass  # it keeps its side open: nothing says that anything went wrong
        except OSError:
            self._count_unconfirmed()
        self._socket.close()
        self._socket = None

    def _write(self, lines: Sequence[bytes]) -> None:
        """Write all lines to the connection. Raises _CutError with the number of whole ones."""
        data = memoryview(b"".join(lines))
        done = 0
        try:
            connection = self._connected()
            while done < len(data):
                done += self._write_some(connection, data[done:])
        except OSError as error:
            written = _whole_lines(lines, done)
            self._count(written, done)
            raise _CutError(_reason(error), written) from error
        except GaveUpError:
            written = _whole_lines(lines, done)
            self._count(written, done)
            self.tally.not_sent += len(lines) - written
            raise
        self._count(len(lines), done)
        self._retrying.succeeded()

    def _write_some(self, connection: socket.socket, data: memoryview) -> int:
        """Write what the connection takes; while it takes nothing, look for a stop."""
        if is_closed(connection):
            raise ConnectionResetError("the other side closed the connection")
        asked_to_stop_at: float | None = None
        while True:
            try:
                return connection.send(data)
            except TimeoutError:
                now = self._patience.clock.monotonic()
                if self._patience.stop.is_set() and asked_to_stop_at is None:
                    asked_to_stop_at = now
                if asked_to_stop_at is not None and now - asked_to_stop_at > STOP_GRACE_SECS:
                    raise GaveUpError("stopped while the target took no events") from None

    def _connected(self) -> socket.socket:
        if self._socket is None:
            connection = socket.create_connection(self._address, CONNECT_TIMEOUT_SECS)
            connection.settimeout(STOP_POLL_SECS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = connection
        return self._socket

    def _forget_connection(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self.tally.reconnects += 1
            self._count_unconfirmed()

    def _fail(self, why: str, left: Sequence[bytes]) -> None:
        try:
            self._retrying.failed(why)
        except GaveUpError:
            self.tally.not_sent += len(left)
            raise

    def _count(self, events: int, size: int) -> None:
        self.tally.sent += events
        self.tally.sent_bytes += size
        self._in_flight.append((events, size))
        self._in_flight_bytes += size
        while self._in_flight_bytes - self._in_flight[0][1] > IN_FLIGHT_BYTES:
            self._in_flight_bytes -= self._in_flight.popleft()[1]

    def _count_unconfirmed(self) -> None:
        """What may have been between the two programs when the connection was cut."""
        events = sum(events for events, _ in self._in_flight)
        self.tally.sent -= events
        self.tally.unconfirmed += events
        self._in_flight.clear()
        self._in_flight_bytes = 0


class _CutError(Exception):
    """A connection that ended; `lines_written` were handed to the kernel whole."""

    def __init__(self, why: str, lines_written: int) -> None:
        super().__init__(why)
        self.lines_written = lines_written


class HttpSender:
    """Lines as newline-delimited JSON in POST requests; 2xx means that they are safe."""

    def __init__(
        self, url: str, patience: Patience, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.tally = Tally()
        self._url = url
        self._patience = patience
        self._retrying = Retrying(url, patience)
        self._client = httpx.Client(
            timeout=httpx.Timeout(30.0, connect=CONNECT_TIMEOUT_SECS), transport=transport
        )

    def send(self, lines: Sequence[str]) -> None:
        """POST the lines until they are taken or refused for good."""
        data = "".join(lines).encode()
        try:
            while not self._post(data, len(lines)):
                pass
        except GaveUpError:
            self.tally.not_sent += len(lines)
            raise

    def close(self) -> None:
        """Close the connection; every answer is in."""
        self._client.close()

    def _post(self, data: bytes, events: int) -> bool:
        """One try; whether the events are done with."""
        try:
            answer = self._client.post(
                self._url, content=data, headers={"Content-Type": "application/x-ndjson"}
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            self._retrying.failed(str(error) or "no connection")
            return False
        except httpx.TransportError as error:
            self.tally.reconnects += 1
            self._retrying.failed(str(error) or type(error).__name__)
            self.tally.repeated += events
            return False
        if answer.is_success:
            self.tally.sent += events
            self.tally.sent_bytes += len(data)
            self._retrying.succeeded()
            return True
        if answer.status_code in (408, 429) or answer.status_code >= 500:
            self._retrying.failed(f"it answers {answer.status_code}", _retry_after_secs(answer))
            return False
        self._patience.say(
            f"cannot send to {self._url}: it refuses {events} events with {answer.status_code}: "
            f"{answer.text[:200]}"
        )
        self.tally.not_sent += events
        return True


def _retry_after_secs(answer: httpx.Response) -> float | None:
    """Seconds that the answer asks us to wait, if it does."""
    said = answer.headers.get("Retry-After", "")
    return float(said) if said.isdigit() else None


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has ended the connection. Writing would still seem to work once."""
    timeout_secs = connection.gettimeout()
    # With a timeout Python itself waits for something to read, whatever the flags say.
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    finally:
        connection.settimeout(timeout_secs)


def last_byte(file: int) -> bytes:
    """Of a file that is not empty, by its descriptor, which stays where it is."""
    return os.pread(file, 1, os.fstat(file).st_size - 1)


def _whole_lines(lines: Sequence[bytes], size: int) -> int:
    """How many of the lines are whole within the first `size` bytes."""
    for number, line in enumerate(lines):
        size -= len(line)
        if size < 0:
            return number
    return len(lines)


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
