"""What is sent to collectors, made beforehand so that the sender costs little."""

import base64
import socket
import threading
from collections.abc import Sequence
from http.client import HTTPConnection
from itertools import count, islice
from pathlib import Path
from typing import Any

import orjson
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

RECORDS_A_REQUEST = 512
"""What OpenTelemetry's SDKs put into one by default."""

DOCUMENTS_A_BULK = 1_000
"""Shippers put from 50 to 1,600 into one."""

SENDERS = 4
"""Connections that requests are sent over at once."""


def send_file(port: int, path: Path) -> None:
    """Send a whole file over one connection."""
    with socket.create_connection(("127.0.0.1", port)) as connection, path.open("rb") as file:
        connection.sendfile(file)


def post_often(
    port: int, path: str, media_type: str, bodies: Sequence[bytes], requests: int
) -> None:
    """POST the bodies in turn, over a few connections; each answer must be 200."""
    numbers = count()
    problems: list[str] = []

    def work() -> None:
        connection = HTTPConnection("127.0.0.1", port)
        while (number := next(numbers)) < requests and not problems:
            body = bodies[number % len(bodies)]
            connection.request("POST", path, body, {"Content-Type": media_type})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                problems.append(f"{answer.status} {text.decode(errors='replace')}")
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise RuntimeError(f"cannot POST to {path}: {problems[0]}")


def syslog_file(lines: Path, path: Path, rows: int) -> None:
    """The file's events as syslog lines of RFC 5424, with structured data."""
    with lines.open("rb") as source, path.open("wb") as target:
        for number, line in enumerate(islice(source, rows)):
            event = orjson.loads(line)
            data = f'[request@32473 id="{number}" trace="{event.get("trace_id", "")}"]'
            head = f"<{8 * 16 + 6}>1 {event['timestamp']} {event['host']} {event['source']}"
            text = f"{head} {number % 32768} ID{number % 50} {data} {event['message']}\n"
            target.write(text.encode())


def bulk_bodies(lines: Path) -> list[bytes]:
    """A few bodies of Elasticsearch's `_bulk` of the file's first events."""
    with lines.open("rb") as source:
        events = list(islice(source, 8 * DOCUMENTS_A_BULK))
    return [
        b"".join(b'{"create":{"_index":"bench"}}\n' + line for line in some)
        for first in range(0, len(events), DOCUMENTS_A_BULK)
        if (some := events[first : first + DOCUMENTS_A_BULK])
    ]


def otlp_requests(lines: Path) -> tuple[list[bytes], list[bytes]]:
    """A few OTLP requests of the file's first events: in JSON, and the same in protobuf."""
    with lines.open("rb") as source:
        events = [orjson.loads(line) for line in islice(source, 8 * RECORDS_A_REQUEST)]
    documents = [
        _otlp_document(events[first : first + RECORDS_A_REQUEST])
        for first in range(0, len(events), RECORDS_A_REQUEST)
    ]
    return [orjson.dumps(each) for each in documents], [_as_protobuf(each) for each in documents]


def _otlp_document(events: list[dict[str, Any]]) -> dict[str, Any]:
    of_resource = {"service.name": "bench", "host.name": "bench-1", "process.pid": 4711}
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": [_attribute(*each) for each in of_resource.items()]},
                "scopeLogs": [
                    {
                        "scope": {"name": "bench.orders", "version": "1.2"},
                        "logRecords": [_record(*each) for each in enumerate(events)],
                    }
                ],
            }
        ]
    }


def _record(number: int, event: dict[str, Any]) -> dict[str, Any]:
    nanos = 1_767_300_000_000_000_000 + number * 1_000_037
    names = [name for name in ("user_id", "method", "path", "status") if name in event]
    return {
        "timeUnixNano": str(nanos),
        "observedTimeUnixNano": str(nanos + 90_000),
        "severityNumber": 9,
        "severityText": event["log_level"],
        "body": {"stringValue": event["message"]},
        "attributes": [_attribute(name, event[name]) for name in names],
        "traceId": event.get("trace_id", f"{number:032x}"),
        "spanId": event.get("span_id", f"{number:016x}"),
        "flags": 1,
    }


def _attribute(name: str, value: object) -> dict[str, Any]:
    is_number = isinstance(value, int)
    return {"key": name, "value": {"intValue" if is_number else "stringValue": str(value)}}


def _as_protobuf(document: dict[str, Any]) -> bytes:
    """By protobuf's own reader of JSON, for which identifiers are Base64."""
    copy = orjson.loads(orjson.dumps(document))
    for record in copy["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        for name in ("traceId", "spanId"):
            record[name] = base64.b64encode(bytes.fromhex(record[name])).decode()
    return ParseDict(copy, ExportLogsServiceRequest()).SerializeToString()
