"""One engine for the tests that leave it as it was, and a client of it for each test."""

from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import httpx
import pytest
from clickhouse_connect.driver.client import Client

from tests.processes import Process, start_engine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A running `tailrace engine`; tests share it, each with tables of its own."""
    with start_engine(tmp_path_factory.mktemp("engine")) as process:
        yield process


@pytest.fixture
def client(engine: Process) -> Iterator[Client]:
    """The official client, in a database that is this test's alone."""
    with clickhouse_connect.get_client(host="127.0.0.1", port=engine.port) as admin:
        admin.command("DROP DATABASE IF EXISTS scratch")
        admin.command("CREATE DATABASE scratch")
    with clickhouse_connect.get_client(
        host="127.0.0.1", port=engine.port, database="scratch", tz_mode="aware"
    ) as client:
        yield client


@pytest.fixture
def http(engine: Process, client: Client) -> Iterator[httpx.Client]:
    """Plain HTTP, in the same database."""
    assert client.ping()
    with httpx.Client(base_url=engine.url, params={"database": "scratch"}, timeout=60) as plain:
        yield plain


@pytest.fixture
def spool(engine: Process) -> Path:
    """The folder of temporary files."""
    return engine.data_dir / "clickhouse-tmp"
