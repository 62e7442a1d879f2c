from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tailrace.search.compile import Parameters, compile_search

NOW = datetime(2026, 11, 22, 10, 42, tzinfo=UTC)
CASES = yaml.safe_load((Path(__file__).parent / "cases.yaml").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case["text"] or "(empty)" for case in CASES])
def test_text_becomes_this_sql(case: dict[str, Any]) -> None:
    parameters = Parameters()
    assert compile_search(case["text"], parameters, NOW) == case["sql"]
    assert parameters.values == case.get("parameters", {})
