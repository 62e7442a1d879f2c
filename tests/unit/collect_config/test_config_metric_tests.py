"""Tests in a configuration that put metrics in and look at metrics."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tailrace.collect.config import load
from tailrace.collect.config.run_tests import run_tests
from tailrace.errors import ConfigurationError

METRIC = {
    "name": "hits",
    "kind": "incremental",
    "counter": {"value": 2},
    "tags": {"host": "a", "path": "/"},
    "timestamp": "2026-01-02T03:04:05Z",
}
TRANSFORMS = {
    "few": {"type": "filter", "inputs": ["in"], "condition": '.tags.path == "/"'},
    "logs": {"type": "metric_to_log", "inputs": ["few"]},
}


def errors_of(folder: Path, metric: dict[str, Any], condition: str) -> list[str]:
    """What a test says that puts a metric into the first transform and looks at the last."""
    test = {
        "name": "one",
        "inputs": [{"insert_at": "few", "type": "metric", "metric": metric}],
        "outputs": [{"extract_from": "logs", "conditions": [condition]}],
    }
    path = folder / "vector.yaml"
    path.write_text(yaml.safe_dump({"transforms": TRANSFORMS, "tests": [test]}))
    [result] = run_tests(load([path], for_tests=True))
    return result.errors


def test_a_metric_goes_in_as_it_is_written(tmp_path: Path) -> None:
    whole = (
        '. == {"name": "hits", "kind": "incremental", "counter": {"value": 2.0}, "host": "a", '
        '"tags": {"path": "/"}, "timestamp": t\'2026-01-02T03:04:05Z\'}'
    )
    assert errors_of(tmp_path, METRIC, whole) == []


def test_a_condition_that_is_not_true_of_it_fails(tmp_path: Path) -> None:
    [error] = errors_of(tmp_path, METRIC, ".counter.value == 3")
    assert "condition[0]: it is false" in error


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ({**METRIC, "kind": "sideways"}, 'cannot use "sideways" as .kind'),
        ({"name": "a", "kind": "absolute"}, "cannot find the value"),
        (None, 'needs the option "metric"'),
    ],
)
def test_what_is_no_metric_is_refused_before(tmp_path: Path, metric: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said.replace(".", r"\.")):
        errors_of(tmp_path, metric, "true")
