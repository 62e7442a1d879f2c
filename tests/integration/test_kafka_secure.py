"""TLS and SASL against a real broker: events go through it and back, and nobody else gets in."""

from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Certificates, make_certificates
from tests.integration.collect_system import Collector, eventually
from tests.kafka_cluster import running_cluster

LINES = b"".join(b"line %d\n" % number for number in range(100))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def test_events_go_through_where_only_friends_get_in(
    certificates: Certificates, tmp_path: Path
) -> None:
    pem = tmp_path / "server.pem"
    key = certificates.server.with_suffix(".key")
    pem.write_bytes(key.read_bytes() + certificates.server.read_bytes())
    with running_cluster(tmp_path / "kafka", 1, (str(pem), "tail", "sesame")) as kafka:
        topic = kafka.create_topic(1, 1)

        def collector(name: str, mechanism: str, password: str) -> Collector:
            connection = {
                "bootstrap_servers": kafka.secure_servers,
                "tls": {"enabled": True, "ca_file": str(certificates.authority)},
                "sasl": {
                    "enabled": True,
                    "mechanism": mechanism,
                    "username": "tail",
                    "password": password,
                },
            }
            return Collector(pipeline(connection, topic, tmp_path / name), tmp_path / name)

        with (
            collector("plain", "PLAIN", "sesame") as plain,
            collector("scram", "SCRAM-SHA-512", "sesame") as scram,
        ):
            plain.send(LINES)
            arrived = tmp_path / "scram" / "arrived.log"
            eventually(lambda: arrived.exists() and len(lines(arrived)) == 100, "all lines")
            assert scram.is_ready()
        assert lines(arrived) == LINES.splitlines()
        with collector("stranger", "PLAIN", "guessed") as stranger:
            eventually(lambda: "uthentication fail" in stranger.log, "word of the failure")
            assert stranger.exit_code is None


def pipeline(connection: dict[str, Any], topic: str, folder: Path) -> dict[str, Any]:
    """From TCP into the topic, and from the topic into a file."""
    return {
        "sources": {
            "tcp": {"type": "socket", "mode": "tcp", "address": "127.0.0.1:0"},
            "topic": {
                "type": "kafka",
                **connection,
                "group_id": folder.name,
                "topics": [topic],
                "auto_offset_reset": "earliest",
            },
        },
        "sinks": {
            "to_kafka": {
                "type": "kafka",
                "inputs": ["tcp"],
                **connection,
                "topic": topic,
                "encoding": {"codec": "text"},
            },
            "to_file": {
                "type": "file",
                "inputs": ["topic"],
                "path": str(folder / "arrived.log"),
                "encoding": {"codec": "text"},
            },
        },
    }


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()
