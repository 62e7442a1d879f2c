"""Several processes run the transforms of one source: each gets a share, and each line goes once."""

import json
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import pytest
from typing_extensions import override

from tests.integration.collect_system import Collector, eventually

LINES = 2000
LINES_A_BATCH = 100
WORKERS = 5


class Destination(ThreadingHTTPServer):
    """Takes JSON by POST, once the test lets it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.rows: list[dict[str, Any]] = []
        self.may_answer = Event()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def do_POST(self) -> None:
        destination = self.server
        assert isinstance(destination, Destination)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        destination.may_answer.wait()
        destination.rows += json.loads(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def destination() -> Iterator[Destination]:
    with Destination() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.may_answer.set()
        server.shutdown()
        thread.join()


def test_each_process_gets_a_share_and_each_line_goes_once(
    destination: Destination, tmp_path: Path
) -> None:
    path = tmp_path / "in.log"
    path.write_text("".join(f"{number}\n" for number in range(LINES)))
    pipeline = {
        "sources": {"in": {"type": "file", "include": [str(path)], "read_from": "beginning"}},
        "transforms": {
            "numbers": {
                "type": "remap",
                "inputs": ["in"],
                "source": '. = {"number": to_int!(.message)}',
            }
        },
        "sinks": {
            "out": {
                "type": "http",
                "inputs": ["numbers"],
                "uri": f"http://127.0.0.1:{destination.server_port}/",
                "encoding": {"codec": "json"},
                "batch": {"max_events": LINES_A_BATCH, "timeout_secs": 0.1},
                "request": {"concurrency": 2},
            }
        },
    }
    environment = {"TAILRACE_TRANSFORM_WORKERS": str(WORKERS)}
    with Collector(pipeline, tmp_path / "collector", environment) as collector:

        def processes() -> int:
            children = psutil.Process(collector.pid).children(recursive=True)
            return sum("spawn_main" in " ".join(child.cmdline()) for child in children)

        # More than requests may be under way: none waits for a destination that does not answer.
        eventually(lambda: processes() == WORKERS, "as many processes as workers")
        destination.may_answer.set()
        eventually(lambda: len(destination.rows) >= LINES, "all lines")
    found = Counter(row["number"] for row in destination.rows)
    assert found == dict.fromkeys(range(LINES), 1)
