"""Fixtures that tests of several kinds share."""

from collections.abc import Iterator

import pytest

from tests.kafka_cluster import KafkaCluster, running_cluster


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Three Kafka brokers."""
    with running_cluster(tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster
