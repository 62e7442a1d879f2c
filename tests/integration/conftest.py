"""The system that the tests of the pages' doors share."""

from collections.abc import Iterator

import pytest

from tests.integration.collect_system import Engine
from tests.integration.intake_system import IntakeSystem, running


@pytest.fixture(scope="session")
def started_intake(
    started_engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[IntakeSystem]:
    """Pages and a collector before the engine that tests share."""
    with running(started_engine, tmp_path_factory.mktemp("intake")) as started:
        yield started


@pytest.fixture
def intake(started_intake: IntakeSystem) -> IntakeSystem:
    """The same, without anything of earlier tests in its tables."""
    started_intake.engine.clear()
    return started_intake
