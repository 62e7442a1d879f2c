"""Every `fuzz_*.py` holds against bytes that hypothesis makes. (`make fuzz` looks longer.)"""

from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.samples import Fuzz, garbage

TARGETS = sorted(path.stem for path in Path(__file__).parent.glob("fuzz_*.py"))


def target(name: str) -> tuple[Fuzz, tuple[bytes, ...]]:
    module = import_module(f"tests.fuzz.{name}")
    return module.fuzz, module.SEEDS


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_breaks_it(name: str) -> None:
    fuzz, seeds = target(name)
    for seed in seeds:
        fuzz(seed)

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(garbage(seeds))
    def holds(data: bytes) -> None:
        fuzz(data)

    holds()
