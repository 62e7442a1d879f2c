"""Real shippers send syslog: each event is found once, with its fields where a user looks."""

import json
import logging
import logging.handlers
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from typing_extensions import override

from tests.integration.collect_system import (
    Collector,
    Engine,
    eventually,
    pipeline,
)
from tests.needs import SHIPPERS, need_shipper

EVENTS = 10_000
DATAGRAMS_AT_ONCE = 200
"""So many have room in the system's buffer, however long nobody reads it."""
LIBRARIES = [
    SHIPPERS / part
    for part in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/syslog-ng")
]


pytestmark = pytest.mark.usefixtures("empty_tables")


def syslog(mode: str, **options: object) -> Mapping[str, object]:
    place = {} if mode == "unix" else {"address": "127.0.0.1:0"}
    return {"type": "syslog", "mode": mode, **place, **options}


@contextmanager
def running(arguments: list[str]) -> Iterator[None]:
    """A shipper, until it is not needed any more."""
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, LIBRARIES))}
    process = subprocess.Popen(
        arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
        assert process.poll() is None, "the shipper ended"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def write_log(path: Path) -> None:
    path.write_text("".join(f"event {number} of shop: ünïcode\n" for number in range(EVENTS)))


def check(engine: Engine, ways: int, *, app: str = "shop", level: str = "ERROR") -> None:
    """Each of the events is there once for each way, and looks right."""
    expected = EVENTS * ways
    rows = "SELECT count() FROM logs.application_logs"
    eventually(lambda: engine.value(rows) >= expected, f"{expected} events")
    (found,) = engine.query(
        "SELECT count() AS events, uniqExact(message) AS messages, "
        "countIf(message LIKE 'event % of shop: ünïcode') AS readable, "
        f"countIf(log_level = '{level}') AS levels, "
        f"countIf(if(source != '', source, attributes['appname']) = '{app}') AS apps, "
        f"countIf(host = '{socket.gethostname()}') AS hosts, "
        "countIf(attributes['facility'] = 'local3') AS facilities, "
        "countIf(abs(dateDiff('second', timestamp, now64(3))) < 600) AS recent, "
        "(SELECT count() FROM logs.rejected) AS rejected "
        "FROM logs.application_logs"
    )
    names = ["events", "readable", "levels", "apps", "hosts", "facilities", "recent"]
    wanted = {**dict.fromkeys(names, expected), "messages": EVENTS, "rejected": 0}
    assert {name: int(value) for name, value in found.items()} == wanted


def test_rsyslog(engine: Engine, tmp_path: Path) -> None:
    """RFC 5424 by octet counting, RFC 3164 by newlines, of the same events."""
    program = need_shipper("rsyslogd")
    sources = {"counted": syslog("tcp"), "lines": syslog("tcp")}
    with Collector(pipeline(engine.url, **sources), tmp_path / "collector") as collector:
        log, configuration = tmp_path / "shop.log", tmp_path / "rsyslog.conf"
        write_log(log)
        ways = [
            ("counted", "RSYSLOG_SyslogProtocol23Format", ' TCP_Framing="octet-counted"'),
            ("lines", "RSYSLOG_TraditionalForwardFormat", ""),
        ]
        actions = [
            f'action(type="omfwd" target="127.0.0.1" port="{collector.ports[source]}" '
            f'protocol="tcp" template="{template}"{framing})\n'
            for source, template, framing in ways
        ]
        configuration.write_text(
            f'global(workDirectory="{tmp_path}")\n'
            'module(load="imfile")\n'
            f'input(type="imfile" file="{log}" tag="shop:" severity="error" facility="local3")\n'
            + "".join(actions)
        )
        modules = SHIPPERS / "usr/lib/x86_64-linux-gnu/rsyslog"
        arguments = [
            "-n",
            "-f",
            str(configuration),
            "-i",
            str(tmp_path / "pid"),
            "-M",
            str(modules),
        ]
        with running([str(program), *arguments]):
            check(engine, 2)


def test_syslog_ng(engine: Engine, tmp_path: Path) -> None:
    """RFC 5424 by octet counting, RFC 3164 over TCP, and over a Unix socket, of the same events."""
    program = need_shipper("syslog-ng")
    unix = tmp_path / "socket"
    sources = {
        "counted": syslog("tcp"),
        "lines": syslog("tcp"),
        "unix": syslog("unix", path=str(unix)),
    }
    with Collector(pipeline(engine.url, **sources), tmp_path / "collector") as collector:
        log, configuration = tmp_path / "shop.log", tmp_path / "syslog-ng.conf"
        write_log(log)
        counted, lines = collector.ports["counted"], collector.ports["lines"]
        configuration.write_text(
            "@version: 3.38\n"
            f'source s {{ file("{log}" flags(no-parse) program-override("shop") '
            "default-facility(local3) default-priority(error)); };\n"
            f'destination a {{ syslog("127.0.0.1" port({counted}) transport("tcp")); }};\n'
            f'destination b {{ network("127.0.0.1" port({lines}) transport("tcp")); }};\n'
            f'destination c {{ unix-stream("{unix}"); }};\n'
            "log { source(s); destination(a); destination(b); destination(c);"
            " flags(flow-control); };\n"
        )
        modules = SHIPPERS / "usr/lib/syslog-ng/3.38"
        arguments = [
            "-F", "--no-caps", "-f", str(configuration), "--module-path", str(modules),
            "-R", str(tmp_path / "persist"), "-p", str(tmp_path / "pid"),
            "-c", str(tmp_path / "control"),
        ]  # fmt: skip
        with running([str(program), *arguments]):
            check(engine, 3)


def test_python_by_udp(engine: Engine, tmp_path: Path) -> None:
    with Collector(pipeline(engine.url, udp=syslog("udp")), tmp_path) as collector:
        handler = logging.handlers.SysLogHandler(
            ("127.0.0.1", collector.ports["udp"]), facility="local3"
        )
        log_with_python(handler, collector=collector, source="udp")
        eventually(
            lambda: engine.value("SELECT count() FROM logs.application_logs") >= EVENTS, "all"
        )
    check_python(engine)


def test_python_by_tcp(engine: Engine, tmp_path: Path) -> None:
    """Python ends messages neither with a length nor a newline, unless it is told to."""
    with Collector(pipeline(engine.url, tcp=syslog("tcp")), tmp_path) as collector:
        handler = logging.handlers.SysLogHandler(
            ("127.0.0.1", collector.ports["tcp"]),
            facility="local3",
            socktype=socket.SOCK_STREAM,
        )
        handler.append_nul = False
        log_with_python(handler, end="\n")
        eventually(
            lambda: engine.value("SELECT count() FROM logs.application_logs") >= EVENTS, "all"
        )
    check_python(engine)


def log_with_python(
    handler: logging.Handler,
    *,
    end: str = "",
    collector: Collector | None = None,
    source: str = "",
) -> None:
    """Log all events. A datagram has no way to wait for room: with a collector, it is waited until its
    source has received what was sent before more is."""
    handler.setFormatter(logging.Formatter(f"shop[%(process)d]: %(message)s{end}"))
    logger = logging.getLogger("tests.shippers")
    logger.propagate = False
    logger.addHandler(handler)
    for number in range(EVENTS):
        logger.error("event %d of shop: ünïcode", number)
        if collector and number % DATAGRAMS_AT_ONCE == 0:
            received = partial(collector.metric, "component_received_events_total", source)
            eventually(partial(has_reached, received, number + 1), f"{number + 1} datagrams")
    logger.removeHandler(handler)
    handler.close()


def has_reached(value: Callable[[], float], least: int) -> bool:
    return value() >= least


def check_python(engine: Engine) -> None:
    (found,) = engine.query(
        "SELECT count() AS events, uniqExact(message) AS messages, "
        "countIf(log_level = 'ERROR') AS levels, "
        "countIf(if(source != '', source, attributes['appname']) = 'shop') AS apps, "
        f"countIf(attributes['procid'] = '{os.getpid()}') AS processes, "
        "countIf(host = '127.0.0.1') AS hosts, (SELECT count() FROM logs.rejected) AS rejected "
        "FROM logs.application_logs"
    )
    names = ["events", "messages", "levels", "apps", "processes", "hosts"]
    assert {name: int(value) for name, value in found.items()} == {
        **dict.fromkeys(names, EVENTS),
        "rejected": 0,
    }


class JsonOverTcp(logging.handlers.SocketHandler):
    """Python's handler for sockets; of its own accord it sends pickles."""

    @override
    def makePickle(self, record: logging.LogRecord) -> bytes:
        return json_line(record)


class JsonOverUdp(logging.handlers.DatagramHandler):
    """The same by datagrams."""

    @override
    def makePickle(self, record: logging.LogRecord) -> bytes:
        return json_line(record)


def json_line(record: logging.LogRecord) -> bytes:
    fields = {"message": record.getMessage(), "level": record.levelname, "logger": record.name}
    return json.dumps(fields).encode() + b"\n"


@pytest.mark.parametrize("mode", ["tcp", "udp"])
def test_json_from_python(engine: Engine, tmp_path: Path, mode: str) -> None:
    source = {"type": "socket", "mode": mode, "address": "127.0.0.1:0", "port_key": ""}
    sources = {"in": {**source, "decoding": {"codec": "json"}}}
    handlers = {"tcp": JsonOverTcp, "udp": JsonOverUdp}
    with Collector(pipeline(engine.url, **sources), tmp_path) as collector:
        handler = handlers[mode]("127.0.0.1", collector.ports["in"])
        log_with_python(handler, collector=collector if mode == "udp" else None, source="in")
        eventually(
            lambda: engine.value("SELECT count() FROM logs.application_logs") >= EVENTS, "all"
        )
    (found,) = engine.query(
        "SELECT count() AS events, uniqExact(message) AS messages, "
        "countIf(log_level = 'ERROR' AND source = 'tests.shippers' AND host = '127.0.0.1') AS right "
        "FROM logs.application_logs"
    )
    assert set(map(int, found.values())) == {EVENTS}
