"""kill -9 of a collector that tails a growing, rotating log: every line is in the table once."""

import random
import threading
from pathlib import Path

from tests.chaos.load import Application
from tests.integration.collect_system import (
    INTAKE,
    Collector,
    Engine,
    eventually,
)

KILLS = 8
LINES_PER_ROUND = 4000


def test_every_line_is_there_once(engine: Engine, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    configuration = {
        "sources": {
            "files": {
                "type": "file",
                "include": [str(logs / "app.log*")],
                "glob_minimum_cooldown_ms": 10,
            }
        },
        "sinks": {"out": {**INTAKE, "inputs": ["files"], "endpoint": engine.url}},
    }
    application = Application(logs)
    chance = random.Random(7)
    application.write(100)
    for _ in range(KILLS):
        collector = Collector(configuration, tmp_path / "collector")
        writing = threading.Thread(target=application.write, args=(LINES_PER_ROUND,))
        writing.start()
        writing.join(chance.random() * 0.3)
        collector.kill()
        writing.join()
    with Collector(configuration, tmp_path / "collector"):
        rows = "SELECT count() FROM logs.application_logs"
        eventually(lambda: engine.value(rows) >= application.written, "all lines")
    (found,) = engine.query(
        "SELECT count() AS rows, uniqExact(message) AS lines, "
        "countIf(match(message, '^line [0-9]+ [.]*$')) AS whole, "
        f"countIf(startsWith(attributes['file'], '{logs / 'app.log'}')) AS named, "
        "(SELECT count() FROM logs.rejected) AS rejected FROM logs.application_logs"
    )
    assert application.rotations > 3
    assert {name: int(value) for name, value in found.items()} == {
        **dict.fromkeys(("rows", "lines", "whole", "named"), application.written),
        "rejected": 0,
    }
