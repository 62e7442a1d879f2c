"""Clients of other systems send logs: each is found once, with its fields in their columns."""

import logging
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pylogbeat import PyLogBeatClient
from splunk_handler import SplunkHandler

from tests.certificates import make_certificates
from tests.integration.collect_system import (
    Collector,
    Engine,
    eventually,
    pipeline,
)

EVENTS = 10_000

COUNTED = {
    "events": "count()",
    "messages": "uniqExact(message)",
    "readable": "countIf(message LIKE 'event %: ünïcode')",
    "recent": "countIf(abs(dateDiff('second', timestamp, now64(3))) < 600)",
    "hosts": "countIf(host = 'web-1')",
    "sources": "countIf(source = 'shop')",
}

pytestmark = pytest.mark.usefixtures("empty_tables")


def assert_all_found(engine: Engine, **counted: str) -> None:
    rows = "SELECT count() FROM logs.application_logs"
    eventually(lambda: engine.value(rows) >= EVENTS, "all events")
    asked = ", ".join(f"{sql} AS {name}" for name, sql in {**COUNTED, **counted}.items())
    (found,) = engine.query(f"SELECT {asked} FROM logs.application_logs")
    assert {name: int(value) for name, value in found.items()} == dict.fromkeys(found, EVENTS)
    assert engine.value("SELECT count() FROM logs.rejected") == 0


def test_splunk_handler(engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It sends envelopes in a row, without anything between them, and the event as text."""
    source = {"type": "splunk_hec", "address": "127.0.0.1:0", "valid_tokens": ["secret"]}
    logger = logging.getLogger("tests.splunk_handler")
    logger.propagate = False
    with Collector(pipeline(engine.url, hec=source), tmp_path) as collector:
        handler = SplunkHandler(
            "127.0.0.1",
            collector.ports["hec"],
            "secret",
            "main",
            hostname="web-1",
            source="shop",
            sourcetype="python",
            protocol="http",
            verify=False,
            queue_size=0,
            flush_interval=0.05,
        )
        logger.addHandler(handler)
        for number in range(EVENTS):
            logger.error("event %d: ünïcode", number)
        # Its timer and its end do not wait for each other: both would send, or forget, the same events.
        # What it takes out of its queue it is processing before that, so the queue is looked at first.
        eventually(
            lambda: not (handler.queue or handler.log_payload or handler.processing_payload),
            "an idle handler",
        )
        handler.close()
        handler.session.close()
        logger.removeHandler(handler)
        assert_all_found(
            engine,
            types="countIf(attributes['splunk_sourcetype'] = 'python')",
            indexes="countIf(attributes['splunk_index'] = 'main')",
        )
    assert "Exception" not in capsys.readouterr().out


def beat(number: int) -> dict[str, Any]:
    """An event as Filebeat makes them."""
    return {
        "@timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "@metadata": {"beat": "filebeat", "type": "_doc", "version": "8.15.0"},
        "message": f"event {number}: ünïcode",
        "log": {"level": "error", "file": {"path": "/var/log/shop.log"}, "offset": number},
        "service": {"name": "shop"},
        "host": {"name": "web-1"},
    }


def python_logstash(number: int) -> dict[str, Any]:
    """An event as `python-logstash-async` makes them."""
    return {
        "@timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "@version": "1",
        "message": f"event {number}: ünïcode",
        "level": "ERROR",
        "host": "web-1",
        "program": "shop",
        "offset": number,
    }


@pytest.mark.parametrize(("make", "offset"), [(beat, "log.offset"), (python_logstash, "offset")])
@pytest.mark.parametrize("with_tls", [False, True])
def test_pylogbeat(engine: Engine, tmp_path: Path, make: Any, offset: str, with_tls: bool) -> None:
    source: dict[str, Any] = {"type": "logstash", "address": "127.0.0.1:0"}
    options: dict[str, Any] = {"timeout": 60}
    if with_tls:
        certificates = make_certificates(tmp_path)
        key = str(certificates.server.with_suffix(".key"))
        source["tls"] = {"enabled": True, "crt_file": str(certificates.server), "key_file": key}
        options |= {"ssl_enable": True, "ca_certs": str(certificates.authority)}
    with Collector(pipeline(engine.url, beats=source), tmp_path) as collector:
        with closing(PyLogBeatClient("127.0.0.1", collector.ports["beats"], **options)) as client:
            for first in range(0, EVENTS, 500):
                # Comes back when the last of them is acknowledged.
                client.send([make(number) for number in range(first, first + 500)])
        assert_all_found(
            engine,
            levels="countIf(log_level = 'ERROR')",
            offsets=f"uniqExact(attributes['{offset}'])",
        )
