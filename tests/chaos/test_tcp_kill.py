"""kill -9 of a collector that could not deliver anything yet."""

from pathlib import Path

from tests.integration.collect_system import (
    TCP,
    Collector,
    Engine,
    eventually,
    pipeline,
)


def rows_in(engine: Engine) -> int:
    return int(engine.value("SELECT toUInt32(count()) FROM logs.application_logs"))


def test_what_tcp_brought_into_the_buffer_survives_a_kill(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "collector"
    # Nobody listens there: nothing can be delivered before the kill.
    with Collector(pipeline("http://127.0.0.1:9", tcp=TCP), folder) as collector:
        sent = [f"event {number}" for number in range(20_000)]
        collector.send("".join(f'{{"message":"{event}"}}\n' for event in sent).encode())

        def buffered() -> int:
            lines = collector.page("/metrics").splitlines()
            found = [line for line in lines if line.startswith("buffer_events{")]
            return sum(int(float(line.rsplit(" ", 1)[1])) for line in found)

        eventually(lambda: buffered() == len(sent), "all events in the buffer")
        collector.kill()
    with Collector(pipeline(engine.url, tcp=TCP), folder):
        eventually(lambda: rows_in(engine) >= len(sent), "every buffered event")
    rows = engine.query("SELECT message FROM logs.application_logs")
    assert sorted(row["message"] for row in rows) == sorted(sent)
