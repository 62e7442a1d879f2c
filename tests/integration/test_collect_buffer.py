"""What a sink's `buffer` says of a full one, and that a slow sink costs disk and not memory."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from typing_extensions import override

from tests.integration.collect_system import (
    HTTP,
    TCP,
    Collector,
    engine_with_tables,
    eventually,
    pipeline,
)

DEAD_ENGINE = "http://127.0.0.1:9"
MEBIBYTE = 1024**2

SENT_BYTES = 100 * MEBIBYTE
MOST_GROWTH_BYTES = 64 * MEBIBYTE
"""What waits for an fsync, and the batches that are being sent, may be in memory."""


def doctor(folder: Path, engine_url: str) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "doctor", str(folder / "pipeline.yaml")]
        + ["--data-dir", str(folder / "data"), "--clickhouse", engine_url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_a_full_buffer_that_drops_keeps_nobody_waiting_and_says_what_it_dropped(
    tmp_path: Path,
) -> None:
    buffer = {"type": "disk", "max_size": MEBIBYTE, "when_full": "drop_newest"}
    configuration = pipeline(DEAD_ENGINE, tcp=TCP, http=HTTP)
    configuration["sinks"]["out"]["buffer"] = buffer
    line = b'{"message":"%s"}\n' % (b"x" * 2**16)
    with Collector(configuration, tmp_path) as collector:
        assert {collector.post(line)[0] for _ in range(40)} == {200}
        # Many times what the system's buffers and the collector's memory would take.
        collector.send(line * 2000)
        eventually(
            lambda: collector.metric("component_received_events_total", "tcp") == 2000,
            "the last line of TCP",
        )
        dropped = {
            source: collector.metric("component_discarded_events_total", source)
            for source in ("tcp", "http")
        }
        kept = {source: collector.metric("buffer_events", source) for source in ("tcp", "http")}
        for source, sent in (("http", 40), ("tcp", 2000)):
            assert kept[source] >= 16, "one MiB is kept"
            assert kept[source] + dropped[source] == sent
    engine = engine_with_tables(tmp_path / "engine")
    with engine.process:
        configuration["sinks"]["out"]["endpoint"] = engine.url
        with Collector(configuration, tmp_path):
            rows = "SELECT toUInt32(count()) FROM logs.application_logs"
            eventually(lambda: engine.value(rows) == sum(kept.values()), "what was kept")
        code, findings = doctor(tmp_path, engine.url)
    assert code == 0
    said = {found["check"]: found for found in findings}
    for source in ("tcp", "http"):
        assert said[f"source {source}"]["state"] == "warn"
        assert f"{int(dropped[source]):,} were dropped" in said[f"source {source}"]["text"]


class _HangsOnInserts(BaseHTTPRequestHandler):
    """A ClickHouse that describes its table and then reads nothing more."""

    released: threading.Event

    def do_POST(self) -> None:
        if "DESCRIBE" in self.path:
            columns = {"json": "String", "component_id": "String", "peer": "String"}
            columns["received_at"] = "DateTime64(3, 'UTC')"
            self._answer(
                b"".join(
                    b'{"name":"%s","type":"%s","default_type":""}\n'
                    % (name.encode(), kind.encode())
                    for name, kind in columns.items()
                )
            )
        elif "INSERT" in self.path:
            self.released.wait()
            self.close_connection = True
        else:
            self._answer(b"0\n")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def hanging_clickhouse() -> Iterator[str]:
    class Handler(_HangsOnInserts):
        released = threading.Event()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        Handler.released.set()
        server.shutdown()
        serving.join()
        server.server_close()


def memory_bytes(pid: int) -> int:
    """Memory of a process that no file stands behind."""
    status = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(kilobytes) * 1024


def test_a_sink_that_hangs_costs_disk_and_not_memory(tmp_path: Path) -> None:
    line = b'{"message":"%s"}\n' % (b"x" * 1007)
    block = line * 1024
    with hanging_clickhouse() as url, Collector(pipeline(url, tcp=TCP), tmp_path) as collector:
        collector.send(block)
        eventually(lambda: collector.metric("buffer_events", "tcp") == 1024, "the first block")
        before = most = memory_bytes(collector.pid)
        with socket.create_connection(("127.0.0.1", collector.ports["tcp"])) as connection:
            for _ in range(SENT_BYTES // len(block)):
                connection.sendall(block)
                most = max(most, memory_bytes(collector.pid))
        sent = 1024 * (1 + SENT_BYTES // len(block))
        eventually(lambda: collector.metric("buffer_events", "tcp") == sent, "everything on disk")
        on_disk = sum(path.stat().st_size for path in tmp_path.glob("data/buffer/tcp/*.segment"))
        assert on_disk >= SENT_BYTES
        assert max(most, memory_bytes(collector.pid)) - before < MOST_GROWTH_BYTES
        collector.kill()
