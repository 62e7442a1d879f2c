"""Elasticsearch's official client, curl and what Filebeat sends: every event is in its columns."""

import gzip
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from elasticsearch import Elasticsearch
from elasticsearch.helpers import BulkIndexError, bulk

from tests.integration.intake_system import IntakeSystem
from tests.needs import need_program

EVENTS = 10_000
START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.fixture
def client(intake: IntakeSystem) -> Iterator[Elasticsearch]:
    url = f"{intake.url}/elasticsearch"
    with Elasticsearch(url, http_compress=True, request_timeout=60) as made:
        yield made


def documents() -> Iterator[dict[str, Any]]:
    for number in range(EVENTS):
        yield {
            "_index": "shop",
            "_id": f"id-{number}",
            "_op_type": "create" if number % 2 else "index",
            "@timestamp": (START + timedelta(milliseconds=number)).isoformat(),
            "log.level": "error",
            "message": f'event {number}: ünïcode "quoted"',
            "service": {"name": "payment"},
            "host": {"name": "pay-3"},
            "trace": {"id": "4bf92f3577b34da6"},
            "order": number,
        }


def test_the_official_client(intake: IntakeSystem, client: Elasticsearch) -> None:
    assert client.info()["tagline"] == "You Know, for Search"
    assert client.ping()
    assert bulk(client, documents(), chunk_size=2500) == (EVENTS, [])
    intake.wait_for(EVENTS)
    (found,) = intake.engine.query(
        "SELECT count() AS events, uniqExact(message) AS messages, "
        "countIf(message = concat('event ', attributes['order'], ': ünïcode \"quoted\"')) AS whole, "
        "countIf(log_level = 'ERROR') AS levels, countIf(source = 'payment') AS sources, "
        "countIf(host = 'pay-3') AS hosts, countIf(trace_id = '4bf92f3577b34da6') AS traces, "
        "uniqExact(attributes['_id']) AS ids, countIf(attributes['_index'] = 'shop') AS indexes, "
        "countIf(timestamp = addMilliseconds(toDateTime64('2026-11-22 10:00:00', 9, 'UTC'), "
        "toUInt32(attributes['order']))) AS times "
        "FROM logs.application_logs"
    )
    assert {name: int(value) for name, value in found.items()} == dict.fromkeys(found, EVENTS)
    assert int(intake.engine.value("SELECT count() FROM logs.rejected")) == 0


def test_the_official_client_sees_what_is_refused(
    intake: IntakeSystem, client: Elasticsearch
) -> None:
    actions: list[bytes | str | dict[str, Any]] = [
        {"_index": "shop", "message": "kept"},
        {"_op_type": "delete", "_index": "shop", "_id": "1"},
        {"_op_type": "update", "_index": "shop", "_id": "2", "doc": {"a": 1}},
    ]
    with pytest.raises(BulkIndexError) as raised:
        bulk(client, actions)
    refused = raised.value.errors
    assert [next(iter(item)) for item in refused] == ["delete", "update"]
    assert client.index(index="shop", document={"message": "single"})["result"] == "created"
    intake.wait_for(2)
    assert {row["message"] for row in intake.rows("message")} == {"kept", "single"}


def test_filebeats_requests(intake: IntakeSystem) -> None:
    """In the order in which Filebeat 8 and 9 send them."""
    with httpx.Client(base_url=f"{intake.url}/elasticsearch", timeout=60) as filebeat:
        for path in ("/", "/_license?human=false", "/_ilm/policy/filebeat"):
            assert filebeat.get(path).status_code == 200
        assert filebeat.head("/_index_template/filebeat-9.0.0").status_code == 200
        assert filebeat.get("/_data_stream/filebeat-9.0.0").status_code == 200
        event = {
            "@timestamp": "2026-11-22T10:42:15.118Z",
            "log": {"offset": 70, "file": {"path": "/var/log/app.log"}, "level": "warn"},
            "message": "disk almost full",
            "host": {"name": "web-1"},
            "agent": {"type": "filebeat", "version": "9.0.0"},
        }
        body = b'{"create":{"_index":"filebeat-9.0.0"}}\n' + json.dumps(event).encode() + b"\n"
        answer = filebeat.post(
            "/_bulk?filter_path=errors%2Citems.%2A.error%2Citems.%2A.status",
            content=gzip.compress(body),
            headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
        )
    assert answer.text == '{"errors":false,"items":[{"create":{"status":201}}]}'
    intake.wait_for(1)
    (row,) = intake.rows()
    assert row["log_level"] == "WARNING"
    assert row["host"] == "web-1"
    assert row["timestamp"] == "2026-11-22 10:42:15.118000000"
    assert row["attributes"]["log.file.path"] == "/var/log/app.log"


def test_curl(intake: IntakeSystem, tmp_path: Path) -> None:
    body = tmp_path / "bulk"
    body.write_bytes(b'{"index":{}}\n{"level":"fatal","msg":"by curl"}\n{"index":{}}\n{"a":\n')
    done = subprocess.run(
        [
            need_program("curl", "curl"),
            "-sS",
            "-H",
            "Content-Type: application/x-ndjson",
            "--data-binary",
            f"@{body}",
            f"{intake.url}/elasticsearch/shop/_bulk",
        ],
        check=True,
        capture_output=True,
    )
    assert [item["index"]["status"] for item in json.loads(done.stdout)["items"]] == [201, 201]
    intake.wait_for(1)
    intake.wait_for(1, "rejected")
    (row,) = intake.rows()
    assert (row["log_level"], row["message"]) == ("CRITICAL", "by curl")
    assert row["attributes"] == {"_index": "shop"}
