"""Fixtures that tests of several kinds share."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.integration.collect_system import Engine, engine_with_tables
from tests.kafka_cluster import KafkaCluster, running_cluster

# A busy machine is no finding. In CI the examples are the same in every run, so that a change fails
# for what it changes; new ones are looked for elsewhere.
settings.register_profile(
    "tests",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Three Kafka brokers."""
    with running_cluster(tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def started_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A running engine with the tables of the packs, which takes longer to start than most tests."""
    engine = engine_with_tables(tmp_path_factory.mktemp("engine"))
    with engine.process:
        yield engine


@pytest.fixture(scope="module")
def engine(started_engine: Engine) -> Engine:
    """An engine that tests share and leave running, without anything of earlier files in its log tables."""
    started_engine.clear()
    return started_engine


@pytest.fixture
def empty_tables(engine: Engine) -> None:
    """Nothing of earlier tests in the log tables of `engine`."""
    engine.clear()
