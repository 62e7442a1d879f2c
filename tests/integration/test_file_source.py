"""Files of many kinds end up in the table, each line where a user looks for it."""

import gzip
import json
import socket
from pathlib import Path

from tests.integration.collect_system import (
    INTAKE,
    Collector,
    Engine,
    eventually,
)

TRACE = "Traceback (most recent call last):\n  File shop.py\nValueError: no\n"


def test_files_of_many_kinds(engine: Engine, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "plain.log").write_bytes(b"first\n\nsecond\r\n" + b"x" * 300 + b"\nthird \xff\n")
    (logs / "old.log.gz").write_bytes(gzip.compress(b"from the archive\n"))
    (logs / "traces").write_text(f"started\n{TRACE}ended\n")
    lines = [{"level": "warn", "message": f"json {number}"} for number in range(3)]
    (logs / "shop.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    multiline = {
        "start_pattern": "^Traceback",
        "condition_pattern": r"^\w+Error",
        "mode": "halt_with",
        "timeout_ms": 200,
    }
    configuration = {
        "sources": {
            "plain": {
                "type": "file",
                "include": [str(logs / "*.log*")],
                "max_line_bytes": 200,
            },
            "traces": {
                "type": "file",
                "include": [str(logs / "traces")],
                "multiline": multiline,
                "offset_key": "offset",
            },
            "shop": {"type": "file", "include": [str(logs / "shop.json")]},
        },
        "transforms": {
            "parse": {
                "type": "remap",
                "inputs": ["shop"],
                "source": ". = merge!(., object!(parse_json!(string!(.message))))",
            }
        },
        "sinks": {
            "out": {**INTAKE, "inputs": ["plain", "traces", "parse"], "endpoint": engine.url}
        },
    }
    with Collector(configuration, tmp_path / "collector"):
        rows = "SELECT count() FROM logs.application_logs"
        eventually(lambda: engine.value(rows) >= 10, "all events")
        eventually(lambda: engine.value("SELECT count() FROM logs.rejected"), "the long line")
        with (logs / "plain.log").open("a") as log:
            log.write("later\n")
        eventually(lambda: engine.value(rows) >= 11, "what came later")
    found = engine.query(
        "SELECT log_level, message, host, replaceOne(attributes['file'], "
        f"'{logs}/', '') AS file, attributes['offset'] AS offset FROM logs.application_logs"
    )
    host = socket.gethostname()
    assert {row["host"] for row in found} == {host}
    assert sorted((row["file"], row["offset"], row["message"]) for row in found) == [
        ("old.log.gz", "", "from the archive"),
        ("plain.log", "", "first"),
        ("plain.log", "", "later"),
        ("plain.log", "", "second"),
        ("plain.log", "", "third \ufffd"),
        *[("shop.json", "", f"json {number}") for number in range(3)],
        ("traces", "0", "started"),
        ("traces", str(8 + len(TRACE)), "ended"),
        ("traces", "8", TRACE.rstrip("\n")),
    ]
    assert {row["log_level"] for row in found if row["file"] == "shop.json"} == {"WARNING"}
    (rejected,) = engine.query(
        "SELECT component_id, peer, reason, length(raw) AS size FROM logs.rejected"
    )
    assert rejected["component_id"] == "plain"
    assert rejected["peer"] == host
    assert "max_line_bytes" in rejected["reason"]
    assert int(rejected["size"]) == 300
