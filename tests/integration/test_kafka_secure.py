"""Collectors, pages, packs and `generate` reach brokers that want TLS and SASL, and nobody else gets in;
wrong settings are said, never told."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.certificates import Certificates, make_certificates
from tests.integration.collect_system import Collector, eventually
from tests.kafka_cluster import KafkaCluster, running_cluster
from tests.processes import Process
from tests.web_system import free_port, start_web

PASSWORD = "open-sesame"
LINES = b"".join(b"line %d\n" % number for number in range(100))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secure(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaCluster]:
    folder = tmp_path_factory.mktemp("secure")
    pem = folder / "server.pem"
    key = certificates.server.with_suffix(".key")
    pem.write_bytes(key.read_bytes() + certificates.server.read_bytes())
    with running_cluster(folder / "kafka", 1, (str(pem), "tail", PASSWORD)) as cluster:
        yield cluster


def test_events_go_through_where_only_friends_get_in(
    secure: KafkaCluster, certificates: Certificates, tmp_path: Path
) -> None:
    topic = secure.create_topic(1, 1)

    def collector(name: str, mechanism: str, password: str) -> Collector:
        connection = {
            "bootstrap_servers": secure.secure_servers,
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
        collector("plain", "PLAIN", PASSWORD) as plain,
        collector("scram", "SCRAM-SHA-512", PASSWORD) as scram,
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


def login(secure: KafkaCluster, folder: Path, authority: Path | str) -> dict[str, str]:
    return {
        "TAILRACE_DATA_DIR": str(folder),
        "TAILRACE_ENGINE_PORT": str(free_port()),
        "TAILRACE_COLLECTOR_PORT": str(free_port()),
        "BOOTSTRAP_SERVERS": secure.secure_servers,
        "TAILRACE_KAFKA_TLS_ENABLED": "true",
        "TAILRACE_KAFKA_TLS_CA_FILE": str(authority),
        "TAILRACE_KAFKA_SASL_ENABLED": "true",
        "TAILRACE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "TAILRACE_KAFKA_SASL_USERNAME": "tail",
        "TAILRACE_KAFKA_SASL_PASSWORD": PASSWORD,
    }


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_events_are_made_and_looked_at_where_only_friends_get_in(
    secure: KafkaCluster, certificates: Certificates, tmp_path: Path, mechanism: str
) -> None:
    topic = f"chains-{mechanism.lower()}"
    environment = {
        **login(secure, tmp_path, certificates.authority),
        "TAILRACE_KAFKA_SASL_MECHANISM": mechanism,
    }
    target = f"kafka://{secure.secure_servers}/{topic}?partitions=2"
    generate = ["generate", "collatz", "--to", target, "--count", "300", "--seed", "1"]
    with Process(generate, environment) as process:
        assert (process.wait(60), "sent 300 events" in process.log) == (0, True)
    # the authority may be given by its content, too
    environment["TAILRACE_KAFKA_TLS_CA_FILE"] = certificates.authority.read_text("utf-8")
    with start_web(environment) as web:
        found = httpx.get(f"{web.url}/api/v1/streams/topics?q={topic}", timeout=60).json()
        assert [(row["name"], row["messages"]) for row in found["rows"]] == [(topic, 300)]
        read = httpx.get(f"{web.url}/api/v1/streams/{topic}/messages?limit=500", timeout=60)
        assert len(read.json()["rows"]) == 300
        page = httpx.get(f"{web.url}/streams/{topic}", timeout=60)
        assert page.status_code == 200
        assert PASSWORD not in web.log + page.text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"TAILRACE_KAFKA_SASL_PASSWORD": "guessed-wrongly"}, "TAILRACE_KAFKA_SASL_MECHANISM"),
        ({"TAILRACE_KAFKA_TLS_CA_FILE": "client"}, "TAILRACE_KAFKA_TLS_CA_FILE"),
        (
            {
                "TAILRACE_KAFKA_TLS_ENABLED": "false",
                "TAILRACE_KAFKA_SASL_ENABLED": "false",
            },
            "TAILRACE_KAFKA_TLS_",
        ),
    ],
)
def test_what_is_wrong_is_said_on_the_page(
    secure: KafkaCluster,
    certificates: Certificates,
    tmp_path: Path,
    wrong: Mapping[str, str],
    said: str,
) -> None:
    environment = {**login(secure, tmp_path, certificates.authority), **wrong}
    if environment["TAILRACE_KAFKA_TLS_CA_FILE"] == "client":
        environment["TAILRACE_KAFKA_TLS_CA_FILE"] = str(certificates.client)
    with start_web(environment) as web:
        page = httpx.get(f"{web.url}/streams", timeout=60)
        assert page.status_code == 503
        problem = re.findall(r'role="alert">([^<]+)<', page.text)
        assert len(problem) == 1
        assert problem[0].startswith("cannot ask the brokers at")
        assert said in problem[0]
        answer = httpx.get(f"{web.url}/api/v1/streams", timeout=60)
        assert (answer.status_code, said in answer.json()["detail"]) == (503, True)
        for told in (page.text, answer.text, web.log):
            assert "guessed-wrongly" not in told
            assert PASSWORD not in told


def test_settings_that_cannot_be_used_end_the_start(
    secure: KafkaCluster, certificates: Certificates, tmp_path: Path
) -> None:
    missing = tmp_path / "no-such.pem"
    for environment, said in (
        (login(secure, tmp_path, missing), f"TAILRACE_KAFKA_TLS_CA_FILE='{missing}'"),
        (
            {**login(secure, tmp_path, certificates.authority), "TAILRACE_KAFKA_SASL_USERNAME": ""},
            "TAILRACE_KAFKA_SASL_USERNAME is not set",
        ),
    ):
        with Process(["web", "--web-port", "0"], environment) as process:
            assert process.wait(60) == 2
            assert said in process.log
            assert PASSWORD not in process.log
