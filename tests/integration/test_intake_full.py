"""A collector that cannot deliver fills its buffer: clients are told to come again, nothing is lost."""

from pathlib import Path

import httpx

from tests.integration.collect_system import (
    HTTP,
    Collector,
    engine_with_tables,
    eventually,
    pipeline,
)
from tests.processes import start_engine
from tests.web_system import start_web

DOORS = {
    "/elasticsearch/_bulk": b'{"create":{}}\n{"message":"%b"}\n',
    "/loki/api/v1/push": b'{"streams":[{"values":[["1763808135118000000","%b"]]}]}',
    "/write": b'm message="%b"',
}


def test_a_full_buffer(tmp_path: Path) -> None:
    engine = engine_with_tables(tmp_path / "engine")
    configuration = pipeline(engine.url, http=HTTP)
    engine.process.stop()
    with Collector(
        configuration, tmp_path / "collector", {"TAILRACE_BUFFER_MAX_BYTES": str(1024**2)}
    ) as collector:
        environment = {
            "TAILRACE_CLICKHOUSE_URL": engine.url,
            "TAILRACE_INTAKE_HTTP": f"127.0.0.1:{collector.ports['http']}",
        }
        with start_web(environment) as web, httpx.Client(base_url=web.url, timeout=60) as client:
            taken = 0
            for path, body in DOORS.items():
                while (answer := client.post(path, content=body % (b"x" * 100_000))).is_success:
                    taken += 1
                assert answer.status_code == 429, answer.text
                assert int(answer.headers["retry-after"]) >= 1
            assert taken
        with start_engine(engine.data_dir, None, "--engine-port", str(engine.process.port)):
            count = "SELECT count() FROM logs.application_logs"
            eventually(lambda: int(engine.value(count)) >= taken, "what was taken")
            assert int(engine.value(count)) == taken
