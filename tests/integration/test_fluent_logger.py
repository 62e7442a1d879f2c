"""Fluentd's own client for Python sends logs: each is found once, with its fields."""

from pathlib import Path

import pytest
from fluent.sender import FluentSender

from tests.integration.collect_system import (
    Collector,
    Engine,
    eventually,
    pipeline,
)

EVENTS = 10_000


@pytest.mark.parametrize("nanoseconds", [False, True])
def test_fluent_logger(engine: Engine, tmp_path: Path, nanoseconds: bool) -> None:
    engine.execute("TRUNCATE TABLE logs.application_logs")
    source = {"type": "fluent", "address": "127.0.0.1:0"}
    with Collector(pipeline(engine.url, fluent=source), tmp_path) as collector:
        sender = FluentSender(
            "shop",
            port=collector.ports["fluent"],
            nanosecond_precision=nanoseconds,
            timeout=60,
        )
        for number in range(EVENTS):
            fields = {"message": f"event {number}: ünïcode", "level": "error", "order": number}
            assert sender.emit("pay", fields), sender.last_error
        sender.close()
        rows = "SELECT count() FROM logs.application_logs"
        eventually(lambda: engine.value(rows) >= EVENTS, "all events")
        (found,) = engine.query(
            "SELECT count() AS events, uniqExact(message) AS messages, "
            "countIf(message LIKE 'event %: ünïcode') AS readable, "
            "countIf(log_level = 'ERROR') AS levels, "
            "uniqExact(attributes['order']) AS orders, "
            "countIf(attributes['tag'] = 'shop.pay') AS tags, countIf(host = '127.0.0.1') AS hosts, "
            "countIf(abs(dateDiff('second', timestamp, now64(3))) < 600) AS recent "
            "FROM logs.application_logs"
        )
        assert {name: int(value) for name, value in found.items()} == dict.fromkeys(found, EVENTS)
        assert engine.value("SELECT count() FROM logs.rejected") == 0
