"""`tailrace generate`: what arrives, and what is said of what did not."""

import contextlib
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from tests.processes import Process

WAIT_SECS = 60.0


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tailrace", "generate", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def eventually(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECS
    while not true():
        assert time.monotonic() < deadline, f"not within {WAIT_SECS} s: {what}"
        time.sleep(0.01)


class Receiver:
    """Listens on a port of loopback and keeps what comes; may be told to cut or to stop reading."""

    def __init__(self, port: int = 0) -> None:
        self.lines: list[bytes] = []
        self.connections = 0
        self.cut_after_bytes: int | None = None
        self._received = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self._read(connection)

    def _read(self, connection: socket.socket) -> None:
        rest = b""
        while data := connection.recv(65536):
            *whole, rest = (rest + data).split(b"\n")
            self.lines += whole
            self._received += len(data)
            if self.cut_after_bytes is not None and self._received > self.cut_after_bytes:
                self.cut_after_bytes = None
                # RST in place of FIN, as when a machine fails
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return

    def whole_lines(self) -> list[bytes]:
        return [line for line in self.lines if line.startswith(b"{") and line.endswith(b"}")]

    def close(self) -> None:
        with contextlib.suppress(OSError):  # closed before
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(WAIT_SECS)


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    running = Receiver(port)
    try:
        yield running
    finally:
        running.close()


class Answering(http.server.BaseHTTPRequestHandler):
    """Keeps the lines of each POST that it answers with 200; other answers come first."""

    protocol_version = "HTTP/1.1"
    answers: list[tuple[int, dict[str, str]]]
    lines: list[bytes]
    ports: set[int]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.ports.add(self.client_address[1])
        status, headers = self.answers.pop(0) if self.answers else (200, {})
        if status == 200:
            self.lines += body.splitlines()
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def web_server(*answers: tuple[int, dict[str, str]]) -> Iterator[tuple[str, type[Answering]]]:
    handler = type("Handler", (Answering,), {"answers": list(answers), "lines": [], "ports": set()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", handler
        finally:
            server.shutdown()
            thread.join(WAIT_SECS)


def test_the_same_seed_count_and_start_give_the_same_file(tmp_path: Path) -> None:
    fixed = ("--count", "5000", "--seed", "3", "--start", "2026-01-02T03:04:05Z")
    said = [generate("logs", "--to", str(tmp_path / name), *fixed).stderr for name in ("a", "b")]
    first = (tmp_path / "a").read_bytes()
    assert first == (tmp_path / "b").read_bytes()
    events = [json.loads(line) for line in first.splitlines()]
    assert len(events) == 5000
    assert events[0]["timestamp"].startswith("2026-01-02T03:04:05.")
    assert "2026-01-02T03:04:08" < events[-1]["timestamp"] < "2026-01-02T03:04:12"
    assert all(re.search(r"sent 5,000 events \(1\.\d MB\) to ", text) for text in said)


def test_a_file_is_appended_to_and_its_folder_is_made(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.log"
    for count in ("3", "4"):
        assert generate("requests", "--to", str(target), "--count", count).returncode == 0
    assert len(target.read_text().splitlines()) == 7


def test_so_many_events_leave_at_once_by_a_packs_own_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "own.log"
    monkeypatch.setenv("LOG_FILE_PATH", str(target))
    monkeypatch.setenv("LOG_BATCH_SIZE", "5")
    monkeypatch.setenv("LOG_INTERVAL_SECONDS", "0.3")
    monkeypatch.setenv("MAX_LOGS_TO_GENERATE", "12")
    started = time.monotonic()
    done = generate("requests")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started >= 0.6
    assert len(target.read_text().splitlines()) == 12
    monkeypatch.setenv("LOG_BATCH_SIZE", "none")
    done = generate("requests", "--max-logs", "2")
    assert done.returncode == 2
    assert "LOG_BATCH_SIZE='none'" in done.stderr


def test_without_a_start_times_are_the_present(tmp_path: Path) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    assert generate("logs", "--to", str(tmp_path / "a"), "--count", "3000").returncode == 0
    lines = (tmp_path / "a").read_bytes().splitlines()
    times = [datetime.fromisoformat(json.loads(line)["timestamp"]) for line in lines]
    assert times == sorted(times)
    assert before <= times[0]
    assert times[-1] <= datetime.now(UTC)


def test_a_past_leaves_at_once_and_then_events_go_on(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    done = generate("logs", "--to", "-", "--rate", "10", "--backfill", "10m", "--count", "5000")
    times = [
        datetime.fromisoformat(json.loads(line)["timestamp"]) for line in done.stdout.splitlines()
    ]
    assert len(times) == 5000
    assert times == sorted(times)
    assert timedelta(0) <= times[0] - before + timedelta(minutes=10) < timedelta(seconds=30)
    assert times[-1] <= datetime.now(UTC)
    done = generate("logs", "--to", "-", "--rate", "200", "--backfill", "2s", "--count", "600")
    times = [
        datetime.fromisoformat(json.loads(line)["timestamp"]) for line in done.stdout.splitlines()
    ]
    assert times == sorted(times)
    # 400 of the 600 are the past; between it and now there is no hole. (A busy machine may pause.)
    assert timedelta(seconds=2) < times[-1] - times[0] < timedelta(seconds=60)
    assert max(b - a for a, b in pairwise(times)) < timedelta(seconds=30)


def test_standard_output_carries_nothing_but_events() -> None:
    done = generate("logs", "--to", "-", "--count", "25", "--rate", "500")
    assert done.returncode == 0
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 25
    assert "sent 25 events" in done.stderr


def test_a_pipe_that_is_closed_early_ends_it_with_a_count() -> None:
    command = [
        sys.executable,
        "-m",
        "tailrace",
        "generate",
        "logs",
        "--to",
        "-",
        "--count",
        "100000",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait(WAIT_SECS) == 1
    sent, not_sent = (
        int(n.replace(",", "")) for n in re.findall(r"([\d,]+) (?:events|NOT SENT)", said)
    )
    assert sent + not_sent == 100_000
    assert "Exception" not in said
    assert "Traceback" not in said


def test_all_events_arrive_over_one_connection() -> None:
    with receiver() as there:
        done = generate("logs", "--to", f"tcp://127.0.0.1:{there.port}", "--count", "20000")
        assert done.returncode == 0, done.stderr
        assert there.connections == 1
        eventually(lambda: len(there.lines) >= 20_000, "all lines")
        assert len(there.lines) == len(set(there.lines)) == 20_000
    assert "NOT SENT" not in done.stderr
    assert "unconfirmed" not in done.stderr


def test_events_wait_for_a_receiver_that_comes_back() -> None:
    with receiver() as there:
        port = there.port
        process = Process(
            [
                "generate",
                "logs",
                "--to",
                f"tcp://127.0.0.1:{port}",
                "--rate",
                "200",
                "--count",
                "1000",
            ]
        )
        with process:
            eventually(lambda: there.lines, "first lines")
            there.cut_after_bytes = 0
            there.close()
            process.wait_for(lambda: "trying again" in process.log, "trouble said")
            with receiver(port) as back:
                assert process.wait(WAIT_SECS) == 0
                said = process.log
                sent, unconfirmed = (
                    int(n.replace(",", ""))
                    for n in re.findall(r"([\d,]+) (?:events \(|unconfirmed)", said)
                )
                eventually(lambda: len({*there.lines, *back.lines}) >= sent, "what was sent")
    assert "takes events again" in said
    assert sent + unconfirmed == 1000
    assert sent <= len({*there.lines, *back.lines}) <= 1000
    assert "NOT SENT" not in said


def test_a_cut_in_the_middle_is_counted_as_unconfirmed() -> None:
    with receiver() as there:
        there.cut_after_bytes = 500_000
        done = generate("logs", "--to", f"tcp://127.0.0.1:{there.port}", "--count", "20000")
        assert there.connections == 2
        found = re.search(r"sent ([\d,]+) events .*; ([\d,]+) unconfirmed", done.stderr)
        assert found, done.stderr
        sent, unconfirmed = (int(n.replace(",", "")) for n in found.groups())
        eventually(lambda: len(there.whole_lines()) >= sent, "what was sent")
    assert sent + unconfirmed == 20_000
    whole = there.whole_lines()
    assert len(whole) <= 20_000
    assert len(set(whole)) == len(whole)


def test_what_could_not_be_sent_is_counted_and_the_exit_code_says_so() -> None:
    done = generate("logs", "--to", "tcp://127.0.0.1:1", "--count", "77", "--give-up-secs", "0.3")
    assert done.returncode == 1
    assert "gave up after 0.3 s" in done.stderr
    assert "sent 0 events" in done.stderr
    assert "77 NOT SENT" in done.stderr


def test_events_leave_at_the_rate() -> None:
    with receiver() as there:
        started = time.monotonic()
        target = f"tcp://127.0.0.1:{there.port}"
        assert generate("logs", "--to", target, "--rate", "100", "--count", "150").returncode == 0
        assert time.monotonic() - started >= 1.2
        eventually(lambda: len(there.lines) == 150, "all lines")
        times = [datetime.fromisoformat(json.loads(line)["timestamp"]) for line in there.lines]
    assert times[-1] - times[0] > timedelta(seconds=1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order_with_the_summary(number: signal.Signals) -> None:
    with receiver() as there:
        target = f"tcp://127.0.0.1:{there.port}"
        process = Process(["generate", "logs", "--to", target, "--rate", "300"])
        eventually(lambda: len(there.lines) > 30, "some lines")
        assert process.stop(number) == 0
        found = re.search(r"sent ([\d,]+) events", process.log)
        assert found, process.log
        eventually(
            lambda: len(there.lines) == int(found[1].replace(",", "")), "all that was counted"
        )
    assert "NOT SENT" not in process.log


def test_a_signal_ends_it_while_the_receiver_does_not_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        process = Process(["generate", "logs", "--to", target, "--rate", "0"])
        connection, _ = listener.accept()
        with connection:
            eventually(lambda: connection.recv(1, socket.MSG_PEEK), "first bytes")
            assert process.stop() in (0, 1)
    found = re.search(r"([\d,]+) NOT SENT", process.log)
    assert process.exit_code == (1 if found else 0)


def test_http_batches_are_confirmed_over_a_kept_connection() -> None:
    with web_server() as (url, handler):
        done = generate("logs", "--to", url, "--count", "5000")
        assert done.returncode == 0, done.stderr
        assert len(handler.lines) == 5000
        assert len(handler.ports) == 1
    assert "sent 5,000 events" in done.stderr


def test_a_server_that_is_full_is_asked_again_after_the_time_that_it_says() -> None:
    with web_server((503, {"Retry-After": "1"}), (429, {})) as (url, handler):
        started = time.monotonic()
        done = generate("logs", "--to", url, "--count", "100")
        assert time.monotonic() - started >= 1
        assert done.returncode == 0, done.stderr
        assert len(handler.lines) == 100
    assert "it answers 503; trying again" in done.stderr


def test_a_server_that_refuses_is_not_asked_again() -> None:
    with web_server((401, {})) as (url, handler):
        done = generate("logs", "--to", url, "--count", "100")
        assert handler.lines == []
    assert done.returncode == 1
    assert "refuses 100 events with 401" in done.stderr
    assert "100 NOT SENT" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing",), "'nothing'"),
        (("logs", "--to", "udp://127.0.0.1:1"), "udp://127.0.0.1:1"),
        (("logs", "--to", "tcp://127.0.0.1"), "tcp://HOST:PORT"),
        (("logs", "--to", "tcp://127.0.0.1:port"), "tcp://HOST:PORT"),
        (("logs", "--to", "/dev/null/file"), "cannot write to '/dev/null/file'"),
        (("logs", "--to", "-", "--start", "noon"), "--start 'noon'"),
        (("logs", "--rate", "-1"), "--rate"),
        (("logs", "--to", "-", "--backfill", "long"), "--backfill 'long'"),
        (("logs", "--to", "-", "--backfill", "2190-01-01"), "not in the past"),
        (("logs", "--to", "-", "--backfill", "1h", "--start", "2026-01-02"), "--start"),
        (("logs", "--to", "-", "--backfill", "1h", "--rate", "0"), "--rate 0"),
    ],
)
def test_wrong_usage_has_its_exit_code(arguments: tuple[str, ...], said: str) -> None:
    done = generate(*arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_terminal_shows_progress() -> None:
    parent, child = os.openpty()
    command = ["generate", "logs", "--to", os.devnull, "--count", "2000", "--rate", "4000"]
    with subprocess.Popen(
        [sys.executable, "-m", "tailrace", *command],
        stderr=child,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ) as process:
        os.close(child)
        shown = b""
        try:
            while data := os.read(parent, 65536):
                shown += data
        except OSError:
            pass  # how a pseudo-terminal says that the other side is gone
        finally:
            os.close(parent)
    assert process.returncode == 0
    assert b"events/s" in shown
    assert b"/2000" in shown
    assert b"sent 2,000 events" in shown
