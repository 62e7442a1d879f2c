"""Loki's clients: batches in JSON and protobuf, and Python's logging handler; all in their columns."""

import logging
from datetime import UTC, datetime

import httpx
import orjson
import pytest
from logging_loki import LokiHandler

from tests.golden.protocols.loki_wire import push_request, snap
from tests.integration.intake_system import IntakeSystem

EVENTS = 10_000
BATCH = 1000
START = int(datetime(2026, 11, 22, 10, 0, tzinfo=UTC).timestamp())
LABELS = {"level": "warn", "service_name": "payment", "hostname": "pay-3", "filename": "/a.log"}


def line(number: int) -> str:
    """Every second one is JSON by itself."""
    return f'{{"msg":"event {number}: ünïcode"}}' if number % 2 else f"event {number}: ünïcode"


def json_batch(numbers: range) -> bytes:
    values = [[str(START * 10**9 + n), line(n), {"order": str(n)}] for n in numbers]
    return orjson.dumps({"streams": [{"stream": LABELS, "values": values}]})


def protobuf_batch(numbers: range) -> bytes:
    labels = ", ".join(f'{name}="{value}"' for name, value in LABELS.items())
    entries = [(START, n, line(n).encode(), {"order": str(n)}) for n in numbers]
    return snap(push_request({f"{{{labels}}}": entries}))


@pytest.mark.parametrize(
    ("kind", "batch"),
    [("application/json", json_batch), ("application/x-protobuf", protobuf_batch)],
)
def test_batches(intake: IntakeSystem, kind: str, batch: type[bytes]) -> None:
    with httpx.Client(headers={"Content-Type": kind}, timeout=60) as client:
        for start in range(0, EVENTS, BATCH):
            body = batch(range(start, start + BATCH))
            answer = client.post(f"{intake.url}/loki/api/v1/push", content=body)
            assert answer.status_code == 204, answer.text
    intake.wait_for(EVENTS)
    (found,) = intake.engine.query(
        "SELECT count() AS events, uniqExact(message) AS messages, "
        "countIf(message = concat('event ', attributes['order'], ': ünïcode')) AS whole, "
        "countIf(log_level = 'WARNING') AS levels, countIf(source = 'payment') AS sources, "
        "countIf(host = 'pay-3') AS hosts, countIf(attributes['filename'] = '/a.log') AS files, "
        f"countIf(toUnixTimestamp64Nano(timestamp) = {START * 10**9} + "
        "toUInt32(attributes['order'])) AS times "
        "FROM logs.application_logs"
    )
    assert {name: int(value) for name, value in found.items()} == dict.fromkeys(found, EVENTS)
    assert int(intake.engine.value("SELECT count() FROM logs.rejected")) == 0


def test_the_handler_of_pythons_logging(intake: IntakeSystem) -> None:
    """It sends a request an event, and says so on standard error when one fails."""
    handler = LokiHandler(
        url=f"{intake.url}/loki/api/v1/push", tags={"application": "shop"}, version="1"
    )
    logger = logging.getLogger("shop.cart")
    logger.addHandler(handler)
    for number in range(100):
        logger.error("event %d", number, extra={"tags": {"order": str(number)}})
    logger.removeHandler(handler)
    handler.emitter.close()
    intake.wait_for(100)
    rows = intake.rows()
    assert [row["message"] for row in rows] == [f"event {number}" for number in range(100)]
    assert [row["attributes"]["order"] for row in rows] == [str(number) for number in range(100)]
    assert {(row["log_level"], row["source"]) for row in rows} == {("ERROR", "shop.cart")}
    assert {row["attributes"]["application"] for row in rows} == {"shop"}


def test_a_line_with_an_impossible_time_is_kept_apart(intake: IntakeSystem) -> None:
    values = [["1763808135118000000", "good"], ["soon", "bad"]]
    body = orjson.dumps({"streams": [{"stream": {"app": "shop"}, "values": values}]})
    answer = httpx.post(f"{intake.url}/loki/api/v1/push", content=body, timeout=60)
    assert answer.status_code == 204
    intake.wait_for(1)
    intake.wait_for(1, "rejected")
    assert "cannot read the timestamp 'soon'" in str(
        intake.engine.value("SELECT reason FROM logs.rejected")
    )
    assert httpx.get(f"{intake.url}/loki/ready", timeout=60).status_code == 200
