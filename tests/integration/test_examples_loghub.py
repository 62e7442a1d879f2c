"""The examples, over the real files that they were written for: every line becomes an event."""

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tailrace.collect.codecs import CODECS
from tailrace.collect.config import load
from tailrace.collect.transform import Event, TransformContext
from tests.integration.loghub import ROOT, real_log


@dataclass(frozen=True)
class Example:
    """What one example must make of its file."""

    name: str
    log: str
    levels: dict[str, int]
    sources: dict[str, int]
    first: dict[str, Any]
    last: dict[str, Any]


def recent(month: int, day: int, clock: str) -> str:
    """The latest such moment that is not more than a day ahead, as RFC 3339."""
    latest = datetime.now(UTC) + timedelta(days=1)
    year = latest.year
    moment = datetime.fromisoformat(f"{year}-{month:02}-{day:02}T{clock}+00:00")
    return f"{year if moment <= latest else year - 1}-{month:02}-{day:02}T{clock}Z"


EXAMPLES = [
    Example(
        "apache",
        "Apache",
        {"INFO": 1405, "ERROR": 595},
        {"apache": 2000},
        {
            "timestamp": "2005-12-04T04:47:44Z",
            "log_level": "INFO",
            "source": "apache",
            "message": "workerEnv.init() ok /etc/httpd/conf/workers2.properties",
        },
        {
            "timestamp": "2005-12-05T19:15:57Z",
            "log_level": "ERROR",
            "source": "apache",
            "message": "mod_jk child workerEnv in error state 6",
        },
    ),
    Example(
        "hdfs",
        "HDFS",
        {"INFO": 1920, "WARNING": 80},
        {
            "dfs.FSNamesystem": 659,
            "dfs.DataNode$PacketResponder": 603,
            "dfs.DataNode$DataXceiver": 454,
            "dfs.FSDataset": 263,
            "dfs.DataBlockScanner": 20,
            "dfs.DataNode": 1,
        },
        {
            "timestamp": "2008-11-09T20:36:15Z",
            "log_level": "INFO",
            "source": "dfs.DataNode$PacketResponder",
            "message": "PacketResponder 1 for block blk_38865049064139660 terminating",
            "thread": 148,
            "block_id": "blk_38865049064139660",
        },
        {
            "timestamp": "2008-11-11T10:20:17Z",
            "log_level": "INFO",
            "source": "dfs.DataNode$DataXceiver",
            "message": "Receiving block blk_4343207286455274569 "
            "src: /10.250.9.207:59759 dest: /10.250.9.207:50010",
            "thread": 26347,
            "block_id": "blk_4343207286455274569",
            "src_ip": "10.250.9.207",
            "dest_ip": "10.250.9.207",
        },
    ),
    Example(
        "openssh",
        "OpenSSH",
        {"WARNING": 1409, "INFO": 458, "ERROR": 133},
        {"sshd": 2000},
        {
            "timestamp": recent(12, 10, "06:55:46"),
            "log_level": "ERROR",
            "source": "sshd",
            "message": "reverse mapping checking getaddrinfo for ns.marryaldkfaczcz.com "
            "[173.234.31.186] failed - POSSIBLE BREAK-IN ATTEMPT!",
            "host": "LabSZ",
            "pid": 24200,
            "client_ip": "173.234.31.186",
        },
        {
            "timestamp": recent(12, 10, "11:04:45"),
            "log_level": "WARNING",
            "source": "sshd",
            "message": "Failed password for invalid user user from 103.99.0.122 port 52683 ssh2",
            "host": "LabSZ",
            "pid": 25539,
            "login": "failed",
            "method": "password",
            "user": "user",
            "client_ip": "103.99.0.122",
            "client_port": 52683,
        },
    ),
    Example(
        "zookeeper",
        "Zookeeper",
        {"WARNING": 1318, "INFO": 669, "ERROR": 13},
        {"QuorumCnxManager$SendWorker": 576, "QuorumCnxManager$RecvWorker": 557},
        {
            "timestamp": "2015-07-29T17:41:44.747Z",
            "log_level": "INFO",
            "source": "FastLeaderElection",
            "message": "Notification time out: 3200",
            "thread": "QuorumPeer[myid=1]/0:0:0:0:0:0:0:0:2181",
            "line": 774,
        },
        {
            "timestamp": "2015-08-10T18:12:34.004Z",
            "log_level": "INFO",
            "source": "PrepRequestProcessor",
            "message": "Processed session termination for sessionid: 0x24f0557806a0010",
            "thread": "ProcessThread(sid:3 cport:-1):",
            "line": 476,
            "session_id": "0x24f0557806a0010",
        },
    ),
]
every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)


def parsed(example: Example, lines: list[bytes]) -> list[Event]:
    """The example's events of these lines, none of which may fail or be dropped."""
    config = load([ROOT / f"examples/{example.name}.yaml"])
    context = TransformContext(example.name, config.timezone, typed_output=False)
    transform = config.transforms[example.name].build(context)
    outputs = transform.run([event for line in lines for event in CODECS["bytes"](line)])
    assert (outputs.errors, outputs.rejected, outputs.discarded) == (0, [], {})
    return outputs.default


@every_example
def test_every_line_of_the_real_file(example: Example) -> None:
    lines = real_log(example.log).read_bytes().split(b"\n")
    events = parsed(example, [line for line in lines if line])
    assert len(events) == 2000
    assert events[0] == example.first
    assert events[-1] == example.last
    assert Counter(event["log_level"] for event in events) == example.levels
    sources = Counter(event["source"] for event in events)
    assert {name: sources[name] for name in example.sources} == example.sources


@every_example
def test_odd_lines_are_kept_whole(example: Example) -> None:
    lines = [
        b"\tat java.lang.Thread.run(Thread.java:595)",
        b"java.io.IOException: Connection reset by peer",
        b"[Sun Dec 04",
        b"[Xyz Dec 99 99:99:99 2005] [error] text",
        b"999999 999999 1 INFO a: text",
        b"Feb 30 06:55:46 LabSZ sshd[24200]: text",
        b"2015-99-29 17:41:44,747 - INFO  [a:b@1] - text",
        b"\xff\xfe\x00 {{ }} \"' \\",
        "smörgåsbord \U0001f525".encode(),
        b"x" * 100_000,
        b"[" * 20_000,
    ]
    for line, event in zip(lines, parsed(example, lines), strict=True):
        assert event["message"]
        assert line.decode("utf-8", "replace").strip().endswith(event["message"])
        assert event["log_level"] in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
        assert event["timestamp"][:4] == str(datetime.now(UTC).year)


@every_example
def test_the_tests_inside_the_file(example: Example) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "test", str(ROOT / f"examples/{example.name}.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "... passed" in done.stdout
    assert "... failed" not in done.stdout


@every_example
def test_the_network_variant_is_valid(example: Example) -> None:
    files = [ROOT / f"examples/{example.name}.yaml", ROOT / "examples/listen.yaml"]
    config = load(files)
    assert config.warnings == ()
    taken = config.transforms[example.name].inputs
    assert set(taken) == {"lines_stdin", "lines_tcp", "lines_http"}
