"""The sinks `console`, `file`, `http` and `blackhole` behind the real command."""

import json
import os
import subprocess
import sys
from base64 import b64decode
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from tests.integration.collect_system import HTTP, TCP, Collector, eventually, json_lines

STDIN = {"type": "stdin", "decoding": {"codec": "json"}}


def collect(folder: Path, configuration: dict[str, Any], given: bytes, **options: Any) -> Any:
    """`tailrace collect` with `given` on standard input, until it ends by itself."""
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(configuration))
    command = [sys.executable, "-m", "tailrace", "collect", str(path), "--data-dir", str(folder)]
    return subprocess.run(
        command, input=given, check=False, timeout=60, **{"capture_output": True, **options}
    )


def test_a_filter_for_pipes(tmp_path: Path) -> None:
    configuration = {
        "sources": {"in": STDIN},
        "transforms": {
            "shout": {
                "type": "remap",
                "inputs": ["in"],
                "source": '. = {"text": upcase(string!(.text))}',
            },
        },
        "sinks": {
            "out": {"type": "console", "inputs": ["shout"], "encoding": {"codec": "json"}},
            "beside": {
                "type": "console",
                "inputs": ["in"],
                "target": "stderr",
                "encoding": {"codec": "csv", "csv": {"fields": ["text"]}},
            },
        },
    }
    lines = [json.dumps({"text": f"line {number}"}) for number in range(1000)]
    done = collect(tmp_path, configuration, "\n".join(lines).encode())
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == [
        f"LINE {number}" for number in range(1000)
    ]
    assert b"\nline 999\n" in done.stderr


def test_a_reader_that_goes_away_ends_the_collector_and_loses_nothing(tmp_path: Path) -> None:
    configuration = {
        "sources": {"in": STDIN},
        "sinks": {"out": {"type": "console", "inputs": ["in"], "encoding": {"codec": "json"}}},
    }
    reader, writer = os.pipe()
    os.close(reader)
    done = collect(
        tmp_path,
        configuration,
        b'{"n":1}\n',
        stdout=writer,
        stderr=subprocess.PIPE,
        capture_output=False,
    )
    os.close(writer)
    assert done.returncode == 1, done.stderr
    assert b"cannot write to stdout" in done.stderr
    assert b"Traceback" not in done.stderr
    done = collect(tmp_path, configuration, b"")
    assert [json.loads(line)["n"] for line in done.stdout.splitlines()] == [1]


def test_one_collector_sends_to_another_by_http(tmp_path: Path) -> None:
    out = tmp_path / "out.log"
    behind = {
        "sources": {"http": HTTP},
        "sinks": {
            "out": {
                "type": "file",
                "inputs": ["http"],
                "path": str(out),
                "encoding": {"codec": "json"},
            }
        },
    }
    with Collector(behind, tmp_path / "behind") as second:
        before = {
            "sources": {"tcp": TCP},
            "sinks": {
                "onward": {
                    "type": "http",
                    "inputs": ["tcp"],
                    "uri": f"http://127.0.0.1:{second.ports['http']}/",
                    "compression": "gzip",
                    "framing": {"method": "newline_delimited"},
                    "encoding": {"codec": "json"},
                    "batch": {"timeout_secs": 0.1, "max_events": 50},
                },
                "nowhere": {"type": "blackhole", "inputs": ["tcp"], "print_interval_secs": 1},
            },
        }
        with Collector(before, tmp_path / "before") as first:
            first.send(b"".join(b'{"n":%d}\n' % number for number in range(500)))

            def arrived() -> Counter[int]:
                return Counter(event["n"] for event in json_lines(out))

            eventually(lambda: arrived().total() >= 500, "the events behind both")
            assert arrived() == Counter(range(500))
            sent = 'component_sent_events_total{component_id="nowhere"'
            eventually(lambda: sent in first.page("/metrics"), "the blackhole's count")


def test_what_is_rejected_without_a_clickhouse_is_kept_in_a_file(tmp_path: Path) -> None:
    configuration = {
        "sources": {"tcp": TCP},
        "sinks": {
            "out": {
                "type": "file",
                "inputs": ["tcp"],
                "path": f"{tmp_path}/logs/{{{{ app }}}}.log",
                "encoding": {"codec": "json"},
            }
        },
    }
    with Collector(configuration, tmp_path) as collector:
        collector.send(b'{"app":"a"}\nnot json\n{"app":"../../x"}\n{"b":1}\n')
        kept = tmp_path / "data" / "buffer" / "_rejected" / "tcp.jsonl"
        rows = eventually(lambda: len(rows := json_lines(kept)) == 3 and rows, "the rows")
        eventually((tmp_path / "logs" / "a.log").exists, "the good event")
    assert {row["component_id"] for row in rows} == {"tcp", "out"}
    assert b"not json" in [b64decode(row["raw"]) for row in rows]
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["a.log"]
