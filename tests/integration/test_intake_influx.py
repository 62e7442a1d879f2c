"""Influx's own clients for Python, of both versions: every point is an event with its fields."""

from datetime import UTC, datetime

import httpx
import pytest
from influxdb import InfluxDBClient as ClientV1
from influxdb.exceptions import InfluxDBClientError
from influxdb_client.client.influxdb_client import InfluxDBClient as ClientV2
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from tests.integration.intake_system import IntakeSystem

EVENTS = 10_000
START = int(datetime(2026, 11, 22, 10, 0, tzinfo=UTC).timestamp()) * 1000


def check_all(intake: IntakeSystem) -> None:
    intake.wait_for(EVENTS)
    (found,) = intake.engine.query(
        "SELECT count() AS events, uniqExact(attributes['order']) AS orders, "
        "countIf(source = 'sales report') AS sources, countIf(host = 'pay-3') AS hosts, "
        "countIf(attributes['shop'] = 'Ålesund, \"centre\"') AS tags, "
        "countIf(attributes['note'] = 'a \"quoted\" note') AS texts, "
        "countIf(attributes['paid'] = 'true') AS booleans, "
        "countIf(toFloat64OrZero(attributes['amount']) = 12.5) AS numbers, "
        "countIf(position(message, concat('order=', attributes['order'])) > 0) AS messages, "
        f"countIf(toUnixTimestamp64Milli(timestamp) = {START} + "
        "toUInt32(attributes['order'])) AS times "
        "FROM logs.application_logs"
    )
    assert {name: int(value) for name, value in found.items()} == dict.fromkeys(found, EVENTS)
    assert int(intake.engine.value("SELECT count() FROM logs.rejected")) == 0


def fields(number: int) -> dict[str, object]:
    return {"order": number, "amount": 12.5, "paid": True, "note": 'a "quoted" note'}


TAGS = {"host": "pay-3", "shop": 'Ålesund, "centre"'}


def test_the_client_of_version_1(intake: IntakeSystem) -> None:
    port = int(intake.url.rsplit(":", 1)[1])
    client = ClientV1("127.0.0.1", port, "user", "password", "sales", gzip=True)
    assert client.ping()
    client.create_database("sales")
    assert {"name": "tailrace"} in client.get_list_database()
    points = [
        {
            "measurement": "sales report",
            "tags": TAGS,
            "fields": fields(number),
            "time": START + number,
        }
        for number in range(EVENTS)
    ]
    assert client.write_points(points, time_precision="ms", batch_size=2500)
    with pytest.raises(InfluxDBClientError, match="missing fields") as raised:
        client.write(["cpu"], {"db": "sales"}, protocol="line")
    assert raised.value.code == 400
    client.close()
    check_all(intake)


def test_the_client_of_version_2(intake: IntakeSystem) -> None:
    points = []
    for number in range(EVENTS):
        point = Point("sales report").time(START + number, "ms")  # type: ignore[no-untyped-call]
        for name, text in TAGS.items():
            point.tag(name, text)
        for name, value in fields(number).items():
            point.field(name, value)
        points.append(point)
    with ClientV2(intake.url, token="any", org="acme", enable_gzip=True) as client:
        assert client.ping()
        assert httpx.get(f"{intake.url}/health", timeout=60).json()["status"] == "pass"
        with client.write_api(write_options=SYNCHRONOUS) as writing:
            for start in range(0, EVENTS, 2500):
                writing.write("sales", record=points[start : start + 2500], write_precision="ms")
            with pytest.raises(ApiException) as raised:
                writing.write("sales", record=["cpu"])
    assert raised.value.status == 400
    check_all(intake)


def test_the_client_of_version_2_with_a_user_and_a_password(intake: IntakeSystem) -> None:
    """It signs in before it writes, and out at its end."""
    with ClientV2(intake.url, username="user", password="password", org="-") as client:
        with client.write_api(write_options=SYNCHRONOUS) as writing:
            writing.write("sales", record="sales,host=pay-3 order=1i")
    intake.wait_for(1)
    (row,) = intake.rows()
    assert (row["source"], row["host"], row["attributes"]) == ("sales", "pay-3", {"order": "1"})


def test_telegrafs_requests(intake: IntakeSystem) -> None:
    """In the order in which Telegraf's output for version 1 sends them."""
    with httpx.Client(base_url=intake.url, timeout=60) as telegraf:
        created = telegraf.post("/query", data={"q": 'CREATE DATABASE "telegraf"'})
        assert created.json() == {"results": [{"statement_id": 0}]}
        lines = b"cpu,cpu=cpu0,host=web-1 usage_idle=98.2,usage_user=1.1 1763808135000000000\n"
        answer = telegraf.post("/write", params={"db": "telegraf"}, content=lines + b"bad\n")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("partial write: unable to parse 'bad'")
    intake.wait_for(1)
    (row,) = intake.rows()
    assert (row["source"], row["host"]) == ("cpu", "web-1")
    assert row["message"] == "usage_idle=98.2 usage_user=1.1"
    assert row["timestamp"] == "2025-11-22 10:42:15.000000000"
    assert row["attributes"] == {"usage_idle": "98.2", "usage_user": "1.1", "cpu": "cpu0"}
