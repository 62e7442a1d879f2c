"""Vector configurations, the events they make of given events, and what is said of wrong ones.

Each `*.yaml` beside this file is a case: `files` by name, and either the exact `problems` (`{dir}`
stands for the folder, `…` for what follows it and grows with Tailrace), or `events` put into sources
and the events that must leave each output, be rejected, be discarded or be counted as errors.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from tailrace.collect.config import Config, installed_components
from tailrace.collect.config.load import load_with
from tailrace.collect.transform import Event, Outputs, TransformContext
from tailrace.errors import ConfigurationError

CASES = sorted(Path(__file__).parent.glob("*.yaml"))


def load_case(case: dict[str, Any], folder: Path) -> Config:
    paths = []
    for name, text in case["files"].items():
        path = folder / name
        path.write_text(text)
        paths.append(path)
    return load_with(installed_components(), paths, environment=case.get("interpolate"))


def run(config: Config, events: dict[str, list[Event]]) -> dict[str, Outputs]:
    """Each transform's outputs, when `events` come out of the sources."""
    flowing = defaultdict(list, events)
    outputs: dict[str, Outputs] = {}
    for name in config.order:
        transform = config.transforms[name]
        context = TransformContext(name, config.timezone, config.consumed_outputs(name))
        taken = [event for origin in transform.inputs for event in flowing[origin]]
        outputs[name] = transform.build(context).run(taken)
        flowing[name] = outputs[name].default
        for output, found in outputs[name].named.items():
            flowing[f"{name}.{output}"] = found
    return outputs


def shortened(found: str, expected: str) -> str:
    """What was found, cut where the expected text says `…`."""
    beginning, dots, _ = expected.partition("…")
    return expected if dots and found.startswith(beginning) else found


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_vector_configuration(path: Path, tmp_path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    if "problems" in case:
        with pytest.raises(ConfigurationError) as caught:
            load_case(case, tmp_path)
        found = [problem.replace(str(tmp_path), "{dir}") for problem in caught.value.problems]
        assert [*map(shortened, found, case["problems"])] == case["problems"]
        assert len(found) == len(case["problems"])
        assert caught.value.exit_code == 78
        return
    config = load_case(case, tmp_path)
    warnings = [text.replace(str(tmp_path), "{dir}") for text in config.warnings]
    assert warnings == case.get("warnings", warnings)
    assert list(config.order) == case.get("order", list(config.order))
    assert_outputs(case, run(config, case["events"]))


def assert_outputs(case: dict[str, Any], outputs: dict[str, Outputs]) -> None:
    events = {name: out.default for name, out in outputs.items() if out.default}
    for name, out in outputs.items():
        events |= {f"{name}.{output}": found for output, found in out.named.items()}
    rejected = {
        name: [[raw.decode(), reason] for raw, reason in out.rejected]
        for name, out in outputs.items()
        if out.rejected
    }
    discarded = {name: dict(out.discarded) for name, out in outputs.items() if out.discarded}
    errors = {name: out.errors for name, out in outputs.items() if out.errors}
    expected = case["outputs"]
    assert {name: events.get(name, []) for name in expected} == expected
    assert rejected == case.get("rejected", {})
    assert discarded == case.get("discarded", {})
    assert errors == case.get("errors", {})
